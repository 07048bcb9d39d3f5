"""The reports of sites that copy them into a folder, as `NAME.json`."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from drawcli.errors import OutOfReach
from drawcli.system.failures import in_words
from drawcli.system.limits import EXCHANGES

_MOST: Final = 1000  # sites
_LARGEST: Final = EXCHANGES["group-site"].largest


class SiteReport(NamedTuple):
    """The report of a site, or the reason why there is none."""

    name: str
    raw: bytes = b""
    at: datetime | None = None  # UTC
    trouble: str = ""  # the reason: a sentence without full stop


def read_pushed(folder: Path) -> Iterator[SiteReport]:
    """Yield the reports in a folder, sorted by name.

    Raises
    ------
    OutOfReach
        If the folder cannot be read.
    """
    try:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.name.endswith(".json"))
    except OSError as err:
        raise OutOfReach(
            f"group.folder {folder} cannot be read: {in_words(err)}",
            hint="It should have a file NAME.json of each site.",
        ) from None
    for name in names[:_MOST]:
        yield _read(folder / name)
    if len(names) > _MOST:
        yield SiteReport("others", trouble=f"the folder has more than {_MOST:,} sites")


def _read(path: Path) -> SiteReport:
    name = "".join(char for char in path.stem if char.isprintable())[:63]
    try:
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST + 1)
            at = datetime.fromtimestamp(os.fstat(stream.fileno()).st_mtime, UTC)
    except OSError as err:
        return SiteReport(name, trouble=f"its file cannot be read: {in_words(err)}")
    if len(raw) > _LARGEST:
        return SiteReport(name, at=at, trouble=f"its file has more than {_LARGEST:,} bytes")
    return SiteReport(name, raw, at)
