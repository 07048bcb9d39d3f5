"""The mark of a pause: it survives, and no damage of it lets anything leave."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from drawcli.adapters.state.pause import FILE_NAME, Pause, end_pause, read_pause, write_pause

SINCE = datetime(2026, 11, 14, 12, 0, tzinfo=UTC)


def test_a_pause_is_read_back_until_it_ends(tmp_path: Path) -> None:
    made = Pause(since=SINCE, user="marta", host="ward-7", reason="neues Protokoll für MR")

    write_pause(tmp_path, made)
    read = read_pause(tmp_path)
    end_pause(tmp_path)
    end_pause(tmp_path)

    assert read == made
    assert read_pause(tmp_path) is None
    assert (
        made.notice(SINCE + timedelta(hours=2))
        == "uploads are paused since 2026-11-14 12:00 UTC (2 h), by marta@ward-7: "
        "neues Protokoll für MR. 'drawcli resume' sends again"
    )


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"since": 5}', b"null"])
def test_a_damaged_mark_still_pauses(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)

    pause = read_pause(tmp_path)

    assert pause is not None
    assert pause.since.tzinfo is not None
