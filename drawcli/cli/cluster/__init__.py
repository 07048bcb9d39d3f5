"""The commands of a ledger in a database, which several machines share."""
