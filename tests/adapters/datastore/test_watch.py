"""Changes in the datastore are told; where they cannot be, it is said why."""

import sys
import time
from pathlib import Path
from threading import Timer

import pytest

from drawcli.adapters.datastore import watch as module
from drawcli.adapters.datastore.watch import Changes
from drawcli.errors import ConfigError


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALM_SECONDS", 0.2)
    monkeypatch.setattr(module, "_TICK_MS", 50)


@pytest.mark.usefixtures("quick")
def test_a_file_in_a_new_folder_ends_the_wait(tmp_path: Path) -> None:
    changes = Changes([tmp_path])

    def write() -> None:
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "1.dcm").write_bytes(b"x")

    timer = Timer(0.2, write)
    timer.start()

    assert changes.blind == ""
    assert changes.wait(60)
    timer.join()


@pytest.mark.usefixtures("quick")
def test_what_changed_before_the_wait_is_not_missed(tmp_path: Path) -> None:
    changes = Changes([tmp_path])
    (tmp_path / "1.dcm").write_bytes(b"x")
    time.sleep(0.3)

    assert changes.wait(60)


@pytest.mark.usefixtures("quick")
def test_without_a_change_the_time_ends_it(tmp_path: Path) -> None:
    assert not Changes([tmp_path]).wait(0.1)


@pytest.mark.usefixtures("quick")
def test_ongoing_changes_end_the_wait_after_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    times = iter(range(0, 100_000, 3))
    monkeypatch.setattr(module, "CALM_SECONDS", 5.0)
    changes = Changes([tmp_path], clock=lambda: float(next(times)))
    monkeypatch.setattr(changes, "_changed", lambda: True)

    assert changes.wait(60)
    assert next(times) < 100


@pytest.mark.usefixtures("quick")
def test_a_missing_folder_is_reported_and_watched_once_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    changes = Changes([folder])
    said, waited = changes.blind, changes.wait(0.1)
    folder.mkdir()

    changes.listen()
    (folder / "1.dcm").write_bytes(b"x")

    assert (said, waited) == ("there is no folder to watch", False)
    assert changes.blind == ""
    assert changes.wait(60)


@pytest.mark.usefixtures("quick")
def test_a_limit_of_watched_folders_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_folders: Path, **_options: object) -> object:
        raise OSError("OS file watch limit reached.")

    monkeypatch.setattr("watchfiles.watch", full)

    changes = Changes([tmp_path])

    assert "cannot watch so many folders" in changes.blind
    assert not changes.wait(0.1)


def test_a_network_share_is_reported_as_blind(tmp_path: Path) -> None:
    assert "a share (cifs, nfs4)" in Changes([tmp_path], {"nfs4", "cifs"}).blind


def test_without_watchfiles_the_extra_is_named_in_the_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "watchfiles", None)

    with pytest.raises(ConfigError, match="watchfiles"):
        Changes([tmp_path])
