"""dashboard: the local web page."""

import gc
from contextlib import suppress
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.cli.page.users_commands import asked_password
from drawcli.cli.render import Result
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from drawcli.dashboard.access.options import DashboardOptions
    from drawcli.dashboard.access.password import Secret

HostOption = Annotated[
    str,
    typer.Option("--host", help="Address to listen on; any but loopback needs TLS and a login."),
]
PortOption = Annotated[int, typer.Option("--port", help="0 chooses a free port.", min=0, max=65535)]
NameOption = Annotated[
    list[str] | None,
    typer.Option(
        "--name", help="Another host name of the page, in addition to --host.", metavar="HOST"
    ),
]
CertOption = Annotated[
    Path | None, typer.Option("--tls-cert", help="PEM, with its chain.", metavar="FILE")
]
KeyOption = Annotated[
    Path | None, typer.Option("--tls-key", help="PEM, not encrypted.", metavar="FILE")
]
ActionsOption = Annotated[
    bool, typer.Option("--allow-actions", help="Allow release, retry, assign and cancel.")
]
EditingOption = Annotated[
    bool, typer.Option("--allow-editing", help="Allow changes of rules and templates.")
]
PasswordOption = Annotated[bool, typer.Option("--set-password", help="Store a password and exit.")]
TokenOption = Annotated[bool, typer.Option("--make-token", help="Generate a password and exit.")]


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
    allow_editing: EditingOption = False,
    set_password: PasswordOption = False,
    make_token: TokenOption = False,
    identify: IdentifyOption = False,
) -> Result | None:
    """Serve the site's web page to browsers on this machine."""
    try:
        from drawcli.dashboard.access.options import DashboardOptions
        from drawcli.dashboard.access.password import Secret
        from drawcli.dashboard.access.users import Users
    except ImportError:
        raise not_installed("the dashboard", "web") from None
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
        allow_editing=allow_editing,
        identify=identify or site.dashboard.identify,
        tls_proxy=site.dashboard.tls_proxy,
        proxies=tuple(ip_network(one) for one in site.dashboard.proxies),
    )
    door.check_identify(identify=identify)
    options.check(secret=secret.is_set or Users(site.state_dir).exist or site.oidc.is_on)
    _serve(door, options, secret)
    return None


def _serve(door: Door, options: "DashboardOptions", secret: "Secret") -> None:
    from drawcli.pipeline.context import open_context

    try:
        from drawcli.dashboard.serve import serve
    except ImportError:
        raise not_installed("the dashboard", "web") from None
    from drawcli.dashboard.snapshot import SiteReader

    def tell(url: str) -> None:
        facts = [
            ("url", url),
            ("login", _login(secret, single_sign_on=door.settings().oidc.is_on)),
            ("actions", "allowed" if options.allow_actions else "none: it only shows"),
            ("editing", "allowed" if options.allow_editing else "none: it shows the files"),
            ("patients", "shown to who has logged in" if options.identify else "not shown"),
            ("notice", "Ctrl-C ends it"),
        ]
        render.present("dashboard", Result(data={"url": url}, show=render.lines(facts)), door.style)

    with door.context() as ctx:
        gc.freeze()  # the collector is called often; nothing of the start is garbage
        site = SiteReader(ctx, lambda: open_context(ctx.settings), door.settings_file().absolute())
        with suppress(KeyboardInterrupt):  # how it is meant to end
            serve(site, options, secret, tell)


def _login(secret: "Secret", *, single_sign_on: bool) -> str:
    """Return who can log in, in words."""
    from drawcli.dashboard.access.users import Users

    users = Users(secret.path.parent).file.read().users
    if single_sign_on or users:
        named = f"{len(users)} with a password" if users else ""
        return ", ".join(filter(None, ("single sign-on" if single_sign_on else "", named)))
    return "the password that was set" if secret.is_set else "none: on this machine"


def _stored(door: Door, secret: "Secret", *, by_chance: bool) -> Result:
    """Store a new password: typed twice, read from standard input, or generated."""
    import secrets

    from drawcli.adapters.state.audit_log import record_action
    from drawcli.dashboard.access.password import check_words
    from drawcli.pipeline.context import utc_now

    words = secrets.token_urlsafe(24) if by_chance else asked_password(door)
    check_words(words)
    record_action(secret.path.parent, "page-password", utc_now())
    secret.store(words)
    shown = [("token", words)] if by_chance else []
    facts = [
        *shown,
        ("stored in", secret.path),
        ("notice", "it counts at once, and ends all logins"),
    ]
    data = {"stored_in": str(secret.path)} | dict(shown)
    return Result(data=data, show=render.lines(facts))
