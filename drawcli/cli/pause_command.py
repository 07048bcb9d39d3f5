"""pause and resume: stop sending, while results are still downloaded and delivered."""

from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, command
from drawcli.cli.render import Result
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from pathlib import Path


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "pause")(pause)
    command(app, "resume")(resume)


def pause(
    door: Door,
    reason: Annotated[
        str, typer.Option("--reason", help="Why; 'status' shows it. No patient data.")
    ] = "",
    dry_run: DryRunOption = False,
) -> Result:
    """Stop sending. Results are still downloaded and delivered.

    The next package is not uploaded any more; an upload that has begun is finished. Series are
    still found, matched and packaged. The pause lasts until 'drawcli resume', over restarts. With a
    ledger in a database it is for all machines of the site.
    """
    from drawcli.adapters.ledger import shared_facts
    from drawcli.adapters.state.audit_log import Actor, record_action
    from drawcli.adapters.state.pause import paused, stored_pause, write_pause
    from drawcli.pipeline.context import utc_now

    settings, now = door.settings(), utc_now()
    state_dir, who = settings.state_dir, Actor.present()
    with shared_facts(settings) as shared:
        before = stored_pause(state_dir, shared)
        after = paused(before, plain(reason).strip(), who.user, who.host, now)
        if not dry_run and after != before:
            record_action(state_dir, "pause", now)
            write_pause(state_dir, after, shared)
            _log_it(door, state_dir, "paused")
    done = "would be paused" if dry_run else "already paused" if before else "paused"
    return Result(
        data={"paused": after.as_plain(), "was_paused": before is not None, "dry_run": dry_run},
        show=render.lines(
            [
                (done, after.facts(now)),
                ("results", "still downloaded and delivered"),
                ("to send again", "drawcli resume"),
            ]
        ),
    )


def resume(door: Door, dry_run: DryRunOption = False) -> Result:
    """Resume sending after a pause, with the next run."""
    from drawcli.adapters.ledger import shared_facts
    from drawcli.adapters.state.audit_log import record_action
    from drawcli.adapters.state.pause import end_pause, read_pause
    from drawcli.pipeline.context import utc_now

    settings = door.settings()
    state_dir = settings.state_dir
    with shared_facts(settings) as shared:
        before = read_pause(state_dir, shared)
        if before is not None and not dry_run:
            record_action(state_dir, "resume", utc_now())
            end_pause(state_dir, shared)
            _log_it(door, state_dir, "resumed")
    data = {"was_paused": before and before.as_plain(), "dry_run": dry_run}
    if before is None:
        return Result(data=data, show=render.lines([("not paused", "uploads go on as usual")]))
    done = "would be resumed" if dry_run else "resumed"
    was = ("was paused", before.facts(utc_now()))
    return Result(data=data, show=render.lines([(done, "the next run uploads again"), was]))


def _log_it(door: Door, state_dir: "Path", outcome: str) -> None:
    """Write into the log who paused or resumed; not the reason, which may be anything."""
    import logging

    from drawcli.adapters.state import logs
    from drawcli.adapters.state.audit_log import Actor
    from drawcli.adapters.state.run_log import new_run_id

    logs.to_file(state_dir, door.settings().logs, new_run_id())
    user = Actor.present().user
    logging.getLogger(__name__).info("step=pause outcome=%s user=%s", outcome, user)
