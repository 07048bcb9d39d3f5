"""Rules: conditions, operators, the decision for one series."""
