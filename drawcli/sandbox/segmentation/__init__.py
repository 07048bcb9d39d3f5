"""Draws the structures of a template into the images that were uploaded."""
