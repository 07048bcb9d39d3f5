"""A job: one (imaging series, template) pair on its way to the DRAW server and back.

     scan ─> FOUND ─match─> MATCHED ─deidentify─> PACKAGED ─upload─> UPLOADED
      │        └─match─> UNMATCHED, AMBIGUOUS, EXCLUDED                 │ poll
      └> WAITING (still arriving)                                       v
    DONE <─confirm─ DELIVERED <─reidentify─ FETCHED <─fetch─ SEGMENTED ─┘

Failures, waits and holds are separate fields (`attempts`, `due_at`, `held`, `reason`), so that they
add no states.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NamedTuple, Self

from drawcli.errors import DrawcliError


class State(StrEnum):
    """The states of a job; the values are stored in the ledger."""

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
_CANCEL: Final = frozenset({State.CANCELLED})
_CHANGED: Final = frozenset({State.WAITING, State.CANCELLED})  # the series changed before it left

NEXT: Final[dict[State, frozenset[State]]] = {
    State.WAITING: frozenset({State.FOUND}) | _CANCEL,
    State.FOUND: _VERDICTS | _CHANGED,
    State.UNMATCHED: _VERDICTS | _CHANGED,  # the rules changed, or a user assigned
    State.AMBIGUOUS: _VERDICTS | _CHANGED,
    State.EXCLUDED: _VERDICTS | _CHANGED,
    State.MATCHED: frozenset({State.MATCHED, State.PACKAGED}) | _CHANGED,  # MATCHED: reassigned
    # MATCHED: the zip is missing. EXCLUDED: by a rule that was added since.
    State.PACKAGED: frozenset({State.UPLOADED, State.MATCHED, State.EXCLUDED}) | _CHANGED,
    State.UPLOADED: frozenset({State.SEGMENTED, State.PACKAGED}) | _CANCEL,  # task lost
    State.SEGMENTED: frozenset({State.FETCHED, State.PACKAGED}) | _CANCEL,  # task lost
    State.FETCHED: frozenset({State.DELIVERED, State.SEGMENTED, State.PACKAGED}) | _CANCEL,
    State.DELIVERED: frozenset({State.DONE}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset({State.WAITING, State.MATCHED}),  # retried, or assigned
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
PET_COUNTS: Final = "PET in counts: the SUV factor is only in private elements, which are not sent"
_LONGEST_HISTORY: Final = 60
FARTHEST_WAIT: Final = timedelta(hours=12)


class EventKind(StrEnum):
    """The kind of an event, and the meaning of its code."""

    REACHED = "reached"  # the state
    FAILED = "failed"  # the reason code of the error
    HELD = "held"  # the reason code
    RELEASED = "released"  # none
    NOTED = "noted"  # a note, as text


class Event(NamedTuple):
    """Something that happened to a job."""

    at: datetime
    kind: EventKind
    code: str
    why: str = ""  # one sentence, of failures and holds
    by: str = ""  # who did it, where a user did

    @property
    def what(self) -> str:
        """Kind and code as one text, as in the ledger and in lists: `found`, `held: gate`."""
        if self.kind in (EventKind.REACHED, EventKind.NOTED):
            return str(self.code)
        return f"{self.kind}: {self.code}" if self.code else str(self.kind)

    def reached(self, state: State) -> bool:
        """Return whether the job reached a state by this event."""
        return self.kind is EventKind.REACHED and self.code == state


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One imaging series on its way to the DRAW server and back.

    Times are UTC. No field is a value from a dataset, so a job may be printed and mailed.
    """

    id: str  # <12 hex of a keyed hash of SeriesInstanceUID (0020,000E)>-<number of the sending>
    state: State
    since: datetime  # when the job reached this state
    modality: str | None = None  # CT, MR or PT
    slices: int | None = None  # files of the series
    source_digest: str | None = None  # keyed hash over names and sizes of the source files
    source_stamp: str | None = None  # keyed hash over their paths and modification times
    aside: str | None = None  # number of files that are not slices, by reason
    pet_counts: bool = False  # PET in counts, sent without its SUV factor
    let_pass: str | None = None  # digest and stamp of the files, and the codes a user released
    late_digest: str | None = None  # of a reported change after the upload
    follows: str | None = None  # the job that sent the series before it changed
    one_off: bool = False  # its images are outside the datastore, given by a user
    of_folder: bool = False  # not a series: a folder with unreadable files
    key_id: str | None = None  # the site key that made the pseudonyms
    template: str | None = None  # a name in templates.yaml
    rule: str | None = None  # the rule that chose it; None if a user did
    priority: int = 0  # of that rule; higher goes first
    rules_digest: str | None = None  # SHA-256 over rules.yaml and templates.yaml
    rules_commit: str | None = None  # git commit of the rules, if in git
    zip_sha256: str | None = None  # of the package, 64 hex digits
    zip_bytes: int | None = None
    posts: int = 0  # uploads started, counted before the first byte
    unanswered: int = 0  # of these, without an answer: the server may have a copy
    attested: int = 0  # uploads started that are in the audit log; never decreases
    attested_at: tuple[str, ...] = ()  # hosts with the logs of these, where several share a ledger
    task_id: str | None = None  # the server's name for the job
    replaced: tuple[str, ...] = ()  # tasks of earlier uploads that the server has not deleted yet
    uploaded_at: datetime | None = None
    received_sha256: str | None = None  # of the RTSTRUCT as downloaded
    delivered_sha256: str | None = None  # of the RTSTRUCT as delivered
    attempts: int = 0  # failures of the next step
    due_at: datetime | None = None  # the next step is not tried before
    held: bool = False  # until a user releases it
    reason_code: str | None = None  # why it waits or is held: a stable code ...
    reason: str | None = None  # ... and one sentence
    hint: str | None = None  # what to do about it
    events: tuple[Event, ...] = ()
    revision: int = 0  # counts the writes to the ledger

    def begun(self, *, at: datetime) -> Self:
        """Return a new job with its first event."""
        return self.noted(at, self.state, kind=EventKind.REACHED)

    def to(self, state: State, *, at: datetime, **facts: Any) -> Self:
        """Return the job moved to `state`, with changed fields; DrawcliError if NEXT forbids it.

        A task that is replaced or given up is kept in `replaced` until the server has deleted it.
        """
        if state not in NEXT[self.state]:
            raise DrawcliError(f"job {self.id}: cannot go from {self.state} to {state}")
        moved = replace(self.freed(), state=state, since=at, **facts)
        earlier = dict.fromkeys((*self.replaced, self.task_id))  # a server may reuse the id
        kept = tuple(task for task in earlier if task and task != moved.task_id)
        return replace(moved, replaced=kept).noted(at, state, kind=EventKind.REACHED)

    def postponed(self, until: datetime | None, *, code: str, reason: str) -> Self:
        """Return the job with nothing to do before `until`; no step has failed."""
        return replace(self, attempts=0, due_at=until, reason_code=code, reason=reason, hint=None)

    def failed(self, err: DrawcliError, *, at: datetime, until: datetime) -> Self:
        """Return the job with one more failure, to be retried at `until`.

        A finished job keeps its reason: the server still has to delete a replaced task.
        """
        if self.state in FINISHED:
            return replace(self, attempts=self.attempts + 1, due_at=until)
        tries = self.tries(err.code) + 1
        after = replace(self._with_reason(err), attempts=tries, due_at=until)
        return after.noted(at, err.code, str(err), EventKind.FAILED)

    def held_for(self, err: DrawcliError, *, at: datetime) -> Self:
        """Return the job held in its state until a user releases it."""
        after = replace(self._with_reason(err), held=True, due_at=None)
        return after.noted(at, err.code, str(err), EventKind.HELD)

    def released(self, *, at: datetime) -> Self:
        """Return the job due at once, with failures reset; while waiting, its deadline is reset."""
        since = at if self.state is State.WAITING else self.since
        return replace(self.freed(), since=since).noted(at, "", kind=EventKind.RELEASED)

    def not_after(self, now: datetime) -> Self:
        """Return the job with its times in the future, of a clock that was ahead, set to now.

        Otherwise no deadline would end before those times.
        """
        uploaded_at = None if self.uploaded_at is None else min(self.uploaded_at, now)
        return replace(self, since=min(self.since, now), uploaded_at=uploaded_at)

    def freed(self) -> Self:
        """Return the job without failures, wait, hold and reason."""
        return replace(
            self, attempts=0, due_at=None, held=False, reason_code=None, reason=None, hint=None
        )

    def never_sent(self) -> Self:
        """Return a job of the same images that has no uploads, tasks or results."""
        return replace(
            self.freed(),
            zip_sha256=None,
            zip_bytes=None,
            posts=0,
            unanswered=0,
            attested=0,
            attested_at=(),
            task_id=None,
            replaced=(),
            uploaded_at=None,
            received_sha256=None,
            delivered_sha256=None,
            late_digest=None,
        )

    def tries(self, code: str) -> int:
        """Return how often the next step has failed in a row for this reason code."""
        is_same = self.state in FINISHED or self.reason_code == code
        return self.attempts if is_same else 0

    def is_due(self, now: datetime) -> bool:
        """Return whether the next step may be tried.

        A job is also due if its time is farther away than any wait, as after a wrong clock.
        """
        if self.held:
            return False
        return self.due_at is None or not now < self.due_at <= now + FARTHEST_WAIT

    @property
    def series_key(self) -> str:
        """The part of the id that identifies the series."""
        return self.id.partition("-")[0]

    @property
    def number(self) -> int:
        """The number of this sending of the series, from 1."""
        return int(self.id.partition("-")[2])

    def _with_reason(self, err: DrawcliError) -> Self:
        return replace(self, reason_code=err.code, reason=str(err), hint=err.hint or None)

    def signed(self, by: str, since: Self) -> Self:
        """Return the job with a user's name at the events that it has more than `since`."""
        events = (one if one in since.events else one._replace(by=by) for one in self.events)
        return replace(self, events=tuple(events))

    def noted(
        self, at: datetime, code: str, why: str = "", kind: EventKind = EventKind.NOTED
    ) -> Self:
        """Return the job with one more event in its history."""
        events = (*self.events, Event(at, kind, code, why))
        return replace(self, events=events[-_LONGEST_HISTORY:])
