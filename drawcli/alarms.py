"""Alarms and the daily digest: gathered from what is there, told to each place once.

state_dir/alarms.json    what each place was told; without it all that is so now is told anew

A message that a place does not take is sent again by the next run. No run fails for it. Where the
disk is full, what was told is kept `elsewhere`, so that a night of it is one message.
"""

import json
import logging
import secrets
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Self

from drawcli import elsewhere
from drawcli.adapters.messages import Message, Place, Weight, places_of
from drawcli.auditing import unattested
from drawcli.config import Settings
from drawcli.context import Context
from drawcli.core.alarms import Alarm, Facts, Kind, Limits, Told, alarms_of, body_of, title_of
from drawcli.core.alarms import failing as failing_run
from drawcli.core.tokens import Tokens
from drawcli.errors import DiskFull, DrawcliError
from drawcli.files import write_durably
from drawcli.overview import Overview, Pulse, delivered_at
from drawcli.reporting import report_of
from drawcli.runs import ANSWERED, OUT_OF_REACH, Run, RunBook
from drawcli.signals import DIGEST, Notify

FILE_NAME: Final = "alarms.json"
_GRAVE: Final = frozenset({Kind.FAILED, Kind.BLOCKED})
_TROUBLE: Final = (DrawcliError, OSError, ValueError, RuntimeError)  # of what sends
_MB: Final = 1_000_000
_log = logging.getLogger(__name__)


def tell(ctx: Context) -> None:
    """Tell each place what is new to it; at the end of a run.

    Raises
    ------
    ConfigError, LedgerError
        Where the addresses, or the ledger, cannot be read; nothing was told.
    """
    settings = ctx.settings.notify
    places = places_of(settings)
    if not places:
        return
    desk = Desk(ctx.settings, Memory.read(ctx.settings.state_dir), ctx.now())
    facts = facts_of(ctx, desk.memory.last_delivered)
    desk.memory.last_delivered = facts.last_delivered
    desk.memory.keep_only(places)
    for place in places:
        told = desk.told(place)
        alarms = alarms_of(facts, limits_of(settings), desk.now, told.since)
        desk.alarm(place, alarms, frozenset(Kind))
    desk.memory.write()


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
    desk = Desk(ctx.settings, Memory.read(ctx.settings.state_dir), ctx.now())
    for place in places_of(settings):
        desk.digest(place, ctx)
    desk.memory.write()


def tell_of_no_run(settings: Settings, code: str, now: datetime) -> None:
    """Tell that a run could not even begin; of all else nothing is known.

    Raises
    ------
    ConfigError
        As `tell`.
    """
    desk = Desk(settings, Memory.read(settings.state_dir), now)
    for place in places_of(settings.notify):
        desk.alarm(place, [failing_run(code)], {Kind.FAILED})


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
    runs = [*_since_answer(RunBook(ctx.settings.state_dir).newest_first())]
    last = RunBook(ctx.settings.state_dir).last()
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


@dataclass(slots=True)
class Memory:
    """What was told, kept from run to run."""

    path: Path
    salt: str
    last_delivered: datetime | None = None
    places: dict[str, Told] = field(default_factory=dict)
    _written: bytes = b""

    @classmethod
    def read(cls, state_dir: Path) -> Self:
        """Return what is known; of a file that is damaged or not there, nothing."""
        path = state_dir / FILE_NAME
        try:
            kept = elsewhere.read(path)
            written = path.read_bytes() if kept is None else kept
            plain = json.loads(written)
            last = plain["last_delivered"]
            return cls(
                path,
                str(plain["salt"]),
                None if last is None else datetime.fromisoformat(last),
                {key: _told(one) for key, one in plain["places"].items()},
                written if kept is None else b"",
            )
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(path, secrets.token_hex(8))

    def keep_only(self, places: Iterable[Place]) -> None:
        """Forget the places that are there no more."""
        keys = {place.key(self.salt) for place in places}
        self.places = {key: told for key, told in self.places.items() if key in keys}

    def write(self) -> None:
        """Write it down, durably, where it is new; `elsewhere` where the disk refuses."""
        last = self.last_delivered
        plain = {
            "salt": self.salt,
            "last_delivered": None if last is None else last.isoformat(),
            "places": {key: _plain(told) for key, told in self.places.items()},
        }
        text = json.dumps(plain, indent=1).encode("ascii")
        if text == self._written:
            return
        try:
            write_durably(self.path, text)
        except (OSError, DiskFull):
            outcome = "elsewhere" if elsewhere.put(self.path, text) else "not-kept"
            _log.warning("step=notify memory=%s", outcome)
        else:
            elsewhere.drop(self.path)
            self._written = text


@dataclass(frozen=True, slots=True)
class Desk:
    """Sends messages at one moment, and writes down what was taken."""

    settings: Settings
    memory: Memory
    now: datetime

    @property
    def here(self) -> datetime:
        """The moment by the clock on the wall."""
        return self.now.astimezone()

    def told(self, place: Place) -> Told:
        """Return what a place was told."""
        known = self.memory.places.get(place.key(self.memory.salt))
        return known or Told.nothing(self.now, self.here, self.settings.notify.digest_at)

    def alarm(self, place: Place, alarms: Iterable[Alarm], looked_at: Collection[Kind]) -> None:
        """Tell a place what it does not know yet of what it wants to know."""
        wanted = [one for one in alarms if one.kind in self.settings.notify.events]
        told = self.told(place).cleared(wanted, looked_at)
        self._keep(place, told)
        news = told.news(wanted)
        if not news:
            return
        grave = any(one.kind in _GRAVE for one in news)
        quiet = all(one.kind is Kind.DELIVERED for one in news)
        weight = Weight.FAILURE if grave else Weight.INFO if quiet else Weight.WARNING
        message = Message(
            titled(self.settings, title_of(news)), body_of([one.text for one in news]), weight
        )
        if self._sent(place, message):
            self._keep(place, self.told(place).with_told(news))
            self.memory.write()

    def digest(self, place: Place, ctx: Context) -> None:
        """Tell a place what was since its last digest, once a day."""
        told, at = self.told(place), self.settings.notify.digest_at
        if at is None or not told.wants_digest(self.here, at):
            return
        message = Message(
            titled(self.settings, "daily digest"),
            "\n".join(digest(ctx, told.digest_until, self.now)),
        )
        if self._sent(place, message):
            self._keep(place, self.told(place).with_digest(self.now, self.here))
            self.memory.write()

    def _sent(self, place: Place, message: Message) -> bool:
        """Send; note since when a place takes nothing, for `doctor`."""
        try:
            taken = place.send(message)
        except _TROUBLE:
            taken = False
        told = self.told(place)
        since = None if taken else told.failing_since or self.now
        self._keep(place, replace(told, failing_since=since))
        level = logging.INFO if taken else logging.WARNING
        outcome = "taken" if taken else "not-taken"
        _log.log(level, "step=notify place=%d outcome=%s", place.number, outcome)
        return taken

    def _keep(self, place: Place, told: Told) -> None:
        self.memory.places[place.key(self.memory.salt)] = told


def titled(settings: Settings, what: str) -> str:
    """Return the title of a message: which site, and what.

    It is the name that the server knows the site by.
    """
    client = settings.server.client_id
    return f"drawcli {client}: {what}" if client else f"drawcli: {what}"


def digest(ctx: Context, since: datetime, now: datetime) -> Iterator[str]:
    """Yield the lines of a digest: what was since the last one, and what is now."""
    report = report_of(ctx.ledger.every(f"{since:%Y-%m}"), since, now)
    sent_mb = report.total("bytes_sent") / _MB
    counts = [f"{report.total(what):,} {what}" for what in ("found", "sent", "delivered", "held")]
    yield f"Since {since:%Y-%m-%d %H:%M} UTC:"
    yield f"  {', '.join(counts)}; {report.total('failed'):,} tries failed; {sent_mb:,.1f} MB sent"
    overview = Overview.of(ctx.ledger.jobs())
    yield f"Now: {overview.flow(len(ctx.ledger.archive))}"
    held = [f"  {job.id} at {job.state}: {job.reason_code}" for job in overview.held]
    if held:
        yield body_of(held)
    for about, sentence in Pulse.of(ctx.settings.state_dir).sentences(now):
        if about != "step":
            yield f"{about.capitalize()}: {sentence}"
    verdict = ctx.audit.verify()
    if verdict.breaks or unattested(ctx):
        yield "Audit log: IT IS NOT AS IT WAS WRITTEN; 'drawcli audit verify' tells where"
    yield f"Audit log: {verdict.lines:,} lines, head {verdict.head}"


def _told(plain: dict[str, Any]) -> Told:
    failing = plain["failing_since"]
    return Told(
        since=datetime.fromisoformat(plain["since"]),
        digest_day=date.fromisoformat(plain["digest_day"]),
        digest_until=datetime.fromisoformat(plain["digest_until"]),
        names=frozenset(map(str, plain["told"])),
        failing_since=None if failing is None else datetime.fromisoformat(failing),
    )


def _plain(told: Told) -> dict[str, Any]:
    failing = told.failing_since
    return {
        "since": told.since.isoformat(),
        "digest_day": told.digest_day.isoformat(),
        "digest_until": told.digest_until.isoformat(),
        "told": sorted(told.names),
        "failing_since": None if failing is None else failing.isoformat(),
    }
