"""rules new: a rule from the header of a real series."""

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.prompts import agreed, asked, element_rows, one_of, picks_of
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.authoring.new_rule import Draft, RuleRequest
    from drawcli.authoring.picks import Pick
    from drawcli.core.rules.conditions import RuleHeader
    from drawcli.pipeline.context import Context
    from drawcli.pipeline.explain import LedgerSeries


Source = Annotated[
    str,
    typer.Option(
        "--from",
        help="A folder or image, a SeriesInstanceUID, or a job.",
        metavar="PATH|SERIES|JOB",
    ),
]
Picks = Annotated[
    list[str] | None,
    typer.Option(
        "--pick",
        help="A condition: Keyword (as in this series), or 'Keyword operator value'.",
        metavar="CONDITION",
    ),
]
Number = Annotated[
    int | None, typer.Option("--series", help="Number of the series in the folder, as in explain.")
]
TemplateName = Annotated[
    str | None, typer.Option("--template", help="The template for such a series.")
]
Exclude = Annotated[bool, typer.Option("--exclude", help="Never send such a series.")]
Name = Annotated[str, typer.Option("--name", help="Name of the rule.")]
Priority = Annotated[
    int, typer.Option("--priority", help="The matching rule with the highest priority decides.")
]
Comment = Annotated[str, typer.Option("--comment", help="A comment, written above the rule.")]


def new(
    door: Door,
    source: Source,
    *,
    pick: Picks = None,
    template: TemplateName = None,
    exclude: Exclude = False,
    name: Name = "",
    priority: Priority = 0,
    comment: Comment = "",
    series: Number = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Write a rule and its test from a series, with a picker."""
    from drawcli.adapters.edited_files.saving import editing_lock
    from drawcli.authoring.new_rule import RuleRequest
    from drawcli.authoring.picks import parse_pick
    from drawcli.pipeline.explain import read_ledger_series

    with door.context(dry_run=True) as ctx:
        _check_outcome(template, ctx, exclude=exclude)
        header, known = _header_at(source, ctx, series), read_ledger_series(ctx)
        picks = [one for words in pick or () for one in parse_pick(words, header)]
        asks = door.can_ask and not picks
        if asks:
            picks = _asked_for_picks(door, header, known)
        if not picks:
            return _elements(header, known)
        if template is None and not exclude:
            template = _asked_for_template(ctx, asks=asks)
        wish = RuleRequest(
            name=name, template=template, picks=tuple(picks), priority=priority, comment=comment
        )
        draft = _drafted(wish, header, ctx, known, asks=asks)
        total = len(known.headers)
        written = not dry_run and (not asks or _agreed(door, draft, total))
        if written:
            with editing_lock(ctx.settings.state_dir):
                draft.write()
    return _result(draft, total, written=written, shown=asks and not dry_run)


def _check_outcome(template: str | None, ctx: "Context", *, exclude: bool) -> None:
    if template is not None and exclude:
        raise UsageError("use either --template NAME or --exclude")
    if template is not None:
        ctx.rulebook.template_named(template)


def _header_at(what: str, ctx: "Context", series: int | None) -> "RuleHeader":
    from drawcli.adapters.datastore.rule_header import header_of
    from drawcli.authoring.new_rule import read_source
    from drawcli.pipeline.actions import find_job

    if Path(what).exists():
        return read_source(Path(what).absolute(), ctx, series)
    return header_of(ctx.crosswalk(find_job(what, ctx)), ctx.now().date())


def _asked_for_picks(door: Door, header: "RuleHeader", known: "LedgerSeries") -> "list[Pick]":
    from drawcli.authoring.picks import pickable_elements
    from drawcli.pipeline.explain import count_equal

    elements = pickable_elements(header)
    rows = list(element_rows(elements, count_equal(elements, known), len(known.headers)))
    return picks_of(header, elements, rows, render.console(door.style, stderr=True))


def _asked_for_template(ctx: "Context", *, asks: bool) -> str | None:
    """Ask for the template of a series; None excludes it."""
    if not asks:
        raise UsageError("use --template NAME or --exclude")
    never = "never send it"
    answer = one_of("what such a series gets", [*ctx.rulebook.templates, never])
    return None if answer == never else answer


def _elements(header: "RuleHeader", known: "LedgerSeries") -> Result:
    """Return the elements that can be picked."""
    from drawcli.authoring.picks import pickable_elements
    from drawcli.pipeline.explain import count_equal

    elements = pickable_elements(header)
    share, total = count_equal(elements, known), len(known.headers)
    rows = list(element_rows(elements, share, total))

    def show(out: "Console") -> None:
        render.columns(("element", "value", "also in"), rows)(out)
        out.print("nothing is written: pick with --pick, such as --pick Modality", soft_wrap=True)

    data = [
        {"element": path, "values": list(values), "also_in": share[path]}
        for path, values in elements.items()
    ]
    return Result(data={"elements": data, "series": total, "written": False}, show=show)


def _drafted(
    wish: "RuleRequest", header: "RuleHeader", ctx: "Context", known: "LedgerSeries", *, asks: bool
) -> "Draft":
    """Test a rule; if it would not decide, ask for another priority."""
    from drawcli.authoring.new_rule import draft_rule

    while True:
        try:
            return draft_rule(wish, header, ctx, known)
        except UsageError as err:
            if not asks:
                raise
            render.say_error(err)
            answer = asked("another priority, such as 10 (Enter gives up)")
            if not re.fullmatch("-?[0-9]{1,9}", answer):
                raise UsageError("no rule was made") from None
            wish = replace(wish, priority=int(answer))


def _agreed(door: Door, draft: "Draft", total: int) -> bool:
    _show_draft(render.console(door.style, stderr=True), draft, total)
    return agreed(f"Write it to {draft.before.path.name}?")


def _result(draft: "Draft", total: int, *, written: bool, shown: bool) -> Result:
    data = {
        "rule": draft.name,
        "text": "".join(entry.text for entry in draft.entries),
        "without_test": draft.without_test,
        "changes": [{"what": c.what, "before": c.before, "after": c.after} for c in draft.changes],
        "series": total,
        "written": written,
    }

    def show(out: "Console") -> None:
        if not shown:
            _show_draft(out, draft, total)
        out.print(f"written to {draft.before.path}" if written else "nothing is written")

    return Result(data=data, show=show)


def _show_draft(out: "Console", draft: "Draft", total: int) -> None:
    for entry in draft.entries:
        out.print(entry.text, end="", soft_wrap=True)
    if draft.without_test:
        out.print(f"without a test: {draft.without_test}", soft_wrap=True)
    for one in draft.changes:
        out.print(f"{one.what}: {one.before} -> {one.after}", soft_wrap=True)
    out.print(f"{total} series of the ledger asked, {len(draft.changes)} would change")
