"""The queues of the workers in PostgreSQL, on the job engine procrastinate.

Only this folder imports the engine. All content of the queues can be derived from the ledger: they
can be emptied or made again at any time.
"""
