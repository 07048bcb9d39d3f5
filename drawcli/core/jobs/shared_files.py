"""The files of a job that several machines share, and the interfaces to their storage.

Small files, which every step needs, are in the database with the job. Large ones are on the machine
that made them, the job's home, or in storage that all machines reach.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final, NamedTuple, Protocol

PACKAGE: Final = "package.zip"
LARGE: Final = frozenset({PACKAGE, "received.dcm", "received.refused"})
DRAWN: Final = frozenset({"sheet.png", "preview.html"})  # drawn again when needed
_SMALL: Final = frozenset({"vault", "template.yml"})
_ON_HOST: Final = "@"


def is_small(name: str) -> bool:
    """Return whether a file of a work folder is kept in the database.

    >>> [is_small(name) for name in ("vault", "report.json", "package.zip", ".vault.7.tmp")]
    [True, True, False, False]
    """
    return name in _SMALL or (name.endswith(".json") and not name.startswith("."))


class SharedFile(NamedTuple):
    """A file of a job, as the database names it."""

    digest: str  # keyed, of its content; of a file on a host: size and time
    place: str = ""  # "": in the database; "@host": on a host; else its object in shared storage

    @classmethod
    def on(cls, host: str, stamp: str) -> "SharedFile":
        """Return the entry of a file that is on a host only."""
        return cls(stamp, _ON_HOST + host)

    @property
    def host(self) -> str:
        """The host that has it; "" if all can reach it."""
        return self.place.removeprefix(_ON_HOST) if self.place.startswith(_ON_HOST) else ""


class Manifest(NamedTuple):
    """The shared files of a job by name, and its home."""

    files: Mapping[str, SharedFile]
    home: str = ""  # the host that has files of the job, or its images; "": any host can continue
    state: str = ""  # of the job


class FileChanges(NamedTuple):
    """What a step changed in the files of a job, for the transaction that stores the job."""

    put: Mapping[str, SharedFile]
    sealed: Mapping[str, bytes]  # the contents of those of `put` that the database has
    dropped: frozenset[str]
    home: str

    def applied(self, files: Mapping[str, SharedFile]) -> dict[str, SharedFile]:
        """Return the entries after the change."""
        kept = {name: entry for name, entry in files.items() if name not in self.dropped}
        return kept | dict(self.put)


class FileTable(Protocol):
    """The shared files of jobs, in the database of the ledger."""

    @property
    def host(self) -> str:
        """The name of this host."""
        ...

    def manifest(self, job_id: str) -> Manifest | None:
        """Return the files of a job; None if it is not in the ledger."""
        ...

    def sealed(self, job_id: str, names: Iterable[str]) -> dict[str, bytes]:
        """Return the sealed contents of small files."""
        ...

    def write(self, job_id: str, changes: FileChanges) -> None:
        """Store changes at once, between two commits of a claimed job; durable on return.

        Raises
        ------
        LeaseLost
            If another host has taken the job over.
        """
        ...

    def elsewhere(self, gone_minutes: float, only: str | None = None) -> dict[str, str]:
        """Return the jobs whose home is another host that was active lately, with that host.

        `only` asks for one job.
        """
        ...

    def job_ids(self) -> list[str]:
        """Return the ids of the jobs that have files."""
        ...

    def old(self, before: datetime) -> list[str]:
        """Return the ids of the jobs with files that were finished before a time."""
        ...

    def named(self, places: list[str]) -> set[str]:
        """Return those of some objects that a job of the site names."""
        ...

    def begin_sweep(self) -> datetime | None:
        """Return the time if this host is to remove lost objects, as none has for a day."""
        ...


class FileCarrier(Protocol):
    """Gives a ledger the files that belong to a change of a job."""

    def changes(self, job_id: str) -> FileChanges | None:
        """Return the files that changed since they were stored; None if none did."""
        ...

    def stored(self, job_id: str, changes: FileChanges) -> None:
        """Note that the database has them."""
        ...


class JobFiles(Protocol):
    """The shared files of jobs, for the steps."""

    @property
    def host(self) -> str:
        """The name of this host; "" at a site with one machine."""
        ...

    def bring(self, job_id: str, *, small: bool = False) -> None:
        """Copy the files of a claimed job to this host; if `small`, only those in the database.

        Raises
        ------
        OutOfReach
            If the storage of the large files does not answer.
        """
        ...

    def keep(self, job_id: str) -> None:
        """Store changed files of a claimed job at once, before a transfer depends on them."""
        ...

    def bind(self, job_id: str) -> None:
        """Make this host the home of a job, before it is in the ledger: its images are here."""
        ...

    def elsewhere(self, only: str | None = None) -> Mapping[str, str]:
        """Return the jobs that only another host should continue, and that host.

        `only` asks for one job.
        """
        ...

    def home_of(self, job_id: str) -> str:
        """Return the other host that is the home of a job, active or not; "" if none is."""
        ...

    def unseen(self) -> list[str]:
        """Return the jobs whose files were never copied to this host."""
        ...

    def forget(self, job_id: str) -> None:
        """Remove the files of a claimed job that are not on this host."""
        ...

    def old(self, before: datetime) -> list[str]:
        """Return the jobs with such files that were finished before a time."""
        ...

    def sweep(self) -> None:
        """Remove files of jobs from shared storage that no job names; once a day."""
        ...

    def probe(self) -> str:
        """Write, read and remove an object in shared storage; return its name, "" without one.

        Raises
        ------
        OutOfReach
            If it cannot be used.
        """
        ...


class HostFiles:
    """The files of a site with one machine: nothing is copied."""

    host: str = ""

    def bring(self, job_id: str, *, small: bool = False) -> None:
        """Do nothing."""

    def keep(self, job_id: str) -> None:
        """Do nothing."""

    def bind(self, job_id: str) -> None:
        """Do nothing."""

    def elsewhere(self, only: str | None = None) -> Mapping[str, str]:
        """Return no job."""
        del only
        return {}

    def home_of(self, job_id: str) -> str:
        """Return no host."""
        del job_id
        return ""

    def unseen(self) -> list[str]:
        """Return no job."""
        return []

    def forget(self, job_id: str) -> None:
        """Do nothing."""

    def old(self, before: datetime) -> list[str]:  # noqa: ARG002
        """Return no job."""
        return []

    def sweep(self) -> None:
        """Do nothing."""

    def probe(self) -> str:
        """Return that there is no shared storage."""
        return ""
