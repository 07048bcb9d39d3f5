"""Several machines with one ledger: the data that steps share with other machines."""
