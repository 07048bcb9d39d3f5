"""Settings: where they are found, their sections and their checks."""
