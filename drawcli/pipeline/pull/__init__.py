"""Pull series from archives into the datastore, each complete before a scan takes it."""
