"""The audit log: durable before anything leaves, whole after a crash, and no change goes unseen."""

import os
import stat
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawcli.adapters.state import audit_log
from drawcli.adapters.state.audit_log import Actor, AuditLog
from drawcli.adapters.state.hash_chain import Link
from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.jobs.job import Job, State
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import DiskFull
from drawcli.operations.ledger_check import unattested
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import NOON, PELVIS, SLICES, Clock, Site
from tests.fake_draw import FakeDraw

ALL = Selection()
RENEWED = httpx.Response(200, json={"access_token": "access-2", "refresh_token": "refresh-2"})


def add(log: AuditLog, job: str = "0123456789ab-1", what: str = audit_log.ATTEMPT) -> Link:
    return log.add(what, NOON, "0badcafe", {"job": job})


def only_file(state_dir: Path) -> Path:
    (path,) = (state_dir / "audit").glob("*.jsonl")
    return path


def said(ctx: Context) -> list[dict[str, Any]]:
    return [dict(line.facts) for line in ctx.audit.lines()]


def test_a_line_has_user_time_and_run(tmp_path: Path) -> None:
    add(AuditLog(tmp_path))

    (line,) = AuditLog(tmp_path).lines()

    assert line.facts["who"] == Actor.present().as_plain()
    assert line.facts["who"]["user"]
    assert (line.facts["at"], line.facts["run"]) == (NOON.isoformat(), "0badcafe")


def test_each_line_is_synced_before_add_returns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []  # the size of what was synced, in bytes

    def sync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        synced.append(found.st_size if stat.S_ISREG(found.st_mode) else 0)

    monkeypatch.setattr(os, "fsync", sync)
    log = AuditLog(tmp_path)
    for _ in range(3):
        add(log)
        assert only_file(tmp_path).stat().st_size in synced


def test_only_the_owner_may_read_it(tmp_path: Path) -> None:
    add(AuditLog(tmp_path))

    assert stat.S_IMODE((tmp_path / "audit").stat().st_mode) == 0o700
    assert stat.S_IMODE(only_file(tmp_path).stat().st_mode) == 0o600


def test_a_torn_last_line_is_accounted_for_and_kept(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    add(log)
    whole = len(only_file(tmp_path).read_bytes())
    add(log, what=audit_log.ANSWERED)
    full = only_file(tmp_path).read_bytes()

    for cut in [*range(whole, len(full) - 3, 5), *range(len(full) - 3, len(full))]:
        only_file(tmp_path).write_bytes(full[:cut])
        add(log, what=audit_log.REFUSED)

        verdict = log.verify()
        was_torn = cut not in (whole, len(full) - 1)  # only a line feed is missing: nothing is lost
        assert (verdict.breaks, verdict.mended) == ([], int(was_torn)), cut
        assert only_file(tmp_path).read_bytes().startswith(full[:cut])
        assert [line.facts["what"] for line in log.lines()][-1] == audit_log.REFUSED


def test_a_crash_while_a_torn_line_is_accounted_for_is_accounted_for_too(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    add(log)
    whole = only_file(tmp_path).read_bytes()
    add(log)
    torn = only_file(tmp_path).read_bytes()[: len(whole) + 60]
    only_file(tmp_path).write_bytes(torn)
    add(log)
    mended = only_file(tmp_path).read_bytes().rpartition(b'{"n":')[0]

    for cut in [*range(len(torn) + 1, len(mended), 7), len(mended) - 1]:
        only_file(tmp_path).write_bytes(mended[:cut])
        add(log, what=audit_log.REFUSED)

        assert (log.verify().breaks, log.verify().mended) == ([], 1), cut
        assert only_file(tmp_path).read_bytes().startswith(mended[:cut])


def test_a_damaged_last_line_is_not_accepted_as_torn(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    add(log)
    add(log)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"}\n", b"]\n").replace(b"]\n", b"}\n", 1))

    add(log)

    assert [one.where for one in log.verify().breaks] == [f"{path.name}:2"]
    assert len(only_file(tmp_path).read_bytes().splitlines()) == 4  # it is there, and told of


def test_a_torn_line_of_a_full_file_is_accounted_for_in_that_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = AuditLog(tmp_path)
    add(log)
    add(log)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-30])
    monkeypatch.setattr(audit_log, "_LARGEST", 10)

    add(log)

    verdict = log.verify()
    assert (verdict.breaks, verdict.mended, verdict.files) == ([], 1, 2)
    assert len(path.read_bytes().splitlines()) == 3


def test_a_change_of_the_last_line_is_not_taken_for_a_crash(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    add(log)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"0123456789ab", b"ba9876543210"))

    add(log)

    verdict = log.verify()
    assert ["was changed" in one.what for one in verdict.breaks] == [True]
    assert (verdict.breaks[0].where, verdict.mended) == (f"{path.name}:1", 0)


def test_a_full_file_is_followed_by_another_of_the_same_chain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit_log, "_LARGEST", 2000)
    log = AuditLog(tmp_path)
    for _ in range(30):
        head = add(log)

    verdict = log.verify()
    first, *others = sorted((tmp_path / "audit").glob("*.jsonl"))
    assert (verdict.breaks, verdict.lines, verdict.head) == ([], 30, head)
    assert len(others) > 2
    first.unlink()
    assert "are missing before it" in log.verify().breaks[0].what


def test_an_empty_file_left_by_a_crash_is_continued(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    add(log)
    (tmp_path / "audit" / "disclosures-00000002.jsonl").touch()

    add(log)

    assert (log.verify().breaks, log.verify().files, log.verify().lines) == ([], 2, 2)


def test_a_head_noted_elsewhere_detects_removed_lines(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    early, late = add(log), add(log)
    path = only_file(tmp_path)
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])

    assert log.verify().breaks == []
    assert log.verify(early).breaks == []
    assert [one.where for one in log.verify(late).breaks] == ["line 2"]


def test_an_attempt_without_an_outcome_stays_one_when_the_job_is_tried_again(
    tmp_path: Path,
) -> None:
    log = AuditLog(tmp_path)
    for job, what in [
        ("a", audit_log.ATTEMPT),  # the run was killed
        ("b", audit_log.ATTEMPT),
        ("b", audit_log.UNANSWERED),
        ("a", audit_log.ATTEMPT),
        ("a", audit_log.ANSWERED),
        ("b", audit_log.ATTEMPT),
        ("b", audit_log.ANSWERED),
        ("c", audit_log.ATTEMPT),
    ]:
        add(log, job, what)

    assert log.verify().unended == ["a", "c"]


def test_several_processes_write_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from datetime import datetime, UTC\n"
        "from drawcli.adapters.state.audit_log import AuditLog\n"
        "log = AuditLog(Path(sys.argv[1])); print('ready', flush=True); sys.stdin.read()\n"
        "for _ in range(20): log.add('attempt', datetime.now(UTC), '0badcafe', {'job': 'a'})\n"
    )
    with ExitStack() as stack:
        command, pipe = [sys.executable, "-c", code, str(tmp_path)], subprocess.PIPE
        writers = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe))
            for _ in range(3)
        ]
        for one in writers:
            assert one.stdout is not None
            assert one.stdout.readline().strip() == b"ready"
        for one in writers:
            assert one.stdin is not None
            one.stdin.close()  # now all write

    verdict = AuditLog(tmp_path).verify()
    assert [one.returncode for one in writers] == [0, 0, 0]
    assert (verdict.breaks, verdict.lines) == ([], 60)


def test_several_threads_write_one_chain(tmp_path: Path) -> None:
    def work(number: int) -> None:
        log = AuditLog(tmp_path)
        for _ in range(10):
            add(log, f"{number:012x}-1")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))

    verdict = AuditLog(tmp_path).verify()
    assert (verdict.breaks, verdict.lines) == ([], 40)


@pytest.fixture
def packaged(ctx: Context, pelvis: list[Path]) -> Job:
    assert pelvis
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, ALL)
    (job,) = ctx.ledger.jobs()
    return job


def test_the_attempt_is_on_disk_before_the_first_byte_is_sent(
    ctx: Context, draw: FakeDraw, packaged: Job
) -> None:
    seen: list[list[dict[str, Any]]] = []

    def look(request: httpx.Request) -> None:
        if request.url.path == "/api/upload/":
            seen.append(said(ctx))

    draw.watch = look
    run_step("upload", ctx, ALL)

    ((attempt,),) = seen
    package = ctx.work.file(packaged.id, PACKAGE)
    assert attempt["what"] == audit_log.ATTEMPT
    assert (attempt["job"], attempt["template"]) == (packaged.id, packaged.template)
    assert (attempt["zip_sha256"], attempt["zip_bytes"], attempt["files"]) == (
        packaged.zip_sha256,
        package.stat().st_size,
        SLICES + 1,
    )
    assert (attempt["server"], attempt["client"]) == ("127.0.0.1:9", "ward-7")
    assert [one["what"] for one in said(ctx)] == [audit_log.ATTEMPT, audit_log.ANSWERED]
    assert said(ctx)[1]["task"] == "task-1"


@pytest.mark.parametrize(
    ("trouble", "outcome"),
    [
        (httpx.ConnectError("refused"), audit_log.NOT_SENT),
        (httpx.ReadTimeout("slow"), audit_log.UNANSWERED),
        (httpx.RemoteProtocolError("gone"), audit_log.UNANSWERED),
        (500, audit_log.UNANSWERED),
        (503, audit_log.REFUSED),
        (400, audit_log.REFUSED),
    ],
    ids=str,
)
@pytest.mark.usefixtures("packaged")
def test_the_outcome_of_an_attempt_is_logged(
    ctx: Context, draw: FakeDraw, trouble: int | Exception, outcome: str
) -> None:
    ctx.check_uploads_welcome()
    draw.answers = [trouble]

    run_step("upload", ctx, ALL)

    assert [one["what"] for one in said(ctx)] == [audit_log.ATTEMPT, outcome]
    assert ctx.audit.verify().unended == []


@pytest.mark.parametrize(
    ("after_a_401", "outcome"),
    [
        ([httpx.ConnectError("refused")], audit_log.REFUSED),  # at the refresh
        ([RENEWED, httpx.ConnectError("refused")], audit_log.REFUSED),  # at the second try
        ([RENEWED, httpx.ReadTimeout("slow")], audit_log.UNANSWERED),
    ],
)
@pytest.mark.usefixtures("packaged")
def test_an_answered_attempt_is_never_logged_as_not_sent(
    ctx: Context, draw: FakeDraw, after_a_401: list[httpx.Response | Exception], outcome: str
) -> None:
    ctx.check_uploads_welcome()
    draw.answers = [401, *after_a_401]

    run_step("upload", ctx, ALL)

    assert [one["what"] for one in said(ctx)] == [audit_log.ATTEMPT, outcome]


@pytest.mark.usefixtures("packaged")
def test_a_refresh_before_the_upload_that_finds_no_server_sends_nothing(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    ctx.tokens.write(Tokens("access-1", "refresh-1", clock.now() + timedelta(hours=1)))
    ctx.check_uploads_welcome()
    clock.advance(hours=2)
    draw.answers = [httpx.ConnectError("refused")]

    run_step("upload", ctx, ALL)

    assert (draw.posts(), [one["what"] for one in said(ctx)]) == (0, ["attempt", "not-sent"])


@pytest.mark.usefixtures("packaged")
def test_nothing_is_sent_that_cannot_be_logged(ctx: Context, draw: FakeDraw, site: Site) -> None:
    (site.state / "audit").touch()  # no folder can be made there

    run_step("upload", ctx, ALL)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.posts, job.reason_code, draw.posts()) == (State.PACKAGED, 0, "io", 0)


@pytest.mark.usefixtures("packaged")
def test_an_outcome_that_cannot_be_logged_loses_no_task(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    added = AuditLog.add

    def add_or_fail(log: AuditLog, what: str, *rest: Any) -> Link:
        if what != audit_log.ATTEMPT:
            raise DiskFull("no space left")
        return added(log, what, *rest)

    monkeypatch.setattr(AuditLog, "add", add_or_fail)
    run_step("upload", ctx, ALL)

    (job,) = ctx.ledger.jobs()
    assert (job.state, job.task_id) == (State.UPLOADED, "task-1")
    assert ctx.audit.verify().unended == [job.id]


@pytest.mark.usefixtures("packaged")
def test_the_audit_log_names_no_patient(ctx: Context, clock: Clock, site: Site) -> None:
    for step in ("upload", "poll", "fetch", "reidentify"):
        clock.advance(minutes=20)
        run_step(step, ctx, ALL)

    assert [one["what"] for one in said(ctx)] == ["attempt", "answered", "confirmed"]
    text = only_file(site.state).read_text()
    assert [value for value in identifying_values(PELVIS) if value in text] == []
    assert str(site.store) not in text


def lacking(ctx: Context) -> list[tuple[int, int]]:
    return [(one.begun, one.logged) for one in unattested(ctx)]


@pytest.fixture
def twice_sent(ctx: Context, draw: FakeDraw, clock: Clock, packaged: Job) -> Job:
    """Send a package that is refused first and accepted then."""
    ctx.check_uploads_welcome()
    draw.answers = [503]
    run_step("upload", ctx, ALL)
    clock.advance(hours=1)
    run_step("upload", ctx, ALL)
    (job,) = ctx.ledger.jobs([State.UPLOADED])
    assert (job.id, job.posts, lacking(ctx)) == (packaged.id, 1, [])
    return job


@pytest.mark.usefixtures("twice_sent")
def test_the_loss_of_the_whole_log_is_reported(ctx: Context, site: Site) -> None:
    only_file(site.state).unlink()
    assert lacking(ctx) == [(2, 0)]

    add(ctx.audit, "bbbbbbbbbbbb-1")  # begun anew

    assert (ctx.audit.verify().breaks, lacking(ctx)) == ([], [(2, 0)])


def test_a_lost_end_is_reported_even_after_an_earlier_attempt(
    ctx: Context, site: Site, clock: Clock, twice_sent: Job
) -> None:
    lines = only_file(site.state).read_bytes().splitlines(keepends=True)
    only_file(site.state).write_bytes(b"".join(lines[:2]))
    assert (ctx.audit.verify().breaks, lacking(ctx)) == ([], [(2, 1)])

    for state in (State.SEGMENTED, State.FETCHED, State.DELIVERED, State.DONE):
        twice_sent = ctx.ledger.commit(twice_sent.to(state, at=clock.now()))
    clock.advance(days=2)

    assert (ctx.ledger.archive_finished(clock.now()), lacking(ctx)) == (1, [(2, 1)])


@pytest.mark.usefixtures("packaged")
def test_uploads_without_an_answer_count_too(
    ctx: Context, draw: FakeDraw, site: Site, clock: Clock
) -> None:
    ctx.check_uploads_welcome()
    for _ in range(3):
        draw.answers = [httpx.ReadTimeout("slow")]
        run_step("upload", ctx, ALL)
        clock.advance(hours=13)
    only_file(site.state).unlink()

    assert lacking(ctx) == [(3, 0)]


def test_uploads_older_than_the_audit_log_need_no_lines(
    ctx: Context, in_state: Callable[..., Job]
) -> None:
    in_state(State.DONE, "aaaaaaaaaaaa-1", uploaded_at=NOON, posts=1)
    in_state(State.PACKAGED, "bbbbbbbbbbbb-1", posts=3, unanswered=3)
    add(ctx.audit, "cccccccccccc-1")

    assert lacking(ctx) == []


def test_an_action_has_its_user_and_source(tmp_path: Path) -> None:
    log = AuditLog(tmp_path)
    log.add_action("edit-rules", NOON, "run", Actor.of_page("alice"), {"before": "ab"})
    log.add_action("pause", NOON, "run", Actor("root", "host", attended=True), {})
    log.add_action("release", NOON, "run", Actor("root", "host", attended=False), {"job": "a-1"})

    lines = [line.facts for line in log.lines()]

    assert [line["what"] for line in lines] == ["action"] * 3
    assert [line["action"] for line in lines] == ["edit-rules", "pause", "release"]
    assert [line["source"] for line in lines] == ["page", "terminal", "unattended"]
    assert lines[0]["who"]["page_user"] == "alice"
    assert lines[0]["before"] == "ab"
    assert log.verify().breaks == []
    assert log.verify().unended == []


@pytest.mark.parametrize(
    ("actor", "label"),
    [
        (Actor.of_page("alice"), "alice (page)"),
        (Actor.of_page(""), "page"),
        (Actor("root", "draw", attended=True), "root@draw"),
    ],
)
def test_a_user_of_the_page_is_no_user_of_the_machine(actor: Actor, label: str) -> None:
    assert actor.label == label
