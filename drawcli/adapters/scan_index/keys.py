"""What hashes names and seals headers in the scan index."""

import os
import secrets
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE: Final = 12  # bytes: AES-GCM's own
_NAME: Final = 12  # bytes of the keyed hash of a file name
_KEY: Final = 16  # bytes of every other keyed hash


class Damaged(Exception):
    """What was sealed cannot be opened: it is damaged, or of another place."""


class Keys:
    """Keyed hashes and seals.

    Parameters
    ----------
    key
        32 bytes, for the scan index alone.
    """

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
        """Return bytes sealed, and bound to other bytes that stand beside them."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, plain, bound)

    def open(self, sealed: bytes, bound: bytes) -> bytes:
        """Return what was sealed.

        Raises
        ------
        Damaged
            Where it, or what it is bound to, is not what it was.
        """
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], bound)
        except (InvalidTag, ValueError, TypeError):
            raise Damaged from None

    @cached_property
    def _cipher(self) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        return AESGCM(self._seal_key)
