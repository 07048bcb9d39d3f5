"""The identity of a job's patient, encrypted with a key derived from the site key.

Encryption protects backups, copies, support bundles and files committed to git by accident. It does
not protect against someone who can read both the site key and the datastore with the originals.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.files import write_durably

FILE_NAME: Final = "vault"
_MAGIC: Final = b"drawcli vault 1\n"
_NONCE_LENGTH: Final = 12  # bytes, as AES-GCM specifies
_KEY_ID_LENGTH: Final = 8
_HEAD_LENGTH: Final = len(_MAGIC) + _KEY_ID_LENGTH


class Vault:
    """Seals and opens the crosswalks of jobs: AES-256-GCM over zlib over JSON.

    Parameters
    ----------
    key
        32 bytes, used for nothing else.
    key_id
        Eight hex digits of the site key; not encrypted, to distinguish a wrong key from damage.
    retired
        Retired keys by id, for vaults sealed with them.
    """

    def __init__(
        self, key: bytes, key_id: str, retired: Mapping[str, bytes] = MappingProxyType({})
    ) -> None:
        self._key_id = key_id.encode("ascii")
        self._keys = {old_id.encode("ascii"): old for old_id, old in retired.items()}
        self._keys[self._key_id] = key

    def seal(self, folder: Path, job_id: str, crosswalk: Crosswalk) -> None:
        """Write the crosswalk of a job; durable when this returns."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        plain = zlib.compress(json.dumps(crosswalk.as_plain()).encode("utf-8"))
        nonce = os.urandom(_NONCE_LENGTH)
        head = _MAGIC + self._key_id
        sealed = AESGCM(self._keys[self._key_id]).encrypt(
            nonce, plain, head + job_id.encode("ascii")
        )
        write_durably(folder / FILE_NAME, head + nonce + sealed)

    def is_current(self, folder: Path) -> bool:
        """Return whether a vault is sealed with the current key; True if there is no vault."""
        try:
            with (folder / FILE_NAME).open("rb") as stream:
                return stream.read(_HEAD_LENGTH) == _MAGIC + self._key_id
        except FileNotFoundError:
            return True
        except OSError:
            return False

    def open(self, folder: Path, job_id: str) -> Crosswalk:
        """Return the crosswalk of a job.

        Raises
        ------
        NeedsPerson
            If it is missing, damaged, of another job, or sealed with another site key.
        TryLater
            If it cannot be read.
        """
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        whole = _read(folder / FILE_NAME)
        head, body = whole[:_HEAD_LENGTH], whole[_HEAD_LENGTH:]
        if not head.startswith(_MAGIC):
            raise _damaged()
        key = self._keys.get(head[len(_MAGIC) :])
        if key is None:
            raise NeedsPerson(
                "the vault of the job was sealed with another site key",
                code="vault-key",
                hint="Restore that key: the result can only be re-identified with it.",
            )
        nonce, sealed = body[:_NONCE_LENGTH], body[_NONCE_LENGTH:]
        try:
            plain = AESGCM(key).decrypt(nonce, sealed, head + job_id.encode("ascii"))
        except (InvalidTag, ValueError):
            raise _damaged() from None
        return Crosswalk.from_plain(json.loads(zlib.decompress(plain)))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise NeedsPerson(
            "the vault of the job is missing",
            code="vault-missing",
            hint="Restore the work folder from backup, or cancel the job and assign it again.",
        ) from None
    except OSError as err:
        raise TryLater(f"the vault of the job cannot be read: {err.strerror}", code="io") from None


def _damaged() -> NeedsPerson:
    return NeedsPerson(
        "the vault of the job is damaged",
        code="vault-damaged",
        hint="Restore the work folder from backup.",
    )


def vault_of(stand_ins: StandIns, retired: Iterable[StandIns]) -> Vault:
    """Return a vault that encrypts with the current key and also reads entries of older keys."""
    older = {key.key_id: key.subkey("vault") for key in retired}
    return Vault(stand_ins.subkey("vault"), stand_ins.key_id, older)
