"""The server and the tokens; the check-up; the settings as they are in force."""

from datetime import datetime
from itertools import islice
from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.run_log import RunLog
from drawcli.core.jobs.job import State
from drawcli.core.protocol.bandwidth import Bandwidth
from drawcli.core.protocol.tokens import claims_of
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import DrawcliError
from drawcli.operations.doctor import local
from drawcli.operations.doctor import server as asked_of
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Grade, run_checks
from drawcli.pipeline.context import token_store
from drawcli.system.durations import ago

_AT_SERVER: Final = (State.UPLOADED, State.SEGMENTED)
_RUNS: Final = 20
_OF_LEDGER: Final = ("ledger", "held jobs")  # checks that read it
_SECRET: Final = {  # what may hold a key, and what is said of it instead
    "token_command": "a command; its words are not shown",
    "token_store_command": "a command; its words are not shown",
    "heartbeat_url": "set; who knows the address may ping it, so it is not shown",
}


def server(request: Request) -> Response:
    """Show who the server is, how it answered, and how long the tokens last; never the tokens."""
    site = parts_of(request).site
    settings = site.ctx.settings.server
    newest = RunLog(site.ctx.settings.state_dir).newest_first()
    return page(
        request,
        "server.html",
        settings=settings,
        pulse={line.subject: line.text for line in site.pulse.sentences(site.now)},
        tokens=_tokens(site),
        catalogue=load_catalogue(site.ctx.settings.state_dir),
        runs=list(islice(newest, _RUNS)),
        there=sum(job.state in _AT_SERVER for job in site.snapshot().jobs),
    )


def checkup(request: Request) -> Response:
    """Look at what a run needs, as `doctor --offline` does where that writes and starts nothing."""
    site = parts_of(request).site
    seen = CheckContext(
        settings=site.ctx.settings, config=site.config, now=site.now, ctx=site.ctx, probes=False
    )
    unseen = _unseen(site)
    checks = [(name, _in_turn(name, check, site)) for name, check in local.LOCAL]
    outcomes = [
        *run_checks((one for one in checks if one[0] not in unseen), seen),
        *asked_of.offline(seen),
    ]
    grades = [one.result.grade for one in outcomes]
    order = [Grade.FAIL, Grade.WARN, Grade.PASS]
    return page(
        request,
        "checkup.html",
        outcomes=sorted(outcomes, key=lambda one: order.index(one.result.grade)),
        counts={grade: grades.count(grade) for grade in order},
        unseen=unseen,
    )


def _unseen(site: SiteReader) -> list[str]:
    """Return the checks that write a file or start a command, which no mere look may do."""
    in_file = isinstance(token_store(site.ctx.settings), TokenFile)
    return ["delivery"] if in_file else ["delivery", "token"]


def _in_turn(name: str, check: Check, site: SiteReader) -> Check:
    """Return a check so that no other page reads the ledger while it does."""
    if name not in _OF_LEDGER:
        return check

    def look(seen: CheckContext) -> CheckResult:
        with site.lock:
            return check(seen)

    return look


def settings(request: Request) -> Response:
    """Show what is set, and which of it the site has set itself."""
    site = parts_of(request).site
    return page(
        request, "settings.html", sections=_sections(site), config=site.config, own=_own(site)
    )


def _tokens(site: SiteReader) -> list[tuple[str, str]]:
    """Return what may be said of the tokens."""
    store = site.ctx.tokens
    if not isinstance(store, TokenFile):
        how = "a command or the keyring of the system gives them"
        return [("where", f"{how}; 'drawcli token status' asks it")]
    try:
        tokens = store.read()
    except DrawcliError as err:
        return [("trouble", str(err)), *([("do", err.hint)] if err.hint else [])]
    told = [("where", store.place), ("access token ends", _ends(tokens.expires_at, site.now))]
    renewed = "yes" if tokens.refresh else "no: it is used to its end"
    return [*told, ("can be renewed", renewed), *claims_of(tokens.access).items()]


def _ends(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "unknown: it is used until the server refuses it"
    left = at - now
    words = f"in {ago(left)}" if left.total_seconds() > 0 else f"{ago(-left)} ago: it is over"
    return f"{at:%Y-%m-%d %H:%M} UTC ({words})"


def _own(site: SiteReader) -> frozenset[str]:
    """Return the settings that differ from the defaults, as "section.key"."""
    found = set[str]()
    for name in type(site.ctx.settings).model_fields:
        value = getattr(site.ctx.settings, name)
        if not isinstance(value, BaseModel):
            found.add(name)
            continue
        usual = type(value)()
        found |= {f"{name}.{key}" for key, one in value if one != getattr(usual, key)}
    return frozenset(found)


def _sections(site: SiteReader) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every setting in force, by section; the first holds the keys of no section."""
    plain: list[tuple[str, str]] = []
    sections: list[tuple[str, list[tuple[str, str]]]] = [("the site", plain)]
    for name in type(site.ctx.settings).model_fields:
        value = getattr(site.ctx.settings, name)
        if isinstance(value, BaseModel):
            sections.append((name, [(key, _said(key, one)) for key, one in value]))
        else:
            plain.append((name, _said(name, value)))
    return sections


def _said(key: str, value: Any) -> str:
    """Return a value of a setting as a person reads it."""
    if key in _SECRET:
        return _SECRET[key] if value else "none"
    if isinstance(value, Bandwidth):
        value = [f"{rate or 'off'} from {start:%H:%M} on" for start, rate in value.since]
    if isinstance(value, list | tuple):
        return ", ".join(str(one) for one in value) or "none"
    if isinstance(value, dict):
        return ", ".join(f"{name}: {one}" for name, one in value.items()) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    value = f"{value:g}" if isinstance(value, float) else value
    return "none" if value in (None, "") else str(value)
