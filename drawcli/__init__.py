"""Send radiotherapy planning scans to a DRAW server and deliver the structure sets."""

__version__ = "0.1.0"
