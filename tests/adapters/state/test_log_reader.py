"""The log is read as it is written: text or JSON, rotated, with tracebacks; and followed."""

import logging
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from drawcli.adapters.state import log_reader
from drawcli.adapters.state.log_reader import follow_lines, log_lines, read_entries
from drawcli.adapters.state.logs import to_file
from drawcli.config.sections_monitoring import Logs

JOB = "0123456789ab-1"
LOG = logging.getLogger("drawcli.test")


@pytest.mark.usefixtures("logging_as_it_was")
@pytest.mark.parametrize("form", ["text", "json"])
def test_entries_are_read_back_over_rotated_files(tmp_path: Path, form: str) -> None:
    to_file(tmp_path, Logs(format=form, max_mb=0.001, keep=50), "0badcafe")
    for number in range(30):
        LOG.info("job=%s step=poll outcome=%d code=%s", JOB, number, None)
    try:
        int("x")
    except ValueError:
        LOG.exception("job=%s step=fetch", JOB)

    entries = list(read_entries(log_lines(tmp_path)))

    assert [entry.pairs.get("outcome") for entry in entries[:30]] == [str(n) for n in range(30)]
    assert {(entry.run, entry.logger) for entry in entries} == {("0badcafe", "drawcli.test")}
    assert "code" not in entries[0].pairs
    assert entries[0].at.utcoffset().total_seconds() == 0  # type: ignore[union-attr]
    assert (entries[30].level, entries[30].pairs["step"]) == ("ERROR", "fetch")
    assert any("test_log_reader.py" in line for line in entries[30].trace)
    assert entries[30].as_plain()["job"] == JOB
    assert len(list((tmp_path / "logs").glob("drawcli.log*"))) > 2


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\n", b"{}\n", b"no entry\n", b'{"at": 1}\n'])
def test_lines_that_are_no_entries_are_left_out(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "drawcli.log").write_bytes(content)

    assert list(read_entries(log_lines(tmp_path))) == []
    assert list(read_entries(log_lines(tmp_path / "nowhere"))) == []


def test_new_lines_are_followed_over_a_rotation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "logs" / "drawcli.log"
    path.parent.mkdir()
    path.write_text("old\n")

    def happenings() -> Iterator[None]:
        with path.open("a") as stream:
            stream.write("one\nhalf")
        yield
        with path.open("a") as stream:
            stream.write(" line\n")
        yield
        path.rename(path.with_name("drawcli.log.1"))
        yield
        path.write_text("two\n")
        yield

    story, steps = happenings(), count()
    monkeypatch.setattr(log_reader, "time", type("", (), {"sleep": lambda _s: next(story, None)}))
    new = [line for part in follow_lines(tmp_path, lambda: next(steps) < 6) for line in part]

    assert new == ["one", "half line", "two"]
