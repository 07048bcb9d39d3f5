"""A scan with processes that list folders ahead finds and stores what it does alone."""

import errno
import json
import os
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from drawcli.adapters.datastore.listing import Folder, Stamp, list_again, troubled
from drawcli.adapters.scan_index import FILE_NAME
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey import update
from tests.adapters.datastore.test_ahead import Eager
from tests.conftest import HEAD_NECK, PELVIS, SLICES, THORAX, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct
from tests.pipeline.survey.awkward import put, stack

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="makes links and pipes")
_TABLES = ("meta", "folder", "file", "series", "reference", "facts")


class Found(NamedTuple):
    """What a scan has found and stored."""

    jobs: list[dict[str, Any]]
    passed_over: dict[str, int]
    lost: list[str]
    files: int
    rows: dict[str, list[dict[str, Any]]]  # of the scan index, by table

    @property
    def series(self) -> list[str]:
        """The state or reason of each series."""
        jobs = [job for job in self.jobs if not job["of_folder"]]
        return sorted(str(job["reason_code"] or job["state"]) for job in jobs)


Twice = Callable[[], tuple[Found, Found]]


class Listed(NamedTuple):
    """Which folders were taken from other processes, and which of these were listed again."""

    told: list[str]
    again: list[str]


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> Listed:
    """Record what is taken from other processes; these have listed everything before."""
    seen = Listed([], [])

    class Recorded(Eager):
        def take(self, path: str, stamp: Stamp) -> tuple[Folder, list[str]] | None:
            found = super().take(path, stamp)
            seen.told.extend([path] if found else [])
            return found

    def again(folder: Folder) -> Folder:
        seen.again.append(folder.path)
        return list_again(folder)

    monkeypatch.setattr(update, "ListedAhead", Recorded)
    monkeypatch.setattr(update, "list_again", again)
    return seen


@pytest.fixture
def twice(
    site: Site, draw: FakeDraw, clock: Clock, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> Twice:
    """Return a function that scans alone, and again from the same state with other processes."""
    site.env |= {"DRAWCLI_SCAN__FULL_WALK_HOURS": "0", "DRAWCLI_SCAN__WORKERS": "4"}
    if site.settings().ledger:
        pytest.skip("a ledger in a database is not copied with the state folder")

    def scan_twice() -> tuple[Found, Found]:
        before = site.folder / "before"
        shutil.rmtree(before, ignore_errors=True)
        shutil.copytree(site.state, before)
        monkeypatch.setattr(update, "PAYS", 10**9)
        alone = scanned(site, draw, clock)
        shutil.rmtree(site.state)
        shutil.copytree(before, site.state)
        monkeypatch.setattr(update, "PAYS", 0)
        listed.told.clear()
        listed.again.clear()
        return alone, scanned(site, draw, clock)

    return scan_twice


def scanned(site: Site, draw: FakeDraw, clock: Clock) -> Found:
    """Scan; return all that came of it, but what is encrypted with a random nonce."""
    with opened(site, draw, clock) as ctx:
        done = scan(ctx)
        jobs = sorted(ctx.ledger.jobs(), key=lambda job: job.id)
    return Found(
        jobs=[asdict(job) for job in jobs],
        passed_over=dict(done.passed_over),
        lost=list(map(str, done.lost)),
        files=done.files,
        rows={table: list(rows_of(site.state / FILE_NAME, table)) for table in _TABLES},
    )


def rows_of(path: Path, table: str) -> Iterator[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        for row in database.execute(f"SELECT * FROM {table}"):
            yield {name: row[name] for name in row.keys() if name != "sealed"}  # noqa: SIM118


def fill(store: Path) -> None:
    """Put series and all that is none into a datastore, in many folders."""
    write_planning_ct(store / "p1" / "pelvis", PELVIS, slices=SLICES, size=8, seed=1)
    write_planning_ct(store / "p2" / "ct" / "thorax", THORAX, slices=SLICES, size=8, seed=2)
    write_planning_ct(store / "p3" / "neck", HEAD_NECK, slices=SLICES, size=8, seed=3)
    for number in range(30):
        folder = store / f"q{number:02d}" / "notes"
        folder.mkdir(parents=True)
        (folder / "notes.txt").write_text("no image")
        (folder / "transfer.complete").touch()
    (store / "q29" / "empty.dcm").touch()
    (store / "p1" / "up").symlink_to(store)
    (store / "p1" / "above").symlink_to(store.parent)
    (store / "a-linked").symlink_to(store / "p3")
    (store / "q01" / "loop").symlink_to("loop")
    (store / "q02" / "lost.dcm").symlink_to("nowhere.dcm")
    (store / "q03" / "\udcff").mkdir()
    (store / "q04" / "notes.d").mkdir()
    os.mkfifo(store / "q05" / "pipe")
    _too_deep(store / "q06")


def _too_deep(folder: Path) -> None:
    """Make folders with a path that is longer than the system takes: one cannot be listed."""
    here = Path.cwd()
    os.chdir(folder)
    try:
        for _ in range(20):
            Path("x" * 250).mkdir()
            os.chdir("x" * 250)
    finally:
        os.chdir(here)


def test_a_datastore_that_is_as_it_was(twice: Twice, site: Site, listed: Listed) -> None:
    fill(site.store)
    twice()

    alone, helped = twice()

    assert helped == alone
    assert helped.series == ["found"] * 3
    assert helped.passed_over["path-too-long"] == 1
    assert len(listed.told) > 60
    assert [Path(path).name for path in listed.again] == ["q02", "q29"]  # not settled yet


def test_a_datastore_in_which_much_has_changed(
    twice: Twice, site: Site, clock: Clock, listed: Listed
) -> None:
    store = site.store
    fill(store)
    twice()
    clock.advance(minutes=5)
    (slice_, *_) = sorted((store / "p1" / "pelvis").iterdir())
    slice_.unlink()
    whole = sorted((store / "p2" / "ct" / "thorax").iterdir())[2]
    whole.write_bytes(whole.read_bytes()[:-2])
    shutil.rmtree(store / "q07")
    shutil.move(store / "p3" / "neck", store / "q08" / "neck")
    (store / "q09" / "notes" / "notes.txt").write_text("other notes")
    (store / "q10" / "notes" / "more.txt").write_text("more notes")
    put(store / "q11" / "new", stack())
    shutil.rmtree(store / "q02")
    (store / "q02").symlink_to(store / "q11")
    if os.geteuid():
        (store / "q12" / "notes").chmod(0)

    alone, helped = twice()

    assert helped == alone
    assert helped.series == ["found", *["series-changed"] * 3]
    assert {str(store / "q09" / "notes"), str(store / "q10" / "notes")} <= {*listed.again}
    assert len(listed.told) > 40


def test_a_series_in_a_folder_that_cannot_be_listed_any_more(
    twice: Twice, site: Site, listed: Listed
) -> None:
    fill(site.store)
    twice()
    shutil.rmtree(site.store / "p2" / "ct")
    (site.store / "p2" / "ct").symlink_to("ct")

    alone, helped = twice()

    assert helped == alone
    assert helped.passed_over["link-loop"] == 2
    assert listed.told


def test_excluded_folders(twice: Twice, site: Site, listed: Listed) -> None:
    site.env["DRAWCLI_SCAN__EXCLUDE"] = '["q1*", "p1/*"]'
    fill(site.store)
    twice()

    alone, helped = twice()

    assert helped == alone
    assert helped.series == ["found"] * 2
    assert not any("/q1" in path for path in listed.told)
    assert listed.told


def test_two_folders_of_the_datastore_and_one_that_is_missing(
    twice: Twice, site: Site, listed: Listed
) -> None:
    others = [site.folder / name for name in ("another", "gone")]
    for other in others:
        write_planning_ct(other / "p" / "ct", PELVIS, slices=SLICES, size=8, seed=5)
        write_planning_ct(other / "q" / "ct", THORAX, slices=SLICES, size=8, seed=6)
    site.env["DRAWCLI_DATASTORE"] = json.dumps([str(site.store), *map(str, others)])
    fill(site.store)
    twice()
    others[1].rename(site.folder / "away")

    alone, helped = twice()

    assert helped == alone
    assert len(helped.lost) == 1
    assert str(others[0] / "q") in listed.told


def test_a_changed_folder_that_vanishes_before_it_is_listed_again(
    twice: Twice, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are not taken for removed."""
    fill(site.store)
    _, before = twice()
    (site.store / "p2" / "ct" / "thorax" / "more.txt").write_text("notes")

    again: list[str] = []

    def vanished(folder: Folder) -> Folder:
        again.append(folder.path)
        return troubled(folder.path, FileNotFoundError(errno.ENOENT, "No such file"))

    monkeypatch.setattr(update, "list_again", vanished)

    _, helped = twice()

    assert helped.rows["file"] == before.rows["file"]
    assert helped.passed_over["unreadable-folder"] == len(again) == 3


def test_few_images_or_one_process_start_no_other(
    site: Site, draw: FakeDraw, clock: Clock, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(site.store)
    scanned(site, draw, clock)

    for images, workers in ((3 * SLICES + 1, 4), (1, 1)):
        monkeypatch.setattr(update, "PAYS", images)
        site.env["DRAWCLI_SCAN__WORKERS"] = str(workers)
        scanned(site, draw, clock)
        scanned(site, draw, clock)

    assert listed.told == []


def test_unchanged_folders_between_two_full_walks_need_no_other_process(
    site: Site, draw: FakeDraw, clock: Clock, listed: Listed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(update, "PAYS", 0)
    site.env |= {"DRAWCLI_SCAN__FULL_WALK_HOURS": "1", "DRAWCLI_SCAN__WORKERS": "4"}
    fill(site.store)
    told = []
    for minutes in (1, 10, 60):
        listed.told.clear()
        scanned(site, draw, clock)
        told.append(len(listed.told))
        clock.advance(minutes=minutes)

    scanned(site, draw, clock)

    assert told == [told[0], 0, 0]
    assert listed.told
