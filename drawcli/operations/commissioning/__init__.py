"""Commissioning of templates on past patients, and golden cases: jobs that deliver nothing."""
