"""The diff of a changed file."""

import subprocess
from pathlib import Path

import pytest

from drawcli.authoring import file_drafts
from drawcli.authoring.file_drafts import diff_of
from tests.bounds.test_growth import MOST, growth


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


def patched(old: bytes, diff: list[str], folder: Path) -> bytes:
    """Return a text after git has applied a diff to it."""
    path = folder / "file"
    path.write_bytes(old)
    text = "\n".join(["--- file", "+++ file", *diff, ""]).encode()
    subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=text, check=True)
    return path.read_bytes()


CHANGES = {
    "one line": (lines(*range(50)), lines(*range(30), 99, *range(31, 50))),
    "first line": (lines(*range(9)), lines(99, *range(1, 9))),
    "last line": (lines(*range(9)), lines(*range(8), 99)),
    "added": (lines(*range(30)), lines(*range(15), 98, 99, *range(15, 30))),
    "removed": (lines(*range(30)), lines(*range(12), *range(15, 30))),
    "two places": (lines(*range(90)), lines(7, *range(1, 60), 7, *range(61, 90))),
    "moved": (lines(*range(30)), lines(*range(20, 30), *range(20))),
    "the same line again": (lines(*[1] * 9), lines(*[1] * 12)),
    "all": (lines(1, 2), lines(3)),
}


@pytest.mark.parametrize("most", [0, file_drafts._MOST_COMPARED])
@pytest.mark.parametrize("change", CHANGES)
def test_a_diff_can_be_applied(
    change: str, most: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_drafts, "_MOST_COMPARED", most)
    old, new = CHANGES[change]

    assert patched(old, diff_of(old, new), tmp_path) == new


def test_a_diff_shows_only_the_lines_around_a_change() -> None:
    diff = diff_of(lines(*range(50)), lines(*range(30), 99, *range(31, 50)))

    assert diff == [
        "@@ -28,7 +28,7 @@",
        *(" line 27", " line 28", " line 29"),
        *("-line 30", "+line 99"),
        *(" line 31", " line 32", " line 33"),
    ]


@pytest.mark.sweep
def test_lines_that_repeat_often_are_compared_in_a_time_that_grows_with_them() -> None:
    def make(count: int) -> tuple[bytes, bytes]:
        many = [number % 150 for number in range(count)]
        return lines(1, *many, 2), lines(3, *many[::-1], 4)

    assert growth(make, lambda texts: len(diff_of(*texts)), 500) < MOST
