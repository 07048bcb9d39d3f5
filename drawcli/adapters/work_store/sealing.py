"""Encryption of the files that machines share, with keys derived from the site key.

A file of another job or name, a truncated file, and one combined from several files are refused.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from typing import Final

from drawcli.core.deid.pseudonyms import StandIns
from drawcli.errors import LedgerError

MAGIC: Final = b"drawcli file 1\n"
KEY_ID: Final = 8  # characters
NONCE: Final = 12  # bytes, as AES-GCM specifies


class FileKeys:
    """The keys of the shared files of a site: the present one, and older ones for reading."""

    def __init__(self, stand_ins: StandIns, retired: Iterable[StandIns] = ()) -> None:
        ring = (*retired, stand_ins)
        self._sealing: Mapping[bytes, bytes] = {
            one.key_id.encode("ascii"): one.subkey("job-files") for one in ring
        }
        self.key_id = stand_ins.key_id.encode("ascii")
        self._naming = stand_ins.subkey("job-file-digests")

    def digest(self, job_id: str, name: str, content: Iterable[bytes]) -> str:
        """Return a keyed digest of a file, 64 hex digits; it does not reveal the content."""
        made = hmac.new(self._naming, f"{job_id}\0{name}\0".encode(), hashlib.sha256)
        for piece in content:
            made.update(piece)
        return made.hexdigest()

    def of(self, key_id: bytes) -> bytes:
        """Return the key of an id; raise LedgerError if the site does not have it."""
        key = self._sealing.get(key_id)
        if key is None:
            raise LedgerError(
                "a shared file was sealed with another site key",
                hint="All hosts of a site need the same keys: restore them from their backup.",
            )
        return key

    def seal(self, job_id: str, name: str, content: bytes) -> bytes:
        """Return a small file, sealed."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        head, nonce = MAGIC + self.key_id, os.urandom(NONCE)
        about = head + f"{job_id}\0{name}".encode()
        return head + nonce + AESGCM(self.of(self.key_id)).encrypt(nonce, content, about)

    def open(self, job_id: str, name: str, sealed: bytes) -> bytes:
        """Return the content of a small file; raise LedgerError if it was changed."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        length = len(MAGIC) + KEY_ID
        head, nonce, body = sealed[:length], sealed[length:][:NONCE], sealed[length + NONCE :]
        try:
            key = self.of(head.removeprefix(MAGIC))
            return AESGCM(key).decrypt(nonce, body, head + f"{job_id}\0{name}".encode())
        except (InvalidTag, ValueError):
            raise LedgerError(
                f"{name} of job {job_id} is damaged in the database",
                hint="Restore the database from a backup, or cancel the job and assign it again.",
            ) from None
