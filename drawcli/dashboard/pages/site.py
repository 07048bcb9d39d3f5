"""The server and the tokens; the checks of `doctor`; the settings."""

from datetime import datetime
from itertools import islice
from typing import Final

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.adapters.state.run_log import RunLog
from drawcli.core.jobs.job import State
from drawcli.core.protocol.tokens import claims_of
from drawcli.dashboard.local_time import local_time
from drawcli.dashboard.runs.controls import controls_of
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.view import page, parts_of
from drawcli.errors import DrawcliError
from drawcli.operations.doctor import local
from drawcli.operations.doctor import server as asked_of
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Grade, run_checks
from drawcli.operations.setting_texts import setting_text
from drawcli.pipeline.cluster.tokens import are_at_hand
from drawcli.system.durations import duration
from drawcli.system.records import Record

_AT_SERVER: Final = (State.UPLOADED, State.SEGMENTED)
_RUNS: Final = 20
_OF_LEDGER: Final = ("ledger", "held jobs")  # checks that read the ledger


def server(request: Request) -> Response:
    """Show the server, its last answers, and when the tokens expire; never the tokens."""
    site = parts_of(request).site
    settings = site.ctx.settings.server
    newest = RunLog(site.ctx.settings.state_dir).newest_first()
    return page(
        request,
        "server.html",
        settings=settings,
        health={line.subject: line.text for line in site.health.sentences(site.now)},
        tokens=_tokens(site),
        controls=controls_of(parts_of(request)),
        catalogue=load_catalogue(site.ctx.settings.state_dir),
        runs=list(islice(newest, _RUNS)),
        there=sum(job.state in _AT_SERVER for job in site.snapshot().jobs),
    )


def checkup(request: Request) -> Response:
    """Show the checks of `doctor --offline` that write nothing and start no command."""
    site = parts_of(request).site
    seen = CheckContext(
        settings=site.ctx.settings, config=site.config, now=site.now, ctx=site.ctx, probes=False
    )
    unseen = _unseen(site)
    checks = [(name, _in_turn(name, check, site)) for name, check in local.LOCAL]
    outcomes = [
        *run_checks((check for check in checks if check[0] not in unseen), seen),
        *asked_of.offline(seen),
    ]
    grades = [outcome.result.grade for outcome in outcomes]
    order = [Grade.FAIL, Grade.WARN, Grade.SKIP, Grade.PASS]
    return page(
        request,
        "checkup.html",
        outcomes=sorted(outcomes, key=lambda outcome: order.index(outcome.result.grade)),
        counts={grade: grades.count(grade) for grade in order},
        unseen=unseen,
    )


def _unseen(site: SiteReader) -> list[str]:
    """Return the checks that would write a file or start a command."""
    in_file = are_at_hand(site.ctx.settings)
    return ["delivery", "old studies"] if in_file else ["delivery", "old studies", "token"]


def _in_turn(name: str, check: Check, site: SiteReader) -> Check:
    """Return a check that holds the lock of the ledger if it reads it."""
    if name not in _OF_LEDGER:
        return check

    def look(seen: CheckContext) -> CheckResult:
        with site.lock:
            return check(seen)

    return look


def settings(request: Request) -> Response:
    """Show the settings, and which differ from the defaults."""
    site = parts_of(request).site
    return page(
        request, "settings.html", sections=_sections(site), config=site.config, own=_own(site)
    )


def _tokens(site: SiteReader) -> list[tuple[str, str]]:
    """Return facts about the tokens, without the tokens."""
    store = site.ctx.tokens
    if not are_at_hand(site.ctx.settings):
        source = "a command or the keyring of the system"
        return [("where", f"{source}; run 'drawcli token status' to check them")]
    try:
        tokens = store.read()
    except DrawcliError as err:
        return [("error", str(err)), *([("do", err.hint)] if err.hint else [])]
    facts = [("where", store.place), ("access token expires", _expiry(tokens.expires_at, site.now))]
    renewable = "yes" if tokens.refresh else "no: it is used until it expires"
    return [*facts, ("can be renewed", renewable), *claims_of(tokens.access).items()]


def _expiry(at: datetime | None, now: datetime) -> str:
    if at is None:
        return "unknown: it is used until the server refuses it"
    left = at - now
    text = f"in {duration(left)}" if left.total_seconds() > 0 else f"expired {duration(-left)} ago"
    return Markup("{} ({})").format(local_time(at), text)


def _own(site: SiteReader) -> frozenset[str]:
    """Return the settings that differ from the defaults, as "section.key"."""
    own = set[str]()
    for name in site.ctx.settings.fields:
        section = getattr(site.ctx.settings, name)
        if not isinstance(section, Record):
            own.add(name)
            continue
        default = type(section)()
        own |= {
            f"{name}.{key}"
            for key in section.fields
            if getattr(section, key) != getattr(default, key)
        }
    return frozenset(own)


def _sections(site: SiteReader) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return every setting by section; the first section has the top-level keys."""
    plain: list[tuple[str, str]] = []
    sections: list[tuple[str, list[tuple[str, str]]]] = [("the site", plain)]
    for name in site.ctx.settings.fields:
        value = getattr(site.ctx.settings, name)
        if isinstance(value, Record):
            sections.append(
                (name, [(key, setting_text(key, getattr(value, key))) for key in value.fields])
            )
        else:
            plain.append((name, setting_text(name, value)))
    return sections
