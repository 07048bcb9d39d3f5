"""Values of the server protocol: task status, tokens, bandwidth limits, DICOM addresses."""
