"""A job: one (imaging series, template) pair on its way to the DRAW server and back.

     scan ─> FOUND ─match─> MATCHED ─deidentify─> PACKAGED ─upload─> UPLOADED
      │        └─match─> UNMATCHED, AMBIGUOUS, EXCLUDED                 │ poll
      └> WAITING (still arriving)                                       v
    DONE <─confirm─ DELIVERED <─reidentify─ FETCHED <─fetch─ SEGMENTED ─┘

The state says where a job is. How it fares is kept beside the state (`attempts`, `due_at`, `held`,
`reason`), so that a night without a server, or a question for a person, adds no states.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Self

from drawcli.errors import DrawcliError


class State(StrEnum):
    """Where a job is; the value is what the ledger stores."""

    WAITING = "waiting"
    FOUND = "found"
    UNMATCHED = "unmatched"
    AMBIGUOUS = "ambiguous"
    EXCLUDED = "excluded"
    MATCHED = "matched"
    PACKAGED = "packaged"
    UPLOADED = "uploaded"
    SEGMENTED = "segmented"
    FETCHED = "fetched"
    DELIVERED = "delivered"
    DONE = "done"
    CANCELLED = "cancelled"


_VERDICTS: Final = frozenset({State.MATCHED, State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED})
_SET_ASIDE: Final = frozenset({State.CANCELLED})
_CHANGED: Final = frozenset({State.WAITING, State.CANCELLED})  # the series changed before it left

NEXT: Final[dict[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.FOUND}) | _SET_ASIDE,
    State.FOUND: _VERDICTS | _CHANGED,
    State.UNMATCHED: _VERDICTS | _CHANGED,  # the rules have changed, or a person assigned
    State.AMBIGUOUS: _VERDICTS | _CHANGED,
    State.EXCLUDED: _VERDICTS | _CHANGED,
    State.MATCHED: frozenset({State.MATCHED, State.PACKAGED}) | _CHANGED,  # MATCHED: assigned anew
    State.PACKAGED: frozenset({State.UPLOADED, State.MATCHED})
    | _CHANGED,  # MATCHED: the zip is gone
    State.UPLOADED: frozenset({State.SEGMENTED, State.PACKAGED}) | _SET_ASIDE,  # task lost
    State.SEGMENTED: frozenset({State.FETCHED, State.PACKAGED}) | _SET_ASIDE,  # task lost
    State.FETCHED: frozenset({State.DELIVERED, State.SEGMENTED}) | _SET_ASIDE,  # the file is gone
    State.DELIVERED: frozenset({State.DONE}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset({State.WAITING, State.MATCHED}),  # taken up again, or assigned
}

RULES_DECIDE: Final = frozenset({State.UNMATCHED, State.AMBIGUOUS, State.EXCLUDED})
FINISHED: Final = frozenset({State.DONE, State.CANCELLED})
BEFORE_UPLOAD: Final = frozenset(
    {
        State.WAITING,
        State.FOUND,
        State.UNMATCHED,
        State.AMBIGUOUS,
        State.EXCLUDED,
        State.MATCHED,
        State.PACKAGED,
    }
)
PET_COUNTS: Final = (
    "PET in counts: the factor to SUV stands in private elements alone, which do not leave"
)
_LONGEST_HISTORY: Final = 60
FARTHEST_WAIT: Final = timedelta(hours=12)


class EventKind(StrEnum):
    """What kind of event it was; it says what the event's code is."""

    REACHED = "reached"  # the state
    FAILED = "failed"  # the reason code of the error
    HELD = "held"  # the reason code
    RELEASED = "released"  # none
    NOTED = "noted"  # what was noted, in words


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    at: datetime
    kind: EventKind
    code: str
    why: str = ""  # one sentence, where something failed or a person is asked

    @property
    def what(self) -> str:
        """Kind and code as the ledger and every list show them: `found`, `held: gate`."""
        if self.kind in (EventKind.REACHED, EventKind.NOTED):
            return str(self.code)
        return f"{self.kind}: {self.code}" if self.code else str(self.kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One imaging series on its way to the DRAW server and back.

    Times are UTC. Nothing here is a value from a dataset, so a job may be printed and mailed.
    """

    id: str  # <12 hex of a keyed hash of SeriesInstanceUID (0020,000E)>-<how often it was sent>
    state: State
    since: datetime  # when the job came to this state
    modality: str | None = None  # CT, MR or PT
    slices: int | None = None  # files of the series
    source_digest: str | None = None  # keyed hash over names and sizes of the source files
    source_stamp: str | None = None  # keyed hash over where they lie and when they were changed
    aside: str | None = None  # how many files of the series are no slices, by reason
    pet_counts: bool = False  # a PET that leaves without what makes its counts comparable
    let_pass: str | None = (
        None  # digest and stamp of the files, and what a person lets pass of them
    )
    late_digest: str | None = None  # of a change after the upload that a person was told of
    follows: str | None = None  # the job that sent the series before it changed
    one_off: bool = False  # its images lie outside the datastore, where a person showed them
    of_folder: bool = False  # no series: a folder in which something cannot be read
    key_id: str | None = None  # which site key made the stand-ins
    template: str | None = None  # a name in templates.yaml
    rule: str | None = None  # the rule that chose it; None when a person did
    priority: int = 0  # of that rule: jobs with a higher one go first
    rules_digest: str | None = None  # SHA-256 over rules.yaml and templates.yaml
    rules_commit: str | None = None  # git commit of the rules, if they are under git
    zip_sha256: str | None = None  # of the package, 64 hex digits
    zip_bytes: int | None = None
    posts: int = 0  # uploads begun, counted before the first byte goes out
    unanswered: int = 0  # of these, those that may have left an orphan at the server
    attested: int = 0  # uploads begun of which the audit log has a line; never counted back
    task_id: str | None = None  # the server's name for the job
    uploaded_at: datetime | None = None
    received_sha256: str | None = None  # of the RTSTRUCT as it came
    delivered_sha256: str | None = None  # of the RTSTRUCT as it was delivered
    attempts: int = 0  # how often the next step has failed here
    due_at: datetime | None = None  # before this time the next step is not tried
    held: bool = False  # a person is asked
    reason_code: str | None = None  # why it waits or is held: a stable word ...
    reason: str | None = None  # ... and one sentence
    hint: str | None = None  # what to do about it
    events: tuple[Event, ...] = ()
    revision: int = 0  # counts the writes to the ledger

    def begun(self, *, at: datetime) -> Self:
        """Return a new job with its first event."""
        return self.noted(at, self.state, kind=EventKind.REACHED)

    def to(self, state: State, *, at: datetime, **facts: Any) -> Self:
        """Return the job moved to `state`, with the facts learnt on the way."""
        if state not in NEXT[self.state]:
            raise DrawcliError(f"job {self.id}: no way from {self.state} to {state}")
        moved = replace(self.freed(), state=state, since=at, **facts)
        return moved.noted(at, state, kind=EventKind.REACHED)

    def postponed(self, until: datetime | None, *, code: str, reason: str) -> Self:
        """Return the job with nothing to do before `until`; no step has failed."""
        return replace(self, attempts=0, due_at=until, reason_code=code, reason=reason, hint=None)

    def failed(self, err: DrawcliError, *, at: datetime, until: datetime) -> Self:
        """Return the job with one more failed try, to be tried again at `until`."""
        tries = self.tries(err.code) + 1
        after = replace(self._with_reason(err), attempts=tries, due_at=until)
        return after.noted(at, err.code, str(err), EventKind.FAILED)

    def held_for(self, err: DrawcliError, *, at: datetime) -> Self:
        """Return the job held, in its state, until a person releases it."""
        after = replace(self._with_reason(err), held=True, due_at=None)
        return after.noted(at, err.code, str(err), EventKind.HELD)

    def released(self, *, at: datetime) -> Self:
        """Return the job free to go on at once, its failures forgotten, its patience renewed."""
        since = at if self.state is State.WAITING else self.since
        return replace(self.freed(), since=since).noted(at, "", kind=EventKind.RELEASED)

    def freed(self) -> Self:
        """Return the job with nothing in its way."""
        return replace(
            self, attempts=0, due_at=None, held=False, reason_code=None, reason=None, hint=None
        )

    def tries(self, code: str) -> int:
        """Return how often the next step has failed in a row for one reason."""
        return self.attempts if self.reason_code == code else 0

    def is_due(self, now: datetime) -> bool:
        """Tell whether the next step may be tried.

        A time farther away than drawcli ever waits comes from a clock that was wrong: it is due.
        """
        if self.held:
            return False
        return self.due_at is None or not now < self.due_at <= now + FARTHEST_WAIT

    @property
    def series_key(self) -> str:
        """The part of the id that stands for the series."""
        return self.id.partition("-")[0]

    @property
    def number(self) -> int:
        """How many-th sending of the series this is, from 1."""
        return int(self.id.partition("-")[2])

    def _with_reason(self, err: DrawcliError) -> Self:
        return replace(self, reason_code=err.code, reason=str(err), hint=err.hint or None)

    def noted(
        self, at: datetime, code: str, why: str = "", kind: EventKind = EventKind.NOTED
    ) -> Self:
        """Return the job with one more event in its history."""
        events = (*self.events, Event(at, kind, code, why))
        return replace(self, events=events[-_LONGEST_HISTORY:])
