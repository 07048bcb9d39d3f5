"""The DICOM node of a site: `drawcli receive`, and its checks."""
