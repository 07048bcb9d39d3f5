"""Is the server well? The checks of `doctor` that need the network."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from http import HTTPStatus
from typing import Final

from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.probe import ServerProbe, probe_server
from drawcli.adapters.server.responses import ENDPOINT_HINT
from drawcli.core.templates.catalogue import CatalogueModel, asked_in_vain, offers_of
from drawcli.errors import ConfigError, ServerUnavailable
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Outcome, looked
from drawcli.pipeline.context import token_store, utc_now
from drawcli.system.addresses import stays_here
from drawcli.system.durations import ago

_SAME: Final = 3.0  # s: the header is cut to seconds, and takes its way
_SKEW_NOTED: Final = 60.0  # s: tokens are renewed five minutes early
_SKEW_TOO_LARGE: Final = 300.0
_CERTIFICATE_SOON: Final = timedelta(days=21)
_SLOW_SECONDS: Final = 5.0
_WELL: Final = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT, HTTPStatus.UNAUTHORIZED})


def offline(site: CheckContext) -> Iterator[Outcome]:
    """Yield what can be said of the server without asking it."""
    yield from looked([("templates", _templates_by_kept)], site)


def online(site: CheckContext) -> Iterator[Outcome]:
    """Yield what the server shows; where it does not answer, that, and nothing after it."""
    seen: list[ServerProbe] = []
    yield from looked([("server", lambda site: _reached(site, seen))], site)
    if not seen:
        yield from offline(site)
        return
    found = seen[0]
    checks: list[tuple[str, Check]] = [
        ("clock", lambda _: _clock(found)),
        ("TLS", lambda site: tls(found, site)),
        ("templates", _templates),
    ]
    yield from looked(checks, site)


def _reached(site: CheckContext, seen: list[ServerProbe]) -> CheckResult:
    url = site.settings.server.url
    try:
        found = probe_server(site.settings.server)
    except ServerUnavailable as err:
        remedy = (
            f"curl -sSI {url} shows whether this machine gets there; else ask your network's IT."
        )
        return CheckResult.failed(f"{url} cannot be reached ({err})", remedy)
    seen.append(found)
    text = f"{url} answers {found.status} in {found.seconds:.2f} s"
    if found.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return CheckResult.warned(text, "It takes no uploads now; the jobs wait. Ask if it lasts.")
    if found.status not in _WELL:
        return CheckResult.warned(text, ENDPOINT_HINT)
    if found.seconds > _SLOW_SECONDS:
        return CheckResult.warned(text, "Uploads will be slow. Is a proxy in the way?")
    return CheckResult.well(text)


def _clock(found: ServerProbe) -> CheckResult:
    skew = found.skew_seconds
    if skew is None:
        return CheckResult.warned(
            "the server names no time", "timedatectl shows whether ours is right"
        )
    if abs(skew) < _SAME:
        return CheckResult.well("ours and the server's agree")
    text = f"ours is {abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's"
    remedy = "Let NTP set this machine's clock: timedatectl set-ntp true"
    if abs(skew) > _SKEW_TOO_LARGE:
        return CheckResult.failed(text, remedy)
    return CheckResult.warned(text, remedy) if abs(skew) > _SKEW_NOTED else CheckResult.well(text)


def tls(found: ServerProbe, site: CheckContext) -> CheckResult:
    """Look at who can read along, and how long the server's certificate is good."""
    if not found.tls:
        if stays_here(site.settings.server.url):
            return CheckResult.well("plain http, to this machine only")
        text = "plain http: whoever is on the way reads the token"
        return CheckResult.warned(
            text, "Let server.url begin with https:// if the server speaks it."
        )
    if found.certificate_until is None:
        return CheckResult.well(found.tls)
    left = found.certificate_until - site.now
    text = f"{found.tls}; the certificate is good for {ago(left)}"
    if left < _CERTIFICATE_SOON:
        return CheckResult.warned(text, "Tell the DRAW administrator before it ends.")
    return CheckResult.well(text)


def _templates(site: CheckContext) -> CheckResult:
    """Ask with our token what the server offers; so the token is tried, too."""
    tokens = token_store(site.settings)
    with DrawServer.opened(site.settings.server, tokens, utc_now) as server:
        try:
            offers = offers_of(server.models())
        except ServerUnavailable as err:
            return CheckResult.warned(f"not compared: {err}", "Runs wait for it. Ask if it lasts.")
        except ConfigError as err:
            if err.code != "endpoint":
                raise
            return CheckResult.warned(f"not compared: {err}", err.hint)
    vain = _in_vain(site, offers)
    if vain:
        text = f"{len(vain)} things are asked for that the server does not offer"
        return CheckResult.failed(text, "drawcli templates check --server")
    return CheckResult.well(f"the token is taken; all is offered, of {len(offers)} models")


def _templates_by_kept(site: CheckContext) -> CheckResult:
    kept = load_catalogue(site.settings.state_dir)
    if kept is None:
        return CheckResult.well("not compared: nothing is known of what the server offers")
    vain, by = _in_vain(site, kept.offers), f"by the catalogue of {kept.at:%Y-%m-%d}"
    if vain:
        return CheckResult.warned(
            f"{len(vain)} things are not offered, {by}", "drawcli templates check"
        )
    return CheckResult.well(f"all is offered, {by}")


def _in_vain(site: CheckContext, offers: Sequence[CatalogueModel]) -> list[str]:
    book = site_rulebook(site.settings)
    return list(asked_in_vain(book.templates, offers))
