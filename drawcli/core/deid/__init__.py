"""The de-identification engine and its table of elements."""
