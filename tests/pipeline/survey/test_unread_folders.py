"""What cannot be read is told once for each folder, and goes away when it can be read."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.datastore import listing, walk
from drawcli.adapters.datastore.listing import Folder, Stamp
from drawcli.core.dicom.header import NotDicom
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.waiting import way_out
from drawcli.errors import UsageError
from drawcli.operations.alarm_conditions import AlarmKind, AlarmLimits, Facts, alarms_of
from drawcli.operations.doctor.quick import datastore
from drawcli.pipeline.actions import assign, cancel, release, retry
from drawcli.pipeline.context import Context
from drawcli.pipeline.identity import patient_of
from drawcli.pipeline.steps.scan import scan
from tests.conftest import Clock, Site
from tests.core.files import as_bytes
from tests.pipeline.survey.awkward import every, put, stack

MODALITY, OTHER = b"\x08\0\x60\0CS\2\0CT", b"\x08\0\x60\0CS\2\0MR"


def spoilt(folder: Path, count: int = 3) -> list[Path]:
    """Put files into a folder that two programs would read differently."""
    paths = put(folder, stack(count))
    for path in paths:
        path.write_bytes(path.read_bytes().replace(MODALITY, MODALITY + OTHER))
    return paths


def of_folders(ctx: Context) -> list[Job]:
    return [job for job in ctx.ledger.jobs() if job.of_folder]


def only_folder(ctx: Context) -> Job:
    (job,) = of_folders(ctx)
    return job


@pytest.fixture
def held(ctx: Context, site: Site, clock: Clock) -> Job:
    """Return the job of a folder with three spoilt files, after the patience of the site."""
    spoilt(site.store / "Muster^Maria")
    scan(ctx)
    clock.advance(hours=ctx.settings.scan.incomplete_hours + 1)
    scan(ctx)
    return only_folder(ctx)


def test_a_folder_of_unreadable_files_waits_and_is_then_held_once(
    ctx: Context, site: Site, clock: Clock
) -> None:
    spoilt(site.store / "a")

    first = scan(ctx)
    waiting = only_folder(ctx)
    clock.advance(hours=ctx.settings.scan.incomplete_hours + 1)
    second = scan(ctx)
    clock.advance(hours=1)
    third = scan(ctx)

    assert [job.id for job in first.jobs] == [waiting.id]
    assert (waiting.state, waiting.held, waiting.slices) == (State.WAITING, False, 3)
    assert waiting.reason == "3 files of one folder cannot be read: 3 unreadable-dicom"
    assert [(job.held, job.reason_code) for job in second.jobs] == [(True, "unread-folder")]
    assert third.jobs == []


def test_the_folder_is_named_only_to_whoever_may_know(ctx: Context, site: Site, held: Job) -> None:
    ledger = (site.state / "ledger.json").read_text()

    assert "Muster" not in ledger + str(held.hint) + str(held.reason)
    assert patient_of(held, ctx) == str(site.store / "Muster^Maria")
    assert way_out(held) == f"drawcli show {held.id} --identify"


def test_a_held_folder_is_an_alarm(held: Job, clock: Clock) -> None:
    never = timedelta(days=10_000)
    limits = AlarmLimits(token=never, server=never, idle=never)

    told = list(alarms_of(Facts(jobs=(held,)), limits, clock.at, clock.at))

    assert [(one.kind, held.id in one.text) for one in told] == [(AlarmKind.HELD, True)]


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("mend", ["readable", "gone", "folder gone", "excluded"])
def test_it_goes_away_by_itself(ctx: Context, site: Site, mend: str) -> None:
    folder = site.store / "Muster^Maria"
    paths = sorted(folder.iterdir())
    for path, one in zip(paths, stack(3), strict=True):
        if mend == "readable":
            path.write_bytes(as_bytes(one))
        elif mend != "excluded":
            path.unlink()
    if mend == "folder gone":
        folder.rmdir()
    if mend == "excluded":
        update = {"exclude": ["Muster*/**"]}
        asked = ctx.settings.scan.replace(**update)
        ctx = replace(ctx, settings=ctx.settings.replace(scan=asked))

    scan(ctx)

    job = only_folder(ctx)
    assert (job.state, job.held, job.reason_code) == (State.CANCELLED, False, "readable-again")
    series = [one for one in ctx.ledger.jobs() if not one.of_folder]
    assert len(series) == (mend == "readable")


@pytest.mark.parametrize("act", [release, cancel])
def test_a_person_may_leave_files_unread_and_others_are_told_all_the_same(
    ctx: Context, site: Site, held: Job, act: Callable[[Job, Context], Job]
) -> None:
    ctx.ledger.commit(act(held, ctx))
    scan(ctx)
    quiet = only_folder(ctx)
    (site.store / "Muster^Maria" / "late.dcm").write_bytes(b"\x08\0\5\0cut off")

    scan(ctx)

    assert quiet.state is State.CANCELLED
    latest = max(of_folders(ctx), key=lambda job: job.number)
    assert (latest.number, latest.state, latest.slices) == (2, State.WAITING, 4)


def test_what_a_person_left_unread_stays_so_once_it_is_archived(
    ctx: Context, held: Job, clock: Clock
) -> None:
    ctx.ledger.commit(release(held, ctx))
    clock.advance(days=60)
    ctx.ledger.archive_finished(clock.at)

    assert scan(ctx).jobs == []
    assert of_folders(ctx) == []


def test_a_person_may_ask_again(ctx: Context, held: Job) -> None:
    ctx.ledger.commit(retry(ctx.ledger.commit(cancel(held, ctx)), ctx))

    scan(ctx)

    assert (only_folder(ctx).state, only_folder(ctx).held) == (State.WAITING, False)


def test_a_folder_gets_no_template(ctx: Context, held: Job) -> None:
    name = next(iter(ctx.rulebook.templates))

    with pytest.raises(UsageError, match="not for a series"):
        assign(held, name, ctx)


def test_a_file_beside_a_waiting_series_is_told_by_the_series_alone(
    ctx: Context, site: Site
) -> None:
    put(site.store / "a", stack())
    (site.store / "a" / "last.dcm").write_bytes(as_bytes(stack(1)[0])[:300])

    scan(ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.of_folder, job.reason_code) == (False, "unreadable-files")


def test_a_file_that_comes_beside_a_finished_series_is_told(
    ctx: Context, site: Site, clock: Clock
) -> None:
    put(site.store / "a", stack())
    scan(ctx)
    (job,) = ctx.ledger.jobs()
    ctx.ledger.commit(job.to(State.CANCELLED, at=clock.at))
    clock.advance(days=30)
    spoilt(site.store / "a", 1)

    scan(ctx)

    assert only_folder(ctx).reason == "1 file of one folder cannot be read: 1 unreadable-dicom"


def test_a_folder_that_cannot_be_listed_is_told(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(site.store / "a", stack())
    put(site.store / "closed", stack(series=2))
    listed = listing.list_folder

    def failing(path: str, stamp: Stamp) -> tuple[Folder, list[str]]:
        if path == str(site.store / "closed"):
            raise PermissionError(13, "Permission denied")
        return listed(path, stamp)

    with monkeypatch.context() as patch:
        patch.setattr(walk, "list_folder", failing)
        scan(ctx)
        told = only_folder(ctx)
    scan(ctx)

    assert told.reason == "one folder cannot be listed: unreadable-folder"
    assert only_folder(ctx).reason_code == "readable-again"


@pytest.mark.usefixtures("held")
def test_doctor_tells_of_held_folders(ctx: Context) -> None:
    from drawcli.operations.doctor.outcome import CheckContext as Looked

    seen = datastore(
        Looked(config=Path("drawcli.yaml"), settings=ctx.settings, ctx=ctx, now=ctx.now())
    )

    assert "1 folders contain files that cannot be read" in seen.text


@pytest.mark.parametrize(
    "name", ["notes.txt", "transfer.complete", ".processing", "Thumbs.db", "DICOMDIR", "report.pdf"]
)
def test_what_is_clearly_no_image_is_not_told(ctx: Context, site: Site, name: str) -> None:
    put(site.store / "a", stack())
    (site.store / "a" / name).write_bytes(b"%PDF-1.7" if name.endswith("f") else b"")
    (site.store / "a" / "current").symlink_to(site.store / "nowhere")

    scan(ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.of_folder, job.state) == (False, State.FOUND)


@pytest.mark.parametrize("left", ["part", "link", "empty", "nameless", "classless"])
def test_what_may_be_a_slice_beside_a_series_lets_it_wait(
    ctx: Context, site: Site, left: str
) -> None:
    folder = site.store / "a"
    *_, last = put(folder, stack(9))
    last.unlink()
    if left == "part":
        (folder / "0008.dcm.part").write_bytes(b"sealed half of a file")
    elif left == "link":
        last.symlink_to(site.folder / "gone" / "0008.dcm")
    elif left == "empty":
        last.touch()
    else:
        lost = "SeriesInstanceUID" if left == "nameless" else "StudyDate"
        (path,) = put(folder, stack(9, change=every(**{lost: None}))[8:])
        if left == "classless":
            name = b"\x08\0\x16\0UI\x1a\x001.2.840.10008.5.1.4.1.1.2\0"
            assert name in path.read_bytes()
            path.write_bytes(path.read_bytes().replace(name, b""))

    scan(ctx)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.reason_code) == (State.WAITING, "unreadable-files")


def test_a_reader_that_refuses_names_no_value() -> None:
    import io

    from drawcli.core.dicom.streaming import read_or_convert

    data = as_bytes(stack(1)[0]).replace(MODALITY, MODALITY + OTHER)

    with pytest.raises(NotDicom) as refused:
        read_or_convert(io.BytesIO(data))

    assert str(refused.value) == "(0008,0060) occurs twice, with two values"
