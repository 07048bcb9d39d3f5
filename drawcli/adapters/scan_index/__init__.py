"""The scan index: a cache of the header of each file, which is read again only if it has changed.

It may be deleted at any time; it is rebuilt if it is damaged, or of another version of drawcli or
site key. It is in the state folder, mode 0600, without patient data in plain text: names of files
and folders are keyed hashes; paths and header values are encrypted (AES-256-GCM) and bound to
name, size and time of the file. Numbers, reasons and the ledger's keyed digests are plain.

One process uses it at a time. Committed data survive `kill -9`.
"""

from drawcli.adapters.scan_index.index import ScanIndex
from drawcli.adapters.scan_index.opening import FILE_NAME, IndexBroken, open_index, remove_index
from drawcli.adapters.scan_index.rows import (
    FileEntry,
    FileRow,
    FolderRow,
    NamingFile,
    SeriesRow,
    UnreadRow,
)

__all__ = [
    "FILE_NAME",
    "FileEntry",
    "FileRow",
    "FolderRow",
    "IndexBroken",
    "NamingFile",
    "ScanIndex",
    "SeriesRow",
    "UnreadRow",
    "open_index",
    "remove_index",
]
