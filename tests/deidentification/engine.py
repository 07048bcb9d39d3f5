"""The interface of these tests to drawcli: bytes of sources in, de-identified bytes out."""

import zipfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.adapters.gate import findings
from drawcli.adapters.package import write_package
from drawcli.adapters.state.workdir import PACKAGE
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom import tags
from drawcli.core.dicom.header import Incomplete, NotDicom
from drawcli.core.dicom.instance import slice_of
from drawcli.core.jobs.job import Job, State
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.verdict import Readiness
from drawcli.errors import SeriesRefused, SourceUnsettled
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from drawcli.pipeline.sent_slices import read_pixels
from tests.conftest import Site

KEY: Final = bytes(range(32))
OTHER_KEY: Final = bytes(32)
REFUSED: Final = (NotDicom, Incomplete, SeriesRefused, SourceUnsettled)
TEMPLATE: Final = b"name: Prostate_OAR\nprotocol: DRAW\nmodels:\n  720:\n    map: {1: Bladder}\n"
MATCH_ALL: Final = """
rules:
  - name: everything
    template: Thorax_OAR
    when: {any: [{Modality: CT}, {Modality: MR}, {Modality: PT}]}
"""


def series(paths: Iterable[Path], *, key: bytes = KEY) -> dict[str, bytes]:
    """Return what becomes of each file of a series: the name of its member, and its bytes.

    Raises one of `REFUSED` where drawcli would send nothing of the series.
    """
    files = [str(path) for path in paths]
    stream, header = open_slice(files[0])
    stream.close()
    replacements = Replacements.of(header, StandIns(key))
    return dict(sorted(_slice(path, replacements) for path in files))


def one(path: Path, *, key: bytes = KEY) -> bytes:
    """Return one file de-identified."""
    (raw,) = series([path], key=key).values()
    return raw


def packaged(paths: Iterable[Path], target: Path, *, key: bytes = KEY) -> Path:
    """Write the package of a series, not yet checked by the gate."""
    made = series(paths, key=key)
    write_package(
        target, [*((name, [raw]) for name, raw in made.items()), ("template.yml", [TEMPLATE])]
    )
    return target


def found_by_gate(package: Path, paths: Iterable[Path]) -> list[str]:
    """Return the findings of the gate in a package: check and place."""
    found = findings(package, [str(path) for path in paths], form="ward-7_2.25.1.zip")
    return [f"{one.check} in {one.where}" for one in found]


def take_everything(site: Site, *, min_slices: int = 2) -> None:
    """Let a site send every series of CT, MR and PT."""
    (site.folder / "rules.yaml").write_text(MATCH_ALL)
    text = site.config.read_text()
    scan = f"scan: {{quiet_minutes: 0, min_slices: {min_slices}}}"
    site.config.write_text(text.replace("scan: {quiet_minutes: 0}", scan))


def through_steps(ctx: Context) -> list[Job]:
    """Scan the datastore, match and de-identify; return all jobs."""
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    return list(ctx.ledger.jobs())


def package_of(ctx: Context, job: Job) -> Path | None:
    """Return the package of a job; None where there is none, and then there is nothing beside."""
    path = ctx.work.folder(job.id) / PACKAGE
    if job.state is State.PACKAGED:
        return path
    assert not list(path.parent.glob("*.zip"))
    return None


def _slice(path: str, replacements: Replacements) -> tuple[str, bytes]:
    stream, header = open_slice(path)
    with closing(stream):
        size = Path(path).stat().st_size
        seen = slice_of(header, path=path, size=size, mtime_ns=0)
        kind = slice_kind(seen)
        if kind.readiness is not Readiness.READY:
            raise SeriesRefused(kind.text, code=kind.code)
        end = pixel_end(stream, header)
        raw = deidentify_header(header, replacements) + b"".join(read_pixels(stream, header, end))
    return f"{replacements.uid(seen.sop_uid)}.dcm", raw


def members(package: Path) -> list[str]:
    """Return the names of the slices in a package."""
    with zipfile.ZipFile(package) as archive:
        return [name for name in archive.namelist() if name.endswith(".dcm")]


def names(paths: Iterable[Path], *, key: bytes = KEY) -> dict[Path, str]:
    """Return the package member of each file of a series."""
    stand_ins = StandIns(key)
    found = {}
    for path in paths:
        stream, header = open_slice(str(path))
        stream.close()
        found[path] = f"{stand_ins.uid(header.text(tags.SOPInstanceUID))}.dcm"
    return found
