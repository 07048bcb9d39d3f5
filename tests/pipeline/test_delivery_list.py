"""`deliver.targets`: all of them or the first that confirms, once each, and the server last."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom import dcmread
from pynetdicom import evt

from drawcli.adapters.delivery.confirmations import Confirmations
from drawcli.adapters.dicom_network import commitments
from drawcli.adapters.dicom_network.commitments import CommitmentFolder
from drawcli.core.delivery.commitment import CommitmentReport
from drawcli.core.jobs.job import Job, State
from drawcli.errors import ConfigError
from drawcli.pipeline.actions import release
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import delivery_path, redeliver, verify
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.step_report import StepReport
from tests.conftest import Clock, Site, opened
from tests.dicom_peer import Peer, behind_meta, listening
from tests.fake_draw import FakeDraw
from tests.scripted_peer import Talk, scripted
from tests.storage_commitment import requested
from tests.web_archive import FAILED, STORED, WebArchive, archive

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")
pytestmark = pytest.mark.usefixtures("pelvis")


@contextmanager
def targets(site: Site, lines: list[str], use: str = "all") -> Iterator[tuple[Peer, WebArchive]]:
    """Set up a site with targets; {port} and {url} stand for a node and an archive."""
    (site.folder / "tps").mkdir(exist_ok=True)
    with listening(Peer()) as peer, archive(WebArchive()) as web:
        listed = [line.format(port=peer.port, url=web.url) for line in lines]
        site.add_line("deliver:\n  use: " + use + "\n  targets:")
        for line in listed:
            site.add_line(f"  - {{{line}}}")
        yield peer, web


FOLDER = "folder: tps"
NODE = "node: 'TPS@127.0.0.1:{port}'"
STOW = "stow: '{url}'"
EVERY = [FOLDER, NODE, STOW]
OPTIONAL = ", required: false"


def steps(ctx: Context, *names: str) -> list[StepReport]:
    return [run_step(name, ctx, Selection()) for name in names or STEPS]


def only(ctx: Context) -> Job:
    (job,) = ctx.ledger.jobs()
    return job


def files(site: Site) -> list[Path]:
    return sorted((site.folder / "tps").rglob("RS.*"))


def notes(job: Job) -> list[str]:
    return [event.what for event in job.events]


def test_every_target_has_the_same_file_before_the_server_is_told(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    confirmed: list[int] = []

    def look(_event: object) -> int:
        confirmed.append(len(draw.confirmed))
        return 0

    with targets(site, EVERY) as (peer, web), opened(site, draw, clock) as ctx:
        peer.answers = look
        steps(ctx)
        job = only(ctx)
        findings = verify(job, ctx)

    (file,) = files(site)
    assert job.state is State.DONE
    assert web.received == [file.read_bytes()]
    assert peer.received == [behind_meta(file)]
    assert confirmed == [0]
    assert len(draw.confirmed) == 1
    assert findings == []
    assert list(site.store.rglob("RS.*")) == []
    assert [note for note in notes(job) if note.startswith("sent to")] == [
        f"sent to the DICOM node TPS@127.0.0.1:{peer.port}",
        f"sent to the DICOMweb archive {web.url}",
    ]


@pytest.mark.parametrize("failing", ["folder", "node", "stow"])
def test_a_required_target_that_waits_keeps_the_server_waiting_and_no_other_target(
    site: Site, draw: FakeDraw, clock: Clock, failing: str
) -> None:
    with targets(site, EVERY) as (peer, web):
        tps = site.folder / "tps"
        if failing == "folder":
            tps.rename(site.folder / "away")
        peer.status = 0xA700 if failing == "node" else 0
        if failing == "stow":
            web.status, web.sequence, web.reason = 409, FAILED, 0xA700
        with opened(site, draw, clock) as ctx:
            reports = steps(ctx)
            waiting, before = only(ctx), list(draw.confirmed)
            had = len(peer.received), len(web.received)
        if failing == "folder":
            (site.folder / "away").rename(tps)
        peer.status, web.status, web.sequence, web.reason = 0, 200, STORED, None
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    assert (waiting.state, waiting.held) == (State.FETCHED, False)
    assert waiting.reason_code == ("delivery" if failing == "folder" else "dicom-node")
    assert reports[-1].undelivered is not None
    assert before == []
    assert had == (1, 1)
    assert done.state is State.DONE
    assert len(peer.received) == 1 + (failing == "node")
    assert len(web.received) == 1 + (failing == "stow")
    assert len(files(site)) == 1
    assert len(draw.confirmed) == 1


def test_a_target_that_confirmed_is_not_sent_the_file_again_when_a_planning_system_has_taken_it(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with targets(site, [FOLDER, NODE]) as (peer, _):
        peer.status = 0xA700
        with opened(site, draw, clock) as ctx:
            steps(ctx)
        for file in files(site):
            file.unlink()  # imported
        peer.status = 0
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    assert done.state is State.DONE
    assert files(site) == []


class Killed(BaseException):
    """The process is killed."""


@pytest.mark.parametrize("crash", [(when, n) for when in ("before", "after") for n in range(3)])
def test_killed_around_each_record_nothing_is_lost_and_the_targets_before_get_it_once(
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    crash: tuple[str, int],
) -> None:
    (when, number) = crash
    real, calls = Confirmations.add, [0]

    def add(record: Confirmations, target: str, report: str) -> None:
        calls[0] += 1
        if calls[0] == number + 1 and when == "before":
            raise Killed
        real(record, target, report)
        if calls[0] == number + 1:
            raise Killed

    with targets(site, [NODE, STOW, FOLDER]) as (peer, web):
        with opened(site, draw, clock) as ctx:
            steps(ctx, *STEPS[:-1])
        with monkeypatch.context() as patch, opened(site, draw, clock) as ctx:
            patch.setattr(Confirmations, "add", add)
            with pytest.raises(Killed):
                steps(ctx, "reidentify")
        before = list(draw.confirmed)
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    again = when == "before"  # it was sent, and there is no record of that: the same file again
    assert before == []
    assert done.state is State.DONE
    assert len(peer.received) == 1 + (again and number == 0)
    assert len(web.received) == 1 + (again and number == 1)
    assert len(set(peer.received)) == len(set(web.received)) == len(files(site)) == 1
    assert len(draw.confirmed) == 1
    assert sum(note.startswith("sent to") for note in notes(done)) == 2


def test_an_optional_target_that_fails_is_a_warning_and_delays_nothing(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with targets(site, [NODE + OPTIONAL, STOW + OPTIONAL, FOLDER]) as (peer, web):
        peer.status, web.answer = 0xC000, lambda _: pytest.importorskip("httpx").Response(503)
        with opened(site, draw, clock) as ctx:
            reports = steps(ctx)
            job = only(ctx)

    assert job.state is State.DONE
    assert reports[-1].undelivered is None
    warned = [note for note in notes(job) if note.startswith("warning: optional target")]
    assert ["C000" in warned[0], "503" in warned[1], len(warned)] == [True, True, 2]
    assert len(draw.confirmed) == 1


def test_what_a_required_target_refuses_is_held_after_the_others_were_tried(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with targets(site, [NODE, STOW, FOLDER]) as (peer, web):
        peer.status = 0xC000
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            held, before = only(ctx), list(draw.confirmed)
            peer.status = 0
            ctx.ledger.commit(release(held, ctx))
            steps(ctx, "reidentify")
            done = only(ctx)

    assert (held.state, held.held, held.reason_code) == (State.FETCHED, True, "node-refused")
    assert before == []
    assert done.state is State.DONE
    assert len(web.received) == len(files(site)) == 1
    assert len(peer.received) == 2


@pytest.mark.parametrize("code", [0xA700, 0xC000])
def test_the_first_that_confirms_is_enough(
    site: Site, draw: FakeDraw, clock: Clock, code: int
) -> None:
    with targets(site, [NODE, STOW, FOLDER], use="first") as (peer, web):
        peer.status = code
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            job = only(ctx)
            path = delivery_path(job, ctx)
            findings = [finding.code for finding in verify(job, ctx)]

    assert job.state is State.DONE
    assert (len(peer.received), len(web.received), files(site)) == (1, 1, [])
    assert any("another target was used: the DICOM node TPS" in note for note in notes(job))
    assert f"sent to the DICOMweb archive {web.url}" in notes(job)
    assert path is None
    assert findings == ["not-there"]


def test_the_order_of_targets_is_the_order_of_the_list(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with (
        targets(site, [STOW, NODE, FOLDER], use="first") as (peer, web),
        opened(site, draw, clock) as ctx,
    ):
        steps(ctx)

    assert (len(web.received), len(peer.received), files(site)) == (1, 0, [])


def test_after_a_crash_the_target_that_confirmed_first_stays_the_only_one(
    site: Site, draw: FakeDraw, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Confirmations.add

    def add(record: Confirmations, target: str, report: str) -> None:
        real(record, target, report)
        raise Killed

    with targets(site, [NODE, STOW], use="first") as (peer, web):
        peer.status = 0xA700
        with monkeypatch.context() as patch, opened(site, draw, clock) as ctx:
            patch.setattr(Confirmations, "add", add)
            with pytest.raises(Killed):
                steps(ctx)
        peer.status = 0
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    assert done.state is State.DONE
    assert (len(peer.received), len(web.received)) == (1, 1)


@pytest.mark.parametrize(
    ("codes", "outcome"),
    [
        ((0xA700, 0xA700), (State.FETCHED, False, "dicom-node")),
        ((0xA700, 0xC000), (State.FETCHED, True, "node-refused")),
    ],
)
def test_when_no_target_confirms_the_job_waits_or_is_held(
    site: Site,
    draw: FakeDraw,
    clock: Clock,
    codes: tuple[int, int],
    outcome: tuple[State, bool, str],
) -> None:
    node, stow = codes
    with targets(site, [NODE, STOW], use="first") as (peer, web):
        peer.status, web.status, web.sequence, web.reason = node, 409, FAILED, stow
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            job = only(ctx)

    assert (job.state, job.held, job.reason_code) == outcome
    assert draw.confirmed == []


def test_a_target_that_cannot_be_opened_ends_the_run_after_the_others_have_it(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    missing = ", tls: {{ca_file: nowhere.pem}}"
    with (
        targets(site, [NODE + missing, STOW, FOLDER]) as (_, web),
        opened(site, draw, clock) as ctx,
    ):
        with pytest.raises(ConfigError, match=r"nowhere\.pem"):
            steps(ctx)
        job = only(ctx)

    assert job.state is State.FETCHED
    assert len(web.received) == len(files(site)) == 1
    assert draw.confirmed == []


def test_several_folders_each_get_the_file_under_their_own_pattern(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    lines = ["folder: 'tps/{{patient_id}}'", "folder: beside", "folder: tps"]
    with targets(site, lines), opened(site, draw, clock) as ctx:
        steps(ctx)
        job = only(ctx)

    assert job.state is State.DONE
    assert len({file.parent for file in files(site)}) == 2
    assert len(list(site.store.rglob("RS.*"))) == 1
    assert len({file.read_bytes() for file in files(site)}) == 1


def test_without_a_folder_no_copy_that_names_the_patient_is_kept(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with targets(site, [NODE, STOW]), opened(site, draw, clock) as ctx:
        steps(ctx)
        job = only(ctx)
        again = redeliver(job, ctx)

    kept = b"".join(path.read_bytes() for path in site.state.rglob("*") if path.is_file())
    assert b"KULKARNEE" not in kept.upper()
    assert again.sha256 == job.delivered_sha256
    assert list(site.folder.rglob("RS.*")) == []


def test_redeliver_sends_to_every_target_again(site: Site, draw: FakeDraw, clock: Clock) -> None:
    with targets(site, EVERY) as (peer, web), opened(site, draw, clock) as ctx:
        steps(ctx)
        redeliver(only(ctx), ctx)

    assert (len(peer.received), len(web.received), len(files(site))) == (2, 2, 1)


@pytest.mark.parametrize("damage", ["{", '{"targets": {"x": 7}}'])
def test_a_record_that_is_damaged_sends_again_and_loses_nothing(
    site: Site, draw: FakeDraw, clock: Clock, damage: str
) -> None:
    with targets(site, [NODE, STOW]) as (peer, web):
        web.status, web.sequence, web.reason = 409, FAILED, 0xA700
        with opened(site, draw, clock) as ctx:
            steps(ctx)
        (record,) = site.state.rglob("deliveries.json")
        assert list(json.loads(record.read_text())["targets"]) == [f"TPS@127.0.0.1:{peer.port}"]
        record.write_text(damage)
        web.status, web.sequence, web.reason = 200, STORED, None
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    assert done.state is State.DONE
    assert len(set(peer.received)) == 1


@pytest.mark.parametrize(("title", "known"), [("CT1", True), ("CT2", False), (None, False)])
def test_a_structure_set_returns_to_the_node_that_sent_its_images(
    site: Site, draw: FakeDraw, clock: Clock, title: str | None, *, known: bool
) -> None:
    for path in site.store.rglob("*.dcm"):
        image = dcmread(path)
        if title is not None:
            image.file_meta.SourceApplicationEntityTitle = title
        image.save_as(path)
    with targets(site, ["sender: true"]) as (peer, web), listening(Peer()) as other:
        table = f"CT1: 'TPS@127.0.0.1:{peer.port}', MR1: 'MR1@127.0.0.1:{other.port}'"
        site.add_line(f"  senders: {{{table}}}")
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            job = only(ctx)

    assert (len(peer.received), len(other.received), len(web.received)) == (known, 0, 0)
    outcome = (State.DONE, False) if known else (State.FETCHED, True)
    assert (job.state, job.held) == outcome
    assert job.reason_code == (None if known else "no-sender")
    assert len(draw.confirmed) == known


@pytest.mark.parametrize("use", ["all", "first"])
def test_the_server_waits_for_the_commitment_that_arrives_between_two_runs(
    site: Site, draw: FakeDraw, clock: Clock, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    monkeypatch.setattr(commitments, "REPORT_SECONDS", 0.05)

    def stores(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer()
        talk.release()

    with scripted(stores) as node:
        committing = f"node: 'TPS@127.0.0.1:{node.port}', commitment: true"
        with targets(site, [committing, STOW], use=use) as (_, web):
            with opened(site, draw, clock) as ctx:
                reports = steps(ctx)
                waiting, before = only(ctx), list(draw.confirmed)
            asked = requested(node.talks[1].asked.data)
            uid = asked.ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            report = CommitmentReport(str(asked.TransactionUID), frozenset([str(uid)]), {})
            assert CommitmentFolder.of(site.state).store(report)
            clock.advance(minutes=16)
            with opened(site, draw, clock) as ctx:
                steps(ctx, "reidentify")
                done = only(ctx)

    assert (waiting.state, waiting.held, waiting.reason_code) == (
        State.FETCHED,
        False,
        "commitment",
    )
    assert str(reports[-1].undelivered).endswith("has not reported yet that it keeps it")
    assert before == []
    assert done.state is State.DONE
    assert [talk.asked.command for talk in node.talks] == [0x0001, 0x0130]
    assert len(web.received) == (use == "all")  # what waits for its commitment is no failure
    assert len(draw.confirmed) == 1


def breaks_off(event: evt.Event) -> int:
    event.assoc.abort()
    return 0


def test_a_record_of_deliver_node_is_read_when_the_node_becomes_a_target(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with targets(site, [NODE]) as (peer, _):
        listed = site.config.read_text()
        short = listed.replace(listed[listed.index("deliver:") :], "")
        site.config.write_text(f"{short}deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}\n")
        peer.answers = breaks_off
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            assert only(ctx).state is State.FETCHED
        site.config.write_text(listed)
        peer.answers, peer.status = None, 0x0111
        clock.advance(minutes=16)
        with opened(site, draw, clock) as ctx:
            steps(ctx, "reidentify")
            done = only(ctx)

    assert done.state is State.DONE
    assert any("has it from an earlier try" in note for note in notes(done))


def test_the_short_form_writes_no_record_of_the_list(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    with listening(Peer()) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        with opened(site, draw, clock) as ctx:
            steps(ctx)
            assert only(ctx).state is State.DONE

    assert list(site.state.rglob("deliveries.json")) == []
    assert [path.name for path in site.state.rglob("node*.json")] == ["node.json"]
