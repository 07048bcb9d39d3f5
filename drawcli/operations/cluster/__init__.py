"""Status, metrics and moves of a ledger that several machines share."""
