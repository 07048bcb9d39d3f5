"""Jobs: states, events, waiting times."""
