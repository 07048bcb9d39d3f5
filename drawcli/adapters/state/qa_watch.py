"""Which delivered jobs are watched for a clinical structure set, and what the last scan saw.

state_dir/qa/watch.json    {job: WatchedJob as JSON}; it may be deleted: the next scan makes it anew
state_dir/qa/scan.lock     one scan for clinical sets at a time; its time is that of the last one

It holds keyed hashes only, no UID and no path.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

from drawcli.adapters.state.qa_records import FOLDER
from drawcli.errors import AnotherRun
from drawcli.system.files import PRIVATE, make_private, write_durably

WATCH: Final = "watch.json"
SCAN_LOCK: Final = "scan.lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedJob:
    """A delivered job; hashes as the scan index has them, in hex."""

    series: str  # of its SeriesInstanceUID
    frame: str = ""  # of its FrameOfReferenceUID
    stamp: str = ""  # of the structure sets and settings at the last comparison; "" before
    sets: tuple[str, ...] = ()  # SOPInstanceUIDs of these, if a plan may decide between them
    waits_for: str = ""  # the contours of a set that is not approved: SHA-256
    waits_since: datetime | None = None  # when they were first seen

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a job from JSON; raise KeyError, TypeError or ValueError if it is none."""
        since = plain["waits_since"]
        return cls(
            series=str(plain["series"]),
            frame=str(plain["frame"]),
            stamp=str(plain["stamp"]),
            sets=tuple(map(str, plain["sets"])),
            waits_for=str(plain["waits_for"]),
            waits_since=None if since is None else datetime.fromisoformat(since),
        )

    def known_at(self, now: datetime) -> Self:
        """Return the job, without a time to come: the clock may have been wrong."""
        is_wrong = self.waits_since is not None and self.waits_since > now
        return replace(self, waits_since=now) if is_wrong else self

    def as_plain(self) -> dict[str, Any]:
        """Return the job as a JSON object."""
        since = self.waits_since
        return asdict(self) | {"waits_since": None if since is None else since.isoformat()}


def shares_frame(job: WatchedJob, watched: Iterable[WatchedJob]) -> bool:
    """Return whether another watched series has the frame of reference of a job."""
    return any(one.frame == job.frame != "" and one.series != job.series for one in watched)


def read_watch(state_dir: Path) -> dict[str, WatchedJob] | None:
    """Return the watched jobs; None if the file is missing or damaged."""
    try:
        plain = json.loads((state_dir / FOLDER / WATCH).read_bytes())
        return {job: WatchedJob.from_plain(one) for job, one in plain.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write_watch(state_dir: Path, jobs: Mapping[str, WatchedJob]) -> None:
    """Replace the file; durable when this returns.

    Raises
    ------
    DiskFull, OSError
        If it cannot be written.
    """
    text = json.dumps({job: one.as_plain() for job, one in jobs.items()})
    write_durably(make_private(state_dir / FOLDER) / WATCH, text.encode("ascii"))


def mark_scanned(state_dir: Path, at: datetime) -> None:
    """Remember when a scan ended well."""
    with suppress(OSError):  # of interest only
        os.utime(state_dir / FOLDER / SCAN_LOCK, (at.timestamp(), at.timestamp()))


def last_scan(state_dir: Path) -> datetime | None:
    """Return when the last scan began, or ended well; None if there was none."""
    try:
        seconds = (state_dir / FOLDER / SCAN_LOCK).stat().st_mtime
    except OSError:
        return None
    return datetime.fromtimestamp(seconds, UTC)


@contextmanager
def scan_lock(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a scan; raise AnotherRun if another process holds it."""
    from filelock import FileLock, Timeout

    lock = FileLock(make_private(state_dir / FOLDER) / SCAN_LOCK, mode=PRIVATE)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        raise AnotherRun(
            "another process is comparing structure sets",
            hint="Wait for it; 'drawcli unlock' shows which one it is.",
        ) from None
    try:
        yield
    finally:
        lock.release()
