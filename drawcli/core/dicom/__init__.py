"""DICOM data elements, headers and pixel streams as bytes."""
