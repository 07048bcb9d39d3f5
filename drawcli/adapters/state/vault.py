"""The identity of a job's patient, encrypted with a key derived from the site key.

Encryption protects backups, copies, support bundles and files committed to git by accident. It does
not protect against someone who can read both the site key and the datastore with the originals.
"""

import json
import os
import zlib
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.failures import check_memory, raise_shortage
from drawcli.system.files import PRIVATE, write_durably

FILE_NAME: Final = "vault"
HEADER: Final = "header"
_MAGIC: Final = b"drawcli vault 1\n"
_HEADER_MAGIC: Final = b"drawcli header 1\n"
_LARGEST_HEADER: Final = 1 << 20  # bytes as JSON
_NONCE_LENGTH: Final = 12  # bytes, as AES-GCM specifies
_KEY_ID_LENGTH: Final = 8
_HEAD_LENGTH: Final = len(_MAGIC) + _KEY_ID_LENGTH


class _Altered(Exception):
    """Encrypted bytes, or what they are bound to, have changed."""


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
        """Write the crosswalk of a job; durable when this returns. A kept header is removed."""
        check_memory()
        plain = json.dumps(crosswalk.as_plain()).encode("utf-8")
        head = _MAGIC + self._key_id
        write_durably(folder / FILE_NAME, head + self._encrypt(plain, head + job_id.encode()))
        (folder / HEADER).unlink(missing_ok=True)

    def keep_header(self, folder: Path, job_id: str, files: bytes, header: Any) -> None:
        """Write the header of a job's series, which may be lost: it is not durable.

        Parameters
        ----------
        folder, job_id
            The work folder of the job.
        files
            A digest of the state of the files: the header opens with the same digest only.
        header
            JSON data; not written if it is larger than 1 MiB.
        """
        check_memory()
        plain = json.dumps(header).encode("utf-8")
        bound = _HEADER_MAGIC + self._key_id + job_id.encode() + files
        if len(plain) > _LARGEST_HEADER:
            return
        try:
            with open(folder / HEADER, "wb", opener=partial(os.open, mode=PRIVATE)) as stream:
                stream.write(self._encrypt(plain, bound, level=1))
        except OSError as err:
            raise_shortage(err)

    def kept_header(self, folder: Path, job_id: str, files: bytes) -> Any:
        """Return the header of a job's series; None if it is not there, or of other files."""
        check_memory()
        bound = _HEADER_MAGIC + self._key_id + job_id.encode() + files
        try:
            return json.loads(self._decrypt((folder / HEADER).read_bytes(), bound, self._key_id))
        except (OSError, _Altered) as err:
            raise_shortage(err)
            return None

    def is_current(self, folder: Path) -> bool:
        """Return whether a vault is sealed with the current key; True if there is no vault."""
        try:
            with (folder / FILE_NAME).open("rb") as stream:
                return stream.read(_HEAD_LENGTH) == _MAGIC + self._key_id
        except FileNotFoundError:
            return True
        except OSError as err:
            raise_shortage(err)
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
        check_memory()
        whole = _read(folder / FILE_NAME)
        head, body = whole[:_HEAD_LENGTH], whole[_HEAD_LENGTH:]
        if not head.startswith(_MAGIC):
            raise _damaged()
        key_id = head[len(_MAGIC) :]
        if key_id not in self._keys:
            raise NeedsPerson(
                "the vault of the job was sealed with another site key",
                code="vault-key",
                hint="Restore that key: the result can only be re-identified with it.",
            )
        try:
            plain = self._decrypt(body, head + job_id.encode(), key_id)
        except _Altered:
            raise _damaged() from None
        return Crosswalk.from_plain(json.loads(plain))

    def _encrypt(self, plain: bytes, bound: bytes, level: int = -1) -> bytes:
        """Return bytes compressed and encrypted with the present key, bound to other bytes."""
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE_LENGTH)
        cipher = AESGCM(self._keys[self._key_id])
        return nonce + cipher.encrypt(nonce, zlib.compress(plain, level), bound)

    def _decrypt(self, sealed: bytes, bound: bytes, key_id: bytes) -> bytes:
        """Return what `_encrypt` was given; raise _Altered if it or the bound bytes differ."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, sealed = sealed[:_NONCE_LENGTH], sealed[_NONCE_LENGTH:]
        try:
            return zlib.decompress(AESGCM(self._keys[key_id]).decrypt(nonce, sealed, bound))
        except (InvalidTag, ValueError):
            raise _Altered from None


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
