"""What `receive` has counted, and whether it is running: `state_dir/receive/state.json`.

It is written every few seconds while something changes. Without it, or if it is damaged, nothing is
known. It holds no patient data.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.core.dicom_service.tally import Tally
from drawcli.errors import AnotherRun
from drawcli.system.files import PRIVATE, make_private, write_durably

FOLDER: Final = "receive"
STATE: Final = "state.json"
_LOCK: Final = "lock"
_LOCK_SECONDS: Final = 1.0  # `status` holds it for a moment
_MARKS: Final = "ended"
_FORMAT: Final = 1


class ReceiveState(NamedTuple):
    """What a listener wrote last."""

    address: str  # host:port
    ae_title: str
    tls: bool
    since: float  # start, s since 1970
    tally: Tally


def read_state(state_dir: Path) -> ReceiveState | None:
    """Return what a listener wrote last; None if there is nothing that can be read."""
    try:
        plain = json.loads((state_dir / FOLDER / STATE).read_bytes())
        return ReceiveState(
            address=str(plain["address"]),
            ae_title=str(plain["ae_title"]),
            tls=bool(plain["tls"]),
            since=float(plain["since"]),
            tally=_tally(plain["tally"]),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_state(state_dir: Path, state: ReceiveState) -> None:
    """Replace the file; raise DiskFull or OSError if it cannot be written."""
    plain = state._asdict() | {"format": _FORMAT, "tally": state.tally.as_plain()}
    folder = make_private(state_dir / FOLDER)
    write_durably(folder / STATE, json.dumps(plain, indent=1).encode("ascii"))


def mark_file(state_dir: Path) -> Path:
    """Return the file that changes at the end of an association; its folder exists then."""
    make_private(make_private(state_dir) / FOLDER)
    return make_private(state_dir / FOLDER / _MARKS) / "association"


@contextmanager
def listening(state_dir: Path) -> Iterator[None]:
    """Hold the lock of the listener of a site; raise AnotherRun if another process has it."""
    from filelock import FileLock, Timeout

    folder = make_private(make_private(state_dir) / FOLDER)
    lock = FileLock(folder / _LOCK, mode=PRIVATE)
    try:
        lock.acquire(timeout=_LOCK_SECONDS)
    except Timeout:
        raise AnotherRun("drawcli receive is running already for this site") from None
    try:
        yield
    finally:
        lock.release()


def is_listening(state_dir: Path) -> bool:
    """Return whether a listener of the site is running."""
    from filelock import FileLock, Timeout

    path = state_dir / FOLDER / _LOCK
    if not path.exists():
        return False
    try:
        with FileLock(path, mode=PRIVATE, timeout=0):
            return False
    except Timeout:
        return True
    except OSError:  # of another user
        return False


def _tally(plain: Any) -> Tally:
    tally = Tally.from_plain(plain)
    tally.open = int(plain.get("open", 0))
    return tally
