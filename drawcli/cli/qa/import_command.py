"""qa import-ratings: the ratings of a former DRAW client."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.render import Result
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.authoring.former_ratings import FormerRatings
    from drawcli.core.qa.ratings import Rating

_DOUBTS: Final = 6  # finished; a person must look at something


def import_ratings(
    door: Door,
    file: Annotated[
        Path, typer.Argument(help="The client's export (JSON).", metavar="FILE", show_default=False)
    ],
    dry_run: DryRunOption = False,
) -> Result:
    """Import the ratings of a former DRAW client (version 2).

    They belong to jobs of this site, or to series of the former client's history ('drawcli
    import-draw-client FILE --history'). Importing a file again adds nothing.
    """
    from drawcli.adapters.state.qa_records import QaRatings
    from drawcli.authoring.former_ratings import read_former_ratings, without_known

    with door.context(dry_run=dry_run) as ctx:
        found = read_former_ratings(file.absolute(), ctx)
        stored = QaRatings(ctx.settings.state_dir)
        new = without_known(found.ratings, stored.every())
        if not dry_run:
            stored.add(new)
    data = {
        "imported": len(new),
        "of_jobs": sum(rating.job is not None for rating in new),
        "known": len(found.ratings) - len(new),
        "not_imported": dict(found.refused),
        "not_reviewed": found.not_reviewed,
        "not_kept": {
            "comments": found.comments,
            "raters": found.raters,
            "structures": found.unnamed,
        },
        "unknown_fields": found.fields,
        "other_records": found.passed_over,
        "written": not dry_run,
    }
    return Result(
        data=data,
        show=lambda out: _show(out, found, new, written=not dry_run),
        exit_code=_DOUBTS if found.refused else 0,
    )


def _show(out: "Console", found: "FormerRatings", new: "list[Rating]", *, written: bool) -> None:
    of_jobs = sum(rating.job is not None for rating in new)
    done = "imported" if written else "would be imported"
    out.print(
        f"{counted(len(new), 'rating')} {done}: {of_jobs:,} of jobs of this site, "
        f"{len(new) - of_jobs:,} of series of the former client",
        soft_wrap=True,
    )
    if known := len(found.ratings) - len(new):
        out.print(f"{known:,} imported before")
    if found.not_reviewed:
        out.print(f"{counted(found.not_reviewed, 'structure set')} without a review")
    for why, count in found.refused.most_common():
        out.print(f"not imported: {count:,}: {why}", soft_wrap=True)
    left_out = [
        (found.comments, "comments"),
        (found.raters, "names of raters"),
        (found.unnamed, "structures with names that are in no template and not of TG-263"),
    ]
    for count, what in left_out:
        if count:
            out.print(f"not kept: {count:,} {what}", soft_wrap=True)
    if found.fields:
        out.print(f"unknown fields, not read: {', '.join(found.fields)}", soft_wrap=True)
    if found.passed_over:
        out.print(f"other records, not read: {found.passed_over:,}")
    out.print("The export contains patient data: delete it when you have finished.")
