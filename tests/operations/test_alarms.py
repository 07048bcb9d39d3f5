"""Alarms: a week of a site with its clock faked, and what places are told when things go wrong."""

import base64
import errno
import json
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from filelock import FileLock

from drawcli.adapters.messages.sent import SentMessages
from drawcli.adapters.messages.silence import new_silence, write_silence
from drawcli.adapters.notifications import Message, Recipient
from drawcli.adapters.state.audit_log import ATTEMPT
from drawcli.adapters.state.qa_summary import write_summary
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.core.jobs.job import Event, EventKind, Job, State
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import DiskFull, LedgerError, NeedsPerson
from drawcli.operations import after_run, alarms, notification_store
from drawcli.pipeline.context import Context
from drawcli.system import spare_file
from drawcli.system.files import write_durably
from drawcli.system.limits import EXCHANGES
from tests.conftest import NOON, Clock, Site, opened
from tests.fake_draw import FakeDraw
from tests.operations.qa.cases import job
from tests.operations.qa.summaries import chart_of, signal, summary_with

HELD, BLOCKED = NeedsPerson("why", code="no-grid"), NeedsPerson("why", code="privacy-gate")
MINUTES = 10  # between two runs of cron


@dataclass
class Post:
    """Takes messages in place of mail and chats; may be closed for a while."""

    clock: Clock
    closed: bool = False
    taken: list[tuple[datetime, str, Message]] = field(default_factory=list)  # when, where, what
    refused: int = 0

    def send(self, place: Recipient, message: Message) -> bool:
        if self.closed:
            self.refused += 1
            return False
        self.taken.append((self.clock.at, place.url, message))
        return True

    def titles(self) -> list[str]:
        return [message.title.removeprefix("drawcli ward-7: ") for _, _, message in self.taken]


@pytest.fixture
def post(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Post:
    made = Post(clock)

    def send(place: Recipient, message: Message) -> bool:
        return made.send(place, message)

    monkeypatch.setattr(Recipient, "send", send)
    return made


def set_up(site: Site, *urls: str, more: str = "") -> None:
    path = site.folder / "notify.urls"
    path.write_text("# where alarms go\n\n" + "\n".join(urls) + "\n")
    path.chmod(0o600)
    site.add_line(f"notify: {{urls_file: notify.urls{more}}}")


@pytest.fixture
def open_site(site: Site, draw: FakeDraw, clock: Clock) -> Iterator[Callable[[], Context]]:
    """Open the site with the settings that it has by then."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(opened(site, draw, clock))


def jwt() -> str:
    """Return a token that tells of its own end, a day from noon."""
    claims = {"exp": int((NOON + timedelta(days=1)).timestamp())}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


def a_run(ctx: Context, *, server: str = ANSWERED, exit_code: int = 0, error: str = "") -> None:
    facts = {"server": server, "exit_code": exit_code, "error": error}
    RunLog(ctx.settings.state_dir).add(
        Run(id="0badcafe", began=ctx.now(), ended=ctx.now(), **facts)  # type: ignore[arg-type]
    )
    after_run.report_out(ctx, error)


def hold(ctx: Context, job_id: str, why: NeedsPerson = HELD) -> None:
    job = ctx.ledger.get(job_id)
    if job is None:
        job = Job(id=job_id, state=State.FETCHED, since=ctx.now())
        ctx.ledger.add(job)
    ctx.ledger.commit(job.held_for(why, at=ctx.now()))


def free(ctx: Context, job_id: str) -> None:
    job = ctx.ledger.get(job_id)
    assert job is not None
    ctx.ledger.commit(job.released(at=ctx.now()))


def deliver(ctx: Context, number: int) -> None:
    now = ctx.now()
    job_id = f"{number:012x}-1"
    states = (State.FOUND, State.UPLOADED, State.DELIVERED)
    events = tuple(Event(now, EventKind.REACHED, state) for state in states)
    ctx.ledger.add(Job(id=job_id, state=State.DONE, since=now, events=events, zip_bytes=1_000_000))


@dataclass
class Week:
    """What happens at a site from Monday 2026-10-19, 08:00 in Berlin, by the clock on the wall."""

    ctx: Context
    post: Post
    delivered: int = 0

    def happens(self, day: int, hour: int, minute: int) -> dict[str, object]:
        """Let happen what does at this moment; return how the run then ends."""
        ctx, at = self.ctx, (day, hour, minute)
        in_office = day not in (5, 6) and 9 <= hour <= 17
        if in_office and minute == 0:
            self.delivered += 1
            deliver(ctx, self.delivered)
        moments: dict[tuple[int, int, int], Callable[[], None]] = {
            (1, 10, 0): lambda: hold(ctx, "aaaaaaaaaaaa-1"),
            (1, 14, 0): lambda: free(ctx, "aaaaaaaaaaaa-1"),
            (1, 15, 0): lambda: hold(ctx, "aaaaaaaaaaaa-1"),  # stays so: told no more
            (2, 9, 0): lambda: hold(ctx, "bbbbbbbbbbbb-1", BLOCKED),
            (3, 11, 0): lambda: free(ctx, "bbbbbbbbbbbb-1"),
            (5, 10, 0): lambda: hold(ctx, "cccccccccccc-1"),
            (5, 11, 30): lambda: ctx.tokens.write(Tokens("new", "", ctx.now() + timedelta(30))),
        }
        moments.get(at, lambda: None)()
        self.post.closed = day == 5 and 10 <= hour < 12
        if day == 3 and 6 <= hour < 8:
            return {"server": "", "exit_code": 3, "error": "config"}
        short = day == 2 and 12 <= hour < 13
        night = (day == 2 and hour >= 20) or (day == 3 and hour < 3)
        if short or night or (day == 4 and 18 <= hour < 21):
            return {"server": OUT_OF_REACH, "exit_code": 7}
        return {"server": ANSWERED if in_office else ""}


@pytest.mark.sweep
@pytest.mark.skipif(sys.platform == "win32", reason="has no tzset")
@pytest.mark.usefixtures("berlin")
def test_in_a_week_every_alarm_comes_once_when_it_should_and_never_when_it_should_not(
    site: Site, clock: Clock, post: Post, open_site: Callable[[], Context]
) -> None:
    events = "[held, blocked, token, server, idle, failed, delivered, digest]"
    set_up(site, "ntfy://a", more=f", token_days: 2, idle_hours: 48, events: {events}")
    ctx = open_site()
    clock.at = monday = datetime(2026, 10, 19, 6, 0, tzinfo=UTC)  # 08:00 in Berlin
    ctx.tokens.write(Tokens("old", "", monday + timedelta(days=6)))
    week = Week(ctx, post)

    while clock.at < monday + timedelta(days=7, hours=4):
        here = clock.at.astimezone()
        days = (here.date() - monday.date()).days
        a_run(ctx, **week.happens(days, here.hour, here.minute))  # type: ignore[arg-type]
        if here.minute == 0:
            ctx.ledger.archive_finished(clock.at)
        clock.advance(minutes=MINUTES)

    homes = [line for _, _, one in post.taken for line in one.body.splitlines() if "is del" in line]
    assert homes == [f"job {n:012x}-1 is delivered" for n in range(1, week.delivered + 1)]
    told = [
        (f"{at.astimezone():%a %H:%M}", title.removesuffix("1 delivered").removesuffix(", "))
        for (at, _, _), title in zip(post.taken, post.titles(), strict=True)
        if title != "1 delivered"
    ]
    assert told == [
        ("Tue 07:00", "daily digest"),
        ("Tue 10:00", "1 held"),
        ("Tue 15:00", "1 held"),
        ("Wed 07:00", "daily digest"),
        ("Wed 09:00", "1 blocked by the privacy gate"),
        ("Wed 22:00", "the server does not answer"),
        ("Thu 06:00", "runs end early"),
        ("Thu 07:00", "daily digest"),
        ("Fri 07:00", "daily digest"),
        ("Fri 08:00", "the token expires"),
        ("Fri 20:00", "the server does not answer"),
        ("Sat 07:00", "daily digest"),
        ("Sat 12:00", "1 held"),
        ("Sun 07:00", "daily digest"),  # an hour later by the sun: summer time has ended
        ("Sun 16:00", "nothing delivered"),
        ("Mon 07:00", "daily digest"),
    ]
    assert post.refused == 12  # two hours without the place: tried with each run, and told once


Open = Callable[[], Context]


@pytest.fixture
def ctx(site: Site, open_site: Open, post: Post) -> Context:
    """Open a site with one place that wants everything but the digest, and is known already."""
    assert not post.taken
    set_up(site, "ntfy://a", more=", digest_at: off, events: [held, failed, delivered]")
    made = open_site()
    a_run(made)
    return made


def test_a_job_that_was_freed_and_held_again_within_one_run_is_told_again(
    ctx: Context, clock: Clock, post: Post
) -> None:
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)
    clock.advance(minutes=1)
    free(ctx, "aaaaaaaaaaaa-1")
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)

    assert post.titles() == ["1 held", "1 held"]


def test_a_refused_token_is_one_alarm_until_the_server_has_answered(
    ctx: Context, post: Post
) -> None:
    for server in ("", "", OUT_OF_REACH):
        a_run(ctx, exit_code=5, error="token-refused")
        a_run(ctx, server=server)
    a_run(ctx, exit_code=12, error="disk-full")
    a_run(ctx, server="")
    assert post.titles() == ["runs end early", "runs end early"]  # for the token, and the disk

    a_run(ctx)
    a_run(ctx, exit_code=5, error="token-refused")

    assert post.titles() == ["runs end early"] * 3


def test_a_server_to_which_runs_sent_no_request_is_no_alarm(
    site: Site, open_site: Open, clock: Clock, post: Post
) -> None:
    """One lost answer, then hours of a full disk: nothing says that the server is away."""
    set_up(site, "ntfy://a", more=", digest_at: off, events: [failed, server]")
    ctx = open_site()
    a_run(ctx)
    a_run(ctx, server=OUT_OF_REACH, exit_code=7)
    for _ in range(3):
        clock.advance(hours=1)
        a_run(ctx, server="", exit_code=12, error="disk-full")
    assert post.titles() == ["runs end early"]

    clock.advance(hours=1)
    a_run(ctx, server=OUT_OF_REACH, exit_code=7)

    assert post.titles() == ["runs end early", "the server does not answer"]


def test_what_comes_together_is_one_message(ctx: Context, post: Post) -> None:
    for number in range(3):
        hold(ctx, f"{number:012x}-1")
    deliver(ctx, 7)

    a_run(ctx)

    ((_, _, message),) = post.taken
    assert post.titles() == ["3 held, 1 delivered"]
    assert sorted(line.split()[1] for line in message.body.splitlines()) == [
        "000000000000-1",
        "000000000001-1",
        "000000000002-1",
        "000000000007-1",
    ]


def test_what_a_site_does_not_ask_for_is_not_told(ctx: Context, post: Post) -> None:
    hold(ctx, "bbbbbbbbbbbb-1", BLOCKED)

    a_run(ctx)

    assert post.titles() == []


def test_in_a_silence_no_alarm_is_sent_and_lasting_ones_are_sent_at_its_end(
    ctx: Context, clock: Clock, post: Post
) -> None:
    state_dir = ctx.settings.state_dir
    write_silence(state_dir, new_silence(ctx.now(), timedelta(hours=1), "anna", "we know"))
    hold(ctx, "00000000000a-1")
    hold(ctx, "00000000000b-1")
    a_run(ctx)
    free(ctx, "00000000000b-1")
    clock.advance(minutes=59)
    a_run(ctx)
    silent = post.titles()
    words = "\n".join(alarms.digest(ctx, ctx.now(), ctx.now()))

    clock.advance(minutes=1)
    a_run(ctx)
    a_run(ctx)

    assert (silent, post.titles()) == ([], ["1 held"])
    assert "00000000000a-1" in post.taken[0][2].body
    assert "00000000000b-1" not in post.taken[0][2].body
    assert "Alarms: silenced until" in words
    assert "we know" in words
    (sent,) = SentMessages(state_dir).newest_first(9)
    assert (sent.place, sent.is_taken) == ("recipient 1 (ntfy)", True)


def test_each_place_is_told_once_also_where_another_takes_nothing(
    site: Site, clock: Clock, open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(site, "ntfy://a", "ntfy://b", more=", events: [held]")
    ctx, taken, broken = open_site(), list[str](), {"ntfy://a"}

    def send(place: Recipient, _message: Message) -> bool:
        taken.extend([place.url] if place.url not in broken else [])
        return place.url not in broken

    monkeypatch.setattr(Recipient, "send", send)
    hold(ctx, "aaaaaaaaaaaa-1")
    for _ in range(3):
        a_run(ctx)
        clock.advance(minutes=MINUTES)
    broken.clear()
    for _ in range(3):
        a_run(ctx)

    assert taken == ["ntfy://b", "ntfy://a"]


def test_places_are_told_at_the_same_time(
    site: Site, open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(site, "ntfy://a", "ntfy://b", "ntfy://c", more=", events: [held]")
    ctx, together = open_site(), threading.Barrier(3)

    def send(_place: Recipient, _message: Message) -> bool:
        together.wait(60)  # broken where one is told after the other
        return True

    monkeypatch.setattr(Recipient, "send", send)
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)

    assert not together.broken
    told = notification_store.NotificationStore.read(ctx.settings.state_dir).places.values()
    assert [len(one.names) for one in told] == [1, 1, 1]


def test_a_process_that_hangs_with_the_lock_of_alarms_silences_no_other(
    ctx: Context, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(EXCHANGES, "message", EXCHANGES["message"]._replace(seconds=0.02))
    hold(ctx, "aaaaaaaaaaaa-1")

    with FileLock(ctx.settings.state_dir / "alarms.lock"):
        a_run(ctx)

    assert post.titles() == ["1 held"]


def test_what_is_remembered_holds_no_address(ctx: Context, site: Site) -> None:
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)

    path = site.state / notification_store.FILE_NAME
    assert "ntfy" not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    assert len(json.loads(path.read_text())["places"]) == 1


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"salt": 1}', '{"salt":"a","places":{"x":1}}'])
def test_a_damaged_memory_tells_anew_what_is_so_and_nothing_that_was(
    ctx: Context, site: Site, clock: Clock, post: Post, damage: str
) -> None:
    hold(ctx, "aaaaaaaaaaaa-1")
    deliver(ctx, 1)
    a_run(ctx)
    clock.advance(minutes=MINUTES)
    (site.state / notification_store.FILE_NAME).write_text(damage)

    for _ in range(2):
        a_run(ctx)

    assert post.titles() == ["1 held, 1 delivered", "1 held"]


def test_a_place_that_is_gone_is_forgotten(ctx: Context, site: Site, post: Post) -> None:
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)
    (site.folder / "notify.urls").write_text("ntfy://c\n")
    a_run(ctx)
    (site.folder / "notify.urls").write_text("ntfy://a\n")
    a_run(ctx)

    assert [url for _, url, _ in post.taken] == ["ntfy://a", "ntfy://c", "ntfy://a"]


def test_a_run_that_cannot_begin_is_told_once_and_clears_nothing_else(
    ctx: Context, post: Post, clock: Clock
) -> None:
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)
    for _ in range(3):
        after_run.report_no_run(ctx.settings, "ledger", clock.now())

    a_run(ctx)

    assert post.titles() == ["1 held", "runs end early"]


def test_a_ledger_that_breaks_in_the_middle_of_a_run_is_told(
    ctx: Context, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> list[Job]:
        raise LedgerError("damaged")

    monkeypatch.setattr(type(ctx.ledger), "jobs", broken)

    a_run(ctx, exit_code=4, error="ledger", server="")

    assert post.titles() == ["runs end early"]


@pytest.mark.parametrize("trouble", [OSError("disk"), ValueError("x"), RuntimeError("y")])
def test_no_run_fails_for_its_alarms(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, trouble: Exception
) -> None:
    def fail(*_: object) -> bool:
        raise trouble

    hold(ctx, "aaaaaaaaaaaa-1")
    monkeypatch.setattr(Recipient, "send", fail)

    a_run(ctx)

    assert notification_store.NotificationStore.read(ctx.settings.state_dir).places


def test_the_digest_tells_what_was_and_what_is(ctx: Context, clock: Clock) -> None:
    start = clock.now()
    for number in range(3):
        deliver(ctx, number)
    hold(ctx, "aaaaaaaaaaaa-1")
    ctx.audit.add(ATTEMPT, clock.now(), ctx.run_id, {"job": "aaaaaaaaaaaa-1"})
    clock.advance(days=2)
    ctx.ledger.archive_finished(clock.now())

    text = "\n".join(alarms.digest(ctx, start - timedelta(hours=1), clock.now()))

    assert text.startswith("BROKEN: No run for 2 d: cron does not call 'drawcli run-once' (and")
    assert "\n  attention: 1 job is held\n" in text
    assert "3 found, 3 sent, 3 delivered, 1 held; 0 attempts failed; 3.0 MB sent" in text
    assert "1 HELD · 1 fetched · 3 in the archive" in text
    assert "  aaaaaaaaaaaa-1 at fetched: no-grid" in text
    assert f"Audit log: 1 lines, head {ctx.audit.head()}" in text


def test_charts_to_investigate_are_told_once_for_each_cause_and_again_after_they_returned(
    open_site: Callable[[], Context], site: Site, post: Post
) -> None:
    set_up(site, "ntfys://one")
    ctx = open_site()
    bad = [chart_of(metric=metric, state="investigate") for metric in ("dice", "hd95_mm")]
    good, more = chart_of(), replace(bad[0], signals=(*bad[0].signals, signal("month")))

    for charts in [bad, bad, [more, bad[1]], [good], bad, [chart_of(state="watch")]]:
        write_summary(site.state, summary_with(*charts))
        a_run(ctx)

    assert post.titles() == [
        "contours: 2 to investigate",
        "contours: 1 to investigate",
        "contours: 2 to investigate",
    ]
    assert post.taken[0][2].body.count("\n") == 0  # both metrics in one line
    assert job(1) not in post.taken[0][2].body


def test_after_contours_were_compared_their_alarms_are_sent_and_others_keep_their_state(
    open_site: Callable[[], Context], site: Site, post: Post
) -> None:
    set_up(site, "ntfys://one")
    ctx = open_site()
    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)
    write_summary(site.state, summary_with(chart_of(state="investigate")))

    after_run.report_contours(ctx, has_news=True)
    after_run.report_contours(ctx, has_news=True)
    a_run(ctx)

    assert post.titles() == ["1 held", "contours: 1 to investigate"]


def test_metrics_are_written_again_if_contours_have_news(ctx: Context, site: Site) -> None:
    path = site.folder / "drawcli.prom"
    metrics = ctx.settings.metrics.replace(textfile=path)
    ctx = replace(ctx, settings=ctx.settings.replace(metrics=metrics))
    write_summary(site.state, summary_with(chart_of(state="investigate")))

    after_run.report_contours(ctx, has_news=False)
    without = path.exists()
    after_run.report_contours(ctx, has_news=True)

    assert not without
    assert "drawcli_qa_state" in path.read_text()


def test_charts_to_watch_are_told_where_somebody_asked(
    open_site: Callable[[], Context], site: Site, post: Post
) -> None:
    set_up(site, "ntfys://one", more=", events: [qa-watch]")
    ctx = open_site()
    write_summary(
        site.state, summary_with(chart_of(state="watch"), chart_of("Rectum", state="investigate"))
    )

    a_run(ctx)

    assert post.titles() == ["contours: 1 to watch"]


def test_the_digest_has_a_section_about_contours_if_they_are_compared(ctx: Context) -> None:
    before = [*alarms.digest(ctx, NOON, NOON)]
    summary = summary_with(chart_of(state="investigate"), pairs={"compared": 20, "waiting": 2})
    write_summary(ctx.settings.state_dir, summary)

    text = "\n".join(alarms.digest(ctx, NOON, NOON))

    assert not [line for line in before if "ontours" in line]
    assert "Contours:\n  20 compared, 2 waiting for approval\n  investigate: Prostate" in text


def test_the_digest_tells_of_an_audit_log_that_was_changed(ctx: Context, clock: Clock) -> None:
    ctx.audit.add(ATTEMPT, clock.now(), ctx.run_id, {"job": "aaaaaaaaaaaa-1"})
    (path,) = ctx.audit.folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"aaaaaaaaaaaa", b"bbbbbbbbbbbb"))

    text = "\n".join(alarms.digest(ctx, clock.now(), clock.now()))

    assert "ALTERED OR INCOMPLETE" in text


def test_the_digest_tells_of_an_audit_log_that_is_gone(ctx: Context, clock: Clock) -> None:
    ctx.ledger.add(Job(id="aaaaaaaaaaaa-1", state=State.UPLOADED, since=clock.now(), attested=1))

    text = "\n".join(alarms.digest(ctx, clock.now(), clock.now()))

    assert "ALTERED OR INCOMPLETE" in text


@dataclass
class Disk:
    """The disk of state_dir, as alarms.json finds it, and the folder for when it is full."""

    second: Path
    is_full: bool = True


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(tmp_path / "memory")
    made.second.mkdir()

    def write(path: Path, data: bytes) -> None:
        if made.is_full:
            raise OSError(errno.ENOSPC, "no space left") if len(data) % 2 else DiskFull("no space")
        write_durably(path, data)

    monkeypatch.setattr(notification_store, "write_durably", write)
    monkeypatch.setattr(spare_file, "_MEMORY", made.second)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    return made


def test_on_a_full_disk_each_place_is_told_once_and_so_it_stays_when_there_is_space_again(
    site: Site, clock: Clock, post: Post, open_site: Open, disk: Disk
) -> None:
    set_up(site, "ntfy://a", "ntfy://b", more=", events: [held, failed, digest]")
    ctx = open_site()
    hold(ctx, "aaaaaaaaaaaa-1")

    for number in range(80):  # a day and more: one digest
        disk.is_full = number < 70
        a_run(ctx, exit_code=12, error="disk-full")
        clock.advance(minutes=2 * MINUTES)

    told = [(url, message.title.partition(": ")[2]) for _, url, message in post.taken]
    assert told == [
        ("ntfy://a", "runs end early, 1 held"),
        ("ntfy://b", "runs end early, 1 held"),
        ("ntfy://a", "daily digest"),
        ("ntfy://b", "daily digest"),
    ]
    assert list(disk.second.iterdir()) == []


def test_where_nothing_can_be_kept_every_place_is_told_all_the_same_and_once_a_run(
    site: Site, post: Post, open_site: Open, disk: Disk
) -> None:
    set_up(site, "ntfy://a", "ntfy://b", more=", digest_at: off, events: [held, failed]")
    disk.second.rmdir()

    a_run(open_site(), exit_code=12, error="disk-full")

    assert [url for _, url, _ in post.taken] == ["ntfy://a", "ntfy://b"]


def test_a_digest_that_cannot_be_made_keeps_no_alarm_from_any_place(
    site: Site, clock: Clock, post: Post, open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Iterator[str]:
        raise LedgerError("damaged")

    set_up(site, "ntfy://a", "ntfy://b", more=", events: [held, digest]")
    ctx = open_site()
    a_run(ctx)
    clock.advance(days=1)
    monkeypatch.setattr(alarms, "digest", broken)

    hold(ctx, "aaaaaaaaaaaa-1")
    a_run(ctx)

    assert [url for _, url, _ in post.taken] == ["ntfy://a", "ntfy://b"]


def test_a_place_that_breaks_keeps_nothing_from_the_next(
    site: Site, open_site: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def send(place: Recipient, _message: Message) -> bool:
        if place.number == 1:
            raise OSError("a plugin broke")
        taken.append(place.url)
        return True

    set_up(site, "ntfy://a", "ntfy://b", more=", events: [failed]")
    monkeypatch.setattr(Recipient, "send", send)

    a_run(open_site(), exit_code=12, error="disk-full")

    assert taken == ["ntfy://b"]


@pytest.mark.parametrize(
    "case",  # of server, the refresh token, how often a person hears of it
    [
        ("", "", 3),  # each was put there by a person
        ("token_command: [mint]", "", 0),
        ("token_command: [mint]", "refresh-1", 0),  # its end is not known
        ("token_command: [mint]", jwt(), 1),
    ],
)
def test_a_token_that_a_command_mints_anew_is_no_alarm_but_the_end_of_a_refresh_token_is(
    site: Site, clock: Clock, post: Post, open_site: Open, case: tuple[str, str, int]
) -> None:
    line, refresh, told = case
    set_up(site, "ntfy://a", more=", events: [token]")
    text = site.config.read_text()
    site.config.write_text(text.replace("client_id: ward-7}", f"client_id: ward-7, {line}}}"))
    ctx = open_site()

    for number in range(3):
        ends = clock.now() + timedelta(hours=1)
        ctx.tokens.write(Tokens(f"access-{number}", refresh, ends))
        a_run(ctx)
        clock.advance(hours=1)

    assert len(post.taken) == told
