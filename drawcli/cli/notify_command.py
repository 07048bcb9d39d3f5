"""notify test, preview: test the alarms; show the daily digest."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, group
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, DrawcliError, OutOfReach

if TYPE_CHECKING:
    from drawcli.adapters.notifications import Recipient
    from drawcli.config.load import Settings

_DAY: Final = timedelta(days=1)
_NOWHERE: Final = "Write addresses of apprise into a file, and name it in notify.urls_file."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    what = "Test the alarms; show the daily digest."
    group(app, "notify", {"test": try_places, "preview": preview}, what=what)


def try_places(door: Door, dry_run: DryRunOption = False) -> Result:
    """Send a test message to each recipient and ping the heartbeat."""
    from drawcli.adapters.notifications import recipients_of
    from drawcli.adapters.state import logs

    logs.keep_off_stderr()
    settings = door.settings()
    places = recipients_of(settings.notify)
    if not places and not settings.metrics.heartbeat_url:
        raise ConfigError("notify: no recipient is set up", code="no-place", hint=_NOWHERE)
    rows: list[tuple[str, str]] = []
    errors: list[DrawcliError] = []
    for place in places:
        try:
            name = place.name
            rows.append((name, "would be sent to" if dry_run else _sent(place, settings)))
        except DrawcliError as err:
            errors.append(err)
            rows.append((f"place {place.number}", str(err)))
    if settings.metrics.heartbeat_url:
        rows.append(("heartbeat", "would be pinged" if dry_run else _pinged(settings)))
    errors += [_not_taken(name) for name, outcome in rows if outcome == "not taken"]
    data: dict[str, Any] = {"places": [{"place": name, "outcome": said} for name, said in rows]}
    code = max((err.exit_code for err in errors), default=0)
    return Result(data=data, show=render.lines(rows), errors=errors, exit_code=code)


def preview(door: Door) -> Result:
    """Show the digest of the last 24 hours; nothing is sent."""
    from drawcli.operations.alarms import digest

    with door.context(dry_run=True) as ctx:
        text = "\n".join(digest(ctx, ctx.now() - _DAY, ctx.now())) + "\n"
    return Result(data={"digest": text}, show=render.verbatim(text))


def _sent(place: "Recipient", settings: "Settings") -> str:
    from drawcli.adapters.notifications import Message
    from drawcli.operations.alarms import titled

    body = "A test, sent by hand. Alarms of this site arrive here; they name no patient."
    message = Message(titled(settings, "test"), body)
    return "taken" if place.send(message) else "not taken"


def _pinged(settings: "Settings") -> str:
    from drawcli.operations.heartbeat import ping

    return "taken" if ping(settings.metrics) else "not taken"


def _not_taken(name: str) -> DrawcliError:
    hint = "Look at address, password and proxy (HTTPS_PROXY); docs/alarms.md has examples."
    return OutOfReach(f"{name}: the message was not accepted", code="not-taken", hint=hint)
