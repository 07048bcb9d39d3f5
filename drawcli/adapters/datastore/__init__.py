"""Reads the site's image files."""
