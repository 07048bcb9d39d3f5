"""Reads rules.yaml, templates.yaml and the rules' tests."""
