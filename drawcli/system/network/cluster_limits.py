"""The limits of what the machines of a site share: the database and the storage of packages."""

from typing import Final

from drawcli.system.network.limit import Limit

DATABASE_CONNECT_SECONDS: Final = 10  # to each host in the address
DATABASE_STATEMENT_SECONDS: Final = 60.0
DATABASE_GRACE_SECONDS: Final = 15.0  # for the answer that a statement was cancelled
STORE_SECONDS: Final = 60.0  # of one request to an object store; repeats begin within as long
STORE_PART_BYTES: Final = 8 << 20  # sent or received by one request
SHARED_FOLDER_SECONDS: Final = 20.0

CLUSTER_EXCHANGES: Final[dict[str, Limit]] = {
    "database": Limit(
        peer="database",
        content=f"a statement of the ledger, with {DATABASE_CONNECT_SECONDS} s to connect to each "
        f"host, {DATABASE_STATEMENT_SECONDS:g} s to run, {DATABASE_GRACE_SECONDS:g} s to be "
        "cancelled, and all of it once more; those of `cluster init` and `cluster upgrade` have "
        "no limit",
        seconds=2
        * (DATABASE_CONNECT_SECONDS + DATABASE_STATEMENT_SECONDS + DATABASE_GRACE_SECONDS),
        consequence="exit 7; nothing more is started, and the next run continues",
    ),
    "work-store": Limit(
        peer="object store",
        content=f"a request of `cluster.work: s3://...`, for {STORE_PART_BYTES >> 20} MiB of an "
        f"object, in {STORE_SECONDS:g} s; repeats begin within as long",
        seconds=2 * STORE_SECONDS,
        consequence="the job waits; exit 7",
    ),
    "work-folder": Limit(
        peer="file server",
        content="the first access to the folder of `cluster.work`",
        seconds=SHARED_FOLDER_SECONDS,
        consequence="the job waits; exit 7",
    ),
}
