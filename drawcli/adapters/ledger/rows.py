"""Jobs as rows of a TinyDB table."""

import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from types import NoneType
from typing import Any, Final

from drawcli.core.jobs.job import Event, EventKind, Job, State

_LONGEST_SHOWN: Final = 40  # characters of an id in a message
_TIMES: Final = frozenset({"since", "due_at", "uploaded_at"})
_REQUIRED: Final = _TIMES | {"id", "state", "events"}
_COUNTS: Final = tuple("slices posts unanswered attested zip_bytes attempts revision".split())
_TYPES: Final[dict[str, tuple[type, ...]]] = {
    **{field.name: (str, NoneType) for field in fields(Job)},
    **dict.fromkeys(("id", "state", "since"), (str,)),
    **dict.fromkeys((*_COUNTS, "priority"), (int,)),
    **dict.fromkeys(("slices", "zip_bytes"), (int, NoneType)),
    **{field.name: (bool,) for field in fields(Job) if isinstance(field.default, bool)},
    **dict.fromkeys(("events", "replaced", "attested_at"), (list,)),
}
_STATES: Final = {state.value: state for state in State}
_WITH_CODE: Final = {kind.value: kind for kind in (EventKind.FAILED, EventKind.HELD)}
_GOOD: Final[set[tuple[Any, ...]]] = set()  # checked shapes of rows: keys, types of the values
_MOST: Final = 1 << 53  # largest integer that all JSON parsers keep
_MOST_SENDINGS: Final = (1 << 16) - 1
_FIRST_YEAR, _LAST_YEAR = 1970, 9999
_ID: Final = "[0-9a-f]{12}-[1-9][0-9]{0,4}"
_are_ids: Final = re.compile(rf"(?:{_ID}\n)*").fullmatch
_is_id: Final = re.compile(_ID).fullmatch
_is_digest: Final = re.compile(r"[!-~]{1,16}").fullmatch


class BadRowError(ValueError):
    """A row that is not a valid job."""

    def __init__(self, number: Any, job_id: Any, what: str, *, is_newer: bool = False) -> None:
        super().__init__(what)
        self.what, self.is_newer = what, is_newer
        self.where = f"record {number}" if number != "" else "a record"
        if isinstance(job_id, str):
            self.where += f", job '{job_id[:_LONGEST_SHOWN]}'"


def is_job_id(text: str) -> bool:
    """Return whether a text is a valid job id, from which folders and locks are named.

    >>> [is_job_id(text) for text in ("0123456789ab-2", "../x-1", "0123456789ab-1/..", "")]
    [True, False, False, False]
    """
    return _is_id(text) is not None and int(text.partition("-")[2]) <= _MOST_SENDINGS


def number_of(job_id: str) -> int:
    """Return TinyDB's number of a job: 48 bits of the series, 16 of the number of the job.

    >>> number_of("0000000000ff-2") == 0xFF << 16 | 2
    True
    """
    series, _, sending = job_id.partition("-")
    try:
        return int(series, 16) << 16 | int(sending)
    except ValueError:
        return 0


def as_row(job: Job) -> dict[str, Any]:
    """Return the row of a job."""
    row = {field.name: getattr(job, field.name) for field in fields(job)}
    row |= {key: row[key].isoformat() for key in _TIMES if row[key]}
    row["events"] = [_event_row(event) for event in job.events]
    row["state"] = job.state.value
    row["replaced"] = list(job.replaced)
    hosts = row.pop("attested_at")
    return row | {"attested_at": list(hosts)} if hosts else row


def _event_row(event: Event) -> list[str]:
    row = [event.at.isoformat(), event.what, event.why, event.by]
    while len(row) > 2 and not row[-1]:  # noqa: PLR2004 - time and what
        row.pop()
    return row


def check_rows(rows: Mapping[Any, Any]) -> None:
    """Check ids and states of all rows, fast, because each start of drawcli does it.

    The digest of a ledger has no key, so a copy from elsewhere may contain anything. An id names a
    folder and a lock, and the state selects the next step. `as_job` checks the rest of a row.

    Raises
    ------
    BadRowError
        If a row is invalid.
    """
    try:
        ids = "".join([f"{row['id']}\n" for row in rows.values()])
        states = {row["state"] for row in rows.values()}
    except (TypeError, KeyError):
        ids, states = "", {""}
    if ids.count("\n") != len(rows) or not _are_ids(ids) or not states <= _STATES.keys():
        for number, row in rows.items():
            _check_row(number, row)


def _check_row(number: Any, row: Any) -> None:
    if not isinstance(row, dict):
        raise BadRowError(number, None, "is not a record")
    _check_types(number, row)
    if not is_job_id(row["id"]):
        raise BadRowError(number, row["id"], "its id is not a job id")
    if row["state"] not in _STATES:
        raise BadRowError(number, row["id"], f"its state is '{row['state']}'", is_newer=True)


def as_job(row: Mapping[str, Any], number: Any = "") -> Job:
    """Return the job of a row; `number` is its number in the table, if known.

    Raises
    ------
    BadRowError
        If it is invalid, or has fields of a newer drawcli.
    """
    shape = (*row, *map(type, row.values()))
    if shape not in _GOOD:
        _check_row(number, row)
        _GOOD.add(shape)
    job_id = row["id"]
    try:
        facts = dict(row)
        for key in _TIMES:
            if row[key] is not None:
                facts[key] = _moment(row[key])
        facts["events"] = tuple([_event(*one) for one in row["events"]])
        facts["state"] = _STATES[row["state"]]
        for key in ("replaced", "attested_at"):
            facts[key] = tuple(row.get(key, ()))
        job = Job(**facts)
    except BadRowError as err:
        raise BadRowError(number, job_id, err.what) from None
    except (TypeError, KeyError, ValueError) as err:
        raise BadRowError(number, job_id, f"it cannot be read ({type(err).__name__})") from None
    _check_values(job, row, number)
    return job


def _check_values(job: Job, row: Mapping[str, Any], number: Any) -> None:
    if not is_job_id(job.id) or number not in ("", number_of(job.id), str(number_of(job.id))):
        raise BadRowError(number, job.id, "its id is not a job id, or that of another job")
    counts = [row.get(name) or 0 for name in _COUNTS]
    if min(counts) < 0 or max(*counts, abs(job.priority)) > _MOST:
        raise BadRowError(number, job.id, "it has a number out of range")
    if not all(isinstance(one, str) for one in (*job.replaced, *job.attested_at)):
        raise BadRowError(number, job.id, "it has a task or a host that is not a text")
    if job.source_digest and not _is_digest(job.source_digest):
        raise BadRowError(number, job.id, "its 'source_digest' is not a digest")


def _check_types(number: Any, row: Mapping[str, Any]) -> None:
    job_id = row.get("id")
    if unknown := row.keys() - _TYPES.keys():
        name = min(map(str, unknown))
        raise BadRowError(number, job_id, f"it has a '{name}'", is_newer=True)
    for name, kinds in _TYPES.items():
        if name not in row and name in _REQUIRED:
            raise BadRowError(number, job_id, f"its '{name}' is missing")
        is_flag = type(row.get(name)) is bool and bool not in kinds  # bool is a subclass of int
        if name in row and (is_flag or not isinstance(row[name], kinds)):
            raise BadRowError(number, job_id, f"its '{name}' has a wrong type")


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None or not _FIRST_YEAR <= moment.year < _LAST_YEAR:
        raise BadRowError("", None, f"'{text}' is not a time with time zone")
    return moment


def _event(at: str, what: str, why: str = "", by: str = "") -> Event:
    if not type(what) is type(why) is type(by) is str:
        raise BadRowError("", None, "it has an event of a wrong type")
    return Event(_moment(at), *_kind_and_code(what), why, by)


@lru_cache(1024)
def _kind_and_code(what: str) -> tuple[EventKind, str]:
    """Return an event's kind and code from the text of a row; the opposite of `Event.what`."""
    if what in _STATES:
        return EventKind.REACHED, what
    if what == EventKind.RELEASED:
        return EventKind.RELEASED, ""
    word, _, code = what.partition(": ")
    return (_WITH_CODE[word], code) if code and word in _WITH_CODE else (EventKind.NOTED, what)
