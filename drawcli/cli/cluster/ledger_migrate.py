"""ledger migrate: from the file to a database, or back."""

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from contextlib import ExitStack

    from drawcli.adapters.ledger.moves import Place
    from drawcli.config.load import Settings
    from drawcli.operations.cluster.ledger_move import Moved


def migrate(
    door: Door,
    to: Annotated[
        str,
        typer.Option(
            "--to", help="postgresql://user@host:port/database, or 'file'.", metavar="ADDRESS"
        ),
    ],
    dry_run: DryRunOption = False,
) -> Result:
    """Move all jobs to a database, or back to the file; no run may be active."""
    from contextlib import ExitStack

    from drawcli.adapters.state.workdir import WorkDir
    from drawcli.operations.cluster.ledger_move import move_ledger
    from drawcli.pipeline.cluster.moving import bring_files

    settings = door.settings()
    address = _address_in(to)
    elsewhere = settings.ledger if not address else ""
    if not address and not elsewhere:
        raise UsageError("the ledger is in the file: --to should name a database")
    now = datetime.now(UTC)
    with ExitStack() as opened:
        opened.enter_context(WorkDir(settings.state_dir).run_lock(now))
        source = _place(elsewhere, settings, opened)
        target = _place(address, settings, opened)
        if elsewhere and not dry_run:
            bring_files(settings)  # most of them before the hosts are kept out
        carry = partial(_carry, settings, elsewhere, address)
        moved = move_ledger(source, target, now, carry, dry_run=dry_run)
        words = target.words
    return Result(
        data={
            "to": address or "file",
            "jobs": moved.open,
            "archived": moved.archived,
            "there_before": moved.there_before,
            "moved": not dry_run,
        },
        show=lambda out: out.print(_text(moved, words, address, dry_run=dry_run), soft_wrap=True),
    )


def _address_in(to: str) -> str:
    """Return the address of a database, "" for the file; raise UsageError if it is invalid."""
    from drawcli.config.sections_cluster import ledger_address

    try:
        return "" if to == "file" else ledger_address(to)
    except ValueError as err:
        raise UsageError(f"--to {err}") from None


def _carry(settings: "Settings", source: str, target: str) -> None:
    """Move the files of all jobs from a database, to a database, or both; "" is this host."""
    from drawcli.pipeline.cluster.moving import bring_files, share_files

    if source:
        bring_files(settings)
    if target:
        share_files(settings.replace(ledger=target))


def _place(address: str, settings: "Settings", opened: "ExitStack") -> "Place":
    """Return one end of the move; a database stays open until the end of the command."""
    from drawcli.adapters.ledger import ledger_path
    from drawcli.adapters.ledger.moves import FilePlace

    if not address:
        return FilePlace(ledger_path(settings.state_dir))
    from drawcli.adapters.ledger.postgres.moves import DatabasePlace
    from drawcli.adapters.ledger.postgres.site import database_ledger
    from drawcli.config.sections_cluster import database_in_words

    ledger = database_ledger(settings.replace(ledger=address), guard=False)
    return DatabasePlace(opened.enter_context(ledger), database_in_words(address))


def _text(moved: "Moved", words: str, address: str, *, dry_run: bool) -> str:
    line = f"ledger: {address}" if address else 'ledger: ""'
    if moved.is_done:
        return f"The ledger is in the {words} already.\nSet in drawcli.yaml:\n\n  {line}"
    what = f"{counted(moved.open, 'open job')} and {moved.archived:,} archived"
    again = f", {moved.there_before:,} of them copied before" if moved.there_before else ""
    if dry_run:
        return f"{what} would be moved to the {words}{again}."
    return (
        f"{what} moved to the {words}{again}, and compared one by one.\n"
        f"Now set in drawcli.yaml of every host, before the next run:\n\n  {line}"
    )
