"""Checks of `doctor` that ask the DRAW server."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.probe import ServerProbe, probe_server
from drawcli.adapters.server.responses import ENDPOINT_HINT
from drawcli.core.templates.catalogue import CatalogueModel, parse_catalogue, unmet_requests
from drawcli.errors import ConfigError, ServerUnavailable
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Outcome, run_checks
from drawcli.pipeline.context import utc_now
from drawcli.system.addresses import is_loopback
from drawcli.system.durations import duration

_SAME: Final = 3.0  # s: the Date header is cut to seconds and takes time to arrive
_SKEW_NOTED: Final = 60.0  # s: tokens are renewed five minutes early
_SKEW_TOO_LARGE: Final = 300.0
_CERTIFICATE_SOON: Final = timedelta(days=21)
_SLOW_SECONDS: Final = 5.0
_WELL: Final = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.UNAUTHORIZED})


def offline(site: CheckContext) -> Iterator[Outcome]:
    """Yield the checks that need no answer of the server."""
    yield from run_checks([("templates", _templates_by_kept)], site)


def unasked(names: Sequence[str]) -> Iterator[Outcome]:
    """Yield the checks that would ask others, as not made."""
    for name in names:
        yield _unasked(name, "--offline", "drawcli doctor")


def _unasked(name: str, why: str, remedy: str) -> Outcome:
    return Outcome(name, CheckResult.not_checked(why, remedy))


def online(site: CheckContext) -> Iterator[Outcome]:
    """Yield the checks of the server; the first one alone if it does not answer."""
    seen: list[ServerProbe] = []
    yield from run_checks([("server", lambda site: _reached(site, seen))], site)
    if not seen:
        for name in ("clock", "TLS"):
            yield _unasked(name, "the server does not answer", "Fix that first.")
        yield from offline(site)
        return
    found = seen[0]
    checks: list[tuple[str, Check]] = [
        ("clock", lambda _: _clock(found)),
        ("TLS", lambda site: tls(found, site)),
        ("templates", _templates),
    ]
    yield from run_checks(checks, site)


def _reached(site: CheckContext, seen: list[ServerProbe]) -> CheckResult:
    url = site.settings.server.url
    try:
        found = probe_server(site.settings.server)
    except ServerUnavailable as err:
        remedy = f"Try 'curl -sSI {url}'; if that fails too, ask the hospital's IT."
        return CheckResult.failed(f"{url} cannot be reached ({err})", remedy)
    seen.append(found)
    text = f"{url} answers {found.status} in {found.seconds:.2f} s"
    if found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CheckResult.warned(
            text,
            "It accepts no uploads now; the jobs wait. Ask the DRAW administrator if it lasts.",
        )
    if found.status not in _WELL:
        return CheckResult.warned(text, ENDPOINT_HINT)
    if found.seconds > _SLOW_SECONDS:
        return CheckResult.warned(text, "Uploads will be slow. Is a proxy in the way?")
    return CheckResult.well(text)


def _clock(found: ServerProbe) -> CheckResult:
    skew = found.skew_seconds
    if skew is None:
        return CheckResult.warned(
            "the server sends no usable Date header",
            "'timedatectl' shows whether this clock is right",
        )
    if abs(skew) < _SAME:
        return CheckResult.well("agrees with the server's")
    text = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    remedy = "Let NTP set this machine's clock: timedatectl set-ntp true"
    if abs(skew) > _SKEW_TOO_LARGE:
        return CheckResult.failed(text, remedy)
    return CheckResult.warned(text, remedy) if abs(skew) > _SKEW_NOTED else CheckResult.well(text)


def tls(found: ServerProbe, site: CheckContext) -> CheckResult:
    """Check that the connection is encrypted and the certificate is valid for a while."""
    if not found.tls:
        if is_loopback(site.settings.server.url):
            return CheckResult.well("plain http, to this machine only")
        text = "plain http: anyone on the network path can read the token"
        return CheckResult.warned(text, "Use https:// in server.url if the server supports it.")
    if found.certificate_until is None:
        return CheckResult.well(found.tls)
    left = found.certificate_until - site.now
    text = f"{found.tls}; the certificate is valid for {duration(left)}"
    if left < _CERTIFICATE_SOON:
        return CheckResult.warned(text, "Remind the DRAW administrator before it expires.")
    return CheckResult.well(text)


def _templates(site: CheckContext) -> CheckResult:
    """Compare the templates with the server's catalogue; this tests the token, too."""
    tokens = site.tokens
    with DrawServer.opened(site.settings.server, tokens, utc_now) as server:
        try:
            offers = parse_catalogue(server.models())
        except ServerUnavailable as err:
            return CheckResult.warned(
                f"not compared: {err}", "Runs wait for it. Ask the DRAW administrator if it lasts."
            )
        except ConfigError as err:
            if err.code != "endpoint":
                raise
            return CheckResult.warned(f"not compared: {err}", err.hint)
    vain = _in_vain(site, offers)
    if vain:
        text = f"the server does not offer {len(vain)} of the things that templates request"
        return CheckResult.failed(text, "drawcli templates check --server")
    return CheckResult.well(f"token accepted; {len(offers)} models offer all that is requested")


def _templates_by_kept(site: CheckContext) -> CheckResult:
    kept = load_catalogue(site.settings.state_dir)
    if kept is None:
        return CheckResult.not_checked(
            "there is no catalogue of the server to compare with", "drawcli templates pull"
        )
    vain, by = _in_vain(site, kept.offers), f"by the catalogue of {kept.at:%Y-%m-%d}"
    if vain:
        return CheckResult.warned(
            f"{len(vain)} requested things are not offered, {by}", "drawcli templates check"
        )
    return CheckResult.well(f"all that is requested is offered, {by}")


def _in_vain(site: CheckContext, offers: Sequence[CatalogueModel]) -> list[str]:
    book = site_rulebook(site.settings)
    return list(unmet_requests(book.templates, offers))
