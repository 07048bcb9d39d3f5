"""deidentify, diff-header, gate: make packages, or inspect what would be sent."""

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.door import Door, IdentifyOption, RunOptions, command
from drawcli.cli.pipeline_commands import step_command
from drawcli.cli.render import Result
from drawcli.errors import ConfigError, DrawcliError, GateBlocked, SeriesRefused, UsageError
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console

    from drawcli.config.load import Settings
    from drawcli.core.deid.profile import Choices
    from drawcli.core.deid.pseudonyms import StandIns
    from drawcli.core.gate.header_diff import ElementDiff
    from drawcli.pipeline.deidentify_folder import ExportedSeries, FolderContents, FolderSeries


_LONGEST_PATH: Final = 400  # characters


_COLOURS: Final = {"removed": "red", "emptied": "red", "added": "green", "kept": "dim"}


def register(app: typer.Typer) -> None:
    """Add the commands to the program."""
    command(app, "diff-header")(diff_header)
    command(app, "gate")(gate)


def deidentify(
    door: Door,
    run: RunOptions,
    path: Annotated[
        Path | None,
        typer.Argument(help="Images to de-identify for inspection.", show_default=False),
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="A new folder for the result.", metavar="DIR")
    ] = None,
    conformance: Annotated[
        bool, typer.Option("--conformance", help="Print the conformance statement of the site.")
    ] = False,
    identify: IdentifyOption = False,
) -> Result:
    """Run the step; or de-identify a folder for inspection; or print the conformance statement.

    A folder needs no ledger and no server, and goes through the same engine and the same gate.
    """
    if conformance:
        if path or to or run != RunOptions():
            raise UsageError("--conformance cannot be combined with other arguments")
        return _statement(door)
    if path is None and to is None:
        return step_command("deidentify")(door, run)
    if path is None:
        raise UsageError("--to needs PATH: the images to de-identify")
    if run.chooses or run.fail_if_idle:
        raise UsageError("--job, --limit, --max-minutes and --fail-if-idle belong to the step")
    if to is None:
        raise UsageError(
            "PATH needs --to DIR: where to write the images",
            hint="Without PATH, deidentify takes the matched series of the ledger.",
        )
    door.check_identify(identify=identify)
    return _export(door, path, to, dry_run=run.dry_run, identify=identify)


def _statement(door: Door) -> Result:
    from drawcli.core.deid.conformance import statement

    settings = _site(door)
    text = statement(_choices(settings))
    return Result(
        data={"statement": text}, show=lambda out: out.print(text, end="", soft_wrap=True)
    )


def _export(door: Door, path: Path, to: Path, *, dry_run: bool, identify: bool) -> Result:
    from drawcli.pipeline.deidentify_folder import check_target, export, read_folder

    settings = _site(door)
    check_target(to, path, settings.datastore if settings else ())
    found = read_folder(path)
    wanted = [series for series in found.series if series.verdict.readiness != "ignored"]
    if not wanted:
        raise UsageError(f"{path} holds no CT, MR or PT series{_told(found)}")
    if dry_run:
        return _planned(wanted)
    stand_ins = _key(settings)
    with render.spinner("deidentify") if door.to_person else nullcontext():
        done = list(export(wanted, to, stand_ins, _choices(settings)))
    errors: list[DrawcliError] = [
        type(series.refused)(
            f"{series.modality} series of {series.slices} files: {series.refused}",
            code=series.refused.code,
            hint=series.refused.hint,
        )
        for series in done
        if series.refused is not None
    ]
    data = {
        "series": [_facts(series) for series in done],
        "key_id": stand_ins.key_id,
        "throwaway_key": settings is None,
        "files_passed_over": dict(found.passed_over),
    }
    blocked = any(isinstance(series.refused, GateBlocked) for series in done)
    code = GateBlocked.exit_code if blocked else SeriesRefused.exit_code if errors else 0
    show = _shown(done, throwaway=settings is None, identify=identify)
    return Result(data=data, show=show, errors=errors, exit_code=code)


def _facts(series: "ExportedSeries") -> dict[str, Any]:
    return {
        "modality": series.modality,
        "slices": series.slices,
        "folder": str(series.folder) if series.folder else None,
        "refused": series.refused.code if series.refused else None,
    }


def _shown(
    done: "list[ExportedSeries]", *, throwaway: bool, identify: bool
) -> "Callable[[Console], None]":
    def show(out: "Console") -> None:
        for series in done:
            what = series.folder or f"refused: {series.refused}"
            out.print(f"{series.modality} of {series.slices} files  {what}", soft_wrap=True)
            if identify:
                first = render.shortened(series.first, longest=_LONGEST_PATH)
                out.print(f"  from {first}", soft_wrap=True)
        if throwaway:
            out.print(
                "No site here: a temporary key was used. At a site the replacement values differ.",
                soft_wrap=True,
            )

    return show


def _planned(series: "list[FolderSeries]") -> Result:
    rows = [
        (
            member.slices[0].modality,
            len(member.slices),
            member.verdict.readiness,
            member.verdict.text,
        )
        for member in series
    ]
    data = {
        "planned": [
            {"modality": modality, "slices": count, "readiness": str(ready), "reason": why or None}
            for modality, count, ready, why in rows
        ]
    }

    def show(out: "Console") -> None:
        for modality, count, ready, why in rows:
            would = "would be de-identified" if ready == "ready" else f"would be refused: {why}"
            out.print(f"{modality} of {counted(count, 'file')} {would}", soft_wrap=True)

    return Result(data=data, show=show)


def diff_header(
    door: Door,
    file: Annotated[Path, typer.Argument(help="A DICOM image.", show_default=False)],
    every: Annotated[
        bool, typer.Option("--all", help="Include unchanged elements with their values.")
    ] = False,
    identify: IdentifyOption = False,
) -> Result:
    """Compare a header before and after de-identification."""
    from drawcli.pipeline.deidentify_folder import compare_image

    door.check_identify(identify=identify)
    if file.is_dir():
        raise UsageError(f"{file} is a folder", hint="Give one image.")
    settings = _site(door)
    rows, refused = compare_image(file, _key(settings), _choices(settings))
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.what] = counts.get(row.what, 0) + 1
    shown = [row for row in rows if every or row.what != "kept"]
    data = {
        "counts": counts,
        "refused": refused or None,
        "elements": [_element(row) for row in shown],
    }

    def show(out: "Console") -> None:
        titles = ("element", "before" if identify else "before (VR)", "", "after")
        cells = [_cells(row, identify=identify) for row in shown]
        styles = [_COLOURS.get(row.what, "yellow") for row in shown]
        render.columns(titles, cells, styles=styles)(out)
        counted = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
        out.print(f"\n{counted}", soft_wrap=True)
        if refused:
            out.print(f"This image would not be sent: {refused}", soft_wrap=True)

    return Result(data=data, show=show)


def _element(row: "ElementDiff") -> dict[str, Any]:
    return {
        "tag": f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})",
        "keyword": row.keyword or None,
        "depth": row.depth,
        "vr": row.vr,
        "what": row.what,
        "after": row.after,
    }


def _cells(row: "ElementDiff", *, identify: bool) -> tuple[str, ...]:
    from drawcli.cli.render import shortened

    name = row.keyword or f"({row.tag >> 16:04X},{row.tag & 0xFFFF:04X})"
    before = (row.before or "") if identify else (row.vr if row.before is not None else "")
    return ("  " * row.depth + name, shortened(before), row.what, shortened(row.after or ""))


def gate(
    door: Door,
    package: Annotated[Path, typer.Argument(metavar="ZIP", help="A package.", show_default=False)],
    against: Annotated[
        Path, typer.Option("--against", help="The folder with its images.", metavar="DIR")
    ],
) -> Result:
    """Search a package for patient data. Every upload does this first."""
    from drawcli.pipeline.deidentify_folder import check_package

    settings = _site(door)
    retained = [] if settings is None else list(settings.deidentify.retain)
    found = check_package(package, against, retained)
    data = {"findings": [{"check": finding.check, "where": finding.where} for finding in found]}
    if not found:
        said = f"{package}: nothing of the patient was found"
        return Result(data=data, show=lambda out: out.print(said, soft_wrap=True))
    blocked = GateBlocked(
        f"{package}: {counted(len(found), 'finding')}",
        hint="Do not send it. Show it to the data protection officer.",
    )

    def show(out: "Console") -> None:
        render.columns(("check", "where"), ((finding.check, finding.where) for finding in found))(
            out
        )

    return Result(data=data, show=show, errors=[blocked], exit_code=blocked.exit_code)


def _site(door: Door) -> "Settings | None":
    """Return the settings of the site; None if there is no site and none was named."""
    try:
        path = door.settings_file()
    except ConfigError:
        return None
    return door.settings(path)


def _choices(settings: "Settings | None") -> "Choices":
    from drawcli.core.deid.profile import USUAL

    return USUAL if settings is None else settings.deidentify.choices


def _key(settings: "Settings | None") -> "StandIns":
    """Return the replacement values of the site, or those of a temporary key without a site."""
    import secrets

    from drawcli.adapters.state.keys.key_source import site_keys
    from drawcli.adapters.state.site_key import LENGTH
    from drawcli.core.deid.pseudonyms import StandIns

    if settings is None:
        return StandIns(secrets.token_bytes(LENGTH))
    return site_keys(settings).stand_ins


def _told(found: "FolderContents") -> str:
    seen = [f"{counted(count, 'file')}: {why}" for why, count in sorted(found.passed_over.items())]
    seen += sorted({member.verdict.text for member in found.series if member.verdict.text})
    return f" ({'; '.join(seen)})" if seen else ""
