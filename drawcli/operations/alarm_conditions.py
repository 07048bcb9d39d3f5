"""Which alarms a person is told, and when: each once, and again only if it cleared and came back.

Pure: given what is so now and what a place (a mailbox, a channel) was told already, it says what is
to be told. Alarms hold job ids, codes and counts; nothing of a patient.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, Self

from drawcli.core.jobs.job import EventKind, Job
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import NODE
from drawcli.system.durations import ago

MOST_LINES: Final = 20  # of one message
_BLOCKED: Final = "privacy-gate"


class AlarmKind(StrEnum):
    """What an alarm is about; the value is what `notify.events` calls it."""

    HELD = "held"
    BLOCKED = "blocked"
    TOKEN = "token"  # noqa: S105 - no password
    SERVER = "server"
    NODE = "node"
    IDLE = "idle"
    FAILED = "failed"
    HUNG = "hung"
    DELIVERED = "delivered"


_IN_TITLE: Final = {
    AlarmKind.HUNG: "a run hangs",
    AlarmKind.FAILED: "runs end early",
    AlarmKind.BLOCKED: "{n} blocked by the privacy gate",
    AlarmKind.HELD: "{n} held",
    AlarmKind.SERVER: "the server is away",
    AlarmKind.NODE: "structure sets wait for the DICOM node",
    AlarmKind.TOKEN: "the token expires",
    AlarmKind.IDLE: "nothing delivered",
    AlarmKind.DELIVERED: "{n} delivered",
}


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that is so now, and of which a person may want to hear."""

    kind: AlarmKind
    key: str  # what tells it from others of its kind
    text: str

    @property
    def name(self) -> str:
        """What tells it from every other alarm."""
        return f"{self.kind}:{self.key}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """From when on a person is told."""

    token: timedelta
    server: timedelta
    idle: timedelta
    node: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is so now. Times are UTC."""

    jobs: Sequence[Job] = ()
    delivered: Mapping[str, datetime] = field(default_factory=dict)  # of these jobs: when
    last_delivered: datetime | None = None
    server_away_since: datetime | None = None  # the first of the runs that got no answer
    failing: str = ""  # the code of what ended the last run early
    tokens: Tokens | None = None
    hung: Sequence[Alarm] = ()  # processes that have held a lock for too long


def alarms_of(facts: Facts, limits: Limits, now: datetime, since: datetime) -> Iterator[Alarm]:
    """Yield what is to be known now, for a place that is there since some moment."""
    yield from facts.hung
    if facts.failing:
        yield failing(facts.failing)
    yield from (_held(job) for job in facts.jobs if job.held)
    away = facts.server_away_since
    if away is not None and now - away >= limits.server:
        text = f"the server has not answered for {ago(now - away)}; nothing is lost, the jobs wait"
        yield Alarm(AlarmKind.SERVER, "", text)
    yield from _waiting_for_node(facts.jobs, limits.node, now)
    end = None if facts.tokens is None else facts.tokens.usable_until
    if end is not None and end - now <= _early(facts.tokens, limits.token):
        when = f"expires in {ago(end - now)}" if end > now else f"expired {ago(now - end)} ago"
        text = f"the token {when}; ask the DRAW administrator, then 'drawcli token set'"
        yield Alarm(AlarmKind.TOKEN, end.isoformat(), text)
    last = max(since, facts.last_delivered or since)
    if now - last >= limits.idle:
        text = f"nothing was delivered for {ago(now - last)}; 'drawcli status' tells what waits"
        yield Alarm(AlarmKind.IDLE, last.isoformat(), text)
    for job_id, at in facts.delivered.items():
        if at >= since:
            yield Alarm(
                AlarmKind.DELIVERED, f"{job_id}@{at.isoformat()}", f"job {job_id} is delivered"
            )


def is_asked_for(alarm: Alarm, events: Collection[str]) -> bool:
    """Tell whether a site wants to know; who asks for runs that fail is told of one that hangs."""
    return alarm.kind in events or (alarm.kind is AlarmKind.HUNG and AlarmKind.FAILED in events)


def failing(code: str) -> Alarm:
    """Return that runs do not come to their end."""
    text = f"the last run ended early: {code}; 'drawcli doctor' tells what to mend"
    return Alarm(AlarmKind.FAILED, code, text)


def _held(job: Job) -> Alarm:
    """Return that a job waits for a person; one held once more later is another alarm."""
    times = (event.at for event in reversed(job.events) if event.kind is EventKind.HELD)
    at = next(times, job.since)
    kind = AlarmKind.BLOCKED if job.reason_code == _BLOCKED else AlarmKind.HELD
    text = f"job {job.id} is held at {job.state}: {job.reason_code}; 'drawcli show {job.id}'"
    return Alarm(kind, f"{job.id}@{at.isoformat()}", text)


def _waiting_for_node(jobs: Sequence[Job], limit: timedelta, now: datetime) -> Iterator[Alarm]:
    """Yield an alarm where a structure set has come and has not reached the DICOM node since."""
    waiting = [job for job in jobs if job.reason_code == NODE and not job.held]
    oldest = min((job.since for job in waiting), default=now)
    if now - oldest >= limit:
        what = "1 structure set" if len(waiting) == 1 else f"{len(waiting)} structure sets"
        text = f"the DICOM node has not taken {what}; the oldest came {ago(now - oldest)} ago; "
        yield Alarm(AlarmKind.NODE, "", f"{text}'drawcli doctor' asks the node")


def _early(tokens: Tokens | None, limit: timedelta) -> timedelta:
    """Return how long before its end to tell; not in the first half of a token's life."""
    life = None if tokens is None else tokens.refresh_lifetime
    return limit if life is None else min(limit, life / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipientState:
    """What one place was told."""

    since: datetime  # when it was first seen, UTC
    digest_day: date  # local: of this day it has the digest
    digest_until: datetime  # UTC: up to here the last digest told
    names: frozenset[str] = frozenset()  # alarms that have not cleared
    failing_since: datetime | None = None  # it takes no messages since then

    @classmethod
    def nothing(cls, now: datetime, here: datetime, digest_at: time | None) -> Self:
        """Return that a new place was told nothing; the first digest is that of the next hour."""
        passed = digest_at is not None and here.time() >= digest_at
        day = here.date() if passed else here.date() - timedelta(days=1)
        return cls(since=now, digest_day=day, digest_until=now)

    def news(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Return the alarms that are to be told."""
        return [one for one in alarms if one.name not in self.names]

    def cleared(self, alarms: Iterable[Alarm], looked_at: Collection[AlarmKind]) -> Self:
        """Return this without the alarms that have cleared; only where somebody has looked."""
        now = {one.name for one in alarms}
        kept = {n for n in self.names if n in now or n.partition(":")[0] not in looked_at}
        return replace(self, names=frozenset(kept))

    def with_told(self, alarms: Iterable[Alarm]) -> Self:
        """Return this with some alarms that were told."""
        return replace(self, names=self.names | {one.name for one in alarms})

    def wants_digest(self, here: datetime, digest_at: time) -> bool:
        """Tell whether it is time for the digest of a day, by the local time.

        An hour that summer time leaves out is made up for; one that comes twice counts once.
        """
        return here.time() >= digest_at and here.date() != self.digest_day

    def with_digest(self, now: datetime, here: datetime) -> Self:
        """Return this with the digest of today."""
        return replace(self, digest_day=here.date(), digest_until=now)


def title_of(alarms: Iterable[Alarm]) -> str:
    """Return alarms in one line, the worst first.

    >>> held = [Alarm(AlarmKind.HELD, name, "") for name in "ab"]
    >>> title_of([*held, Alarm(AlarmKind.FAILED, "", "")])
    'runs end early, 2 held'
    """
    counts = Counter(one.kind for one in alarms)
    return ", ".join(
        text.format(n=counts[kind]) for kind, text in _IN_TITLE.items() if counts[kind]
    )


def body_of(lines: Sequence[str]) -> str:
    """Return the lines of a message, so many as a person reads."""
    shown = list(lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        shown.append(f"and {len(lines) - MOST_LINES} more: 'drawcli status' lists all")
    return "\n".join(shown)
