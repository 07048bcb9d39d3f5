"""Alarms and the daily digest: each recipient gets each message once.

A message that a recipient does not accept is sent again by the next run; no run fails for it. All
recipients are served at the same time, each within its own time limit. The run lock is not held
meanwhile; `alarms.lock` keeps two processes from sending the same message.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Final

from filelock import FileLock, Timeout

from drawcli.adapters.messages.sent import SentMessage, SentMessages
from drawcli.adapters.messages.silence import Silence, read_silence
from drawcli.adapters.notifications import Message, Recipient, Weight, recipients_of
from drawcli.config.load import Settings
from drawcli.config.sections_monitoring import DIGEST
from drawcli.errors import DrawcliError
from drawcli.operations.alarm_conditions import (
    Alarm,
    AlarmKind,
    Facts,
    RecipientState,
    alarms_of,
    body_of,
    is_asked_for,
    title_of,
)
from drawcli.operations.ledger_check import unattested
from drawcli.operations.notification_store import NotificationStore
from drawcli.operations.overview import Overview, RunHealth
from drawcli.operations.qa.summary_text import contour_lines
from drawcli.operations.report import report_of
from drawcli.operations.verdict.facts import facts_of, limits_of, tokens_to_renew
from drawcli.operations.verdict.site import SiteView, verdict_of
from drawcli.pipeline.context import Context
from drawcli.system.files import PRIVATE
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import as_completed, run_in_thread

_LOCK: Final = "alarms.lock"
_GRAVE: Final = frozenset({AlarmKind.FAILED, AlarmKind.BLOCKED, AlarmKind.HUNG})
_TROUBLE: Final = (DrawcliError, OSError, ValueError, RuntimeError)  # raised while sending
_MB: Final = 1_000_000
_log = logging.getLogger(__name__)


def send_alarms(ctx: Context, hung: Sequence[Alarm] = ()) -> None:
    """Send each recipient the alarms that are new to it; called at the end of a run.

    Parameters
    ----------
    ctx
        The site.
    hung
        Alarms about processes that hold a lock for too long.

    Raises
    ------
    ConfigError, LedgerError
        If the addresses or the ledger cannot be read; nothing is sent then.
    """
    settings = ctx.settings.notify
    places = recipients_of(settings)
    if not places:
        return
    with _notifier(ctx.settings, ctx.now()) as notifier:
        facts = replace(_facts(ctx, notifier.store.last_delivered), hung=hung)
        notifier.store.last_delivered = facts.last_delivered
        notifier.store.keep_only(places)
        limits = limits_of(settings)
        letters = []
        for place in places:
            alarms = alarms_of(facts, limits, notifier.now, notifier.state(place).since)
            letters.append(notifier.alarm_letter(place, [*alarms], frozenset(AlarmKind)))
        notifier.send(letters)


def send_digest(ctx: Context) -> None:
    """Send each recipient, once a day, a summary of the time since its last digest.

    Raises
    ------
    ConfigError, LedgerError
        As `send_alarms`.
    """
    settings = ctx.settings.notify
    if DIGEST not in settings.events or settings.digest_at is None:
        return
    places = recipients_of(settings)
    if places:
        with _notifier(ctx.settings, ctx.now()) as notifier:
            notifier.send(notifier.digest_letter(place, ctx) for place in places)


def send_only(
    settings: Settings, kinds: Collection[AlarmKind], alarms: Sequence[Alarm], now: datetime
) -> None:
    """Send the present alarms of some kinds; others keep their state. Raises as `send_alarms`."""
    places = recipients_of(settings.notify)
    if places:
        with _notifier(settings, now) as notifier:
            notifier.send(notifier.alarm_letter(place, alarms, kinds) for place in places)


def _facts(ctx: Context, last_delivered: datetime | None) -> Facts:
    return facts_of(ctx, ctx.ledger.jobs(), last_delivered, tokens_to_renew(ctx))


@contextmanager
def _notifier(settings: Settings, now: datetime) -> "Iterator[Notifier]":
    """Yield a notifier, in one process at a time; save its state at the end.

    A process that holds the lock for longer than sending can take is hung. It is not waited for: a
    duplicate message is better than none.
    """
    lock = FileLock(settings.state_dir / _LOCK, mode=PRIVATE)
    try:
        lock.acquire(timeout=3 * EXCHANGES["message"].seconds)  # alarms, digest, and some work
    except (Timeout, OSError) as err:
        _log.warning("step=notify lock=%s", type(err).__name__)
    try:
        silence = read_silence(settings.state_dir, now)
        notifier = Notifier(settings, NotificationStore.read(settings.state_dir), now, silence)
        yield notifier
        notifier.store.write()
    finally:
        lock.release()


@dataclass(frozen=True, slots=True)
class Letter:
    """A message to a recipient, and the change of its state once it has accepted the message."""

    place: Recipient
    message: Message
    sent: Callable[[RecipientState], RecipientState]


@dataclass(frozen=True, slots=True)
class Notifier:
    """Composes and sends messages, and records those that were accepted."""

    settings: Settings
    store: NotificationStore
    now: datetime
    silence: Silence | None = None  # alarms wait for its end

    @property
    def here(self) -> datetime:
        """The present in local time."""
        return self.now.astimezone()

    def state(self, place: Recipient) -> RecipientState:
        """Return what a recipient has received so far."""
        kept = self.store.places.get(place.key(self.store.salt))
        return kept or RecipientState.new(self.now, self.here, self.settings.notify.digest_at)

    def alarm_letter(
        self, place: Recipient, alarms: Iterable[Alarm], checked: Collection[AlarmKind]
    ) -> Letter | None:
        """Return a message with the alarms that a recipient has not received; None if all are."""
        wanted = [alarm for alarm in alarms if is_asked_for(alarm, self.settings.notify.events)]
        state = self.state(place).without_cleared(wanted, checked)
        self._keep(place, state)
        news = state.news(wanted)
        if not news or self.silence is not None:
            return None
        grave = any(alarm.kind in _GRAVE for alarm in news)
        quiet = all(alarm.kind is AlarmKind.DELIVERED for alarm in news)
        weight = Weight.FAILURE if grave else Weight.INFO if quiet else Weight.WARNING
        message = Message(
            titled(self.settings, title_of(news)),
            body_of([*dict.fromkeys(alarm.text for alarm in news)]),
            weight,
        )
        return Letter(place, message, lambda state: state.with_sent(news))

    def digest_letter(self, place: Recipient, ctx: Context) -> Letter | None:
        """Return the daily digest of a recipient; None if it is not due."""
        state, at = self.state(place), self.settings.notify.digest_at
        if at is None or not state.wants_digest(self.here, at):
            return None
        message = Message(
            titled(self.settings, "daily digest"),
            "\n".join(digest(ctx, state.digest_until, self.now)),
        )
        return Letter(place, message, lambda state: state.with_digest(self.now, self.here))

    def send(self, letters: Iterable[Letter | None]) -> None:
        """Send messages concurrently; record each as soon as it is accepted."""
        under_way = {
            run_in_thread(partial(letter.place.send, letter.message)): letter
            for letter in letters
            if letter is not None
        }
        for ended in as_completed(under_way):
            letter = under_way[ended]
            if self._is_accepted(letter, ended):
                self._keep(letter.place, letter.sent(self.state(letter.place)))
                self.store.write()

    def _is_accepted(self, letter: Letter, ended: Future[bool]) -> bool:
        """Return whether a recipient accepted a message; record it, and since when it does not."""
        place = letter.place
        try:
            accepted = ended.result()
        except _TROUBLE:
            accepted = False
        state = self.state(place)
        since = None if accepted else state.failing_since or self.now
        self._keep(place, state._replace(failing_since=since))
        level = logging.INFO if accepted else logging.WARNING
        outcome = "taken" if accepted else "not-taken"
        _log.log(level, "step=notify place=%d outcome=%s", place.number, outcome)
        note_message(self.settings, place, letter.message, self.now, is_taken=accepted)
        return accepted

    def _keep(self, place: Recipient, state: RecipientState) -> None:
        self.store.places[place.key(self.store.salt)] = state


def note_message(
    settings: Settings, place: Recipient, message: Message, at: datetime, *, is_taken: bool
) -> None:
    """Record a message; one that cannot be written is dropped."""
    sent = SentMessage(at, place.masked, message.title, message.body, is_taken)
    with suppress(OSError):
        SentMessages(settings.state_dir).add(sent)


def titled(settings: Settings, what: str) -> str:
    """Return the title of a message, with the site's client id."""
    client = settings.server.client_id
    return f"drawcli {client}: {what}" if client else f"drawcli: {what}"


def digest(ctx: Context, since: datetime, now: datetime) -> Iterator[str]:
    """Yield the lines of a digest: activity since the last one, and the present state."""
    yield from _verdict_lines(ctx, now)
    report = report_of(ctx.ledger.all_jobs(f"{since:%Y-%m}"), since, now)
    sent_mb = report.total("bytes_sent") / _MB
    counts = [f"{report.total(what):,} {what}" for what in ("found", "sent", "delivered", "held")]
    yield f"Since {since:%Y-%m-%d %H:%M} UTC:"
    failed = report.total("failed")
    yield f"  {', '.join(counts)}; {failed:,} attempts failed; {sent_mb:,.1f} MB sent"
    overview = Overview.of(ctx.ledger.jobs())
    yield f"Now: {overview.flow(len(ctx.ledger.archive))}"
    if silence := read_silence(ctx.settings.state_dir, now):
        yield f"Alarms: silenced {silence.in_words(now)}"
    if held := [f"  {job.id} at {job.state}: {job.reason_code}" for job in overview.held]:
        yield body_of(held)
    if contours := contour_lines(ctx.settings.state_dir, since, now):
        yield body_of(["Contours:", *contours])
    for line in RunHealth.of_site(ctx.settings, ctx.ledger.shared).sentences(now):
        if line.subject != "step":
            yield f"{line.subject.capitalize()}: {line.text}"
    verdict = ctx.audit.verify()
    if verdict.breaks or unattested(ctx):
        yield "Audit log: ALTERED OR INCOMPLETE; 'drawcli audit verify' shows where"
    yield f"Audit log: {verdict.lines:,} lines, head {verdict.head}"


def _verdict_lines(ctx: Context, now: datetime) -> Iterator[str]:
    """Yield the verdict on the site, then the other findings."""
    health = RunHealth.of_site(ctx.settings, ctx.ledger.shared)
    verdict = verdict_of(SiteView(ctx, health, ctx.ledger.jobs(), now))
    yield f"{verdict.level.upper()}: {verdict.headline}"
    for finding in verdict.findings[1:]:
        yield f"  {finding.level}: {finding.text}"
