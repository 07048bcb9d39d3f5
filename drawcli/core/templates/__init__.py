"""Autosegmentation templates, their structures, colours and TG-263 names."""
