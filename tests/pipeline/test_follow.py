"""A service that scans at each change is a chain of ordinary scans."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from drawcli.adapters.datastore.watch import Changes
from drawcli.adapters.receive_folder.folder import ReceiveFolder
from drawcli.adapters.receive_folder.known_objects import KnownObjects
from drawcli.adapters.state.receive_state import mark_file
from drawcli.core.jobs.job import State
from drawcli.errors import AnotherRun
from drawcli.pipeline.context import Context
from drawcli.pipeline.follow import follow, watch_datastore
from tests.conftest import Clock, Site
from tests.waiting import PATIENCE


class Scripted(Changes):
    """Lets something happen in each wait; the waits are noted."""

    def __init__(self, *happens: object) -> None:
        self.happens = list(happens)
        self.waits: list[float] = []
        self.blind = ""
        self.listened = 0

    def listen(self) -> None:
        self.listened += 1

    def forget(self) -> None:
        self.waits.append(-1)

    def wait(self, seconds: float) -> bool:
        self.waits.append(seconds)
        happens = self.happens.pop(0)
        if callable(happens):
            happens()
        return True


def opener(ctx: Context, *errors: Exception) -> object:
    waiting = list(errors)

    @contextmanager
    def opened() -> Iterator[Context]:
        if waiting:
            raise waiting.pop()
        yield ctx

    return opened


def following(ctx: Context, changes: Scripted, *errors: Exception) -> list[list[tuple[str, str]]]:
    opened = opener(ctx, *errors)
    rounds = follow(opened, changes, lambda: bool(changes.happens))  # type: ignore[arg-type]
    return [report.outcomes for report in rounds]


def test_each_change_is_looked_at_and_a_series_found_once(
    ctx: Context, pelvis: list[Path], tmp_path: Path
) -> None:
    away = tmp_path / "away"
    shutil.move(pelvis[2], away)
    changes = Scripted(lambda: shutil.move(away, pelvis[2]), None, None)

    looks = following(ctx, changes)

    (job,) = ctx.ledger.jobs()
    assert job.state is State.FOUND
    assert looks == [[(job.id, "waiting")], [(job.id, "found")], []]
    assert changes.listened == len(looks)


@pytest.mark.usefixtures("pelvis")
def test_what_arrives_is_looked_at_again_when_it_may_be_settled(
    ctx: Context, clock: Clock, site: Site
) -> None:
    asked = ctx.settings.scan.replace(quiet_minutes=10.0)
    settled = ctx.settings.replace(scan=asked)
    object.__setattr__(ctx, "settings", settled)
    changes = Scripted(lambda: clock.advance(minutes=10.1), None, None)

    following(ctx, changes)

    assert site.store.is_dir()
    assert changes.waits[:2] == [601.0, 3600.0]
    assert [job.state for job in ctx.ledger.jobs()] == [State.FOUND]


def test_a_share_that_drops_is_looked_for_each_minute(ctx: Context, site: Site) -> None:
    away = site.folder / "away"
    site.store.rename(away)
    changes = Scripted(lambda: away.rename(site.store), None)

    looks = following(ctx, changes)

    assert looks == [[], []]
    assert changes.waits == [-1, 60.0, 3600.0]


def test_shares_among_the_folders_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.pipeline.follow.remote_disk", lambda _folder: "nfs4")

    assert "nfs4" in watch_datastore([tmp_path]).blind


def test_the_end_of_an_association_ends_the_wait_also_for_a_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("drawcli.pipeline.follow.remote_disk", lambda _folder: "nfs4")
    monkeypatch.setattr("drawcli.adapters.datastore.watch.CALM_SECONDS", 0.5)
    store = tmp_path / "store"
    store.mkdir()
    mark = mark_file(tmp_path / "state")
    changes = watch_datastore([store], [mark.parent])
    folder = ReceiveFolder(
        store,
        KnownObjects(tmp_path / "known", store),
        keep_free=0,
        most_unfinished=0,
        mark=mark,
    )
    for _ in range(2):
        assert not changes.wait(0.1)
        folder.association_ended()
        assert changes.wait(PATIENCE)


@pytest.mark.usefixtures("pelvis")
def test_another_process_that_scans_is_let_through(ctx: Context) -> None:
    changes = Scripted(None, None)

    looks = following(ctx, changes, AnotherRun("busy"))

    assert changes.waits == [60.0, 3600.0]
    assert [len(look) for look in looks] == [1]
