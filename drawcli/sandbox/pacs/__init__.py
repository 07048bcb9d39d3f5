"""A small archive (PACS) of the sandbox: DICOM network and DICOMweb, for training and tests."""
