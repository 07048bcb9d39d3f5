"""Large files, sealed piece by piece: memory does not grow with the file.

magic | id of the site key | salt | piece, piece, ..., last piece

Each piece is at most 1 MiB, encrypted with AES-256-GCM and a key for this file only (derived from
the site key, the salt, the job and the name). Its nonce is its number and whether it is the last,
so that pieces that are missing, repeated, in another order or of another file are refused.
"""

import hashlib
import hmac
import os
from collections.abc import Iterable, Iterator
from typing import IO, Final

from drawcli.adapters.work_store.sealing import KEY_ID, FileKeys
from drawcli.system.files import CHUNK

MAGIC: Final = b"drawcli object 1\n"
_SALT: Final = 32
_TAG: Final = 16
_HEAD: Final = len(MAGIC) + KEY_ID + _SALT


class DamagedObject(Exception):
    """The bytes that were read are not those that were sealed."""


def sealed_size(size: int) -> int:
    """Return the length of a sealed file of `size` bytes."""
    return _HEAD + size + _TAG * max(1, -(-size // CHUNK))


def seal_stream(keys: FileKeys, job_id: str, name: str, source: IO[bytes]) -> Iterator[bytes]:
    """Yield a file, sealed, in pieces of at most 1 MiB."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    salt = os.urandom(_SALT)
    head = MAGIC + keys.key_id + salt
    cipher = AESGCM(_key_of_file(keys.of(keys.key_id), salt, job_id, name))
    yield head
    piece, number = source.read(CHUNK), 0
    while True:
        following = source.read(CHUNK)
        yield cipher.encrypt(_nonce(number, is_last=not following), piece, head)
        if not following:
            return
        piece, number = following, number + 1


def open_stream(
    keys: FileKeys, job_id: str, name: str, received: Iterable[bytes]
) -> Iterator[bytes]:
    """Yield the content of a sealed file; the caller uses it only if no error is raised.

    Raises
    ------
    DamagedObject
        If the bytes differ from those that were sealed for this job and name.
    """
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    pieces = _cut(received)
    head = next(pieces, b"")
    if len(head) != _HEAD or not head.startswith(MAGIC):
        raise DamagedObject("it is not a file of drawcli")
    key = keys.of(head[len(MAGIC) :][:KEY_ID])
    cipher = AESGCM(_key_of_file(key, head[-_SALT:], job_id, name))
    piece, number = next(pieces, b""), 0
    while True:
        following = next(pieces, b"")
        try:
            yield cipher.decrypt(_nonce(number, is_last=not following), piece, head)
        except InvalidTag:
            raise DamagedObject("it is cut off, altered, or of another job") from None
        if not following:
            return
        piece, number = following, number + 1


def _cut(received: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the head, then the pieces as they were sealed, for received parts of any size."""
    waiting, wanted = bytearray(), _HEAD
    for part in received:
        waiting += part
        while len(waiting) >= wanted:
            yield bytes(waiting[:wanted])
            del waiting[:wanted]
            wanted = CHUNK + _TAG
    if waiting:
        yield bytes(waiting)


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([is_last])


def _key_of_file(key: bytes, salt: bytes, job_id: str, name: str) -> bytes:
    return hmac.new(key, salt + f"{job_id}\0{name}".encode(), hashlib.sha256).digest()
