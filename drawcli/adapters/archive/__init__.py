"""Archives that are asked for series, and send them: DICOM nodes and DICOMweb."""
