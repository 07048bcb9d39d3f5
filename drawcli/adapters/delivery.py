"""An RTSTRUCT put where the planning system imports it: whole, once, never over another file."""

import contextlib
import hashlib
import os
import re
from pathlib import Path
from typing import Final

from drawcli.errors import NeedsPerson, TryLater
from drawcli.files import disk_full_named, fsync_folder, name_if_free, sha256_of

_UNSAFE: Final = re.compile(r"[^A-Za-z0-9_-]+")
_LONGEST_PART: Final = 64
_MODE: Final = (
    0o644  # the planning system's import runs as another user; the umask may take from it
)
TEMPORARY: Final = ".drawcli-"


def file_name(patient_id: str, template: str, job_id: str) -> str:
    """Return a name that no other job can have and that every file system takes.

    >>> file_name("../4711/7", "Prostate_OAR", "0123456789ab-1")
    'RS.4711_7.Prostate_OAR.0123456789ab-1.dcm'
    """
    patient = _UNSAFE.sub("_", patient_id).strip("_")[:_LONGEST_PART] or "unknown"
    return f"RS.{patient}.{_UNSAFE.sub('_', template)[:_LONGEST_PART]}.{job_id}.dcm"


def deliver(folder: Path, name: str, data: bytes, job_id: str) -> str:
    """Put a file into a folder of the planning system; return its SHA-256.

    Written under a hidden name that no importer takes, made durable, read back, and only then given
    its name, which fails if something else has it. The same file already there is success.

    Raises
    ------
    TryLater
        Where the folder is not there or cannot be written: the checked result stays with the job.
    NeedsPerson
        Where another file has the name.
    DiskFull
        Where the folder is on a full disk.
    """
    target, wanted = folder / name, hashlib.sha256(data).hexdigest()
    temporary = folder / f"{TEMPORARY}{job_id}.part"
    try:
        with disk_full_named("the folder where the RTSTRUCT belongs"):  # its path may name a person
            if not os.path.lexists(target):
                _write(temporary, data)
                if sha256_of(temporary) != wanted:
                    raise TryLater("the file read back is not the file written", code="delivery")
                name_if_free(temporary, target)
            if not target.is_file() or sha256_of(target) != wanted:
                raise NeedsPerson(
                    "another file has the name of the RTSTRUCT; it was not touched",
                    code="name-taken",
                    hint="Move that file away, then release the job.",
                )
            fsync_folder(folder)
    except OSError as err:
        raise TryLater(
            f"the RTSTRUCT cannot be written where it belongs: {err.strerror}",
            code="delivery",
            hint="See that the folder is there and that drawcli may write into it.",
        ) from None
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    return wanted


def _write(temporary: Path, data: bytes) -> None:
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    with open(descriptor, "wb") as stream:  # noqa: PTH123 - the mode is set at creation
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
