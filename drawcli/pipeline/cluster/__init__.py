"""Several machines with one ledger: what a step needs of the others."""
