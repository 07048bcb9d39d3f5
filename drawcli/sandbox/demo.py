"""Runs the whole cycle on this machine: phantom scans, a sandbox server, and run-once as in cron.

`drawcli init` creates the site, each run is a process with a minimal environment, and the results
are read from the files.
"""

import json
import os
import subprocess
import sys
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from drawcli.errors import DrawcliError

if TYPE_CHECKING:
    from pydicom import Dataset

    from drawcli.sandbox.segmentation.text_picture import TextPicture

MOST_RUNS: Final = 30
_PAUSE_SECONDS: Final = 1.0
_SHOWN: Final = (
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
    "PatientAddress",
    "StudyDate",
    "StudyDescription",
    "SeriesDescription",
    "ReferringPhysicianName",
    "InstitutionName",
    "StationName",
    "AccessionNumber",
    "SOPInstanceUID",
    "Manufacturer",
    "ImagePositionPatient",
    "KVP",
)

ShowLine = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A delivered structure set."""

    path: Path
    patient: str
    structures: tuple[str, ...]
    references: int  # referenced image UIDs
    dangling: int  # number of those without a source file


@dataclass(slots=True)
class Demo:
    """The results of the demo."""

    folder: Path
    runs: int = 0
    seconds: float = 0.0
    before_after: list[tuple[str, str, str]] = field(default_factory=list)
    delivered: list[Delivered] = field(default_factory=list)
    last_run_silent: bool = False
    picture: "TextPicture | None" = None  # of one delivered structure set


def run_demo(
    keep: Path | None,
    tell: ShowLine,
    *,
    slices: int = 120,
    size: int = 512,
    doing: ShowLine = lambda _: None,
) -> Demo:
    """Run the whole cycle for three invented patients.

    Parameters
    ----------
    keep
        The folder to keep the site in; None deletes it at the end.
    tell
        Called with each line of output.
    slices, size
        Number of slices of each scan, and their rows and columns.
    doing
        Called with what is being done, where that takes a while.
    """
    from drawcli.sandbox.segmentation.text_picture import text_picture
    from drawcli.sandbox.server import running

    begun = time.monotonic()
    with _workplace(keep) as folder:
        demo = Demo(folder)
        tell("1. Three invented patients are scanned; their files contain their names.")
        sources = scan_patients(folder / "store", slices, size, tell, doing)
        with running(folder / "sandbox") as server:
            tell(f"\n2. A DRAW sandbox runs at {server.url}. It is for demonstration only.")
            tell("\n3. 'drawcli init' creates the files of a site.")
            config = _make_site(folder, server.url, server.token_file)
            tell(f"   {config}")
            tell(
                "\n4. 'drawcli run-once', as cron runs it, until all structure sets are delivered."
            )
            _run_until_done(config, demo, tell, doing)
        doing("reading what was sent and delivered")
        demo.before_after = _before_and_after(sources, folder)
        demo.delivered = [_read_delivered(path, sources) for path in _delivered(folder / "store")]
        path = demo.delivered[0].path
        demo.picture = text_picture(path, [one for one in sources if one.parent == path.parent])
        demo.seconds = time.monotonic() - begun
    return demo


@contextmanager
def _workplace(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with TemporaryDirectory(prefix="drawcli-demo-") as name:
            yield Path(name)
        return
    if keep.exists() and any(keep.iterdir()):
        raise DrawcliError(f"{keep} is not empty", code="usage", hint="Name a new folder.")
    keep.mkdir(parents=True, exist_ok=True)
    yield keep.absolute()


def scan_patients(
    store: Path, slices: int, size: int, tell: ShowLine, doing: ShowLine = lambda _: None
) -> list[Path]:
    """Write a visit of each invented patient; return the image files of the planning scans."""
    from drawcli.sandbox.patients import PEOPLE
    from drawcli.sandbox.phantom import write_visit

    written: list[Path] = []
    for seed, person in enumerate(PEOPLE, 1):
        folder = store / person.file_name
        doing(f"scanning {person.name} ({seed} of {len(PEOPLE)}), {slices} slices")
        visit = write_visit(folder, person, slices=slices, size=size, seed=seed)
        written += visit.planning
        others = f" and {len(visit.others)} other file" if visit.others else ""
        tell(f"   {person.name}: {len(visit.planning)} slices of {person.protocol}{others}")
    return written


def _make_site(folder: Path, url: str, token_file: Path) -> Path:
    site = folder / "site"
    words = ("--datastore", str(folder / "store"), "--url", url, "--practice")
    _drawcli("init", str(site), *words)
    token = site / "token.json"
    token.touch(mode=0o600)
    token.write_bytes(token_file.read_bytes())
    return site / "drawcli.yaml"


def _run_until_done(config: Path, demo: Demo, tell: ShowLine, doing: ShowLine) -> None:
    """Run the cycle until all jobs are done and show each change of state; then run once more."""
    known: dict[str, str] = {}
    while demo.runs < MOST_RUNS:
        demo.runs += 1
        states = Counter(known.values())
        at = ", ".join(f"{number} {state}" for state, number in states.items())
        doing(f"run {demo.runs}: {at or 'scan, match, de-identify, upload'}")
        _drawcli("run-once", "--config", str(config))
        jobs = json.loads(_drawcli("status", "--json", "--config", str(config)))["data"]["jobs"]
        for line in _moves(jobs, known):
            tell(f"   run {demo.runs}: {line}")
        if jobs and all(job["state"] == "done" for job in jobs):
            demo.last_run_silent = not _drawcli("run-once", "--config", str(config))
            return
        time.sleep(_PAUSE_SECONDS)
    raise DrawcliError("the demo did not finish", hint="Keep its files with 'drawcli demo --keep'.")


def _moves(jobs: list[dict[str, Any]], known: dict[str, str]) -> Iterator[str]:
    for job in jobs:
        if known.get(job["id"]) != job["state"]:
            known[job["id"]] = job["state"]
            reason = f" ({job['reason']})" if job["reason"] else ""
            yield f"{job['id']}  {job['state']:<10} {job['template'] or ''}{reason}"


def _drawcli(*words: str) -> str:
    """Run drawcli in a process and return its output; raise DrawcliError if it fails."""
    done = subprocess.run(  # noqa: S603 - this very program
        [sys.executable, "-m", "drawcli", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=_cron_environment(),
        check=False,
    )
    if done.returncode:
        output = (done.stderr or done.stdout).strip()
        raise DrawcliError(f"'drawcli {words[0]}' exited with {done.returncode}: {output}")
    return done.stdout + done.stderr


def _cron_environment() -> Mapping[str, str]:
    """Return a minimal environment like that of cron, with the variables that Windows needs."""
    wanted = ("PATH", "HOME", "SYSTEMROOT", "TEMP", "TMP", "PYTHONPATH")
    return {name: os.environ[name] for name in wanted if name in os.environ}


def _before_and_after(sources: list[Path], folder: Path) -> list[tuple[str, str, str]]:
    """Return elements of one slice: keyword, value in its file, value in the package."""
    from pydicom import dcmread

    before = dcmread(sources[0], stop_before_pixels=True)
    position = before.ImagePositionPatient
    for package in sorted((folder / "site" / "state" / "work").glob("*/package.zip")):
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                if not name.endswith(".dcm"):
                    continue
                after = dcmread(BytesIO(archive.read(name)), stop_before_pixels=True)
                same_scan = after.get("PatientSex") == before.PatientSex
                if same_scan and after.ImagePositionPatient == position:
                    return [(key, _shown(before, key), _shown(after, key)) for key in _SHOWN]
    return []


def _shown(dataset: "Dataset", keyword: str) -> str:
    if keyword not in dataset:
        return "(absent)"
    return str(dataset[keyword].value) or "(empty)"


def _delivered(store: Path) -> list[Path]:
    return sorted(store.rglob("RS.*.dcm"))


def _read_delivered(path: Path, sources: list[Path]) -> Delivered:
    """Read a delivered structure set with pydicom only, and check its references."""
    from pydicom import dcmread

    dataset = dcmread(path)
    files = [source for source in sources if source.parent == path.parent]
    images = [dcmread(source, specific_tags=["SOPInstanceUID"]) for source in files]
    present = {str(image.SOPInstanceUID) for image in images}
    referenced = [
        str(image.ReferencedSOPInstanceUID)
        for roi in dataset.ROIContourSequence
        for contour in roi.get("ContourSequence", [])
        for image in contour.ContourImageSequence
    ]
    return Delivered(
        path=path,
        patient=str(dataset.PatientName),
        structures=tuple(roi.ROIName for roi in dataset.StructureSetROISequence),
        references=len(referenced),
        dangling=sum(uid not in present for uid in referenced),
    )
