"""sandbox: a DRAW server on this machine. demo: the whole cycle on it, with phantom scans."""

from contextlib import contextmanager, suppress
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, command
from drawcli.cli.render import Result
from drawcli.cli.training.sandbox_options import SandboxBehaviour, check_pacs
from drawcli.errors import UsageError
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console

    from drawcli.sandbox.demo import Demo
    from drawcli.sandbox.segmentation.text_picture import TextPicture


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
    port: Annotated[
        int, typer.Option("--port", help="0 chooses a free port.", min=0, max=65535)
    ] = 8042,
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
    check_pacs(options)
    silent = door.common.as_json or door.common.quiet
    if options.pacs is not None and not (folder / "pacs").exists() and not silent:
        render.teller(door.style)("writing the phantoms into the archive (once, some seconds)")

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
    pacs = options.pacs
    if pacs is not None:
        data["pacs"] = f"{pacs.ae_title}@{pacs.host}:{running.pacs.port}"
        data["dicomweb"] = f"{running.url}/dicom-web"
        data["objects"] = len(running.sandbox.archive)
    modes = [name for name in ("realistic", "strict") if data[name]]
    second = f"{models}, version 2: the bladder is 2 mm larger"
    facts = [
        ("url", running.url),
        ("token file", running.token_file),
        ("tasks", folder / "tasks"),
        ("behaves", ", ".join([f"as for DRAW client {options.dialect}", *modes])),
        ("models", models if options.model_version == 1 else second),
        *([] if pacs is None else _archive_facts(data, folder)),
        ("notice", "for demonstration and training, not for clinical use; Ctrl-C ends it"),
    ]
    return Result(data=data, show=render.lines(facts))


def _archive_facts(data: "Mapping[str, Any]", folder: Path) -> list[tuple[str, object]]:
    return [
        ("archive", data["pacs"]),
        ("DICOMweb", data["dicomweb"]),
        ("objects", f"{data['objects']}, in {folder / 'pacs'}"),
    ]


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
    from drawcli.sandbox.faults import ENDPOINTS, archive_table, table
    from drawcli.sandbox.pacs.options import OPERATIONS

    rows = list(table())
    of_archive = list(archive_table())

    def show(out: "Console") -> None:
        render.columns(("fault", "what goes wrong"), rows)(out)
        out.print(
            f"\nFor: {', '.join(ENDPOINTS)}. Each once; *3 three times, * always, @30s so long.\n"
        )
        render.columns(("fault of the archive", "for", "what goes wrong"), of_archive)(out)

    data = {
        "endpoints": list(ENDPOINTS),
        "faults": dict(rows),
        "archive_operations": list(OPERATIONS),
        "archive_faults": {what: meaning for what, _where, meaning in of_archive},
    }
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

        with _line_writers(door) as (tell, doing):
            done = run_demo(keep, tell, slices=slices, size=size, doing=doing)
    except ImportError:
        raise not_installed("the demo", "web") from None
    data = {
        "folder": str(done.folder) if keep else None,
        "runs": done.runs,
        "seconds": round(done.seconds, 1),
        "last_run_silent": done.last_run_silent,
        "picture": None if done.picture is None else done.picture.lines,
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
    return Result(data=data, show=_summary(done, keep), exit_code=1 if broken else 0)


@contextmanager
def _line_writers(door: Door) -> "Iterator[tuple[Callable[[str], None], Callable[[str], None]]]":
    """Yield writers of lines, and of what is being done: on a terminal, in a line of its own."""
    if door.common.as_json or door.common.quiet:
        yield (lambda _: None), (lambda _: None)
    elif not render.on_terminal():
        yield render.teller(door.style), (lambda _: None)
    else:
        from time import monotonic

        out, begun = render.console(door.style), monotonic()
        with out.status("") as line:
            yield (
                lambda text: out.print(text, soft_wrap=True),
                lambda text: line.update(f"{text} ({monotonic() - begun:.0f} s)"),
            )


def _picture(out: "Console", picture: "TextPicture") -> None:
    """Print a picture of letters, each in the colour of its structure."""
    from rich.text import Text

    colors = {mark.letter: mark.color for mark in picture.marks}
    out.print("\n7. One of their slices: letters are structures, dots the patient, colons bone.\n")
    for line in picture.lines:
        cells = Text("   ")
        for color, signs in groupby(line, lambda sign: colors.get(sign, "")):
            cells.append("".join(signs), f"bold {color}" if color else "dim")
        out.print(cells, soft_wrap=True)
    out.print()
    for mark in picture.marks:
        out.print(Text.assemble("   ", (mark.letter, f"bold {mark.color}"), f" {mark.name}"))


def _summary(done: "Demo", keep: Path | None) -> "Callable[[Console], None]":
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
        if done.picture is not None:
            _picture(out, done.picture)
        where = f"Everything is left in {done.folder}." if keep else "--keep DIR leaves everything."
        out.print(f"\nDone in {done.seconds:.0f} s. {where}", soft_wrap=True)

    return show
