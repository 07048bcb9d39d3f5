"""The scan index: what was read of each file, so that it is not read again while unchanged.

A cache: it may be deleted at any time, and one that is damaged, of another version of drawcli, or
of another site key is made anew. It lies beside the ledger, mode 0600, and says nothing of a
patient in the clear: files and folders stand in it as keyed hashes; paths, and what headers say,
are sealed (AES-256-GCM) and bound to name, size and time of the file. In the clear are numbers,
named reasons, and keyed digests as the ledger has them.

One process has it at a time. What is committed survives `kill -9`.
"""

from drawcli.adapters.scan_index.index import ScanIndex
from drawcli.adapters.scan_index.opening import FILE_NAME, IndexBroken, opened_index, remove_index
from drawcli.adapters.scan_index.rows import FileEntry, FileRow, FolderRow, SeriesRow, UnreadRow

__all__ = [
    "FILE_NAME",
    "FileEntry",
    "FileRow",
    "FolderRow",
    "IndexBroken",
    "ScanIndex",
    "SeriesRow",
    "UnreadRow",
    "opened_index",
    "remove_index",
]
