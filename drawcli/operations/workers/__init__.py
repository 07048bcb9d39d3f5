"""The long-running workers of a site whose ledger is a database.

One supervising process starts, watches and ends a process for each lane. A lane runs one task at a
time: processes, because the work is mostly CPU and a Context is for one thread.
"""
