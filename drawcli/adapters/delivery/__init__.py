"""Delivers structure sets: into a folder, or to a DICOM node."""
