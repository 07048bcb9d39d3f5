"""Alarms and the daily digest: gathered from what is there, told to each place once.

A message that a place does not take is sent again by the next run. No run fails for it. Where the
disk is full, what was told is kept by `spare_file`, so that a night of it is one message.

All places are told at the same time, each within its limit: one that is slow delays no other. No
lock of a run is held meanwhile; `alarms.lock` keeps two processes from telling the same.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from filelock import FileLock, Timeout

from drawcli.adapters.notifications import Message, Recipient, Weight, places_of
from drawcli.adapters.state.run_log import ANSWERED, OUT_OF_REACH, Run, RunLog
from drawcli.config.load import Settings
from drawcli.config.sections_monitoring import DIGEST, Notify
from drawcli.core.jobs.waiting import delivered_at
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import DrawcliError
from drawcli.operations.alarm_conditions import (
    Alarm,
    AlarmKind,
    Facts,
    Limits,
    RecipientState,
    alarms_of,
    body_of,
    is_asked_for,
    title_of,
)
from drawcli.operations.alarm_conditions import failing as failing_run
from drawcli.operations.alarm_memory import NotificationStore
from drawcli.operations.audit_check import unattested
from drawcli.operations.overview import Overview, RunHealth
from drawcli.operations.report import report_of
from drawcli.pipeline.context import Context
from drawcli.system.files import PRIVATE
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import as_ended, run_in_thread

_LOCK: Final = "alarms.lock"
_GRAVE: Final = frozenset({AlarmKind.FAILED, AlarmKind.BLOCKED, AlarmKind.HUNG})
_TROUBLE: Final = (DrawcliError, OSError, ValueError, RuntimeError)  # of what sends
_MB: Final = 1_000_000
_log = logging.getLogger(__name__)


def tell(ctx: Context, hung: Sequence[Alarm] = ()) -> None:
    """Tell each place what is new to it; at the end of a run.

    Parameters
    ----------
    ctx
        The site.
    hung
        Which processes hold jobs for too long.

    Raises
    ------
    ConfigError, LedgerError
        Where the addresses, or the ledger, cannot be read; nothing was told.
    """
    settings = ctx.settings.notify
    places = places_of(settings)
    if not places:
        return
    with _desk(ctx.settings, ctx.now()) as desk:
        facts = replace(facts_of(ctx, desk.memory.last_delivered), hung=hung)
        desk.memory.last_delivered = facts.last_delivered
        desk.memory.keep_only(places)
        since = {place: desk.told(place).since for place in places}
        limits = limits_of(settings)
        alarms = {one: [*alarms_of(facts, limits, desk.now, since[one])] for one in places}
        desk.send(desk.alarm(place, alarms[place], frozenset(AlarmKind)) for place in places)


def tell_digest(ctx: Context) -> None:
    """Tell each place once a day what was since the last digest.

    Raises
    ------
    ConfigError, LedgerError
        As `tell`.
    """
    settings = ctx.settings.notify
    if DIGEST not in settings.events or settings.digest_at is None:
        return
    places = places_of(settings)
    if places:
        with _desk(ctx.settings, ctx.now()) as desk:
            desk.send(desk.digest(place, ctx) for place in places)


def tell_of_no_run(settings: Settings, code: str, now: datetime) -> None:
    """Tell that a run could not even begin; of all else nothing is known.

    Raises
    ------
    ConfigError
        As `tell`.
    """
    tell_alone(settings, failing_run(code), now)


def tell_alone(settings: Settings, alarm: Alarm, now: datetime) -> None:
    """Tell each place of one thing, where it was not told yet; of all else nothing is known.

    Raises
    ------
    ConfigError
        As `tell`.
    """
    places = places_of(settings.notify)
    if places:
        with _desk(settings, now) as desk:
            desk.send(desk.alarm(place, [alarm], {alarm.kind}) for place in places)


@contextmanager
def _desk(settings: Settings, now: datetime) -> "Iterator[Notifier]":
    """Let one process at a time send messages; save at the end what was sent.

    A process that holds the lock for longer than sending can take hangs, and is not waited for: a
    message that comes twice is better than none.
    """
    lock = FileLock(settings.state_dir / _LOCK, mode=PRIVATE)
    try:
        lock.acquire(timeout=3 * EXCHANGES["message"].seconds)  # alarms, digest, and some work
    except (Timeout, OSError) as err:
        _log.warning("step=notify lock=%s", type(err).__name__)
    try:
        desk = Notifier(settings, NotificationStore.read(settings.state_dir), now)
        yield desk
        desk.memory.write()
    finally:
        lock.release()


def limits_of(settings: Notify) -> Limits:
    """Return from when on a site wants to be told."""
    return Limits(
        token=timedelta(days=settings.token_days),
        server=timedelta(hours=settings.server_hours),
        idle=timedelta(hours=settings.idle_hours),
        node=timedelta(hours=settings.node_hours),
    )


def facts_of(ctx: Context, last_delivered: datetime | None) -> Facts:
    """Return what is so now; finished jobs go to the archive, so the last delivery is given."""
    jobs = ctx.ledger.jobs()
    delivered = {job.id: at for job in jobs if (at := delivered_at(job)) is not None}
    known = [*delivered.values(), *filter(None, [last_delivered])]
    runs = [*_since_answer(RunLog(ctx.settings.state_dir).newest_first())]
    last = RunLog(ctx.settings.state_dir).last()
    return Facts(
        jobs=jobs,
        delivered=delivered,
        last_delivered=max(known, default=None),
        server_away_since=runs[-1].began if runs else None,
        failing="" if last is None or not last.ended_early else last.error or "bug",
        tokens=_tokens(ctx),
    )


def _since_answer(runs: Iterable[Run]) -> Iterator[Run]:
    """Yield the runs that asked the server since it answered last, the newest first."""
    for run in runs:
        if run.server == ANSWERED:
            return
        if run.server == OUT_OF_REACH:
            yield run


def _tokens(ctx: Context) -> Tokens | None:
    """Return the tokens that a person has to look after; a command brings new ones by itself."""
    try:
        tokens = ctx.tokens.read()
    except DrawcliError:  # a run without a token ends early, and that is told
        return None
    return None if ctx.settings.server.token_command and not tokens.refresh else tokens


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to a place, and how to note it once the place has taken it."""

    place: Recipient
    message: Message
    noted: Callable[[RecipientState], RecipientState]


@dataclass(frozen=True, slots=True)
class Notifier:
    """Sends messages at one moment, and writes down what was taken."""

    settings: Settings
    memory: NotificationStore
    now: datetime

    @property
    def here(self) -> datetime:
        """The moment by the clock on the wall."""
        return self.now.astimezone()

    def told(self, place: Recipient) -> RecipientState:
        """Return what a place was told."""
        known = self.memory.places.get(place.key(self.memory.salt))
        return known or RecipientState.nothing(self.now, self.here, self.settings.notify.digest_at)

    def alarm(
        self, place: Recipient, alarms: Iterable[Alarm], looked_at: Collection[AlarmKind]
    ) -> Letter | None:
        """Return what a place does not know yet of what it wants to know."""
        wanted = [one for one in alarms if is_asked_for(one, self.settings.notify.events)]
        told = self.told(place).cleared(wanted, looked_at)
        self._keep(place, told)
        news = told.news(wanted)
        if not news:
            return None
        grave = any(one.kind in _GRAVE for one in news)
        quiet = all(one.kind is AlarmKind.DELIVERED for one in news)
        weight = Weight.FAILURE if grave else Weight.INFO if quiet else Weight.WARNING
        message = Message(
            titled(self.settings, title_of(news)), body_of([one.text for one in news]), weight
        )
        return Letter(place, message, lambda told: told.with_told(news))

    def digest(self, place: Recipient, ctx: Context) -> Letter | None:
        """Return what was since the last digest of a place, once a day."""
        told, at = self.told(place), self.settings.notify.digest_at
        if at is None or not told.wants_digest(self.here, at):
            return None
        message = Message(
            titled(self.settings, "daily digest"),
            "\n".join(digest(ctx, told.digest_until, self.now)),
        )
        return Letter(place, message, lambda told: told.with_digest(self.now, self.here))

    def send(self, letters: Iterable[Letter | None]) -> None:
        """Send messages, all at the same time; write down what was taken as soon as it is."""
        under_way = {
            run_in_thread(partial(letter.place.send, letter.message)): letter
            for letter in letters
            if letter is not None
        }
        for ended in as_ended(under_way):
            letter = under_way[ended]
            if self._is_taken(letter.place, ended):
                self._keep(letter.place, letter.noted(self.told(letter.place)))
                self.memory.write()

    def _is_taken(self, place: Recipient, ended: Future[bool]) -> bool:
        """Tell whether a place took a message; note since when it takes nothing, for `doctor`."""
        try:
            taken = ended.result()
        except _TROUBLE:
            taken = False
        told = self.told(place)
        since = None if taken else told.failing_since or self.now
        self._keep(place, replace(told, failing_since=since))
        level = logging.INFO if taken else logging.WARNING
        outcome = "taken" if taken else "not-taken"
        _log.log(level, "step=notify place=%d outcome=%s", place.number, outcome)
        return taken

    def _keep(self, place: Recipient, told: RecipientState) -> None:
        self.memory.places[place.key(self.memory.salt)] = told


def titled(settings: Settings, what: str) -> str:
    """Return the title of a message: which site, and what.

    It is the name that the server knows the site by.
    """
    client = settings.server.client_id
    return f"drawcli {client}: {what}" if client else f"drawcli: {what}"


def digest(ctx: Context, since: datetime, now: datetime) -> Iterator[str]:
    """Yield the lines of a digest: what was since the last one, and what is now."""
    report = report_of(ctx.ledger.all_jobs(f"{since:%Y-%m}"), since, now)
    sent_mb = report.total("bytes_sent") / _MB
    counts = [f"{report.total(what):,} {what}" for what in ("found", "sent", "delivered", "held")]
    yield f"Since {since:%Y-%m-%d %H:%M} UTC:"
    yield f"  {', '.join(counts)}; {report.total('failed'):,} tries failed; {sent_mb:,.1f} MB sent"
    overview = Overview.of(ctx.ledger.jobs())
    yield f"Now: {overview.flow(len(ctx.ledger.archive))}"
    held = [f"  {job.id} at {job.state}: {job.reason_code}" for job in overview.held]
    if held:
        yield body_of(held)
    for about, sentence in RunHealth.of(ctx.settings.state_dir).sentences(now):
        if about != "step":
            yield f"{about.capitalize()}: {sentence}"
    verdict = ctx.audit.verify()
    if verdict.breaks or unattested(ctx):
        yield "Audit log: IT IS NOT AS IT WAS WRITTEN; 'drawcli audit verify' tells where"
    yield f"Audit log: {verdict.lines:,} lines, head {verdict.head}"
