"""The queues of the workers in PostgreSQL, on the job engine procrastinate.

This folder alone names the engine. The queues hold nothing that the ledger does not know: they can
be emptied or made anew at any time.
"""
