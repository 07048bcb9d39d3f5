"""Talks to DICOM nodes: associations, each wait with a deadline."""
