"""Keyed hashes and encryption for the scan index."""

import os
import secrets
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12  # bytes, as AES-GCM specifies
_NAME: Final = 12  # bytes of the keyed hash of a file name
_KEY: Final = 16  # bytes of every other keyed hash


class Damaged(Exception):
    """Encrypted data are damaged, or belong to another row."""


class Keys:
    """Keyed hashes and encryption, with keys derived from 32 bytes used for nothing else."""

    def __init__(self, key: bytes) -> None:
        self._hash_key = blake2b(b"hash", key=key, digest_size=32).digest()
        self._seal_key = blake2b(b"seal", key=key, digest_size=32).digest()

    def name(self, name: str) -> bytes:
        """Return the keyed hash of a file name."""
        return blake2b(os.fsencode(name), key=self._hash_key, digest_size=_NAME).digest()

    def path(self, path: str) -> bytes:
        """Return the keyed hash of a path."""
        return blake2b(os.fsencode(path), key=self._hash_key, digest_size=_KEY).digest()

    def text(self, text: str) -> bytes:
        """Return the keyed hash of a value from a header."""
        plain = text.encode("utf-8", "surrogateescape")
        return blake2b(plain, key=self._hash_key, digest_size=_KEY).digest()

    def seal(self, plain: bytes, bound: bytes) -> bytes:
        """Return bytes encrypted and bound to other bytes."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Return decrypted bytes; raise Damaged if they or the bound bytes have changed."""
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (InvalidTag, ValueError, TypeError):
            raise Damaged from None

    @cached_property
    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._seal_key)
