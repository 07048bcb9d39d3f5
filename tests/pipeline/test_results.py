"""Structure sets after their delivery: written again, and looked at again."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError, JobError, NeedsPerson, TryLater, UsageError
from drawcli.pipeline.actions import release
from drawcli.pipeline.context import Context
from drawcli.pipeline.one_off import OneOffRequest, scan_paths
from drawcli.pipeline.results import redeliver, verifiable_jobs, verify
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.step_report import out_of_reach
from drawcli.system.files import sha256_of
from tests.conftest import Clock, Site, opened
from tests.dicom_peer import Peer, behind_meta, listening
from tests.fake_draw import FakeDraw
from tests.scripted_peer import Talk, pdu, scripted

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")


def came_home(ctx: Context) -> Job:
    for step in STEPS:
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    assert job.state is State.DONE
    return job


@pytest.fixture
def job(ctx: Context, pelvis: list[Path]) -> Job:
    assert pelvis
    return came_home(ctx)


@pytest.fixture
def file(job: Job, site: Site) -> Path:
    assert job.delivered_sha256
    (path,) = site.store.rglob("RS.*")
    return path


def codes(job: Job, ctx: Context) -> list[str]:
    return [one.code for one in verify(job, ctx)]


def test_a_delivered_structure_set_is_as_it_was(ctx: Context, job: Job) -> None:
    assert [one.id for one in verifiable_jobs(ctx)] == [job.id]
    assert codes(job, ctx) == []


def test_the_file_says_what_it_is_and_that_nobody_has_reviewed_it(job: Job, file: Path) -> None:
    assert job.uploaded_at is not None

    home = dcmread(file)

    assert home.StructureSetLabel == "Prostate_OAR"
    assert home.SeriesDescription == "Prostate_OAR 20261114 AI, not reviewed"
    assert home.StructureSetName == home.SeriesDescription
    assert home.StructureSetDescription == "DRAW, template Prostate_OAR; not reviewed"
    assert home.ApprovalStatus == "UNAPPROVED"


def test_the_file_has_what_the_server_leaves_out(file: Path, pelvis: list[Path]) -> None:
    home = dcmread(file)

    assert home.FrameOfReferenceUID == dcmread(pelvis[0]).FrameOfReferenceUID
    assert home.PositionReferenceIndicator == ""
    assert home.OperatorsName == ""


@pytest.mark.usefixtures("pelvis")
def test_a_site_calls_structure_sets_as_it_likes(site: Site, draw: FakeDraw, clock: Clock) -> None:
    with site.config.open("a") as config:
        config.write('deliver: {label: "AI {modality} {template}", description: "{date}"}\n')

    with opened(site, draw, clock) as ctx:
        came_home(ctx)

    (path,) = site.store.rglob("RS.*")
    home = dcmread(path)
    assert home.StructureSetLabel == "AI CT Prostate_O"
    assert home.StructureSetName == "20261114"


def test_one_that_was_taken_away_is_told_and_can_be_written_again(
    ctx: Context, job: Job, file: Path
) -> None:
    before = file.read_bytes()
    file.unlink()
    (gone,) = verify(job, ctx)

    again = redeliver(job, ctx)

    assert (str(gone.severity), gone.code) == ("warn", "not-there")
    assert file.read_bytes() == before
    assert again.sha256 == job.delivered_sha256
    assert codes(job, ctx) == []


def test_writing_it_where_it_is_changes_nothing(ctx: Context, job: Job, file: Path) -> None:
    before = file.stat()

    redeliver(job, ctx)

    after = file.stat()  # reading it is no change
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_it_can_be_written_into_another_folder(
    ctx: Context, job: Job, file: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()

    redeliver(job, ctx, other)

    (again,) = other.iterdir()
    assert (again.name, again.read_bytes()) == (file.name, file.read_bytes())


def test_one_that_was_changed_is_told_and_not_overwritten(
    ctx: Context, job: Job, file: Path
) -> None:
    edited = dcmread(file)
    edited.StructureSetLabel = "edited"
    edited.save_as(file)
    before = sha256_of(file)

    assert codes(job, ctx) == ["changed"]
    with pytest.raises(NeedsPerson, match="another file"):
        redeliver(job, ctx)
    assert sha256_of(file) == before


def test_a_reference_to_other_images_is_told(ctx: Context, job: Job, file: Path) -> None:
    edited = dcmread(file)
    contour = edited.ROIContourSequence[0].ContourSequence[0]
    contour.ContourImageSequence[0].ReferencedSOPInstanceUID = "1.2.3.4"
    edited.save_as(file)

    assert codes(job, ctx) == ["changed", "foreign-reference"]


def test_a_file_that_is_no_structure_set_any_more_is_told(
    ctx: Context, job: Job, file: Path
) -> None:
    file.write_bytes(file.read_bytes()[:1000])

    assert codes(job, ctx) == ["changed", "not-dicom"]


def test_images_that_changed_are_told_and_nothing_is_written(
    ctx: Context, job: Job, file: Path, pelvis: list[Path]
) -> None:
    moved = dcmread(pelvis[0])
    moved.ImagePositionPatient = [0, 0, 0]
    moved.save_as(pelvis[0])
    file.unlink()

    assert codes(job, ctx) == ["not-there", "source-moved"]
    with pytest.raises(NeedsPerson, match="has changed since it was sent"):
        redeliver(job, ctx)
    assert not file.exists()


def test_images_that_are_gone_are_told(ctx: Context, job: Job, pelvis: list[Path]) -> None:
    pelvis[0].unlink()

    assert codes(job, ctx) == ["source-moved"]
    with pytest.raises(TryLater):
        redeliver(job, ctx)


def test_what_the_server_sent_must_be_there_and_unchanged(ctx: Context, job: Job) -> None:
    with ctx.work.file(job.id, "received.dcm").open("ab") as received:
        received.write(b"x")

    with pytest.raises(UsageError, match="missing from its work folder"):
        redeliver(job, ctx)


@pytest.mark.usefixtures("pelvis")
def test_a_job_that_was_not_delivered_yet_is_told_as_such(ctx: Context) -> None:
    run_step("scan", ctx, Selection())
    (job,) = ctx.ledger.jobs()

    assert verifiable_jobs(ctx) == []
    for look in (verify, redeliver):
        with pytest.raises(UsageError, match="nothing was delivered yet"):
            look(job, ctx)


def test_a_job_whose_work_folder_is_gone_is_told_as_such(ctx: Context, job: Job) -> None:
    ctx.work.remove(job.id)

    assert verifiable_jobs(ctx) == []
    with pytest.raises(UsageError, match="is gone"):
        verify(job, ctx)


def test_a_folder_that_is_not_there_is_not_made(ctx: Context, job: Job, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not a folder"):
        redeliver(job, ctx, tmp_path / "nowhere")


def test_nothing_that_is_told_names_the_patient(
    ctx: Context, job: Job, file: Path, pelvis: list[Path]
) -> None:
    pelvis[0].unlink()
    file.unlink()

    told = " ".join(one.text for one in verify(job, ctx))
    with pytest.raises(JobError) as refused:
        redeliver(job, ctx)

    assert "KULKARNEE" not in (told + str(refused.value) + refused.value.hint).upper()


@pytest.fixture
def tps(site: Site) -> Iterator[Peer]:
    """Set up a DICOM node for the site."""
    with listening(Peer()) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}', ae_title: WARD7}}")
        yield peer


@pytest.mark.usefixtures("pelvis")
def test_a_node_has_the_delivered_file_before_the_server_is_told(
    tps: Peer, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    confirmed: list[int] = []

    def stored(_event: object) -> int:
        confirmed.append(len(draw.confirmed))
        return 0

    tps.answers = stored
    with opened(site, draw, clock) as ctx:
        job = came_home(ctx)

    (file,) = site.store.rglob("RS.*")
    assert tps.received == [behind_meta(file)]
    assert tps.callers == ["WARD7"]
    assert confirmed == [0]
    assert draw.confirmed != []
    assert any(f"sent to the DICOM node TPS@127.0.0.1:{tps.port}" in str(e) for e in job.events)


@pytest.mark.usefixtures("pelvis")
def test_while_the_node_takes_nothing_the_job_waits_and_every_run_tells(
    tps: Peer, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    tps.status = 0xA700
    with opened(site, draw, clock) as ctx:
        reports = [run_step(step, ctx, Selection()) for step in STEPS]
    for _ in range(13):  # as often as a job is tried that is to blame itself, and once more
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            reports.append(run_step("reidentify", ctx, Selection()))
            (waiting,) = ctx.ledger.jobs()
    before = list(draw.confirmed)
    tps.status = 0
    clock.advance(minutes=16)
    with opened(site, draw, clock) as ctx:
        run_step("reidentify", ctx, Selection())
        (home,) = ctx.ledger.jobs()

    assert (waiting.state, waiting.held, waiting.reason_code) == (
        State.FETCHED,
        False,
        "dicom-node",
    )
    assert all("out of resources" in str(report.undelivered) for report in reports[6:])
    assert out_of_reach(reports[-1:])[0].exit_code == 7
    assert before == []
    assert home.state is State.DONE
    assert len(set(tps.received)) == 1  # the same bytes each time
    assert len(list(site.store.rglob("RS.*"))) == 1


@pytest.mark.usefixtures("tps", "pelvis")
def test_the_folder_has_the_file_even_if_the_package_for_the_node_is_missing(
    site: Site, draw: FakeDraw, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(site, draw, clock) as ctx:
        for step in STEPS[:-1]:
            run_step(step, ctx, Selection())
        monkeypatch.setitem(sys.modules, "pynetdicom", None)

        with pytest.raises(ConfigError, match=r"deliver\.node needs pynetdicom"):
            run_step("reidentify", ctx, Selection())

        (job,) = ctx.ledger.jobs()
    assert job.state is State.FETCHED
    assert len(list(site.store.rglob("RS.*"))) == 1
    assert draw.confirmed == []


@pytest.mark.usefixtures("pelvis")
def test_what_the_node_refuses_is_held_and_goes_again_when_released(
    tps: Peer, site: Site, draw: FakeDraw, clock: Clock
) -> None:
    tps.status = 0xC000
    with opened(site, draw, clock) as ctx:
        for step in STEPS:
            run_step(step, ctx, Selection())
        (held,) = ctx.ledger.jobs()
        tps.status = 0xB000
        ctx.ledger.commit(release(held, ctx))
        run_step("reidentify", ctx, Selection())
        (home,) = ctx.ledger.jobs()

    assert (held.state, held.held, held.reason_code) == (State.FETCHED, True, "node-refused")
    assert draw.confirmed != []
    assert home.state is State.DONE
    assert any("warning: the DICOM node" in str(event) for event in home.events)


def of_another_message(talk: Talk) -> None:
    talk.answer(message_id=999)


def of_another_file(talk: Talk) -> None:
    talk.answer(sop_instance="1.2.3")


def of_an_echo(talk: Talk) -> None:
    talk.answer(command=0x8030)


def nothing_whole(talk: Talk) -> None:
    talk.send(pdu("data", b"", length=200)[:6])
    talk.line.close()


def a_success_and_a_failure(talk: Talk) -> None:
    talk.answer()
    talk.answer(status=0xC000)


@pytest.mark.usefixtures("pelvis")
@pytest.mark.parametrize(
    "answer",
    [of_another_message, of_another_file, of_an_echo, nothing_whole, a_success_and_a_failure],
)
def test_an_answer_that_is_not_true_delivers_and_confirms_nothing(
    site: Site, draw: FakeDraw, clock: Clock, answer: Callable[[Talk], None]
) -> None:
    def script(talk: Talk) -> None:
        talk.accept()
        talk.take()
        answer(talk)

    with scripted(script) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        with opened(site, draw, clock) as ctx:
            reports = [run_step(step, ctx, Selection()) for step in STEPS]
            (job,) = ctx.ledger.jobs()

    assert len(peer.talks[0].asked.data) > 1000
    assert (job.state, job.held, job.reason_code) == (State.FETCHED, False, "dicom-node")
    assert draw.confirmed == []
    assert out_of_reach(reports)[0].exit_code == 7


@pytest.mark.usefixtures("pelvis")
def test_what_the_node_has_of_an_earlier_try_is_delivered_and_reported(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    def loses_the_answer(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.line.close()

    def has_it(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer(status=0x0111)
        talk.release()

    with scripted(loses_the_answer, has_it) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        with opened(site, draw, clock) as ctx:
            for step in STEPS:
                run_step(step, ctx, Selection())
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            run_step("reidentify", ctx, Selection())
            (job,) = ctx.ledger.jobs()
            again = redeliver(job, ctx)

    assert job.state is State.DONE
    told = f"warning: the DICOM node TPS@127.0.0.1:{peer.port} has it from an earlier try"
    assert [event.what for event in job.events if "warning" in event.what] == [
        f"{told} (status 0111)"
    ]
    assert again.at_node == [f"{told} (status 0111)"]


@pytest.mark.usefixtures("pelvis")
def test_redeliver_sends_to_the_node_again_unless_a_folder_is_named(
    tps: Peer, site: Site, draw: FakeDraw, clock: Clock, tmp_path: Path
) -> None:
    with opened(site, draw, clock) as ctx:
        job = came_home(ctx)
        redeliver(job, ctx, tmp_path)
        after_folder = len(tps.received)
        redeliver(job, ctx)
        for path in site.store.rglob("RS.*"):
            path.unlink()
        redeliver(job, ctx)

    assert after_folder == 1
    assert len(tps.received) == 3
    assert len(set(tps.received)) == 1


def test_a_one_off_that_a_person_wants_in_a_folder_goes_nowhere_else(
    tps: Peer, site: Site, draw: FakeDraw, clock: Clock, usb: Path
) -> None:
    back = site.folder / "back"
    back.mkdir()
    with opened(site, draw, clock) as ctx:
        scan_paths(OneOffRequest((usb,), str(back)), ctx)
        for step in STEPS[1:]:
            run_step(step, ctx, Selection())
        (job,) = ctx.ledger.jobs()

    assert job.state is State.DONE
    assert len(list(back.iterdir())) == 1
    assert tps.received == []
