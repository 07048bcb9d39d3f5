"""receive: a DICOM node that stores what scanners send in a folder of the datastore."""

import gc
import os
from typing import Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result

CheckOption = Annotated[
    bool, typer.Option("--check", help="Check settings, folder, certificate and port; then end.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the program."""
    command(app, "receive")(receive)


def receive(door: Door, *, check: CheckOption = False) -> Result | None:
    """Receive images by C-STORE into a folder of the datastore, until it is ended."""
    from drawcli.adapters.state import logs
    from drawcli.operations.receive.serve import receive as serve

    logs.keep_off_stderr()
    settings = door.settings()
    if check:
        return _checked(door)
    logs.to_file(settings.state_dir, settings.logs, f"receive-{os.getpid()}")

    def tell(address: str, _: object) -> None:
        text = f"listening on {address}, AE title {settings.receive.ae_title}\n"
        data = {"address": address, "ae_title": settings.receive.ae_title}
        render.present("receive", Result(data=data, show=render.verbatim(text)), door.style)

    gc.freeze()  # the listener calls the collector often; nothing of the start is garbage
    serve(settings, tell)
    return None


def _checked(door: Door) -> Result:
    """Return what was checked."""
    from datetime import UTC, datetime

    from drawcli.operations.receive.check import check
    from drawcli.operations.receive.health import ReceiverHealth

    settings, now = door.settings(), datetime.now(UTC)
    found = check(settings, now)
    health = ReceiverHealth.of(settings.state_dir)
    counts = "; ".join(health.counts(now))
    facts = [*found.facts, ("received", counts or "nothing yet")]
    facts += [("notice", f"{what}. {remedy}") for what, remedy in found.remarks]
    remarks = [{"what": what, "remedy": remedy} for what, remedy in found.remarks]
    data: dict[str, Any] = {name.lower(): value for name, value in found.facts}
    data |= {"running": found.is_running, "remarks": remarks}
    data["received"] = None if health.state is None else health.state.tally.as_plain()
    return Result(data=data, show=render.lines(facts))
