"""explain; rules check, test and diff; templates list, show, check and pull."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli import render
from drawcli.cli.door import Door, IdentifyOption, command, group
from drawcli.errors import ConfigError, OutOfReach, ServerUnavailable, UsageError
from drawcli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.adapters.rulebook import Rulebook
    from drawcli.core.catalogue import Offer
    from drawcli.core.rules import Explained, Series
    from drawcli.explaining import Explanation

_MOST_NEAR: int = 5


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "explain")(explain)
    group(
        app,
        "rules",
        {"check": check, "test": test, "diff": diff},
        what="Check and test the rules of the site.",
    )
    group(
        app,
        "templates",
        {
            "list": list_templates,
            "show": show_template,
            "check": check_templates,
            "pull": pull_templates,
        },
        what="Look at the templates of the site.",
    )


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
    from drawcli.explaining import lints

    book = _book(door)
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


def test(door: Door) -> Result:
    """Run the tests of the rules file: what the rules should say of a header or an image."""
    from drawcli.explaining import trials

    on_many, today = door.settings().match.on_many, datetime.now(UTC).date()
    found = list(trials(_book(door), on_many=on_many, today=today))
    failed = [one for one in found if not one.passed]
    tests = [
        {"name": one.name, "expected": one.wish, "found": one.found, "passed": one.passed}
        for one in found
    ]

    def show(out: "Console") -> None:
        for one in failed:
            out.print(f"failed  {one.name}: expected {one.wish}; {one.found}", soft_wrap=True)
        out.print(f"{len(found)} tests, {len(failed)} failed")

    data = {"tests": tests, "failed": len(failed)}
    return Result(data=data, show=show, exit_code=ConfigError.exit_code if failed else 0)


def diff(
    door: Door,
    old: Annotated[
        str, typer.Argument(help="Another rules.yaml, or a git revision.", metavar="OLD")
    ],
) -> Result:
    """Tell which series of the ledger, and which tests, other rules would treat differently."""
    from drawcli.adapters.rulebook import earlier_rulebook
    from drawcli.explaining import changes

    with door.context(dry_run=True) as ctx:
        settings = ctx.settings
        longest = settings.deliver.longest_name
        before = earlier_rulebook(old, settings.rules, settings.templates, longest)
        found, asked, gone = changes(before, ctx)
    data = {
        "changes": [{"what": c.what, "before": c.before, "after": c.after} for c in found],
        "series": asked,
        "gone": gone,
    }

    def show(out: "Console") -> None:
        for one in found:
            out.print(f"{one.what}: {one.before} -> {one.after}", soft_wrap=True)
        out.print(f"{asked} series asked about, {len(found)} differences")
        if gone:
            out.print(f"{gone} series not asked about: their images are no longer there")

    return Result(data=data, show=show)


def list_templates(door: Door) -> Result:
    """List the templates with their structures, and the rules that ask for each."""
    book = _book(door)
    asked = {
        name: [rule.name for rule in book.rules if name in rule.templates]
        for name in book.templates
    }
    rows = [
        {
            "name": name,
            "description": template.description,
            "models": sorted(template.models),
            "structures": list(template.shown),
            "rules": asked[name],
        }
        for name, template in book.templates.items()
    ]

    def show(out: "Console") -> None:
        for name, template in book.templates.items():
            out.print(f"{name}: {template.description or 'no description'}", soft_wrap=True)
            out.print(f"  {', '.join(template.shown)}", soft_wrap=True)
            out.print(f"  rules: {', '.join(asked[name]) or 'none'}", soft_wrap=True)

    return Result(data={"templates": rows}, show=show)


def show_template(
    door: Door,
    name: Annotated[str, typer.Argument(help="Its name in templates.yaml.", metavar="TEMPLATE")],
) -> Result:
    """Show the file that goes to the server for a template, to the byte."""
    from drawcli.core.templates import server_file
    from drawcli.yamlfile import meant

    book = _book(door)
    if name not in book.templates:
        near = meant(name, book.templates)
        raise UsageError(f"there is no template '{name}' in templates.yaml{near}")
    text = server_file(name, book.templates[name]).decode("utf-8")
    return Result(
        data={"name": name, "file": text}, show=lambda out: out.print(text, end="", soft_wrap=True)
    )


def check_templates(
    door: Door,
    server: Annotated[
        bool, typer.Option("--server", help="Also hold them against what the server offers now.")
    ] = False,
) -> Result:
    """Read the templates, and say what is wrong, or not as TG-263 names structures."""
    from drawcli.core.catalogue import asked_in_vain
    from drawcli.explaining import template_lints
    from drawcli.nomenclature import EDITION

    book = _book(door)
    found = list(template_lints(book))
    vain = list(asked_in_vain(book.templates, _pulled(door))) if server else []

    def show(out: "Console") -> None:
        out.print(f"{len(book.templates)} templates: no mistakes in the file ({EDITION})")
        for one in vain:
            out.print(f"  asked for in vain: {one}", soft_wrap=True)
        for one in found:
            out.print(f"  perhaps not meant: {one}", soft_wrap=True)

    data = {"templates": len(book.templates), "edition": EDITION, "lints": found, "vain": vain}
    return Result(data=data, show=show, exit_code=ConfigError.exit_code if vain else 0)


def pull_templates(
    door: Door,
    search: Annotated[
        str, typer.Option("--search", help="Only models and structures with this in their name.")
    ] = "",
) -> Result:
    """Ask the server which models and structures it offers, and keep the answer with its date."""
    wanted = search.casefold()
    offers = [
        offer
        for offer in _pulled(door)
        if wanted in f"{offer.name} {' '.join(offer.structures.values())}".casefold()
    ]

    def show(out: "Console") -> None:
        for offer in offers:
            out.print(f"{offer.model_id}  {offer.name}  {offer.config}  {offer.trainer_name}")
            for number, name in offer.structures.items():
                if wanted in f"{offer.name} {name}".casefold():
                    out.print(f"  {number}: {name}")
        out.print(f"{len(offers)} models")

    return Result(data={"models": [offer.as_plain() for offer in offers]}, show=show)


def _pulled(door: Door) -> "list[Offer]":
    """Ask for the catalogue; keep it beside the ledger."""
    import json

    from drawcli.core.catalogue import offers_of
    from drawcli.files import write_durably

    with door.context() as ctx:
        try:
            offers = offers_of(ctx.server.models())
        except ServerUnavailable as err:
            raise OutOfReach(str(err), code=err.code) from None
        kept = {"at": ctx.now().isoformat(), "models": [offer.as_plain() for offer in offers]}
        text = json.dumps(kept, indent=1) + "\n"
        write_durably(ctx.settings.state_dir / "catalogue.json", text.encode("utf-8"))
    return offers


def _book(door: Door) -> "Rulebook":
    from drawcli.adapters.rulebook import read_rulebook

    settings = door.settings()
    return read_rulebook(settings.rules, settings.templates, settings.deliver.longest_name)
