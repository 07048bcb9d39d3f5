"""Send radiotherapy planning scans to a DRAW server and bring the structure sets home."""

__version__ = "0.1.0"
