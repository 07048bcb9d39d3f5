"""When each archive was pulled last, or since when it fails: `state_dir/pull/state.json`.

It holds no patient data. Damaged or missing, nothing is known of earlier pulls.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.adapters.state.pull_records import FOLDER
from drawcli.errors import AnotherRun
from drawcli.system.failures import raise_shortage
from drawcli.system.files import PRIVATE, make_private, write_durably

STATE: Final = "state.json"
_LOCK: Final = "lock"
_FORMAT: Final = 1
_MOST: Final = {int: 1 << 60, float: 1e11}  # of counts and bytes; of times


class SourceState(NamedTuple):
    """What the last pulls of an archive have shown. Times are s since 1970; 0: never."""

    name: str  # its address
    asked: float = 0.0  # last tried
    succeeded: float = 0.0  # last pulled without a failure
    failed_since: float = 0.0  # 0: the last one did not fail
    failures: int = 0  # in a row
    due: float = 0.0  # a run does not try it before
    code: str = ""  # of the failure
    text: str = ""
    series: int = 0  # pulled completely, since the first pull
    instances: int = 0  # stored
    bytes: int = 0
    waiting: int = 0  # series that are not complete, after the last pull


def read_sources(state_dir: Path) -> dict[str, SourceState]:
    """Return what is known of each archive, by its address."""
    try:
        plain = json.loads((state_dir / FOLDER / STATE).read_bytes())
        return {str(one["name"]): _source(one) for one in plain["sources"]}
    except (OSError, ValueError, KeyError, TypeError, OverflowError, RecursionError) as err:
        raise_shortage(err)
        return {}


def write_sources(state_dir: Path, sources: Mapping[str, SourceState]) -> None:
    """Replace the file; raise DiskFull or OSError if it cannot be written."""
    plain = {"format": _FORMAT, "sources": [one._asdict() for one in sources.values()]}
    folder = make_private(state_dir / FOLDER)
    write_durably(folder / STATE, json.dumps(plain, indent=1).encode("ascii"))


@contextmanager
def pulling(state_dir: Path) -> Iterator[None]:
    """Hold the lock of the pulls of a site; raise AnotherRun if another process has it."""
    from filelock import FileLock, Timeout

    lock = FileLock(make_private(state_dir / FOLDER) / _LOCK, mode=PRIVATE)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise AnotherRun("another drawcli is pulling for this site") from None
    try:
        yield
    finally:
        lock.release()


def _source(plain: Mapping[str, Any]) -> SourceState:
    empty = SourceState("")
    values = {
        name: type(default)(plain.get(name, default)) for name, default in empty._asdict().items()
    }
    numbers = (value for value in values.values() if not isinstance(value, str))
    if not all(0 <= number < _MOST[type(number)] for number in numbers):
        raise ValueError("a number that no pull has written")
    return SourceState(**values)
