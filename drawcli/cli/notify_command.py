"""notify: test the alarms, show the digest and what was sent, silence alarms for a while."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, group
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, DrawcliError, OutOfReach, UsageError

if TYPE_CHECKING:
    from drawcli.adapters.notifications import Recipient
    from drawcli.config.load import Settings

_DAY: Final = timedelta(days=1)
_UNITS: Final = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": _DAY}
_MOST_DIGITS: Final = 5
_NOWHERE: Final = "Write addresses of apprise into a file, and name it in notify.urls_file."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    what = "Test the alarms; show the digest and what was sent; silence alarms for a while."
    commands = {"test": try_places, "preview": preview, "sent": sent, "silence": silence}
    group(app, "notify", commands, what=what)


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
            rows.append((f"recipient {place.number}", str(err)))
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


def sent(
    door: Door,
    last: Annotated[int, typer.Option("--last", help="How many.", min=1, max=5000)] = 20,
) -> Result:
    """Show the messages that were sent last, and who did not accept them."""
    from drawcli.adapters.messages.sent import SentMessages

    found = SentMessages(door.settings().state_dir).newest_first(last)
    rows = [
        (f"{one.at:%Y-%m-%d %H:%M}", one.place, "taken" if one.is_taken else "NOT TAKEN", one.title)
        for one in found
    ]
    data = {"messages": [one.as_plain() for one in found]}
    return Result(data=data, show=render.columns(("at (UTC)", "to", "outcome", "title"), rows))


def silence(
    door: Door,
    span: Annotated[
        str, typer.Argument(help="How long, such as 30m, 4h or 2d.", metavar="[SPAN]")
    ] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why. Name no patient.")] = "",
    end: Annotated[bool, typer.Option("--end", help="End the silence.")] = False,
) -> Result:
    """Silence alarms for a while; without SPAN, show whether they are silenced.

    Alarms that still apply at the end are sent then. The daily digest is sent anyway.
    """
    from drawcli.adapters.messages.silence import (
        end_silence,
        new_silence,
        read_silence,
        write_silence,
    )
    from drawcli.adapters.state.audit_log import Actor, record_action
    from drawcli.pipeline.context import utc_now

    state_dir, now = door.settings().state_dir, utc_now()
    if span and end:
        raise UsageError("--end ends a silence; a span begins one")
    if span:
        begun = new_silence(now, _span(span), Actor.present().label, reason)
        record_action(state_dir, "silence", now, until=begun.until.isoformat())
        write_silence(state_dir, begun)
    elif end:
        record_action(state_dir, "end-silence", now)
        end_silence(state_dir)
    lasting = read_silence(state_dir, now)
    said = "alarms are sent" if lasting is None else f"silenced {lasting.in_words(now)}"
    data = {"silence": None if lasting is None else lasting.as_plain()}
    return Result(data=data, show=render.lines([("alarms", said)]))


def _span(text: str) -> timedelta:
    """Return a span of time; UsageError if it is none.

    >>> _span("4h")
    datetime.timedelta(seconds=14400)
    """
    number, unit = text[:-1], text[-1:].lower()
    if unit not in _UNITS or not number.isdecimal() or len(number) > _MOST_DIGITS:
        raise UsageError(f"'{text}' is not a span of time", hint="Such as 30m, 4h or 2d.")
    return int(number) * _UNITS[unit]


def _sent(place: "Recipient", settings: "Settings") -> str:
    from drawcli.adapters.notifications import Message
    from drawcli.operations.alarms import note_message, titled
    from drawcli.pipeline.context import utc_now

    body = "A test, sent by hand. Alarms of this site arrive here; they name no patient."
    message = Message(titled(settings, "test"), body)
    is_taken = place.send(message)
    note_message(settings, place, message, utc_now(), is_taken=is_taken)
    return "taken" if is_taken else "not taken"


def _pinged(settings: "Settings") -> str:
    from drawcli.operations.heartbeat import ping

    return "taken" if ping(settings.metrics) else "not taken"


def _not_taken(name: str) -> DrawcliError:
    hint = "Look at address, password and proxy (HTTPS_PROXY); docs/alarms.md has examples."
    return OutOfReach(f"{name}: the message was not accepted", code="not-taken", hint=hint)
