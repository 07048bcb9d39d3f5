"""dashboard: the local web page."""

import sys
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, UsageError

if TYPE_CHECKING:
    from drawcli.dashboard.options import DashboardOptions
    from drawcli.dashboard.password import Secret

_MISSING: Final = "Install drawcli with its extra 'web': see docs/installing.md."
HostOption = Annotated[
    str,
    typer.Option("--host", help="Where it listens; others than loopback need TLS and a login."),
]
PortOption = Annotated[int, typer.Option("--port", help="0 takes a free one.", min=0)]
NameOption = Annotated[
    list[str] | None,
    typer.Option("--name", help="A name that browsers ask for, besides --host.", metavar="HOST"),
]
CertOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="PEM, with its chain.", metavar="FILE")
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="PEM, not encrypted.", metavar="FILE")
]
ActionsOption = Annotated[
    bool, typer.Option("--allow-actions", help="Let it release, retry, assign and cancel.")
]
PasswordOption = Annotated[
    bool, typer.Option("--set-password", help="Store a password; serve nothing.")
]
TokenOption = Annotated[
    bool, typer.Option("--make-token", help="Make a password by chance; serve nothing.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "dashboard")(dashboard)


def dashboard(
    door: Door,
    *,
    host: HostOption = "127.0.0.1",
    port: PortOption = 8043,
    name: NameOption = None,
    tls_cert: CertOption = None,
    tls_key: KeyOption = None,
    allow_actions: ActionsOption = False,
    set_password: PasswordOption = False,
    make_token: TokenOption = False,
    identify: IdentifyOption = False,
) -> Result | None:
    """Serve a page that shows how the site stands, to browsers on this machine."""
    try:
        from drawcli.dashboard.options import DashboardOptions
        from drawcli.dashboard.password import Secret
    except ImportError as err:
        raise ConfigError(
            f"the dashboard needs {err.name}, which is missing", hint=_MISSING
        ) from None
    site = door.settings()
    secret = Secret(site.state_dir)
    if set_password or make_token:
        return _stored(door, secret, by_chance=make_token)
    options = DashboardOptions(
        host=host,
        port=port,
        names=tuple(name or ()),
        tls_cert=tls_cert,
        tls_key=tls_key,
        allow_actions=allow_actions,
        identify=identify,
        tls_proxy=site.dashboard.tls_proxy,
        proxies=tuple(ip_network(one) for one in site.dashboard.proxies),
    )
    door.check_identify(identify=identify)
    options.check(secret=secret.is_set)
    _serve(door, options, secret)
    return None


def _serve(door: Door, options: "DashboardOptions", secret: "Secret") -> None:
    from drawcli.pipeline.context import open_context

    try:
        from drawcli.dashboard.serve import serve
    except ImportError as err:
        raise ConfigError(
            f"the dashboard needs {err.name}, which is missing", hint=_MISSING
        ) from None
    from drawcli.dashboard.snapshot import SiteReader

    def tell(url: str) -> None:
        facts = [
            ("url", url),
            ("login", "the password that was set" if secret.is_set else "none: on this machine"),
            ("actions", "allowed" if options.allow_actions else "none: it only shows"),
            ("patients", "shown to who has logged in" if options.identify else "not shown"),
            ("notice", "Ctrl-C ends it"),
        ]
        render.present("dashboard", Result(data={"url": url}, show=render.lines(facts)), door.style)

    with door.context() as ctx:
        site = SiteReader(ctx, lambda: open_context(ctx.settings), door.settings_file().absolute())
        with suppress(KeyboardInterrupt):  # how it is meant to end
            serve(site, options, secret, tell)


def _stored(door: Door, secret: "Secret", *, by_chance: bool) -> Result:
    """Store a new password: typed twice at a terminal, read from standard input, or by chance."""
    import secrets

    words = secrets.token_urlsafe(24) if by_chance else _asked(door)
    secret.store(words)
    told = [("token", words)] if by_chance else []
    facts = [
        *told,
        ("stored in", secret.path),
        ("notice", "it counts at once, and ends all logins"),
    ]
    data = {"stored_in": str(secret.path)} | dict(told)
    return Result(data=data, show=render.lines(facts))


def _asked(door: Door) -> str:
    if not door.can_ask:
        return sys.stdin.readline().rstrip("\r\n")
    from drawcli.cli.prompts import asked_unseen

    words = asked_unseen("password")
    if asked_unseen("once more") != words:
        raise UsageError("these were two different passwords", hint="Run the command again.")
    return words
