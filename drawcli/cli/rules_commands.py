"""explain; rules check, test and diff."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, command, group
from drawcli.cli.new_rule import new
from drawcli.cli.render import Result
from drawcli.cli.text_parts import StyledLine, outcome_style
from drawcli.errors import ConfigError
from drawcli.system.printable import counted, plain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rich.console import Console

    from drawcli.core.rules.conditions import Explained, RuleHeader
    from drawcli.pipeline.context import Context
    from drawcli.pipeline.explain import Explanation

_CHOICES: Final = {"matched": "green", "excluded": "cyan"}
_MOST_NEAR: int = 5


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "explain")(explain)
    group(
        app,
        "rules",
        {"check": check, "test": test, "diff": diff, "new": new},
        what="Check, test and write rules.",
    )


def explain(
    door: Door,
    what: Annotated[
        list[str],
        typer.Argument(
            help="Folders or files, a SeriesInstanceUID, or jobs. Files that are no images are "
            "skipped.",
            metavar="PATH|SERIES|JOB...",
        ),
    ],
    template: Annotated[
        str | None, typer.Option("--template", help="Only rules for this template.")
    ] = None,
    identify: IdentifyOption = False,
) -> Result:
    """Show why rules match a series or not, by condition."""
    door.check_identify(identify=identify)
    with door.context(dry_run=True) as ctx:
        if template is not None:
            ctx.rulebook.template_named(template)
        found, skipped = _explained(what, ctx)
        asked = {
            rule.name
            for rule in ctx.rulebook.rules
            if template is None or template in rule.templates
        }
    data = {
        "series": [_facts(explanation, asked) for explanation in found],
        "skipped": dict(skipped),
    }

    def show(out: "Console") -> None:
        for explanation in found:
            _tell(out, explanation, asked, identify=identify)
        if skipped:
            from drawcli.core.series.members import counts_text

            out.print(f"skipped files: {counts_text(skipped)}", soft_wrap=True)

    return Result(data=data, show=show)


def _explained(words: list[str], ctx: "Context") -> "tuple[list[Explanation], Mapping[str, int]]":
    """Return the explanations of paths and jobs, and the counts of skipped files."""
    from drawcli.pipeline import explain as explaining
    from drawcli.pipeline.actions import find_job
    from drawcli.pipeline.series_at_paths import series_at

    names = [word for word in words if not Path(word).exists()]
    paths = [Path(word).absolute() for word in words if word not in names]
    found = [explaining.explain_job(find_job(name, ctx), ctx) for name in names]
    if not paths:
        return found, {}
    book, on_many = ctx.rulebook, ctx.settings.match.on_many
    there = series_at(paths, datetime.now(UTC).date())
    found += [
        explaining.explain_header(name, header, book, on_many=on_many)
        for name, header in there.headers
    ]
    return found, there.skipped


def _facts(explanation: "Explanation", asked: set[str]) -> dict[str, Any]:
    fired = explanation.decision.fired
    return {
        "series": explanation.series,
        "verdict": str(explanation.decision.choice),
        "template": fired[0].template if fired else None,
        "rule": fired[0].name if fired else None,
        "sentence": explanation.decision.sentence,
        "rules": [
            {"name": name, **tree.as_plain()}
            for name, tree in explanation.decision.explanation.items()
            if name in asked
        ],
    }


def _tell(out: "Console", explanation: "Explanation", asked: set[str], *, identify: bool) -> None:
    decision = explanation.decision
    said = f"{explanation.series}: {decision.choice}; {decision.sentence}"
    out.print(StyledLine(said, f"bold {_CHOICES.get(decision.choice, 'yellow')}"), soft_wrap=True)
    for name, tree in decision.explanation.items():
        if name in asked:
            out.print(StyledLine(f"\nrule {plain(name)}", "bold"), soft_wrap=True)
            _tree(out, tree, explanation.header if identify else None, 1)
    near = [miss for miss in decision.near_misses if miss.name in asked]
    if near and not decision.fired:
        out.print(StyledLine("\nnearest first:", "bold"))
        for number, miss in enumerate(near[:_MOST_NEAR]):
            is_equal = number > 0 and near[number - 1].order == miss.order
            out.print(f"  {miss.text}{', as near' if is_equal else ''}", soft_wrap=True)
    out.print()


def _tree(
    out: "Console",
    tree: "Explained",
    header: "RuleHeader | None",
    depth: int,
    *,
    is_turned: bool = False,
) -> None:
    """Print a condition and its parts; those below "not" count the other way: without colour."""
    text = tree.text if header is None else tree.in_full
    line = f"{'  ' * depth}{tree.outcome:<8}{plain(text)}"
    if header is not None and tree.path:
        values = "\\".join(header.values.get(tree.path, ()))
        line += f"   [{render.shortened(values)}]" if values else ""
    style = "dim" if is_turned else outcome_style(tree.outcome)
    out.print(StyledLine(line, style), soft_wrap=True)
    for part in tree.parts:
        _tree(out, part, header, depth + 1, is_turned=is_turned or tree.text == "not")


def check(door: Door) -> Result:
    """Check rules and templates for errors and probable mistakes."""
    from drawcli.pipeline.explain import lint_rules

    book = door.rulebook()
    found = list(lint_rules(book))
    data = {
        "rules": len(book.rules),
        "templates": len(book.templates),
        "commit": book.commit,
        "lints": found,
    }

    def show(out: "Console") -> None:
        read = f"{counted(len(book.rules), 'rule')}, {counted(len(book.templates), 'template')}"
        result = f"no errors, {counted(len(found), 'warning')}" if found else "no mistakes"
        out.print(f"{read}: {result}")
        for warning in found:
            out.print(f"  warning: {plain(warning)}", soft_wrap=True)

    return Result(data=data, show=show)


def test(door: Door) -> Result:
    """Run the tests in rules.yaml."""
    from drawcli.pipeline.explain import try_cases

    on_many, today = door.settings().match.on_many, datetime.now(UTC).date()
    found = list(try_cases(door.rulebook(), on_many=on_many, today=today))
    failed = [result for result in found if not result.passed]
    tests = [
        {
            "name": result.name,
            "expected": result.wish,
            "found": result.found,
            "passed": result.passed,
        }
        for result in found
    ]

    def show(out: "Console") -> None:
        for result in failed:
            out.print(
                f"failed  {result.name}: expected {result.wish}; {result.found}", soft_wrap=True
            )
        out.print(f"{counted(len(found), 'test')}, {len(failed)} failed")

    data = {"tests": tests, "failed": len(failed)}
    return Result(data=data, show=show, exit_code=ConfigError.exit_code if failed else 0)


def diff(
    door: Door,
    old: Annotated[
        str, typer.Argument(help="Another rules.yaml, or a git revision.", metavar="OLD")
    ],
) -> Result:
    """Show which series and tests other rules treat differently."""
    from drawcli.adapters.rulebook.rulebook import earlier_rulebook
    from drawcli.pipeline.explain import compare_rulebooks, read_ledger_series

    with door.context(dry_run=True) as ctx:
        before = earlier_rulebook(old, ctx.settings)
        known, today = read_ledger_series(ctx), ctx.now().date()
        on_many = ctx.settings.match.on_many
        found = compare_rulebooks(before, ctx.rulebook, known, on_many=on_many, today=today)
    asked, gone = len(known.headers), known.gone
    data = {
        "changes": [{"what": c.what, "before": c.before, "after": c.after} for c in found],
        "series": asked,
        "gone": gone,
    }

    def show(out: "Console") -> None:
        for change in found:
            out.print(f"{change.what}: {change.before} -> {change.after}", soft_wrap=True)
        out.print(f"{asked} series compared, {counted(len(found), 'difference')}")
        if gone:
            out.print(f"{gone} series not compared: their images are no longer there")

    return Result(data=data, show=show)
