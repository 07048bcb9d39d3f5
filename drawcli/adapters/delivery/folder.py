"""An RTSTRUCT put where the planning system imports it: whole, once, never over another file."""

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
from drawcli.system.files import disk_full_named, name_if_free, sha256_of
from drawcli.system.limits import EXCHANGES, SLOWEST_BYTES_PER_SECOND
from drawcli.system.platforms import allowed_everywhere, fsync_folder, is_too_long
from drawcli.system.threads import in_time

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_PART: Final = 64
_PART: Final = re.compile(r"[^/\\]+")  # of a path, on any system
_MODE: Final = (
    0o644  # the planning system's import runs as another user; the umask may take from it
)
TEMPORARY: Final = ".drawcli-"
AnyPath = TypeVar("AnyPath", bound=PurePath)


_CLOSED: Final = {
    errno.EROFS: "is read-only",
    errno.EACCES: "may not be written by the user who runs drawcli",
    errno.EPERM: "may not be written by the user who runs drawcli",
    errno.ENOENT: "is not there: is the share mounted?",
    errno.ENOTDIR: "is no folder",
    errno.ENOSPC: "is full",
    errno.EDQUOT: "is full",
}


@dataclass(frozen=True, slots=True)
class DeliveryFolder:
    """The folder of the settings that structure sets are put into; None: that of their images."""

    folder: Path | None
    seconds: float  # how long it may take to answer

    def describe(self) -> str:
        """Return which folder it is; the names of patients below it are left out."""
        return (
            f"the folder {made_below(self.folder)}" if self.folder else "the folder of the images"
        )

    def check(self) -> None:
        """Write a hidden file, and take it away again; raise TryLater where that fails."""
        if self.folder is None:
            return
        try:
            check_writable(made_below(self.folder))
        except OSError as err:
            raise not_writable(f"{self.describe()} {closed(err)}") from None

    def send(self, delivery: Delivery) -> str:
        """Put a structure set where it belongs; there is nothing to report of it."""
        folder, name, below = delivery.destination
        data, job_id = delivery.data, delivery.job_id
        deliver(folder, name, data, job_id, below=below, seconds=self.seconds)
        return ""


def not_writable(why: str) -> TryLater:
    """Return that structure sets cannot be put into a folder."""
    hint = "Mount it with the right to write, or name another deliver.folder."
    return TryLater(f"structure sets cannot be delivered: {why}", code=DELIVERY, hint=hint)


def filled(pattern: str, facts: Mapping[str, str]) -> str:
    """Return a name or a path of a pattern; no fact adds what a file system gives a meaning.

    >>> filled("RS.{patient_id}.{template}.dcm", {"patient_id": "../4711/7", "template": "Pelvis"})
    'RS.4711_7.Pelvis.dcm'
    """
    whole = pattern.format_map({name: _safe(value) for name, value in facts.items()})
    return _PART.sub(lambda part: allowed_everywhere(part[0]), whole)


def made_below(pattern: AnyPath) -> AnyPath:
    """Return the part of a folder's pattern that must be there; what is below it is made.

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
    """Put a file into a folder of the planning system in so many seconds; return its SHA-256.

    The folder must be there; below `below`, which must be, it is made. So nothing is ever written
    into the empty place of a share that is not mounted.

    Written under a hidden name that no importer takes, made durable, read back, and only then given
    its name, which fails if something else has it. The same file already there is success.

    Raises
    ------
    FolderSilent
        Where the folder does not answer in time, for which the size of the file counts. A file
        that was being written gets no name any more.
    TryLater
        Where the folder is not there or cannot be written: the checked result stays with the job.
    NeedsPerson
        Where another file has the name.
    DiskFull
        Where the folder is on a full disk.
    """
    whole, given_up = seconds + len(data) / SLOWEST_BYTES_PER_SECOND, Event()
    put = partial(_put, folder, name, data, job_id, below=below, given_up=given_up)
    try:
        return in_time(put, whole)
    except TimeoutError:
        given_up.set()
        raise FolderSilent(
            f"the folder where the RTSTRUCT belongs has not answered for {whole:.0f} s",
            hint="Look at the file server and at the mount. The job is tried again.",
        ) from None


def _put(  # noqa: PLR0913 - likewise
    folder: Path, name: str, data: bytes, job_id: str, *, below: Path | None, given_up: Event
) -> str:
    target, wanted = folder / name, hashlib.sha256(data).hexdigest()
    temporary = folder / f"{TEMPORARY}{job_id}.part"
    try:
        with disk_full_named("the folder where the RTSTRUCT belongs"):  # its path may name a person
            if below is not None and below.is_dir():
                folder.mkdir(parents=True, exist_ok=True)
            if not os.path.lexists(target):
                _write(temporary, data)
                if sha256_of(temporary) != wanted:
                    raise TryLater("the file read back is not the file written", code=DELIVERY)
                if given_up.is_set():  # another try may be under way
                    raise TryLater("the folder has answered too late", code=DELIVERY)
                name_if_free(temporary, target)
            if not target.is_file() or sha256_of(target) != wanted:
                raise NeedsPerson(
                    "another file has the name of the RTSTRUCT; it was not touched",
                    code="name-taken",
                    hint="Move that file away, then release the job.",
                )
            temporary.unlink(missing_ok=True)  # its end is to be durable, too
            fsync_folder(folder)
    except OSError as err:
        if is_too_long(target, err):
            raise TryLater(
                "the place of the RTSTRUCT has a longer path than this system takes",
                code=DELIVERY,
                hint="Shorten deliver.folder or deliver.name.",
            ) from None
        raise TryLater(
            f"the RTSTRUCT cannot be written where it belongs: {err.strerror}",
            code=DELIVERY,
            hint="See that the folder is there and that drawcli may write into it.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return wanted


def check_writable(folder: Path) -> None:
    """Make a hidden file in a folder and take it away again; raise OSError where that fails."""
    temporary = folder / f"{TEMPORARY}probe-{os.getpid()}"
    try:
        _write(temporary, b"drawcli doctor\n")
    finally:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            temporary.unlink()


def closed(err: OSError) -> str:
    """Return why a folder cannot be written, as a predicate."""
    return _CLOSED.get(err.errno or 0) or f"cannot be used: {err.strerror}"


def _write(temporary: Path, data: bytes) -> None:
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - the mode is set at creation
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
