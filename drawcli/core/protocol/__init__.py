"""What the server and a DICOM node say, as values."""
