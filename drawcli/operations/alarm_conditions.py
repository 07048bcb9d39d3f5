"""Which alarms a recipient gets: each once, and again only after it cleared and came back.

Pure: from the present facts and the alarms already sent to a recipient (a mailbox, a channel) it
computes the alarms to send. Alarms contain job ids, codes, counts, and names of templates and
structures, no patient data.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Final, NamedTuple, Self

from drawcli.core.jobs.job import FINISHED, RULES_DECIDE, Job
from drawcli.core.jobs.waiting import held_since
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import COMMITMENT, DELIVERY, FIRST_RUN, MODEL_CHANGED, NODE
from drawcli.system.durations import duration
from drawcli.system.printable import counted

MOST_LINES: Final = 20  # of one message
WAIT_FOR_NODE: Final = frozenset({NODE, COMMITMENT})
_BLOCKED: Final = "privacy-gate"
_DECIDED_TOGETHER: Final = (FIRST_RUN, MODEL_CHANGED)  # one alarm for all jobs of a reason


class AlarmKind(StrEnum):
    """The subject of an alarm; the values are those of `notify.events`."""

    HELD = "held"
    BLOCKED = "blocked"
    TOKEN = "token"  # noqa: S105 - no password
    SERVER = "server"
    NODE = "node"
    PULL = "pull"
    IDLE = "idle"
    FAILED = "failed"
    HUNG = "hung"
    QA = "qa"
    QA_WATCH = "qa-watch"
    DELIVERED = "delivered"


_IN_TITLE: Final = {
    AlarmKind.HUNG: "a run hangs",
    AlarmKind.FAILED: "runs end early",
    AlarmKind.BLOCKED: "{n} blocked by the privacy gate",
    AlarmKind.HELD: "{n} held",
    AlarmKind.SERVER: "the server does not answer",
    AlarmKind.NODE: "structure sets wait for delivery",
    AlarmKind.PULL: "an archive is not pulled",
    AlarmKind.TOKEN: "the token expires",
    AlarmKind.IDLE: "nothing delivered",
    AlarmKind.QA: "contours: {n} to investigate",
    AlarmKind.QA_WATCH: "contours: {n} to watch",
    AlarmKind.DELIVERED: "{n} delivered",
}


class Alarm(NamedTuple):
    """A present condition that may be worth a message."""

    kind: AlarmKind
    key: str  # unique among alarms of its kind
    text: str

    @property
    def name(self) -> str:
        """Kind and key: unique among all alarms."""
        return f"{self.kind}:{self.key}"


class AlarmLimits(NamedTuple):
    """How long a condition lasts, or how far ahead it is, when an alarm is sent."""

    token: timedelta
    server: timedelta
    idle: timedelta
    node: timedelta = timedelta(hours=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The present state of a site. Times are UTC."""

    jobs: Sequence[Job] = ()
    delivered: Mapping[str, datetime] = field(default_factory=dict)  # job id to time of delivery
    last_delivered: datetime | None = None
    server_away_since: datetime | None = None  # the first of the runs that got no answer
    server_away_until: datetime | None = None  # known until then; None: until now
    failing: str = ""  # the code of what ended the last run early
    tokens: Tokens | None = None
    hung: Sequence[Alarm] = ()  # processes that have held a lock for too long
    pulls_failing: Mapping[str, datetime] = field(default_factory=dict)  # archive: since
    contours: Sequence[Alarm] = ()  # charts of contour QA to investigate or watch

    def server_away(self, now: datetime) -> timedelta | None:
        """Return for how long the server is known not to answer; None if it has answered."""
        since = self.server_away_since
        return None if since is None else (self.server_away_until or now) - since


def alarms_of(facts: Facts, limits: AlarmLimits, now: datetime, since: datetime) -> Iterator[Alarm]:
    """Yield the alarms that apply now, for a recipient that was added at `since`."""
    yield from facts.hung
    if facts.failing:
        yield early_end(facts.failing)
    yield from _of_held([job for job in facts.jobs if job.held])
    away = facts.server_away(now)
    if away is not None and away >= limits.server:
        text = f"the server has not answered for {duration(away)}"
        yield Alarm(AlarmKind.SERVER, "", f"{text}; nothing is lost, the jobs wait")
    yield from _of_pulls(facts.pulls_failing, limits.server, now)
    yield from _waiting_for_delivery(facts.jobs, limits.node, now)
    end = None if facts.tokens is None else facts.tokens.usable_until
    if end is not None and end - now <= _early(facts.tokens, limits.token):
        when = (
            f"expires in {duration(end - now)}"
            if end > now
            else f"expired {duration(now - end)} ago"
        )
        text = f"the token {when}; ask the DRAW administrator, then 'drawcli token set'"
        yield Alarm(AlarmKind.TOKEN, end.isoformat(), text)
    yield from facts.contours
    last = max(since, facts.last_delivered or since)
    if now - last >= limits.idle:
        yield _idle(facts.jobs, last, now)
    for job_id, at in facts.delivered.items():
        if at >= since:
            yield Alarm(
                AlarmKind.DELIVERED, f"{job_id}@{at.isoformat()}", f"job {job_id} is delivered"
            )


def is_asked_for(alarm: Alarm, events: Collection[str]) -> bool:
    """Return whether a site has asked for an alarm; "failed" includes runs that hang."""
    return alarm.kind in events or (alarm.kind is AlarmKind.HUNG and AlarmKind.FAILED in events)


def early_end(code: str) -> Alarm:
    """Return the alarm for a run that ended early with a code."""
    text = f"the last run ended early: {code}; 'drawcli doctor' says how to fix it"
    return Alarm(AlarmKind.FAILED, code, text)


def _of_pulls(failing: Mapping[str, datetime], limit: timedelta, now: datetime) -> Iterator[Alarm]:
    for name, since in failing.items():
        if now - since >= limit:
            text = f"the archive {name} could not be pulled for {duration(now - since)}"
            yield Alarm(AlarmKind.PULL, name, f"{text}; 'drawcli nodes check' tests it")


def _of_held(held: Sequence[Job]) -> Iterator[Alarm]:
    yield from (_held(job) for job in held if job.reason_code not in _DECIDED_TOGETHER)
    for code in _DECIDED_TOGETHER:
        if together := [job for job in held if job.reason_code == code]:
            text = f"{together[-1].reason}; they are held: 'drawcli show {together[-1].id}'"
            yield Alarm(AlarmKind.HELD, code, text)


def _held(job: Job) -> Alarm:
    """Return the alarm for a held job; a job that is held again later gets a new one."""
    at = held_since(job)
    kind = AlarmKind.BLOCKED if job.reason_code == _BLOCKED else AlarmKind.HELD
    text = f"job {job.id} is held at {job.state}: {job.reason_code}; 'drawcli show {job.id}'"
    return Alarm(kind, f"{job.id}@{at.isoformat()}", text)


def _waiting_for_delivery(jobs: Sequence[Job], limit: timedelta, now: datetime) -> Iterator[Alarm]:
    """Yield an alarm for the DICOM node, and one for the folder, that structure sets wait for."""
    places = (
        ("", "the DICOM node", WAIT_FOR_NODE),
        ("folder", "the folder for structure sets", {DELIVERY}),
    )
    for key, place, codes in places:
        waiting = [job for job in jobs if job.reason_code in codes and not job.held]
        oldest = min((job.since for job in waiting), default=now)
        if now - oldest >= limit:
            what = counted(len(waiting), "structure set")
            text = f"{place} has not accepted {what}; the oldest waits for {duration(now - oldest)}"
            yield Alarm(AlarmKind.NODE, key, f"{text}; 'drawcli doctor' tests the connection")


def _idle(jobs: Iterable[Job], last: datetime, now: datetime) -> Alarm:
    """Return the alarm that nothing was delivered since `last`, perhaps for lack of new series."""
    if any(job.held or job.state not in FINISHED | RULES_DECIDE for job in jobs):
        do = "'drawcli status' shows what waits"
    else:
        do = "no series is in progress: check that scans reach the datastore and that rules match"
    text = f"nothing was delivered for {duration(now - last)}; {do}"
    return Alarm(AlarmKind.IDLE, last.isoformat(), text)


def _early(tokens: Tokens | None, limit: timedelta) -> timedelta:
    """Return how long before a token expires to warn; never in the first half of its life."""
    life = None if tokens is None else tokens.refresh_lifetime
    return limit if life is None else min(limit, life / 2)


class RecipientState(NamedTuple):
    """The messages that one recipient has received."""

    since: datetime  # when it was added, UTC
    digest_day: date  # local day of its last digest
    digest_until: datetime  # end of the period of its last digest, UTC
    names: frozenset[str] = frozenset()  # alarms sent that have not cleared
    failing_since: datetime | None = None  # since when it accepts no messages, UTC

    @classmethod
    def new(cls, now: datetime, here: datetime, digest_at: time | None) -> Self:
        """Return the state of a new recipient; it gets its first digest at the next `digest_at`."""
        passed = digest_at is not None and here.time() >= digest_at
        day = here.date() if passed else here.date() - timedelta(days=1)
        return cls(since=now, digest_day=day, digest_until=now)

    def news(self, alarms: Iterable[Alarm]) -> list[Alarm]:
        """Return the alarms that were not sent yet."""
        return [alarm for alarm in alarms if alarm.name not in self.names]

    def without_cleared(self, alarms: Iterable[Alarm], checked: Collection[AlarmKind]) -> Self:
        """Return this without the alarms of the checked kinds that no longer apply."""
        now = {alarm.name for alarm in alarms}
        kept = {n for n in self.names if n in now or n.partition(":")[0] not in checked}
        return self._replace(names=frozenset(kept))

    def with_sent(self, alarms: Iterable[Alarm]) -> Self:
        """Return this with some alarms added as sent."""
        return self._replace(names=self.names | {alarm.name for alarm in alarms})

    def wants_digest(self, here: datetime, digest_at: time) -> bool:
        """Return whether today's digest is due, by local time.

        A time that daylight saving skips is made up for; one that it repeats counts once.
        """
        return here.time() >= digest_at and here.date() != self.digest_day

    def with_digest(self, now: datetime, here: datetime) -> Self:
        """Return this with today's digest recorded."""
        return self._replace(digest_day=here.date(), digest_until=now)


def title_of(alarms: Iterable[Alarm]) -> str:
    """Summarise alarms in one line, the most severe first.

    >>> held = [Alarm(AlarmKind.HELD, name, "") for name in "ab"]
    >>> title_of([*held, Alarm(AlarmKind.FAILED, "", "")])
    'runs end early, 2 held'
    """
    counts = Counter(alarm.kind for alarm in alarms)
    return ", ".join(
        text.format(n=counts[kind]) for kind, text in _IN_TITLE.items() if counts[kind]
    )


def body_of(lines: Sequence[str]) -> str:
    """Return the first lines of a message, and how many were left out."""
    shown = list(lines[:MOST_LINES])
    if len(lines) > MOST_LINES:
        shown.append(f"and {len(lines) - MOST_LINES} more: 'drawcli status' lists all")
    return "\n".join(shown)
