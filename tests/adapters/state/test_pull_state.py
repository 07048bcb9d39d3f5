"""The state of archives: damaged, nothing is known of earlier pulls, and nothing fails."""

from pathlib import Path

import pytest

from drawcli.adapters.state.pull_state import SourceState, read_sources, write_sources

STATE = SourceState("PACS@host:104", asked=1.0, failures=2, due=3.0, code="archive", bytes=10**15)


def test_the_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    write_sources(tmp_path, {STATE.name: STATE})

    assert read_sources(tmp_path) == {STATE.name: STATE}


@pytest.mark.parametrize(
    "damage",
    [
        b"",
        b"\0" * 100,
        b"[]",
        b'{"sources": [1]}',
        b'{"sources": [{"name": "A", "series": Infinity}]}',
        b'{"sources": [{"name": "A", "asked": NaN}]}',
        b'{"sources": [{"name": "A", "asked": -1}]}',
        b'{"sources": [{"name": "A", "due": 1e12}]}',
        b"[" * 100_000,
    ],
)
def test_a_damaged_state_is_no_state(tmp_path: Path, damage: bytes) -> None:
    write_sources(tmp_path, {STATE.name: STATE})
    (tmp_path / "pull" / "state.json").write_bytes(damage)

    assert read_sources(tmp_path) == {}
