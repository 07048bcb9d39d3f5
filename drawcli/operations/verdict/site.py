"""The verdict on a site from its jobs, runs, alarms and checks.

What is a problem is decided elsewhere: by `RunHealth`, by the conditions of the alarms, and by the
checks of `doctor`. Here each gets a level, a sentence, and what to do.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.state.run_log import EARLY, KILLED
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.warned import unseen_warnings
from drawcli.errors import UNDELIVERED
from drawcli.operations.alarm_conditions import Alarm, AlarmKind, alarms_of
from drawcli.operations.doctor.kept import read_outcomes
from drawcli.operations.doctor.outcome import (
    Check,
    CheckContext,
    Grade,
    Outcome,
    run_checks,
)
from drawcli.operations.doctor.quick import free_space, state_folder, token
from drawcli.operations.doctor.site_keys import site_key
from drawcli.operations.overview import RUNS_STOPPED, RunHealth
from drawcli.operations.verdict.facts import facts_of, limits_of, tokens_to_renew
from drawcli.operations.verdict.findings import Level, SetupStep, SiteFinding, SiteVerdict
from drawcli.pipeline.cluster.tokens import are_at_hand
from drawcli.system.durations import duration
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.core.protocol.tokens import Tokens
    from drawcli.pipeline.context import Context

_CRON: Final = "'crontab -l' shows whether cron calls 'drawcli run-once'; see 'drawcli doctor'"
_WORKERS: Final = "start 'drawcli worker' on a host, or run 'drawcli run-once' by cron"
_TOKEN: Final = "token"  # noqa: S105 - the name of a check
_CHECKS: Final[tuple[tuple[str, Check], ...]] = (  # made at each look
    ("state folder", state_folder),
    ("site key", site_key),
    ("free space", free_space),
    (_TOKEN, token),
)
# Checks of `doctor` that the runs themselves, the alarms or the checks above repeat all the time.
_TOLD_OTHERWISE: Final = frozenset(
    {"run lock", "last run", "held jobs", "pause", "server", "receive", *dict(_CHECKS)}
)
_HOME: Final = (State.DELIVERED, State.DONE)
_MADE_BY_RUNS: Final = frozenset({"settings", "datastore", "rules", "ledger"})
_SENTENCES: Final = {
    "state folder": "the state folder cannot be used",
    "site key": "the site key cannot be used",
    "free space": "the disk is nearly full",
    _TOKEN: "the token cannot be used",
    "datastore": "the datastore cannot be read",
    "delivery": "structure sets cannot be delivered",
}


class SiteView(NamedTuple):
    """What a verdict is made from."""

    ctx: "Context"
    health: RunHealth
    jobs: Sequence[Job]  # of the current ledger; `jobs_of_concern` are enough
    now: datetime
    setup: Sequence[SetupStep] = ()  # of a new site


def setup_of_new_site(
    ctx: "Context", config: Path, health: RunHealth, jobs: Sequence[Job]
) -> list[SetupStep]:
    """Return the steps of setting up a site that has no job yet, or nothing to decide by.

    None for a site that has delivered a structure set, or whose rules have matched a job.
    """
    if len(ctx.ledger.archive) or any(job.state in _HOME or job.template for job in jobs):
        return []
    from drawcli.operations.verdict.setup import DECIDE, setup_steps

    site = CheckContext(settings=ctx.settings, config=config, now=ctx.now(), ctx=ctx, probes=False)
    steps = setup_steps(site, health)
    undecided = any(not step.done and step.name in DECIDE for step in steps)
    return steps if undecided or not jobs else []


def jobs_of_concern(jobs: Iterable[Job]) -> list[Job]:
    """Return the jobs that a verdict may depend on: few of ten thousand, for each page."""
    return [
        job for job in jobs if job.held or job.reason_code in UNDELIVERED or unseen_warnings(job)
    ]


def verdict_of(site: SiteView) -> SiteVerdict:
    """Return the verdict on a site; nothing is written, and no command or server is asked.

    Raises
    ------
    LedgerError
        If the ledger cannot be read.
    """
    site = site._replace(jobs=jobs_of_concern(site.jobs))
    checks = [*_failed_checks(site)]
    unusable = any(one.code == _TOKEN for one in checks)
    return SiteVerdict.of(
        [
            *checks,
            *_of_runs(site.health, site.now),
            *_of_alarms(site, None if unusable else _tokens(site)),
            *_of_jobs(site.jobs),
            *_of_setup(site),
        ]
    )


def _of_runs(health: RunHealth, now: datetime) -> Iterator[SiteFinding]:
    """Yield the findings about runs, server and listener."""
    last = health.last
    if health.is_overdue(now) and health.runner is not None:
        text = f"a run has taken {duration(now - health.runner.since)} and blocks all others"
        do = "'drawcli doctor' says whether it hangs, and how to end it"
        yield SiteFinding(Level.BROKEN, "run-overdue", text, do, "/server")
    if last is not None and health.is_late(now, RUNS_STOPPED):
        text = f"no run for {duration(now - last.ended)}: {_nothing_runs(health)}"
        yield SiteFinding(Level.BROKEN, "run-stopped", text, _starter(health), "/server")
    elif last is not None and health.is_late(now):
        text = f"no run for {duration(now - last.ended)}"
        yield SiteFinding(Level.ATTENTION, "run-late", text, _starter(health), "/server")
    if last is not None and health.has_failed:
        level = Level.BROKEN if last.exit_code in {*EARLY, KILLED} else Level.ATTENTION
        do = "'drawcli doctor' says how to fix it"
        yield SiteFinding(
            level, "run-failed", f"the last run failed: {health.ending}", do, "/server"
        )
    if health.server is not None and health.server_is_away:
        text = "the server did not answer the last run"
        yield SiteFinding(Level.ATTENTION, "server", text, "drawcli doctor", "/server")
    yield from _of_arrival(health)


def _of_arrival(health: RunHealth) -> Iterator[SiteFinding]:
    """Yield why images do not arrive, and whether they are not sent."""
    if health.listener_is_down:
        text = "'drawcli receive' is not running: scanners cannot send"
        do = "start its service, or 'drawcli receive'"
        yield SiteFinding(Level.BROKEN, "receive", text, do, "/server")
    if health.pulls is not None and health.pulls.is_failing:
        text = "images cannot be pulled from an archive"
        yield SiteFinding(Level.ATTENTION, "pull", text, "drawcli doctor", "/server")
    if health.pause is not None:
        yield SiteFinding(
            Level.ATTENTION, "paused", "uploads are paused", "drawcli resume", "/server"
        )


def _of_alarms(site: SiteView, tokens: "Tokens | None") -> Iterator[SiteFinding]:
    """Yield the findings of alarms; those about runs that ended early are told from the run log."""
    facts = facts_of(site.ctx, site.jobs, None, tokens)
    alarms = [*alarms_of(facts, limits_of(site.ctx.settings.notify), site.now, site.now)]
    by_kind: dict[AlarmKind, list[Alarm]] = {}
    for alarm in alarms:
        by_kind.setdefault(alarm.kind, []).append(alarm)
    away = facts.server_away(site.now)
    if AlarmKind.SERVER in by_kind and away is not None:
        text = f"the server has not answered for {duration(away)}"
        yield SiteFinding(Level.BROKEN, "server", text, "drawcli doctor", "/server")
    for alarm in by_kind.get(AlarmKind.TOKEN, ()):
        is_over = facts.tokens is not None and (facts.tokens.usable_until or site.now) <= site.now
        text, _, do = alarm.text.partition("; ")
        yield SiteFinding(Level.BROKEN if is_over else Level.ATTENTION, _TOKEN, text, do, "/server")
    for alarm in by_kind.get(AlarmKind.NODE, ()):
        text, _, do = alarm.text.rpartition("; ")
        yield SiteFinding(Level.ATTENTION, "node", text, do, "/jobs?state=fetched")
    if qa := by_kind.get(AlarmKind.QA):
        causes = len({alarm.text for alarm in qa})
        text = f"contours need a look: {counted(causes, 'cause')} to investigate"
        yield SiteFinding(Level.ATTENTION, "contours", text, "drawcli qa report", "/qa")
    if blocked := len(by_kind.get(AlarmKind.BLOCKED, ())):
        text = f"the privacy gate blocked {counted(blocked, 'upload')}"
        yield SiteFinding(Level.ATTENTION, "privacy-gate", text, "drawcli quarantine", _HELD)


_HELD: Final = "/jobs?state=held"


def _of_jobs(jobs: Sequence[Job]) -> Iterator[SiteFinding]:
    if held := sum(job.held for job in jobs):
        text = f"{held:,} {'job is' if held == 1 else 'jobs are'} held"
        yield SiteFinding(Level.ATTENTION, "held", text, "drawcli quarantine", _HELD)
    if warned := sum(bool(unseen_warnings(job)) for job in jobs):
        what = "1 structure set was" if warned == 1 else f"{warned:,} structure sets were"
        text = f"{what} delivered with warnings that nobody has marked as seen"
        do = "drawcli status --state warnings"
        yield SiteFinding(Level.ATTENTION, "warnings", text, do, "/jobs?state=warnings")


def _of_setup(site: SiteView) -> Iterator[SiteFinding]:
    """Yield what is missing at a site that has not begun to work."""
    missing = [step for step in site.setup if not step.done]
    if missing:
        text = f"the site is not set up yet: {len(missing)} of {len(site.setup)} steps are missing"
        yield SiteFinding(Level.ATTENTION, "setup", text, missing[0].do, "/#setup")
    elif site.health.last is None and site.health.runner is None and not site.health.workers:
        text = f"no run yet: {_nothing_runs(site.health)}"
        yield SiteFinding(Level.ATTENTION, "no-run", text, _starter(site.health), "/server")


def _nothing_runs(health: RunHealth) -> str:
    """Return what has not run, by where the ledger of the site is."""
    cron = "cron does not call 'drawcli run-once'"
    return cron if health.workers is None else f"no worker is alive, and {cron}"


def _starter(health: RunHealth) -> str:
    """Return what to do about it."""
    return _CRON if health.workers is None else _WORKERS


def _failed_checks(site: SiteView) -> Iterator[SiteFinding]:
    """Yield the failed checks of `doctor`: quick ones made now, others as `doctor` stored them."""
    settings, now = site.ctx.settings, site.now
    asked = CheckContext(settings=settings, config=Path(), now=now, ctx=site.ctx, probes=False)
    missing = {step.check for step in site.setup if not step.done}
    in_file = are_at_hand(settings)  # others start a command
    checks = [one for one in _CHECKS if one[0] not in missing and (in_file or one[0] != _TOKEN)]
    for outcome in run_checks(checks, asked):
        is_short = outcome.check == "free space" and outcome.result.grade is Grade.WARN
        if is_short or outcome.result.grade is Grade.FAIL:
            level = Level.ATTENTION if is_short else Level.BROKEN
            yield _of_check(outcome, level, _SENTENCES[outcome.check])
    for kept in read_outcomes(settings.state_dir, now):
        name, last = kept.outcome.check, site.health.success
        if kept.outcome.result.grade is not Grade.FAIL or name in _TOLD_OTHERWISE:
            continue
        if name in _MADE_BY_RUNS and last is not None and last.ended > kept.at:
            continue
        ago = f"{duration(max(now - kept.at, timedelta()))} ago"
        text = _SENTENCES.get(name, f"the check '{name}' failed")
        yield _of_check(kept.outcome, Level.BROKEN, f"{text} ('drawcli doctor', {ago})")


def _of_check(outcome: Outcome, level: Level, text: str) -> SiteFinding:
    code, result = outcome.check.replace(" ", "-"), outcome.result
    return SiteFinding(level, code, text, result.remedy, "/checkup", result.text)


def _tokens(site: SiteView) -> "Tokens | None":
    """Return the tokens of a file that somebody must renew."""
    in_file = are_at_hand(site.ctx.settings)
    return tokens_to_renew(site.ctx) if in_file else None
