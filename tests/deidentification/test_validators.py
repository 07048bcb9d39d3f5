"""De-identified series stay valid: no new errors, the same pixels, usable for an RTSTRUCT."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Final

import pytest
from pydicom import Dataset, dcmread

from drawcli.sandbox.patients import PEOPLE
from tests.core.real_data import REAL, needs_real, real_files
from tests.deidentification import engine
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct

WRITERS: Final = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
LEAST_REAL: Final = 20  # series that are sent
LONG: Final = "TORTURE" in os.environ  # every file of a series, not the first and the last alone
COMPRESSED: Final = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5")  # without their margins
SAME_UID: Final = "StudyInstanceUID has same value as FrameOfReferenceUID"  # told with its value

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # rt-utils speaks of pydicom
needs_dciodvfy = pytest.mark.skipif(which("dciodvfy") is None, reason="dciodvfy is not installed")
needs_dcentvfy = pytest.mark.skipif(which("dcentvfy") is None, reason="dcentvfy is not installed")


def errors(path: Path) -> set[str]:
    """Return the errors of dciodvfy for a file, without quoted values."""
    ended = subprocess.run(["dciodvfy", "-new", path], capture_output=True, check=False)
    lines = ended.stderr.decode("latin-1").splitlines()
    return {re.sub(r"= <.*", "", line) for line in lines if line.startswith("Error")}


def between(folder: Path) -> list[str]:
    """Return the errors of dcentvfy for the files of a series."""
    paths = sorted(folder.glob("*.dcm"))
    ended = subprocess.run(["dcentvfy", *paths], capture_output=True, check=False)
    return (ended.stdout + ended.stderr).decode("latin-1").splitlines()


def sent(paths: list[Path], folder: Path) -> dict[Path, Path]:
    """De-identify a series into a folder; return the path of each slice."""
    made = engine.series(paths)
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in made.items():
        (folder / name).write_bytes(raw)
    return {path: folder / name for path, name in engine.names(paths).items()}


def header(path: Path) -> Dataset:
    return dcmread(path, stop_before_pixels=True, force=True)


def real_series() -> Iterator[list[Path]]:
    """Yield the files of every unpacked real series."""
    series: dict[object, list[Path]] = {}
    for path in real_files():
        try:
            uid = header(path).get("SeriesInstanceUID")
        except Exception:  # noqa: BLE001, S112 - what no reader can read is no series
            continue
        if uid:
            series.setdefault((path.parent, str(uid)), []).append(path)
    yield from series.values()


def sent_real(tmp_path: Path) -> Iterator[dict[Path, Path]]:
    """Yield every real series that is sent: sources and de-identified paths."""
    for number, paths in enumerate(real_series()):
        few = paths if LONG else list(dict.fromkeys([paths[0], paths[-1]]))
        try:
            made = sent(few, tmp_path / str(number))
        except engine.REFUSED:
            continue
        if len({*made.values()}) == len(few):  # not one slice in two transfer syntaxes
            yield made


@pytest.fixture(params=WRITERS)
def phantom(request: pytest.FixtureRequest, tmp_path: Path) -> dict[Path, Path]:
    """Write a small phantom and send it."""
    paths = WRITERS[request.param](tmp_path / "source", PEOPLE[0], slices=6, size=32)
    return sent(paths, tmp_path / "sent")


@needs_dciodvfy
def test_a_phantom_has_no_new_fault(phantom: dict[Path, Path]) -> None:
    for before, after in list(phantom.items())[:2]:
        assert errors(after) - errors(before) == set()


@needs_dcentvfy
def test_the_slices_of_a_phantom_agree_with_each_other(phantom: dict[Path, Path]) -> None:
    assert between(next(iter(phantom.values())).parent) == []


def test_a_phantom_has_the_same_pixels(phantom: dict[Path, Path]) -> None:
    for before, after in phantom.items():
        assert dcmread(after).PixelData == dcmread(before).PixelData


def test_a_structure_set_can_be_drawn_on_a_phantom(phantom: dict[Path, Path]) -> None:
    check_rt_utils(next(iter(phantom.values())).parent, 6)


def check_rt_utils(folder: Path, slices: int) -> None:
    """Make a structure set as the server does, with an outline in every slice."""
    np = pytest.importorskip("numpy")
    builder = pytest.importorskip("rt_utils").RTStructBuilder.create_new(str(folder))
    first = builder.series_data[0]
    mask = np.zeros((first.Rows, first.Columns, slices), bool)
    mask[first.Rows // 4 : first.Rows // 2, first.Columns // 4 : first.Columns // 2, :] = True
    builder.add_roi(mask=mask, name="Bladder")
    builder.save(str(folder / "structures"))

    (made,) = folder.glob("structures*")
    dataset = dcmread(made)
    assert len(dataset.ROIContourSequence[0].ContourSequence) == slices
    assert dataset.StudyInstanceUID == first.StudyInstanceUID


@needs_real
@needs_dciodvfy
def test_real_slices_have_no_new_fault(tmp_path: Path) -> None:
    new: dict[str, set[str]] = {}
    count = 0
    for series in sent_real(tmp_path):
        count += 1
        for before, after in series.items():
            found = {one for one in errors(after) if SAME_UID not in one}
            if found and (more := found - errors(before)):
                new[str(before.relative_to(REAL))] = more

    assert new == {}
    assert count >= LEAST_REAL


@needs_real
@needs_dcentvfy
def test_the_slices_of_a_real_series_agree_with_each_other(tmp_path: Path) -> None:
    told: dict[str, list[str]] = {}
    for series in sent_real(tmp_path):
        (folder,) = {after.parent for after in series.values()}
        sources = folder / "source"
        sources.mkdir()
        for number, before in enumerate(series):
            (sources / f"{number}.dcm").write_bytes(before.read_bytes())
        found = between(folder)
        if len(found) > len(between(sources)):
            told[str(next(iter(series)).relative_to(REAL))] = found

    assert told == {}


@needs_real
def test_real_pixels_are_the_same_bytes(tmp_path: Path) -> None:
    compared = 0
    for series in sent_real(tmp_path):
        for before, after in series.items():
            compared += 1
            source = dcmread(before, force=True)
            if not source.file_meta.get("TransferSyntaxUID", "").startswith(COMPRESSED):
                assert dcmread(after).PixelData == source.PixelData

    assert compared >= LEAST_REAL


CHOSEN: Final = ("rt/cerr_pyCERR_pat_2", "rt/oncentra_rtkit", "rt/eclipse_ariartm_anondicom")


@needs_real
@pytest.mark.parametrize("name", CHOSEN)
def test_a_structure_set_can_be_drawn_on_real_slices(name: str, tmp_path: Path) -> None:
    images = [
        path
        for path in sorted((REAL / name).rglob("*"))
        if path.is_file() and header(path).get("Modality") == "CT"
    ]

    sent(images, tmp_path / "sent")

    check_rt_utils(tmp_path / "sent", len(images))
