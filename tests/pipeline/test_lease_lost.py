"""Where the claim of a job ended during a step, nothing outside begins, and no failure counts."""

from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LeaseLost
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw

OUTWARD = ("scan", "match", "deidentify")
HOMEWARD = ("upload", "poll", "fetch")
pytestmark = pytest.mark.usefixtures("pelvis")


def steps(ctx: Context, *names: str) -> Job:
    for name in names:
        run_step(name, ctx, Selection())
    return only_job(ctx)


def end_claims(monkeypatch: pytest.MonkeyPatch, after: int = 0) -> list[str]:
    """Let claims end after so many questions; return the jobs that are asked about."""
    asked = list[str]()

    def is_safe(_: FileLedger, job_id: str) -> bool:
        asked.append(job_id)
        return len(asked) <= after

    monkeypatch.setattr(FileLedger, "is_safe", is_safe)
    return asked


def test_no_upload_begins_and_none_is_counted(
    ctx: Context, draw: FakeDraw, clock: Clock, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = steps(ctx, *OUTWARD)
    with monkeypatch.context() as ended:
        end_claims(ended)
        job = steps(ctx, "upload")

    assert draw.posts() == 0
    assert (job.state, job.posts, job.unanswered, job.attempts) == (State.PACKAGED, 0, 0, 0)
    assert job.reason_code == "lease-lost"
    assert "the claim of job" in (job.reason or "")
    assert [event.what for event in job.events] == [event.what for event in packaged.events]
    assert "not-sent" in "".join(path.read_text() for path in site.state.glob("audit*/**/*.jsonl"))
    clock.advance(minutes=1)
    assert steps(ctx, "upload").state is State.UPLOADED


@pytest.mark.parametrize("where", ["folder: tps", "targets: [{folder: tps}]"])
def test_no_delivery_begins(
    site: Site, draw: FakeDraw, clock: Clock, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    (site.folder / "tps").mkdir()
    site.add_line(f"deliver: {{{where}}}")

    def delivered() -> list[Path]:
        return list((site.folder / "tps").iterdir())

    with opened(site, draw, clock) as ctx:
        steps(ctx, *OUTWARD, *HOMEWARD)
        with monkeypatch.context() as ended:
            end_claims(ended)
            job = steps(ctx, "reidentify")
        assert (job.state, job.reason_code) == (State.FETCHED, "lease-lost")
        assert delivered() == []
        clock.advance(minutes=1)
        assert steps(ctx, "reidentify").state is State.DONE
    assert len(delivered()) == 1


def test_no_confirmation_begins(
    ctx: Context, draw: FakeDraw, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps(ctx, *OUTWARD, *HOMEWARD)
    with monkeypatch.context() as ended:
        end_claims(ended, after=1)
        job = steps(ctx, "reidentify")

    assert (job.state, job.reason_code) == (State.DELIVERED, "lease-lost")
    assert draw.confirmed == []
    clock.advance(minutes=1)
    assert steps(ctx, "reidentify").state is State.DONE


def test_what_another_machine_has_taken_over_is_not_written_and_the_run_goes_on(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    before = steps(ctx, "scan", "match")

    def refused(_: FileLedger, job: Job, *, last: bool = False) -> Job:
        assert last
        raise LeaseLost.of(job.id)

    monkeypatch.setattr(FileLedger, "commit", refused)
    report = run_step("deidentify", ctx, Selection())

    assert report.outcomes == [(before.id, "taken over")]
    assert not report.stopped
    assert only_job(ctx) == before
    assert f"job={before.id} step=deidentify code=lease-lost: the claim of job" in caplog.text


def test_the_job_is_tried_again_soon(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    steps(ctx, *OUTWARD)
    end_claims(monkeypatch)

    job = steps(ctx, "upload")

    assert job.due_at == ctx.now() + timedelta(minutes=1)
