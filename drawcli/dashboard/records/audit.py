"""The audit log: what was sent, who did what, and whether the log is complete; also as CSV."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from itertools import islice
from typing import Any, Final, NamedTuple
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.state.audit_log import ACTION, AuditLog, who_in_words
from drawcli.adapters.state.hash_chain import ChainLine
from drawcli.dashboard.csv_download import csv_download
from drawcli.dashboard.records.listing import begin_of, day_in, end_of, page_in
from drawcli.dashboard.view import page, parts_of

ROWS: Final = 100
_MOST_CSV: Final = 100_000
_KINDS: Final = {"": "all", "disclosures": "what was sent", "actions": "what users did"}
_LONGEST: Final = 80  # characters of a detail
_NOT_DETAILS: Final = frozenset(
    {"n", "at", "what", "who", "job", "run", "action", "source", "server", "code"}
)
COLUMNS: Final = ("n", "at", "what", "job", "from", "who", "to", "details")


class AuditRow(NamedTuple):
    """A line of the log."""

    number: int
    at: datetime | None
    what: str
    job: str
    source: str
    who: str
    to: str
    details: str


class AuditQuery(NamedTuple):
    """What is listed."""

    kind: str = ""
    job: str = ""
    first: date | None = None
    last: date | None = None
    number: int = 1

    @classmethod
    def of(cls, request: Request) -> "AuditQuery":
        """Read it from an address; what is unknown does not filter."""
        query = request.query_params
        kind = query.get("kind", "")
        return cls(
            kind=kind if kind in _KINDS else "",
            job=query.get("job", "").strip()[:64],
            first=day_in(request, "from"),
            last=day_in(request, "to"),
            number=page_in(request),
        )

    def address(self, number: int = 1, path: str = "/audit") -> str:
        """Return the address of a page of this list."""
        facts = {"kind": self.kind, "job": self.job, "from": self.first, "to": self.last}
        kept = {name: str(value) for name, value in facts.items() if value}
        words = urlencode(kept | ({"page": str(number)} if number > 1 else {}))
        return f"{path}?{words}" if words else path

    def matches(self, facts: dict[str, Any]) -> bool:
        """Return whether a line belongs to the list."""
        is_action = facts.get("what") == ACTION
        if (self.kind == "actions" and not is_action) or (self.kind == "disclosures" and is_action):
            return False
        return str(facts.get("job") or "").startswith(self.job)


def audit(request: Request) -> Response:
    """List the lines of the log, newest first, with the state of its chain."""
    parts, query = parts_of(request), AuditQuery.of(request)
    log = parts.site.ctx.audit
    first = (query.number - 1) * ROWS
    rows = list(islice(_found(log, query), first, first + ROWS + 1))
    return page(
        request,
        "audit.html",
        query=query,
        rows=rows[:ROWS],
        has_more=len(rows) > ROWS,
        kinds=_KINDS,
        chain=parts.chain.report(),
    )


def audit_csv(request: Request) -> Response:
    """Return the list as CSV, newest first."""
    found = _found(parts_of(request).site.ctx.audit, AuditQuery.of(request))
    rows = ((row.number, row.at and row.at.isoformat(), *row[2:]) for row in found)
    return csv_download("audit.csv", COLUMNS, islice(rows, _MOST_CSV))


def _found(log: AuditLog, query: AuditQuery) -> Iterator[AuditRow]:
    begin = begin_of(query.first).isoformat() if query.first else ""
    end = end_of(query.last).isoformat() if query.last else "9"
    for line in log.newest_first():
        facts = dict(line.facts)
        at = str(facts.get("at"))
        if at < begin:
            return
        if at <= end and query.matches(facts):
            yield _row(line, facts)


def _row(line: ChainLine, facts: dict[str, Any]) -> AuditRow:
    what = facts.get("action") or " ".join(
        str(facts[name]) for name in ("what", "code") if facts.get(name)
    )
    others = {name: facts[name] for name in facts if name not in _NOT_DETAILS}
    return AuditRow(
        number=line.link.number,
        at=_moment(str(facts.get("at", ""))),
        what=str(what),
        job=str(facts.get("job") or ""),
        source=str(facts.get("source") or ""),
        who=who_in_words(facts),
        to=str(facts.get("server") or ""),
        details=" ".join(f"{name}={_short(value)}" for name, value in others.items()),
    )


def _moment(text: str) -> datetime | None:
    with suppress(ValueError):
        return datetime.fromisoformat(text)
    return None


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
