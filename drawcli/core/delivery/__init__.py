"""Answers of delivery targets: what they say about one structure set."""
