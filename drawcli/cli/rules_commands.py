"""explain; rules check."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli import render
from drawcli.cli.door import Door, IdentifyOption, command
from drawcli.errors import UsageError
from drawcli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.core.rules import Explained, Series
    from drawcli.explaining import Explanation

_MOST_NEAR: int = 5


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "explain")(explain)
    rules = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
    command(rules, "check", group="rules")(check)
    app.add_typer(rules, name="rules", help="Check the rules and templates of the site.")


def explain(
    door: Door,
    what: Annotated[
        str,
        typer.Argument(
            help="A folder or image, a SeriesInstanceUID, or a job.", metavar="PATH|SERIES|JOB"
        ),
    ],
    template: Annotated[
        str | None, typer.Option("--template", help="Only rules for this template.")
    ] = None,
    identify: IdentifyOption = False,
) -> Result:
    """Tell why the rules take a series or not: every condition with its outcome."""
    from drawcli import explaining
    from drawcli.actions import find_job

    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        if template is not None and template not in ctx.rulebook.templates:
            raise UsageError(f"there is no template '{template}' in templates.yaml")
        if Path(what).exists():
            on_many, today = ctx.settings.match.on_many, datetime.now(UTC).date()
            path = Path(what).absolute()
            found = list(explaining.of_path(path, ctx.rulebook, on_many=on_many, today=today))
        else:
            found = [explaining.of_job(find_job(what, ctx), ctx)]
        asked = {
            rule.name
            for rule in ctx.rulebook.rules
            if template is None or template in rule.templates
        }
    data = {"series": [_facts(one, asked) for one in found]}

    def show(out: "Console") -> None:
        for one in found:
            _tell(out, one, asked, identify=identify)

    return Result(data=data, show=show)


def _facts(one: "Explanation", asked: set[str]) -> dict[str, Any]:
    fired = one.decision.fired
    return {
        "series": one.series,
        "verdict": str(one.decision.choice),
        "template": fired[0].template if fired else None,
        "rule": fired[0].name if fired else None,
        "sentence": one.decision.sentence,
        "rules": [
            {"name": name, **tree.as_plain()}
            for name, tree in one.decision.explanation.items()
            if name in asked
        ],
    }


def _tell(out: "Console", one: "Explanation", asked: set[str], *, identify: bool) -> None:
    decision = one.decision
    out.print(f"{one.series}: {decision.choice}; {decision.sentence}", soft_wrap=True)
    for name, tree in decision.explanation.items():
        if name in asked:
            out.print(f"\nrule {name}")
            _tree(out, tree, one.header if identify else None, 1)
    near = [(name, parts) for name, parts in decision.near_misses if name in asked]
    if near and not decision.fired:
        out.print("\nnearest first:")
        for name, parts in near[:_MOST_NEAR]:
            many = "one condition" if len(parts) == 1 else f"{len(parts)} conditions"
            out.print(f"  {name}: {many} away", soft_wrap=True)
    out.print()


def _tree(out: "Console", tree: "Explained", header: "Series | None", depth: int) -> None:
    line = f"{'  ' * depth}{tree.outcome:<8}{tree.text}"
    if header is not None and tree.path:
        values = "\\".join(header.get(tree.path, ()))
        line += f"   [{render.shortened(values)}]" if values else ""
    out.print(line, soft_wrap=True, markup=False)
    for part in tree.parts:
        _tree(out, part, header, depth + 1)


def check(door: Door) -> Result:
    """Read rules and templates, and say what is wrong or hardly meant; no series is touched."""
    from drawcli.adapters.rulebook import read_rulebook
    from drawcli.explaining import lints

    settings = door.settings()
    longest = settings.deliver.longest_name
    book = read_rulebook(settings.rules, settings.templates, longest)
    found = list(lints(book))
    data = {
        "rules": len(book.rules),
        "templates": len(book.templates),
        "commit": book.commit,
        "lints": found,
    }

    def show(out: "Console") -> None:
        out.print(f"{len(book.rules)} rules, {len(book.templates)} templates: no mistakes")
        for one in found:
            out.print(f"  perhaps not meant: {one}", soft_wrap=True)

    return Result(data=data, show=show)
