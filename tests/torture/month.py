"""A site over weeks of virtual time: cron, a scanner, a physicist, a server, a share, and mail.

Everything is drawn from one seed and nothing waits, so that a month takes minutes. The server is in
`month_server.py`, the scanner in `month_scanner.py`; `killed_run.py` kills a run.
"""

import base64
import gc
import hashlib
import json
import random
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom import dcmread

from drawcli.adapters.notifications import Message, Recipient
from drawcli.adapters.state.workdir import WorkDir
from drawcli.cli.run_result import result_of, waiting_now
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.errors import DrawcliError, UsageError
from drawcli.operations.after_run import begin_run, note_run, report_out
from drawcli.pipeline import actions
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once
from drawcli.system.failures import SHORTAGES, as_run_error
from drawcli.system.threads import call_with_timeout
from tests.conftest import THORAX, Clock, Site, opened
from tests.fake_draw import drawn_for
from tests.torture.killed_run import Draw, Post, run_killed
from tests.torture.month_scanner import KINDS, PEOPLE, Series, scanned
from tests.torture.month_server import MonthDraw

BEGIN: Final = datetime(2026, 11, 19, 6, 0, tzinfo=UTC)  # a Thursday, after the release was left
CRON: Final = timedelta(minutes=10)
NIGHT: Final = timedelta(hours=1)  # between runs at night and at weekends, in the short form
DIGEST: Final = "daily digest"
RECIPIENTS: Final = ("json://physics", "json://it")
OVER: Final = FINISHED | {State.DELIVERED}  # no longer cancelled
SATURDAY: Final = 5
MONDAY: Final = 4  # of the first week: the day on which the server is back
GIB: Final = 1 << 30
Do = Callable[[], object]
Planned = tuple[float, Do]  # hours after 6:00
KEPT: Final = "deliver: {folder: tps, keep_days: %d, keep_free_gib: 1}\n"
SETTINGS: Final = (
    "datastore: store\nstate_dir: state\npreview: never\n"
    "scan: {quiet_minutes: 10, incomplete_hours: 6}\n"
    "server: {url: 'http://127.0.0.1:9', client_id: ward-7}\n"
    "notify: {urls_file: notify.urls, token_days: 2}\n"
)
NOTE: Final = "# checked by the physicist\n"
ARM_RULE: Final = """
  - name: arm
    template: Thorax_OAR
    when: {BodyPartExamined: ARM}

  - name: phantoms
    exclude: true
    when: {BodyPartExamined: PHANTOM}
"""


def refresh_token(until: datetime) -> str:
    """Return a refresh token that states its end."""
    claims = {"exp": int(until.timestamp())}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.x"


def is_ours(thing: object) -> bool:
    """Return whether an object is of drawcli, and no message that this test keeps."""
    return str(type(thing).__module__).startswith("drawcli.") and not isinstance(thing, Message)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """On which day what happens, counted from 0; day 1 is a Friday."""

    days: int
    keep_days: int
    share_gone: int
    share_hangs: int
    disk_full: int
    token_ends: int
    rules_change: int
    templates_change: int
    clock_back: int
    mail_refused: int
    killed: int  # runs are killed
    silent: range  # the department is closed: no series comes, nobody decides
    night: timedelta = CRON


SHORT: Final = Plan(
    days=10,
    keep_days=1,
    share_gone=0,
    share_hangs=5,
    disk_full=4,
    token_ends=5,
    rules_change=4,
    templates_change=5,
    clock_back=1,
    mail_refused=1,
    killed=4,
    silent=range(6, 10),
    night=NIGHT,
)
LONG: Final = Plan(
    days=30,
    keep_days=7,
    share_gone=5,
    share_hangs=20,
    disk_full=13,
    token_ends=11,
    rules_change=8,
    templates_change=14,
    clock_back=18,
    mail_refused=12,
    killed=6,
    silent=range(22, 28),
)


@dataclass
class Month:
    """The site, the world around it, and what was seen of both."""

    folder: Path
    plan: Plan
    seed: int
    release: Path | None = None
    clock: Clock = field(default_factory=lambda: Clock(BEGIN))
    series: dict[str, Series] = field(default_factory=dict)  # by UID
    mails: list[tuple[datetime, str, Message]] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    runs: int = 0
    last_run: datetime = BEGIN
    free: int = 50 * GIB
    share: str = "there"
    refused: bool = False
    to_kill: int = 0  # runs that are still to be killed
    was_killed: bool = False  # the last run
    killed: int = 0
    acted: Counter[str] = field(default_factory=Counter)  # what the physicist did
    cancelled: dict[str, str] = field(default_factory=dict)  # series: job, until it is retried
    changed: set[str] = field(default_factory=set)  # series that were reported as changed
    delivered: dict[str, str] = field(default_factory=dict)  # file name: SHA-256
    figures: list[dict[str, int]] = field(default_factory=list)  # of each day's end
    codes: Counter[int] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)  # noqa: S311 - no secret
        self.site = Site(self.folder / "site")
        if self.release is not None:
            with tarfile.open(self.release) as archive:
                archive.extractall(self.folder, filter="data")
        self.tps = self.site.folder / "tps"
        self.tps.mkdir()
        self.site.config.write_text(SETTINGS + KEPT % self.plan.keep_days, encoding="utf-8")
        (self.site.folder / "notify.urls").write_text("\n".join(RECIPIENTS))
        (self.site.folder / "notify.urls").chmod(0o600)
        luck = random.Random(self.seed + 1)  # noqa: S311 - likewise
        self.draw = MonthDraw(clock=self.clock, dice=luck)
        self.server: Draw = self.draw
        self.post: Post = self._post
        self._new_tokens(BEGIN + timedelta(days=self.plan.token_ends, hours=3))  # 9:00
        self._take_over()

    def _take_over(self) -> None:
        """Give the server what the earlier release had sent to it."""
        with opened(self.site, self.draw, self.clock) as ctx:
            for number, job in enumerate(ctx.ledger.jobs([State.UPLOADED]), 2):
                package = (ctx.work.folder(job.id) / "package.zip").read_bytes()
                self.draw.uploads |= {"task-1": b"", f"task-{number}": package}
                self.draw.results[f"task-{number}"] = drawn_for(package)
        for folder, person in zip("abcd", (*PEOPLE, THORAX), strict=True):
            kind = {"a": "home", "d": "no rule"}.get(folder, "plain")
            there = self.site.store / folder
            uid = str(
                dcmread(next(there.glob("*.CT.*")), stop_before_pixels=True).SeriesInstanceUID
            )
            self.series[uid] = Series(0, kind, person.patient_id, there, uid)

    def tell(self, text: str) -> None:
        self.story.append(f"{self.clock.at:%a %d %H:%M} {text}")

    # --- what the code meets -------------------------------------------------------------------

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Put mail, the free space and the share of this month in place of the real ones."""

        def send(place: Recipient, message: Message) -> bool:
            return bool(self.post(place.url, *message))

        def timed(call: Callable[[], Any], seconds: float) -> Any:
            if self.share == "hangs":
                raise TimeoutError
            return call_with_timeout(call, seconds)

        patch.setattr(Recipient, "send", send)
        patch.setattr(WorkDir, "free_bytes", lambda _work: self.free)
        patch.setattr("drawcli.adapters.delivery.folder.call_with_timeout", timed)

    def _post(self, url: str, *message: Any) -> bool:
        """Deliver a message; return whether the recipient accepts it."""
        if self.refused and url == RECIPIENTS[0]:
            return False
        one = Message(*message)
        self.mails.append((self.clock.at, url, one))
        self.tell(f"mail to {url}: {one.title}: {one.body.splitlines()[0]}")
        return True

    def _new_tokens(self, until: datetime) -> None:
        self.draw.refresh, self.draw.tokens_end = refresh_token(until), until
        self.draw.access = f"access-{int(self.draw.access.rpartition('-')[2]) + 1}"
        pair = {"access_token": self.draw.access, "refresh_token": self.draw.refresh}
        ends = (self.clock.at + timedelta(hours=1)).isoformat()
        token = self.site.folder / "token.json"
        token.write_text(json.dumps(pair | {"expires_at": ends}))
        token.chmod(0o600)

    # --- the scanner ---------------------------------------------------------------------------

    def scan_patient(self, kind: str) -> None:
        """Write a series, or its first slices, as of now."""
        number = len(self.series) + 1
        folder = self.site.store / f"{BEGIN:%Y}-{number:05d}"
        one = scanned(folder, number, kind, self.dice, self.clock.at)
        self.series[one.uid] = one
        self.tell(f"series {one.patient_id} in {folder.name}: {kind}")
        one.arrive(self.clock.at)

    # --- cron ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Do what `drawcli run-once` does under cron; some runs are killed at a request."""
        self.runs, self.last_run = self.runs + 1, self.clock.at
        if not self.to_kill or self.was_killed:
            self.was_killed = False
            self._run()
            return
        at, answered = self.dice.randint(1, 3), self.dice.random() < 0.5
        self.was_killed = run_killed(
            self._run_apart, self.draw, self._post, at=at, answered=answered
        )
        if self.was_killed:
            self.to_kill, self.killed = self.to_kill - 1, self.killed + 1
            when = "after" if answered else "before"
            self.tell(f"run killed {when} the answer to request {at}: {self.draw.asked[-1]}")

    def _run_apart(self, draw: Draw, post: Post) -> None:
        """Run in a forked process, which has server and mail elsewhere."""
        self.server, self.post = draw, post
        self._run()

    def _run(self) -> None:
        with opened(self.site, self.server, self.clock) as ctx, ExitStack() as lock:
            began, reports, error = ctx.now(), [], ""
            reported = begin_run(ctx, lock.enter_context(ctx.work.run_lock(began)))
            try:
                for report in run_once(ctx, Selection()):
                    reports.append(report)  # noqa: PERF402 - what was done stays known
                code = result_of(
                    reports, waiting_now(ctx), fail_if_idle=False, always=False
                ).exit_code
            except (DrawcliError, *SHORTAGES) as err:
                ended = as_run_error(err)
                code, error = ended.exit_code, ended.code
            note_run(ctx, began, reports, exit_code=code, error=error)
            lock.close()
            reported()
            report_out(ctx, error)
        self.codes[code] += 1
        if error:
            self.tell(f"run ended early: {error}")
        for report in reports:
            if report.scanned is not None:
                self.changed |= {
                    job_id.partition("-")[0] for job_id in report.scanned.changed_later
                }
            for job in report.held:
                self.tell(f"{job.id} held at {job.state}: {job.reason_code}")

    # --- the physicist -------------------------------------------------------------------------

    def act(self) -> None:
        """Decide on every held job, and on some that no rule takes."""
        with opened(self.site, self.draw, self.clock) as ctx:
            for job in ctx.ledger.jobs():
                if job.held:
                    self._decide(job, ctx)
                elif job.state is State.UNMATCHED and self.dice.random() < 0.3:
                    self._try("assign", job, ctx)

    def cancel_one(self) -> None:
        """Cancel an open job that is not held, if possible one at the server."""
        with opened(self.site, self.draw, self.clock) as ctx:
            jobs = ctx.ledger.jobs()
            open_ = [job for job in jobs if job.state not in OVER and not job.held]
            at_server = [job for job in open_ if job.state is State.UPLOADED]
            if open_:
                self._cancel(self.dice.choice(at_server or open_), ctx)

    def _cancel(self, job: Job, ctx: Context) -> None:
        """Cancel a job; take one back that was cancelled before, which may be archived."""
        if self.cancelled and self.dice.random() < 0.7:
            key, job_id = self.cancelled.popitem()
            before = ctx.ledger.get(job_id)
            assert before is not None
            if not self._try("retry", before, ctx):
                self.cancelled[key] = job_id
        if self._try("cancel", job, ctx):
            self.cancelled[job.series_key] = job.id

    def _decide(self, job: Job, ctx: Context) -> None:
        choices = ["retry", "release"]
        if job.reason_code in ("segmentation-failed", "changed-after-upload"):
            choices = ["retry", "assign"] if job.reason_code[0] == "s" else ["release", "assign"]
        elif job.reason_code == "duplicates":
            self._remove_second(job, ctx)
            return
        elif job.state is State.FETCHED:
            choices = ["resend", "assign"]  # what the server drew is no good
        self._try(self.dice.choice(choices), job, ctx)

    def _remove_second(self, job: Job, ctx: Context) -> None:
        """Remove the second sending of a series, as the reason asks for."""
        key = ctx.stand_ins.series_key
        (one,) = [one for one in self.series.values() if key(one.uid) == job.series_key]
        shutil.rmtree(one.again)
        self.tell(f"the second sending of {one.patient_id} is removed")

    def _try(self, what: str, job: Job, ctx: Context) -> bool:
        """Act on a job; return whether drawcli has accepted it."""
        try:
            if what == "assign":
                template = job.template or "Thorax_OAR"
                actions.assign_template(job, template, ctx)
            else:
                actions.apply_action(job, getattr(actions, what), ctx)
        except UsageError as err:
            self.tell(f"{what} {job.id} ({job.reason_code}): refused: {err}")
            return False
        self.acted[what] += 1
        self.tell(f"{what} {job.id} ({job.reason_code})")
        return True

    # --- the days ------------------------------------------------------------------------------

    def live(self) -> None:
        """Run the days of the plan, then two without failures in which everything is delivered."""
        for day in range(self.plan.days):
            self._day(day)
        self.draw.troubled = False
        for _ in range(2):
            self._day(-1)

    def _day(self, day: int) -> None:
        start = BEGIN + timedelta(days=len(self.figures))
        works = start.weekday() < SATURDAY and day >= 0 and day not in self.plan.silent
        agenda = self._agenda(day, works=works)
        end = start + timedelta(days=1)
        while self.clock.at < end:
            while agenda and start + agenda[0][0] <= self.clock.at:
                agenda.pop(0)[1]()
            for one in self.series.values():
                if one.left:
                    one.arrive(self.clock.at)
            self.run()
            by_day = works and self.clock.at - start < timedelta(hours=13)
            closed = 3 if day in self.plan.silent else 1
            self.clock.at += CRON if by_day else closed * self.plan.night
        self.end_of_day(day)

    def _agenda(self, day: int, *, works: bool) -> list[tuple[timedelta, Do]]:
        """Return what happens on a day, each with its time after 6:00."""
        todo = self._work() if works else []
        todo += self._incidents(day) + self._changes(day)
        if day < 0:
            todo += [(hour, self.act) for hour in (2, 8, 14)]
        return [(timedelta(hours=at), do) for at, do in sorted(todo, key=lambda one: one[0])]

    def _work(self) -> list[Planned]:
        """Return the scans of a working day, two jobs that are cancelled, and two looks at all."""
        todo: list[Planned] = [(3.1, self.act), (9.1, self.act)]
        todo += [(self.dice.uniform(1, 11), self.cancel_one) for _ in range(2)]
        for _ in range(self.dice.randint(5, 15)):
            (kind,) = self.dice.choices([*KINDS], [*KINDS.values()])
            todo.append((self.dice.uniform(1, 11), partial(self.scan_patient, kind)))
        return todo

    def _incidents(self, day: int) -> list[Planned]:
        """Return when server, share, disk and mail fail, and when they are back."""
        plan, todo = self.plan, list[Planned]()
        if day == 1:  # a Friday; something waits when the server fails
            todo += [(11.9, partial(self.scan_patient, "plain"))]
            todo += [(12, partial(self._set, "server", "down"))]
        if day == MONDAY:
            todo += [(1, partial(self._set, "server", "up"))]
        if day == plan.killed:
            todo += [(hour, self._kill) for hour in (1.5, 2.5, 10.5, 11.5)]
        for planned, begin, hours, name, value, after in (
            (plan.share_gone, 3, 6, "share", "gone", "there"),
            (plan.share_hangs, 7, 8, "share", "hangs", "there"),
            (plan.disk_full, 4, 3, "free", GIB >> 6, 50 * GIB),
            (plan.mail_refused, 5, 4, "refused", True, False),
        ):
            if day == planned:
                todo.append((begin, partial(self._set, name, value)))
                todo.append((begin + hours, partial(self._set, name, after)))
                if name == "share":
                    todo += [(begin + 0.1, partial(self.scan_patient, "plain"))] * 3
        return todo

    def _changes(self, day: int) -> list[Planned]:
        """Return what people change: tokens, rules, templates, the clock."""
        later = self.clock.at + timedelta(days=90)
        changes: list[tuple[int, Planned]] = [
            (self.plan.token_ends, (6, partial(self._new_tokens, later))),
            (self.plan.rules_change, (5, partial(self._edit, "rules.yaml", "\n# What", ARM_RULE))),
            (self.plan.templates_change, (5, partial(self._edit, "templates.yaml", "", NOTE))),
            (self.plan.clock_back, (7, partial(self.clock.advance, hours=-1))),
        ]
        return [change for planned, change in changes if planned == day]

    def _set(self, name: str, value: object) -> None:
        self.tell(f"{name}: {value}")
        if name == "server":
            self.draw.down = value == "down"
            return
        setattr(self, name, value)
        if name == "share" and value == "gone":
            self.tps.rename(self.tps.with_name("unmounted"))
        elif name == "share" and not self.tps.exists():
            self.tps.with_name("unmounted").rename(self.tps)

    def _kill(self) -> None:
        self.to_kill += 1

    def _edit(self, name: str, before: str, text: str) -> None:
        self.tell(f"{name} is changed")
        path = self.site.folder / name
        whole = path.read_text(encoding="utf-8")
        place = whole.index(before) if before else len(whole)
        path.write_text(whole[:place] + text + whole[place:], encoding="utf-8")

    # --- what is measured ----------------------------------------------------------------------

    def homes(self) -> list[Path]:
        return sorted([*self.tps.rglob("RS.*"), *self.site.store.rglob("RS.*")])

    def end_of_day(self, day: int) -> None:
        """Measure the site; no structure set was changed or removed."""
        there = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in self.homes()}
        assert self.delivered.items() <= there.items(), self.log("a structure set was changed")
        self.delivered = there
        gc.collect()
        objects = sum(map(is_ours, gc.get_objects()))  # before the jobs are read
        files = [path for path in self.site.state.rglob("*") if path.is_file()]
        work = [path for path in files if "work" in path.relative_to(self.site.state).parts]
        with opened(self.site, self.draw, self.clock) as ctx:
            jobs = list(ctx.ledger.all_jobs())
            open_ = sum(job.state not in FINISHED for job in jobs)
            since = ctx.now() - timedelta(days=self.plan.keep_days, hours=3)
            kept = sum(job.state in FINISHED and job.since >= since for job in jobs)
        self.figures.append(
            {
                "day": day,
                "jobs": len(jobs),
                "open": open_,
                "kept": kept,
                "folders": len({path.parent for path in work if path.suffix != ".lock"}),
                "work_files": len(work),
                "other_files": len(files) - len(work),
                "other_bytes": sum(path.stat().st_size for path in {*files} - {*work}),
                "work_bytes": sum(path.stat().st_size for path in work),
                "objects": objects,
                "open_files": len([*Path("/proc/self/fd").iterdir()]),
                "runs": self.runs,
                "requests": len(self.draw.asked),
                "mails": len(self.mails),
            }
        )

    def log(self, why: str) -> str:
        """Return what is wrong, with the story of the month."""
        return "\n".join([f"seed {self.seed}: {why}", *self.story[-400:]])

    def alarms(self, url: str) -> list[tuple[datetime, str]]:
        """Return the lines of all alarms of a recipient, each with its time."""
        return [
            (at, line)
            for at, to, message in self.mails
            if to == url and not message.title.endswith(DIGEST)
            for line in message.body.splitlines()
        ]

    def digests(self, url: str) -> Counter[date]:
        """Return how many digests a recipient got on each day."""
        return Counter(
            at.date() for at, to, one in self.mails if to == url and one.title.endswith(DIGEST)
        )


def slices_in(package: bytes) -> int:
    """Return the number of images of an upload."""
    with zipfile.ZipFile(BytesIO(package)) as archive:
        return sum(name.endswith(".dcm") for name in archive.namelist())
