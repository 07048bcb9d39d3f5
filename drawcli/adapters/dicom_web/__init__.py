"""Requests to DICOMweb archives; delivery and pulls build on them."""
