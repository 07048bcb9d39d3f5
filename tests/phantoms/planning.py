"""Planning CTs of the sandbox, drawn once in a process and written as often as tests ask."""

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from drawcli.sandbox import phantom
from drawcli.sandbox.patients import Person


def write_planning_ct(folder: Path, person: Person, **size: float | None) -> list[Path]:
    """Write what the function of this name in drawcli.sandbox.phantom writes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, data in _drawn(person, **size):
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    return paths


@lru_cache(maxsize=64)
def _drawn(person: Person, **size: float | None) -> tuple[tuple[str, bytes], ...]:
    with TemporaryDirectory(prefix="drawcli-") as name:
        paths = phantom.write_planning_ct(Path(name), person, **size)  # type: ignore[arg-type] # as asked
        return tuple((path.name, path.read_bytes()) for path in paths)
