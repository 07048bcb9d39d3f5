"""templates list, show, check, pull, new and import."""

from typing import TYPE_CHECKING, Annotated

import typer

from drawcli.cli.door import Door, group
from drawcli.errors import ConfigError, OutOfReach, ServerUnavailable
from drawcli.render import Result

if TYPE_CHECKING:
    from rich.console import Console

    from drawcli.adapters.rulebook import Rulebook
    from drawcli.core.catalogue import Offer


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
        },
        what="Look at the templates of the site, and make new ones.",
    )


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

    text = server_file(name, _book(door).template_named(name)).decode("utf-8")
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
