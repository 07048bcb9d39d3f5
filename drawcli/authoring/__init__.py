"""Writes new rules and templates, and translates those of the former client."""
