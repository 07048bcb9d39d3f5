"""The folder of received objects: durable in the right order, once, and never beyond its limits."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from drawcli.adapters.datastore.walk import read_datastore, walk_folders
from drawcli.adapters.receive_folder import folder as module
from drawcli.adapters.receive_folder.folder import (
    CONFLICTS,
    INCOMING,
    ReceiveFolder,
    conflicts_in,
    locked,
    remove_unfinished,
)
from drawcli.adapters.receive_folder.incoming_file import IncomingFile
from drawcli.adapters.receive_folder.known_objects import KnownObjects
from drawcli.core.dicom_service.object_store import NotStored
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.errors import AnotherRun
from tests.dicom_sender import CT, EXPLICIT, data_set

Make = Callable[..., ReceiveFolder]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that opens the folder, as another process would."""
    folder = tmp_path / "in"
    folder.mkdir()

    def opened(**limits: float) -> ReceiveFolder:
        remove_unfinished(folder)
        facts: dict[str, Any] = {"keep_free": 0, "most_unfinished": 1 << 30, **limits}
        known = KnownObjects(tmp_path / "known.sqlite", folder)
        return ReceiveFolder(folder, known, mark=tmp_path / "mark", **facts)

    return opened


def stored(
    store: ReceiveFolder, uid: str, data: bytes, *, title: str = "CT1", syntax: str = EXPLICIT
) -> StoreOutcome:
    incoming = store.begin(ObjectFacts(CT, uid, syntax, title))
    incoming.write(data)
    return incoming.finish()


def test_success_comes_after_file_and_folders_are_synced_and_never_before(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, events = make(), list[str]()
    fsync, replace = os.fsync, os.replace

    def synced(descriptor: int) -> None:
        events.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")
        fsync(descriptor)

    def renamed(source: Any, target: Any, **more: Any) -> None:
        events.append(f"rename {Path(target).name}")
        replace(source, target, **more)

    if not Path("/proc/self/fd").exists():
        pytest.skip("tells names of descriptors on Linux only")
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    assert stored(store, "1.2.1", data_set("1.2.1", series="1.9")).code == "stored"
    first, events[:] = [*events], []
    assert stored(store, "1.2.1", data_set("1.2.1", series="1.9")).code == "repeated"

    part = first[0].removeprefix("sync ")
    assert part.endswith(".part")
    assert first == [f"sync {part}", "sync in", "rename 1.2.1.dcm", "sync 1.9"]
    assert events[-1] == "sync 1.9"  # of the object that is there already


def test_a_known_object_is_known_to_the_next_process_also_without_its_index(
    make: Make, tmp_path: Path
) -> None:
    stored(make(), "1.2.1", data_set("1.2.1", series="1.9"))
    assert stored(make(), "1.2.1", data_set("1.2.1", series="1.8")).code == "conflict"
    (tmp_path / "known.sqlite").write_bytes(b"damaged" * 1000)
    for name in ("known.sqlite-wal", "known.sqlite-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    assert stored(make(), "1.2.1", data_set("1.2.1", series="1.7")).code == "conflict"
    assert stored(make(), "1.2.1", data_set("1.2.1", series="1.9")).code == "repeated"


def test_an_object_that_a_person_removed_may_come_again(make: Make, tmp_path: Path) -> None:
    store = make()
    stored(store, "1.2.1", data_set("1.2.1", series="1.9"))
    (tmp_path / "in" / "1.9" / "1.2.1.dcm").unlink()
    (tmp_path / "in" / "1.9").rmdir()

    assert stored(store, "1.2.1", data_set("1.2.1", series="1.8")).code == "stored"
    assert stored(store, "1.2.2", data_set("1.2.2", series="1.9")).code == "stored"


def test_the_same_data_set_of_another_sender_is_the_same_object(make: Make) -> None:
    store = make()
    stored(store, "1.2.1", data_set("1.2.1"))

    assert stored(store, "1.2.1", data_set("1.2.1"), title="ARCHIVE").code == "repeated"


def test_the_same_bytes_in_another_transfer_syntax_are_another_object(make: Make) -> None:
    store = make()
    stored(store, "1.2.1", data_set("1.2.1"))
    jpeg = "1.2.840.10008.1.2.4.70"

    assert stored(store, "1.2.1", data_set("1.2.1"), syntax=jpeg).code == "conflict"


def test_a_file_that_another_program_wrote_is_never_overwritten(make: Make, tmp_path: Path) -> None:
    place = tmp_path / "in" / "1.9"
    place.mkdir()
    (place / "1.2.1.dcm").write_bytes(b"of another program")

    assert stored(make(), "1.2.1", data_set("1.2.1", series="1.9")).code == "conflict"
    assert (place / "1.2.1.dcm").read_bytes() == b"of another program"


def test_objects_kept_apart_are_few_and_once(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RECEIVE_CONFLICTS", 3)
    store = make()
    for number in [0, 1, 1, 2, 3, 4, 5]:
        stored(store, "1.2.1", data_set("1.2.1", pixels=bytes([number, 0])))

    assert len(list(conflicts_in(tmp_path / "in"))) == 3
    assert len(read_datastore([tmp_path / "in"]).slices) == 1


def test_a_walk_never_enters_what_is_unfinished_or_kept_apart(make: Make, tmp_path: Path) -> None:
    store = make()
    stored(store, "1.2.1", data_set("1.2.1", series="1.9"))
    stored(store, "1.2.1", data_set("1.2.1", series="1.9", pixels=b"xx"))
    store.begin(ObjectFacts(CT, "1.2.2", EXPLICIT, "CT1")).write(data_set("1.2.2"))

    walked = [Path(one.path).name for one in walk_folders(tmp_path / "in")]
    assert walked == ["in", "1.9"]
    assert (tmp_path / "in" / CONFLICTS).is_dir()
    assert list((tmp_path / "in" / INCOMING).glob("*.part"))


def test_an_object_of_another_series_than_the_one_asked_for_is_refused(
    make: Make, tmp_path: Path
) -> None:
    store = make()
    for series, code in (("1.2.9", "other-series"), ("1.2.3", "stored")):
        incoming = store.begin(ObjectFacts(CT, "1.2.1", EXPLICIT, "PACS"), series)
        incoming.write(data_set("1.2.1", series="1.2.3"))

        assert incoming.finish().code == code
    assert [path.name for path in tmp_path.rglob("*.dcm")] == ["1.2.1.dcm"]


def test_an_object_that_is_given_up_gives_its_room_back(make: Make, tmp_path: Path) -> None:
    store = make(most_unfinished=10_000)
    for _ in range(5):
        incoming = store.begin(ObjectFacts(CT, "1.2.1", EXPLICIT, "CT1"))
        incoming.write(bytes(5000))
        with pytest.raises(NotStored, match="unfinished"):
            incoming.write(bytes(5000))
        incoming.discard()
        incoming.discard()
        incoming.write(b"late")
        assert incoming.finish().code == "storage-failed"
    assert list((tmp_path / "in" / INCOMING).glob("*.part")) == []
    assert stored(store, "1.2.1", data_set("1.2.1")).code == "stored"


FAILURES = [(errno.ENOSPC, "disk-full"), (errno.EDQUOT, "disk-full"), (errno.EIO, "storage-failed")]


@pytest.mark.parametrize(("number", "code"), FAILURES)
def test_a_disk_that_fails_is_an_answer_and_leaves_nothing(
    make: Make, tmp_path: Path, number: int, code: str
) -> None:
    store = make()
    for call, spared in (("write", 0), ("write", 1), ("fsync", 0), ("fsync", 1), ("replace", 0)):
        working = getattr(os, call)
        calls = iter(range(100))

        def failing(*args: Any, working: Any = working, after: Any = (calls, spared)) -> Any:
            if next(after[0]) < after[1]:
                return working(*args)
            raise OSError(number, os.strerror(number))

        with patch.object(os, call, failing):
            try:
                incoming = store.begin(ObjectFacts(CT, "1.2.1", EXPLICIT, "CT1"))
            except NotStored as err:
                answered = err.outcome
            else:
                answered = written(incoming)
        assert (answered.status, answered.code) == (0xA700, code)
        assert [one for one in (tmp_path / "in").rglob("*") if one.is_file()] == []
    assert stored(store, "1.2.1", data_set("1.2.1")).code == "stored"


def written(incoming: IncomingFile) -> StoreOutcome:
    """Write and finish an object, or discard it, as the listener does."""
    try:
        incoming.write(data_set("1.2.1"))
        return incoming.finish()
    except NotStored as err:
        incoming.discard()
        return err.outcome


def test_the_free_space_is_looked_at_again_while_objects_arrive(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_BYTES", 10_000)
    store = make(keep_free=100)
    free = [200]
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": free[0]})())
    incoming = store.begin(ObjectFacts(CT, "1.2.1", EXPLICIT, "CT1"))
    incoming.write(bytes(20_000))
    free[0] = 50
    with pytest.raises(NotStored, match="disk-low"):
        incoming.write(bytes(20_000))
    incoming.discard()
    with pytest.raises(NotStored, match="disk-low"):
        store.begin(ObjectFacts(CT, "1.2.1", EXPLICIT, "CT1"))


def test_a_second_process_does_not_get_the_folder(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(AnotherRun, match="into this folder"), locked(tmp_path):
        pass


def test_images_are_readable_by_the_group_and_by_no_others(make: Make, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        stored(make(), "1.2.1", data_set("1.2.1", series="1.9"))
    finally:
        os.umask(before)
    place = tmp_path / "in" / "1.9"
    if os.name == "posix":
        assert place.stat().st_mode & 0o777 == 0o750
        assert (place / "1.2.1.dcm").stat().st_mode & 0o777 == 0o640
