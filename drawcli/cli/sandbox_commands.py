"""sandbox: a DRAW server on this machine. demo: the whole cycle on it, with phantom scans."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.errors import UsageError
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.sandbox.demo import Demo
    from drawcli.sandbox.options import SandboxOptions

DelayOption = Annotated[
    float, typer.Option("--delay", help="Extra seconds per segmentation.", min=0)
]
ShortOption = Annotated[
    bool,
    typer.Option("--short-coordinates", help="Write no coordinate longer than a DS allows."),
]
DialectOption = Annotated[
    int, typer.Option("--dialect", help="Answer as DRAW client 1 or 2 expects.", min=1, max=2)
]
RealisticOption = Annotated[
    bool,
    typer.Option("--realistic", help="Fail as the real server's job does: without a reason."),
]
StrictOption = Annotated[
    bool, typer.Option("--strict", help="Refuse requests that no DRAW client sends.")
]
CatalogueOption = Annotated[
    Path | None,
    typer.Option(
        "--catalogue", help="Offer the models of a site's catalogue.json.", metavar="FILE"
    ),
]
VersionOption = Annotated[
    int,
    typer.Option("--model-version", help="2 draws the bladder 2 mm larger than 1.", min=1, max=2),
]
SameCatalogueOption = Annotated[
    bool,
    typer.Option("--same-catalogue", help="Do not show model version 2 in the catalogue."),
]
FaultOption = Annotated[
    str,
    typer.Option(
        "--fault",
        help="Faults to inject, such as upload:500*2,status:html; 'list' shows all.",
        metavar="FAULTS",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SandboxBehaviour:
    """The options of `sandbox` that say how it answers."""

    delay: DelayOption = 0.0
    short_coordinates: ShortOption = False
    ranges: Annotated[bool, typer.Option("--ranges", help="Resume broken downloads.")] = False
    dialect: DialectOption = 2
    realistic: RealisticOption = False
    strict: StrictOption = False
    catalogue: CatalogueOption = None
    model_version: VersionOption = 1
    same_catalogue: SameCatalogueOption = False
    fault: FaultOption = ""

    def options(self) -> "SandboxOptions":
        """Return them in the form of the sandbox."""
        from drawcli.sandbox.catalogue import CATALOGUE, read_catalogue
        from drawcli.sandbox.faults import read_faults
        from drawcli.sandbox.options import SandboxOptions

        return SandboxOptions(
            dialect=1 if self.dialect == 1 else 2,
            realistic=self.realistic,
            strict=self.strict,
            catalogue=CATALOGUE if self.catalogue is None else read_catalogue(self.catalogue),
            model_version=2 if self.model_version > 1 else 1,
            same_catalogue=self.same_catalogue,
            work_seconds=self.delay,
            long_coordinates=not self.short_coordinates,
            ranges=self.ranges,
            faults=read_faults(self.fault),
        )


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "sandbox")(sandbox)
    command(app, "phantoms")(phantoms)
    command(app, "demo")(demo)


def sandbox(
    door: Door,
    *,
    folder: Annotated[
        Path, typer.Option("--dir", help="Folder for its tasks.", metavar="DIR")
    ] = Path("drawcli-sandbox"),
    port: Annotated[int, typer.Option("--port", help="0 chooses a free port.", min=0)] = 8042,
    behaviour: SandboxBehaviour,
) -> Result | None:
    """Run a DRAW server here, for training only."""
    try:
        from drawcli.sandbox.server import serve
    except ImportError:
        raise not_installed("the sandbox", "web") from None

    if behaviour.fault == "list":
        return _faults()
    options = behaviour.options()

    def tell(running: Any) -> None:
        render.present("sandbox", _address(running, folder), door.style)

    with suppress(KeyboardInterrupt):  # how it is meant to end
        serve(folder, port=port, options=options, ready=tell)
    return None


def _address(running: Any, folder: Path) -> Result:
    """Return the address of the running sandbox and the paths of its tokens and tasks."""
    options = running.sandbox.options
    models = len(options.catalogue)
    data = {
        "url": running.url,
        "token_file": str(running.token_file),
        "folder": str(folder),
        "dialect": options.dialect,
        "realistic": options.realistic,
        "strict": options.strict,
        "models": models,
        "model_version": options.model_version,
    }
    modes = [name for name in ("realistic", "strict") if data[name]]
    second = f"{models}, version 2: the bladder is 2 mm larger"
    facts = [
        ("url", running.url),
        ("token file", running.token_file),
        ("tasks", folder / "tasks"),
        ("behaves", ", ".join([f"as for DRAW client {options.dialect}", *modes])),
        ("models", models if options.model_version == 1 else second),
        ("notice", "for demonstration and training, not for clinical use; Ctrl-C ends it"),
    ]
    return Result(data=data, show=render.lines(facts))


def phantoms(
    door: Door,
    folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    slices: Annotated[int, typer.Option("--slices", help="Slices of each scan.", min=4)] = 120,
    size: Annotated[
        int, typer.Option("--size", help="Rows and columns of each slice.", min=32)
    ] = 512,
    past: Annotated[
        int,
        typer.Option(
            "--past", help="Instead, so many past patients with clinical contours.", min=0
        ),
    ] = 0,
) -> Result:
    """Write planning scans of three invented patients.

    With --past, patients with approved structure sets, to practise 'qa commission'.
    """
    del door  # no site is needed
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty", hint="Name a new folder.")
    said: list[str] = []
    try:
        from drawcli.sandbox.demo import scan_patients
        from drawcli.sandbox.past_patients import write_past_patients

        written = (
            write_past_patients(folder, past, slices=slices, size=size, tell=said.append)
            if past
            else scan_patients(folder, slices, size, said.append)
        )
    except ImportError:
        raise not_installed("'drawcli phantoms'", "web") from None

    def show(out: "Console") -> None:
        for line in said:
            out.print(line.strip(), soft_wrap=True)

    return Result(
        data={"folder": str(folder), "past" if past else "images": len(written)}, show=show
    )


def _faults() -> Result:
    """Return the faults that --fault accepts."""
    from drawcli.sandbox.faults import ENDPOINTS, table

    rows = list(table())

    def show(out: "Console") -> None:
        render.columns(("fault", "what goes wrong"), rows)(out)
        out.print(
            f"\nFor: {', '.join(ENDPOINTS)}. Each once; *3 three times, * always, @30s so long."
        )

    data = {"endpoints": list(ENDPOINTS), "faults": dict(rows)}
    return Result(data=data, show=show)


def demo(
    door: Door,
    keep: Annotated[
        Path | None, typer.Option("--keep", help="Keep all files in this folder.", metavar="DIR")
    ] = None,
    slices: Annotated[int, typer.Option("--slices", help="Slices of each scan.", min=4)] = 120,
    size: Annotated[
        int, typer.Option("--size", help="Rows and columns of each slice.", min=32)
    ] = 512,
) -> Result:
    """Show the whole cycle with phantom scans."""
    try:
        from drawcli.sandbox.demo import run_demo

        quiet = door.common.as_json or door.common.quiet
        tell = render.teller(door.style) if not quiet else lambda _line: None
        done = run_demo(keep, tell, slices=slices, size=size)
    except ImportError:
        raise not_installed("the demo", "web") from None
    data = {
        "folder": str(done.folder) if keep else None,
        "runs": done.runs,
        "seconds": round(done.seconds, 1),
        "last_run_silent": done.last_run_silent,
        "structure_sets": [
            {
                "path": str(delivery.path),
                "structures": list(delivery.structures),
                "references": delivery.references,
                "dangling": delivery.dangling,
            }
            for delivery in done.delivered
        ],
    }
    broken = any(delivery.dangling for delivery in done.delivered) or not done.last_run_silent
    return Result(data=data, show=_story(done, keep), exit_code=1 if broken else 0)


def _story(done: "Demo", keep: Path | None) -> "Callable[[Console], None]":
    def show(out: "Console") -> None:
        out.print("\n5. What was sent: one slice before and after.\n")
        render.columns(("element", "in the hospital", "as it was sent"), done.before_after)(out)
        out.print("\n6. The structure sets are delivered, beside their series.\n")
        for delivery in done.delivered:
            resolved = delivery.references - delivery.dangling
            out.print(f"   {delivery.path}", soft_wrap=True)
            out.print(f"      {delivery.patient}: {', '.join(delivery.structures)}", soft_wrap=True)
            out.print(
                f"      {resolved} of {delivery.references} references resolve to their series"
            )
        silent = "nothing" if done.last_run_silent else "SOMETHING, AND SHOULD NOT"
        out.print(f"\n   One more run-once printed {silent}.")
        where = f"Everything is left in {done.folder}." if keep else "--keep DIR leaves everything."
        out.print(f"\nDone in {done.seconds:.0f} s. {where}", soft_wrap=True)

    return show
