"""token set, status, refresh."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, group
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, OutOfReach, ServerRefused, TryLater, UsageError
from drawcli.system.durations import duration
from drawcli.system.network.limit import bytes_in_words

if TYPE_CHECKING:
    from drawcli.adapters.server.token_store import TokenStore
    from drawcli.config.sections import ServerSettings as Site
    from drawcli.core.protocol.tokens import Tokens

LARGEST: Final = 128 << 10  # bytes of a file with tokens, as of what a program prints


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(
        app,
        "token",
        {"set": set_, "status": status, "refresh": refresh},
        what="Set, show and renew the server's tokens.",
    )


def set_(
    door: Door,
    file: Annotated[
        str | None,
        typer.Argument(help="JSON with the token pair, or an access token; - is standard input."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Store them without a test at the server.")
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Store new tokens from a file, standard input or a prompt.

    The server is asked first: a pair that it refuses is not stored, and the old pair stays.
    """
    from drawcli.adapters.state import logs
    from drawcli.adapters.state.audit_log import record_action
    from drawcli.pipeline.cluster.tokens import site_tokens

    logs.keep_off_stderr()
    settings = door.settings()
    store = site_tokens(settings)
    tokens, accepted = _parsed(_given(door, file), file), False
    if not force and not dry_run:
        tokens, accepted = _asked_for(tokens, settings.server, store)
    if not dry_run:
        record_action(settings.state_dir, "token-set", _now())
        with store.locked():
            store.write(tokens)
    data = _facts(tokens, store) | {"written": not dry_run, "accepted_by_server": accepted}
    said = [("would be stored in" if dry_run else "stored in", store.place)]
    if not dry_run:
        said.append(("server", "accepts it" if accepted else "not asked"))
    return Result(data=data, show=render.lines([*said, *_shown(data)]))


def _asked_for(tokens: "Tokens", site: "Site", store: "TokenStore") -> "tuple[Tokens, bool]":
    """Return a new pair that the server accepts, renewed if need be; the stored one stays.

    If there is no stored pair that a wrong one could replace, an unreachable server is no obstacle:
    then the second value is False.
    """
    from drawcli.adapters.server.token_trial import accepted_pair

    old = "the old one stays" if _has_pair(store) else "nothing was stored"
    try:
        return accepted_pair(tokens, site, store, _now), True
    except ServerRefused as err:
        hint = "Check that it was issued for this server and client, and copied whole."
        raise ServerRefused(f"the server refuses the new token; {old} ({err})", hint=hint) from None
    except TryLater as err:
        if not _has_pair(store):
            return tokens, False
        hint = "Run it again when the server answers, or store it untried with --force."
        what = f"the new token could not be tried; {old}: {err}"
        raise OutOfReach(what, code=err.code, hint=hint) from None
    except ConfigError as err:
        what = f"the new token could not be tried; {old}: {err}"
        hint = f"{err.hint} --force stores it untried.".strip()
        raise ConfigError(what, code=err.code, hint=hint) from None


def _has_pair(store: "TokenStore") -> bool:
    """Return whether a pair is stored, even one that cannot be used as it is."""
    try:
        store.read()
    except ConfigError as err:
        return err.code != "no-token"
    return True


def status(door: Door) -> Result:
    """Show client and expiry of the stored tokens."""
    from drawcli.pipeline.cluster.tokens import site_tokens

    store = site_tokens(door.settings())
    tokens = store.read()
    begun = store.pending.begun(tokens)
    data = _facts(tokens, store) | {"unanswered": begun.isoformat() if begun else None}
    over = tokens.is_expired(_now()) and not data["refresh"]
    gone = ServerRefused("the access token has expired and cannot be renewed", hint=store.no_other)
    errors = [gone] if over else []
    return Result(
        data=data,
        show=render.lines([("tokens", store.place), *_shown(data), *_unanswered(begun)]),
        errors=[*errors],
        exit_code=gone.exit_code if over else 0,
    )


def refresh(door: Door, dry_run: DryRunOption = False) -> Result:
    """Renew the tokens now; the server revokes the old ones."""
    from drawcli.adapters.state import logs
    from drawcli.pipeline.cluster.tokens import site_tokens

    logs.keep_off_stderr()
    settings = door.settings()
    store = site_tokens(settings)
    tokens = store.read()
    if not tokens.refresh or not store.can_renew:
        what = "there is no way to store new tokens" if tokens.refresh else "there is none to do so"
        raise ServerRefused(f"the access token cannot be renewed: {what}", hint=store.no_other)
    if not dry_run:
        _renew(settings.server, store)
        tokens = store.read()
    data = _facts(tokens, store) | {"renewed": not dry_run}
    said = ("would be renewed in" if dry_run else "renewed in", store.place)
    return Result(data=data, show=render.lines([said, *([] if dry_run else _shown(data))]))


def _renew(site: "Site", store: "TokenStore") -> None:
    from drawcli.adapters.server.client import DrawServer

    with DrawServer.opened(site, store, _now) as server:
        try:
            server.renew_tokens()
        except TryLater as err:
            again = "Run it again when the server answers. 'drawcli token status' shows the tokens."
            hint = err.hint or again
            raise OutOfReach(str(err), code=err.code, hint=hint) from None


def _given(door: Door, file: str | None) -> str:
    """Return the text with the tokens; at a terminal it is typed without echo."""
    if file is not None and file != "-":
        try:
            with Path(file).open("rb") as stream:
                return _text_of(stream, file)
        except OSError as err:
            raise UsageError(f"{file}: cannot be read: {err.strerror}") from None
    if file is None and door.can_ask:
        from drawcli.cli.prompts import asked_unseen

        access = asked_unseen("access token, or the JSON pair in one line")
        if access.lstrip().startswith("{"):
            return access
        import json

        pair = {"access_token": access, "refresh_token": asked_unseen("refresh token, or Enter")}
        return json.dumps(pair)
    if file is None and sys.stdin.isatty():
        raise UsageError("no token was given", hint="Name a file, or '-' for standard input.")
    return _text_of(sys.stdin.buffer, "standard input")


def _text_of(stream: BinaryIO, place: str) -> str:
    """Return what a file holds; raise UsageError if it is too long for tokens."""
    raw = stream.read(LARGEST + 1)
    if len(raw) > LARGEST:
        raise UsageError(f"{place}: longer than {bytes_in_words(LARGEST)}: these are no tokens")
    return raw.decode("utf-8-sig", errors="replace")


def _parsed(text: str, file: str | None) -> "Tokens":
    from drawcli.core.protocol.tokens import FORM, parse_pair_or_token

    try:
        return parse_pair_or_token(text, _now())
    except ValueError as err:
        where = "standard input" if file in (None, "-") else str(file)
        hint = f"It should hold {FORM}, or one access token."
        raise UsageError(f"{where}: {err}", hint=hint) from None


def _facts(tokens: "Tokens", store: "TokenStore") -> dict[str, object]:
    from drawcli.core.protocol.tokens import claims_of

    ends = tokens.expires_at
    return {
        "source": store.place,
        "expires_at": ends.isoformat() if ends else None,
        "expired": tokens.is_expired(_now()),
        "refresh": bool(tokens.refresh) and store.can_renew,
        "claims": claims_of(tokens.access),
    }


def _shown(data: dict[str, object]) -> list[tuple[str, object]]:
    claims = data["claims"]
    return [
        ("expires", _ends(data["expires_at"])),
        ("refresh", "yes" if data["refresh"] else "no: it is used to its end"),
        *(claims.items() if isinstance(claims, dict) else ()),
    ]


def _unanswered(begun: datetime | None) -> list[tuple[str, object]]:
    if begun is None:
        return []
    return [("last refresh", f"begun {begun:%Y-%m-%d %H:%M} UTC, and not answered")]


def _ends(moment: object) -> str:
    """Return when the access token ends, in words."""
    if not isinstance(moment, str):
        return "unknown: it is used until the server refuses it"
    ends = datetime.fromisoformat(moment)
    left = ends - _now()
    words = f"in {duration(left)}" if left.total_seconds() > 0 else f"{duration(-left)} ago"
    return f"{ends.astimezone(UTC):%Y-%m-%d %H:%M} UTC ({words})"


def _now() -> datetime:
    from drawcli.pipeline.context import utc_now

    return utc_now()
