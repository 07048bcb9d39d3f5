"""Find the clinical structure sets of delivered series, and compare."""
