"""The limits of what an archive may answer and send; those of time are in `EXCHANGES`."""

from typing import Final

from drawcli.system.limits import NODE_BYTES_PER_SECOND
from drawcli.system.network.limit import KB, MB

PULL_PDU_BYTES: Final = 128 * KB  # of a P-DATA-TF that we take
PULL_ANSWER_BYTES: Final = 64 * KB  # of the answer about one study, series or instance
PULL_STUDIES: Final = 10_000  # that may match
PULL_SERIES: Final = 2_000  # of one study
PULL_ALL_SERIES: Final = 100_000  # of all studies that match
PULL_INSTANCES: Final = 100_000  # of one series
PULL_QUERY_SECONDS: Final = 300.0  # of one query, with all its answers
PULL_NEXT_SECONDS: Final = 120.0  # until an archive sends the next answer or object
PULL_OBJECT_SECONDS: Final = 30.0  # of an object, and a second for so many bytes:
PULL_BYTES_PER_SECOND: Final = NODE_BYTES_PER_SECOND
PULL_UNEXPECTED: Final = 100  # objects that were not asked for, in one retrieval
PULL_FINISHING: Final = 8  # objects that are made durable at once
PULL_PAGE: Final = 1000  # answers of a request by QIDO-RS
PULL_PAGE_BYTES: Final = 16 * MB
PULL_LAST_SECONDS: Final = 10.0  # after a C-MOVE, until the next object is in the folder
