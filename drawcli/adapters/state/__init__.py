"""Files under state_dir beside the ledger."""
