"""The client of the DRAW server."""
