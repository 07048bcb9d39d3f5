"""The shared files of a job as this host last had them: a record beside the work folder.

state_dir/work/<job>.manifest   the entries of the database when both were last the same, and the
                                files that were here then. If it is lost, the database decides.
"""

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from drawcli.core.jobs.shared_files import LARGE, SharedFile, is_small


class HereFile(NamedTuple):
    """A file of the work folder."""

    stamp: str  # changes with each change of the file
    digest: str  # as in the database


class LocalCopy(NamedTuple):
    """The state of the work folder of a job when it was last the same as the database."""

    shared: dict[str, SharedFile]
    here: dict[str, HereFile]
    bound: str = ""  # the host that has the images of the job, if it is one

    @classmethod
    def read(cls, path: Path) -> "LocalCopy | None":
        """Return a record; None if there is none, or it is damaged."""
        with suppress(OSError, ValueError, KeyError, TypeError):
            plain = json.loads(path.read_bytes())
            return cls(
                {str(name): SharedFile(*map(str, one)) for name, one in plain["shared"].items()},
                {str(name): HereFile(*map(str, one)) for name, one in plain["here"].items()},
                str(plain["bound"]),
            )
        return None

    def write(self, path: Path) -> None:
        """Store the record: whole or not at all, but not durable."""
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        temporary.write_bytes(json.dumps(self._asdict()).encode("utf-8"))
        temporary.chmod(0o600)
        temporary.replace(path)


def stamps_in(folder: Path) -> dict[str, str]:
    """Return the stamps of the files of a work folder that are shared, by name."""
    stamps = {}
    with suppress(FileNotFoundError):
        for entry in os.scandir(folder):
            if (is_small(entry.name) or entry.name in LARGE) and entry.is_file():
                status = entry.stat()
                stamps[entry.name] = f"{status.st_size}-{status.st_mtime_ns}-{status.st_ino}"
    return stamps
