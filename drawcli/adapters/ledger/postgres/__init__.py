"""The ledger in PostgreSQL, shared by several machines."""
