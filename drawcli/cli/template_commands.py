"""templates list, show, check, pull, new and import."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, DryRunOption, group
from drawcli.cli.prompts import agreed, asked
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from drawcli.adapters.server.catalogue_cache import Catalogue
    from drawcli.authoring.new_template import ChosenStructure, NewTemplates
    from drawcli.core.templates.catalogue import CatalogueModel
    from drawcli.pipeline.context import Context

_HOW: Final = "Pick by numbers, such as 1 4 7, or by name. /word searches structure, model, region."


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    group(
        app,
        "templates",
        {
            "list": list_templates,
            "show": show_template,
            "check": check_templates,
            "pull": pull_templates,
            "new": new_template,
            "import": import_templates,
        },
        what="List, check and create templates.",
    )


def list_templates(door: Door) -> Result:
    """List the templates with their structures and rules."""
    book = door.rulebook()
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
    """Show the file sent to the server for a template."""
    from drawcli.core.templates.template import server_file

    text = server_file(name, door.rulebook().template_named(name)).decode("utf-8")
    return Result(
        data={"name": name, "file": text}, show=lambda out: out.print(text, end="", soft_wrap=True)
    )


def check_templates(
    door: Door,
    server: Annotated[
        bool, typer.Option("--server", help="Also compare with the server's present catalogue.")
    ] = False,
) -> Result:
    """Check the templates, and their names against TG-263."""
    from drawcli.adapters.server.catalogue_cache import load_catalogue
    from drawcli.core.templates.catalogue import unmet_requests
    from drawcli.core.templates.tg263 import EDITION
    from drawcli.pipeline.explain import lint_templates

    book = door.rulebook()
    found = list(lint_templates(book))
    vain = list(unmet_requests(book.templates, _pulled(door))) if server else []
    kept = None if server else load_catalogue(door.settings().state_dir)
    if kept is not None:
        by = f"by the catalogue of {kept.at:%Y-%m-%d}"
        found += [f"{text} ({by})" for text in unmet_requests(book.templates, kept.offers)]

    def show(out: "Console") -> None:
        read = counted(len(book.templates), "template")
        out.print(f"{read}: no mistakes in the file ({EDITION})")
        for text in vain:
            out.print(f"  asked for in vain: {text}", soft_wrap=True)
        for text in found:
            out.print(f"  warning: {text}", soft_wrap=True)

    data = {"templates": len(book.templates), "edition": EDITION, "lints": found, "vain": vain}
    return Result(data=data, show=show, exit_code=ConfigError.exit_code if vain else 0)


def pull_templates(
    door: Door,
    search: Annotated[
        str,
        typer.Option("--search", help="Only models, structures and regions containing this."),
    ] = "",
) -> Result:
    """Download the server's catalogue of models and structures."""
    wanted = search.casefold()
    offers = [offer for offer in _pulled(door) if offer.has(wanted)]

    def show(out: "Console") -> None:
        for offer in offers:
            out.print(f"{offer.model_id}  {offer.name}  {offer.config}  {offer.trainer_name}")
            for number, offered in offer.with_word(wanted):
                dice = "" if offered.dice is None else f", Dice {offered.dice:.2f}"
                region = f" ({offered.region}{dice})" if offered.region else ""
                out.print(f"  {number}: {offered.name}{region}", soft_wrap=True)
        out.print(counted(len(offers), "model"))

    return Result(data={"models": [offer.as_plain() for offer in offers]}, show=show)


def new_template(
    door: Door,
    name: Annotated[
        str | None, typer.Argument(help="Name of the template.", metavar="TEMPLATE")
    ] = None,
    *,
    structure: Annotated[
        list[str] | None,
        typer.Option("--structure", help="Name, or MODEL:NAME if several models offer it."),
    ] = None,
    model: Annotated[
        list[int] | None, typer.Option("--model", help="All structures of a model.")
    ] = None,
    description: Annotated[
        str, typer.Option("--description", help="Description of the template.")
    ] = "",
    dry_run: DryRunOption = False,
) -> Result:
    """Create a template from the catalogue, with a picker."""
    from drawcli.adapters.server.catalogue_cache import require_catalogue
    from drawcli.authoring.new_template import Plan, compose

    with door.context(dry_run=True) as ctx:
        catalogue = require_catalogue(ctx.settings.state_dir)
        chosen = _named_structures(structure or (), model or (), catalogue)
        asks = door.can_ask and not chosen
        chosen = _asked_for_structures(door, catalogue) if asks else chosen
        _check_complete(name, chosen, asks=asks)
        plan = Plan(name or asked("what it is called"), description)
        for chosen_structure in chosen:
            plan.add(chosen_structure)
        made = compose([plan], ctx)
        if asks:
            render.say(plan.entry.text)
        written = not dry_run and (not asks or agreed(f"Write it to {made.before.path.name}?"))
        if written:
            _write(made, ctx)
    return _composed(made, written=written)


def _check_complete(name: str | None, chosen: "Sequence[ChosenStructure]", *, asks: bool) -> None:
    """Raise UsageError without structures, or without a name if it cannot be asked for."""
    if not chosen:
        raise UsageError("no structure was named", hint="Use --structure NAME or --model NUMBER.")
    if not name and not asks:
        raise UsageError("the template needs a name", hint="drawcli templates new NAME ...")


def import_templates(
    door: Door,
    files: Annotated[
        list[Path],
        typer.Argument(help="YAML of a DRAW client, or XML of Eclipse.", metavar="FILE..."),
    ],
    empty: Annotated[
        bool,
        typer.Option("--empty", help="Add structures that no model draws as empty structures."),
    ] = False,
    dry_run: DryRunOption = False,
) -> Result:
    """Import templates of a DRAW client or of Eclipse."""
    from drawcli.adapters.server.catalogue_cache import load_catalogue
    from drawcli.authoring.new_template import compose, import_template

    with door.context(dry_run=True) as ctx:
        catalogue = load_catalogue(ctx.settings.state_dir)
        plans = [import_template(path.absolute(), catalogue, empty=empty) for path in files]
        made = compose(plans, ctx)
        if not dry_run:
            _write(made, ctx)
    return _composed(made, written=not dry_run)


def _write(made: "NewTemplates", ctx: "Context") -> None:
    """Write templates under the lock of all that edit them."""
    from drawcli.adapters.edited_files.saving import editing_lock

    with editing_lock(ctx.settings.state_dir):
        made.write()


def _named_structures(
    names: "Sequence[str]", models: "Sequence[int]", catalogue: "Catalogue"
) -> "list[ChosenStructure]":
    """Return all structures of some models, and structures by name."""
    from drawcli.authoring.new_template import find_structure, structures_in

    chosen = [
        structure for number in models for structure in structures_in(catalogue.offers, number)
    ]
    return chosen + [find_structure(name, catalogue) for name in names]


def _asked_for_structures(door: Door, catalogue: "Catalogue") -> "list[ChosenStructure]":
    from drawcli.authoring.new_template import find_structure, structures_in
    from drawcli.cli.prompts import row_of, search_and_choose

    every = list(structures_in(catalogue.offers))
    rows = [
        (
            offered.name,
            f"{offered.offer.model_id} {offered.offer.name}",
            offered.structure.region,
            "" if offered.structure.dice is None else f"{offered.structure.dice:.2f}",
        )
        for offered in every
    ]
    ways = [f"{offered.offer.model_id}:{offered.number}" for offered in every]

    def choose(answer: str) -> "list[ChosenStructure]":
        found = [find_structure(row_of(word, ways), catalogue) for word in answer.split()]
        for structure in found:
            render.say(f"      {structure.name} of {structure.offer.name}")
        return found

    render.say(f"what the server offered on {catalogue.at:%Y-%m-%d}")
    out = render.console(door.style, stderr=True)
    titles = ("structure", "model", "region", "Dice")
    return search_and_choose(out, rows, titles, choose, how=_HOW)


def _composed(made: "NewTemplates", *, written: bool) -> Result:
    templates = [
        {"name": plan.name, "text": plan.entry.text, "remarks": plan.remarks} for plan in made.plans
    ]

    def show(out: "Console") -> None:
        for plan in made.plans:
            out.print(plan.entry.text, end="", soft_wrap=True)
            for remark in plan.remarks:
                out.print(f"{plan.name}: {remark}", soft_wrap=True)
        out.print(f"written to {made.before.path}" if written else "nothing is written")

    return Result(data={"templates": templates, "written": written}, show=show)


def _pulled(door: Door) -> "list[CatalogueModel]":
    from drawcli.authoring.server_catalogue import pull_catalogue

    with door.context() as ctx:
        return pull_catalogue(ctx)
