"""Delivery of an RTSTRUCT into a folder: atomically, and never over another file."""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePath
from threading import Event
from typing import Final, TypeVar

from drawcli.adapters.delivery.target import Delivery
from drawcli.errors import DELIVERY, FolderSilent, NeedsPerson, TryLater
from drawcli.system.failures import raise_shortage
from drawcli.system.files import rename_if_free, report_disk_full, sha256_of
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.limit import SLOWEST_BYTES_PER_SECOND
from drawcli.system.platforms import fsync_folder, is_too_long, portable_name
from drawcli.system.threads import call_with_timeout

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_PART: Final = 64
_PART: Final = re.compile(r"[^/\\]+")  # of a path, on any system
_MODE: Final = 0o644  # the planning system's import runs as another user; the umask applies
TEMPORARY: Final = ".drawcli-"
AnyPath = TypeVar("AnyPath", bound=PurePath)


_CLOSED: Final = {
    errno.EROFS: "is read-only",
    errno.EACCES: "may not be written by the user who runs drawcli",
    errno.EPERM: "may not be written by the user who runs drawcli",
    errno.ENOENT: "does not exist: is the share mounted?",
    errno.ENOTDIR: "is not a folder",
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is full",
}


@dataclass(frozen=True, slots=True)
class DeliveryFolder:
    """The folder for structure sets; None: the folder of their images."""

    folder: Path | None
    seconds: float  # time limit of a delivery

    def describe(self) -> str:
        """Return the folder, without the part that depends on the patient."""
        return (
            f"the folder {made_below(self.folder)}" if self.folder else "the folder of the images"
        )

    def check(self) -> None:
        """Write and remove a hidden file; raise TryLater if that fails."""
        if self.folder is None:
            return
        try:
            check_writable(made_below(self.folder))
        except OSError as err:
            raise not_writable(f"{self.describe()} {closed(err)}") from None

    def send(self, delivery: Delivery) -> str:
        """Write a structure set to its destination; return "": there is nothing to report."""
        folder, name, below = delivery.destination_in(self.folder)
        data, job_id = delivery.data, delivery.job_id
        deliver(folder, name, data, job_id, below=below, seconds=self.seconds)
        return ""


def not_writable(why: str) -> TryLater:
    """Return the error for a folder that cannot be written."""
    hint = "Mount it with write permission, or set another deliver.folder."
    return TryLater(f"structure sets cannot be delivered: {why}", code=DELIVERY, hint=hint)


def filled(pattern: str, facts: Mapping[str, str]) -> str:
    """Return the name or path of a pattern; facts cannot add separators or special names.

    >>> filled("RS.{patient_id}.{template}.dcm", {"patient_id": "../4711/7", "template": "Pelvis"})
    'RS.4711_7.Pelvis.dcm'
    """
    whole = pattern.format_map({name: _safe(value) for name, value in facts.items()})
    return _PART.sub(lambda part: portable_name(part[0]), whole)


def made_below(pattern: AnyPath) -> AnyPath:
    """Return the part of a folder's pattern that must exist; folders below it are created.

    >>> made_below(Path("/tps/import/{patient_id}/RS")).as_posix()
    '/tps/import'
    """
    whole = [part for part in (pattern, *pattern.parents) if "{" not in str(part)]
    return whole[0]


def _safe(value: str) -> str:
    return _UNSAFE.sub("_", value).strip("_")[:_LONGEST_PART] or "unknown"


def deliver(  # noqa: PLR0913 - what, where to, and for how long
    folder: Path,
    name: str,
    data: bytes,
    job_id: str,
    *,
    below: Path | None = None,
    seconds: float = EXCHANGES["delivery"].seconds,
) -> str:
    """Write a file into a folder of the planning system; return its SHA-256.

    The folder must exist, or be below the existing folder `below`, and is created then. So nothing
    is written to the empty mount point of a share. The file is written under a hidden name, made
    durable and read back before it gets its name, which must be free. If the same file exists
    already, that is success.

    Raises
    ------
    FolderSilent
        If it takes longer than `seconds` and the time for its size. The file gets no name then.
    TryLater
        If the folder does not exist or cannot be written: the checked result stays with the job.
    NeedsPerson
        If another file has the name.
    DiskFull
        If the disk is full.
    """
    whole, given_up = seconds + len(data) / SLOWEST_BYTES_PER_SECOND, Event()
    put = partial(_put, folder, name, data, job_id, below=below, given_up=given_up)
    try:
        return call_with_timeout(put, whole)
    except TimeoutError:
        given_up.set()
        raise FolderSilent(
            f"the folder for the RTSTRUCT has not answered for {whole:.0f} s",
            hint="Check the file server and the mount. The job is tried again.",
        ) from None


def _put(  # noqa: PLR0913 - likewise
    folder: Path, name: str, data: bytes, job_id: str, *, below: Path | None, given_up: Event
) -> str:
    target, wanted = folder / name, hashlib.sha256(data).hexdigest()
    temporary = folder / f"{TEMPORARY}{job_id}.part"
    try:
        with report_disk_full("the folder for the RTSTRUCT"):  # its path may name a patient
            if below is not None and below.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(target):
                _write(temporary, data)
                if sha256_of(temporary) != wanted:
                    raise TryLater("the file read back differs from that written", code=DELIVERY)
                if given_up.is_set():  # another try may be under way
                    raise TryLater("the folder has answered too late", code=DELIVERY)
                rename_if_free(temporary, target)
            if not target.is_file() or sha256_of(target) != wanted:
                raise NeedsPerson(
                    "another file has the name of the RTSTRUCT; it was not changed",
                    code="name-taken",
                    hint="Move that file away, then release the job.",
                )
            _clear(temporary)  # before the folder is synced
            fsync_folder(folder)
    except OSError as err:
        if is_too_long(target, err):
            raise TryLater(
                "the path of the RTSTRUCT is too long for this system",
                code=DELIVERY,
                hint="Shorten deliver.folder or deliver.name.",
            ) from None
        raise TryLater(
            f"the RTSTRUCT cannot be written to its folder: {err.strerror}",
            code=DELIVERY,
            hint="Check that the folder exists and that drawcli may write into it.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            _clear(temporary)
    return wanted


def _clear(temporary: Path) -> None:
    """Remove a temporary file if there is one; on a read-only share even the attempt fails."""
    if os.path.lexists(temporary):
        temporary.unlink()


def check_writable(folder: Path) -> None:
    """Write and remove a hidden file in a folder; raise OSError if that fails."""
    temporary = folder / f"{TEMPORARY}probe-{os.getpid()}"
    try:
        _write(temporary, b"drawcli doctor\n")
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


def closed(err: OSError) -> str:
    """Return the reason why a folder cannot be written, as a predicate; raise a shortage."""
    raise_shortage(err)
    return _CLOSED.get(err.errno or 0) or f"cannot be used: {err.strerror}"


def _write(temporary: Path, data: bytes) -> None:
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - the mode is set at creation
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
