"""What an administrator wants to know about several machines with one ledger."""
