"""Messages that a DICOM node receives and answers as a service class provider: pure parsing."""
