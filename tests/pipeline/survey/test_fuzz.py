"""Mutated real files: no traceback, and no series that is called ready and is not.

Whether a series is whole is told once more by other means: pydicom and a few lines of arithmetic.
"""

import random
import shutil
import warnings
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from statistics import median

import pytest
from pydicom import Dataset, dcmread

from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.verdict import Readiness
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey import open_survey
from tests.conftest import Site
from tests.core.real_data import REAL, needs_real

TRIALS = 40  # of each series
SOURCES = (
    "rt/cerr_pyCERR_pat_2",
    "rt/monaco_proknow_nopreamble",
    "odd/dicom2nifti/generic/compressed_rle",
    "odd/dicom2nifti/generic/compressed_j2k",
    "odd/dicom2nifti/hitachi",
)
SHARED = (
    "PatientID PatientName StudyInstanceUID SeriesInstanceUID SOPClassUID FrameOfReferenceUID Rows "
    "Columns"
).split()
Places = list[Path]


def flipped(paths: Places, dice: random.Random) -> None:
    """Change some bytes of a header."""
    path = dice.choice(paths)
    raw = bytearray(path.read_bytes())
    for _ in range(dice.choice((1, 2, 8))):
        raw[dice.randrange(min(len(raw), 3000))] = dice.randrange(256)
    path.write_bytes(raw)


def cut(paths: Places, dice: random.Random) -> None:
    path = dice.choice(paths)
    raw = path.read_bytes()
    path.write_bytes(raw[: dice.randrange(len(raw))])


def zeroed(paths: Places, dice: random.Random) -> None:
    path = dice.choice(paths)
    raw = bytearray(path.read_bytes())
    start = dice.randrange(len(raw))
    raw[start : start + 500] = bytes(len(raw[start : start + 500]))
    path.write_bytes(raw)


def gone(paths: Places, dice: random.Random) -> None:
    dice.choice(paths).unlink()


def twice(paths: Places, dice: random.Random) -> None:
    path = dice.choice(paths)
    shutil.copy(path, path.with_name("twice.dcm"))


def spliced(paths: Places, dice: random.Random) -> None:
    """Put the begin of one file before the end of another."""
    one, other = dice.choice(paths), dice.choice(paths)
    where = dice.randrange(3000)
    one.write_bytes(one.read_bytes()[:where] + other.read_bytes()[where:])


def another(paths: Places, dice: random.Random) -> None:
    """Change a digit of an identifier in one file."""
    path = dice.choice(paths)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one = dcmread(path, force=True)
    values = [str(one.get(name, "")).encode("ascii", "replace") for name in SHARED[:4]]
    value = dice.choice([value for value in values if len(value) > 1] or [b"\0\0"])
    path.write_bytes(path.read_bytes().replace(value, value[:-1] + b"7"))


MUTATIONS: tuple[Callable[[Places, random.Random], None], ...] = (
    *(flipped, flipped, flipped, cut, zeroed, gone, twice, spliced, another),
)


def looked_at(path: str) -> Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dcmread(path, stop_before_pixels=True, force=True)


def numbers(one: Dataset, keyword: str) -> list[float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [float(value) for value in one[keyword].value]


def check_whole(slices: list[Slice]) -> None:
    """Hold what is called ready against what pydicom reads."""
    headers = [looked_at(one.path) for one in slices]
    for keyword in SHARED:
        assert len({str(one.get(keyword, "")) for one in headers}) == 1, keyword
    assert len({str(one.SOPInstanceUID) for one in headers}) == len(headers)
    first = numbers(headers[0], "ImageOrientationPatient")
    for one in headers:
        assert numbers(one, "ImageOrientationPatient") == pytest.approx(first, abs=2e-3)
    rx, ry, rz, cx, cy, cz = first
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    places = sorted(
        sum(p * n for p, n in zip(numbers(one, "ImagePositionPatient"), normal, strict=True))
        for one in headers
    )
    steps = [upper - lower for lower, upper in pairwise(places)]
    assert min(steps) > 0.009
    assert max(steps) <= 1.51 * median(steps)
    for place in slices:
        stream, header = open_slice(place.path)
        with stream:
            pixel_end(stream, header)


def check_all_there(folder: Path, slices: list[Slice]) -> None:
    """No other file of the folder says that it is an instance of the series."""
    taken = {one.path for one in slices}
    uids = {one.sop_uid for one in slices}
    for path in folder.iterdir():
        if str(path) not in taken:
            other = looked_at(str(path))
            same = str(other.get("SeriesInstanceUID", "")) == slices[0].series_uid
            assert not same or str(other.get("SOPInstanceUID", "")) in uids, "left behind"


@needs_real
@pytest.mark.parametrize("source", SOURCES)
def test_mutated_real_series_are_never_wrongly_ready(ctx: Context, site: Site, source: str) -> None:
    dice = random.Random(source)  # noqa: S311 - the same every time
    files = [path for path in sorted((REAL / source).rglob("*")) if path.is_file()]
    whole = [path for path in files if looked_at(str(path)).get("Modality") in ("CT", "MR")]
    ready = 0
    for number in range(TRIALS):
        folder = site.store / f"{number}"
        folder.mkdir()
        paths = [Path(shutil.copy(path, folder / f"{n}.dcm")) for n, path in enumerate(whole)]
        for _ in range(dice.choice((0, 1, 1, 2))):
            dice.choice(MUTATIONS)([path for path in paths if path.exists()], dice)

        with open_survey(ctx) as survey:
            for one in survey.series:
                if one.verdict.readiness is Readiness.READY:
                    ready += 1
                    check_whole(one.slices)
                    check_all_there(folder, one.slices)
        shutil.rmtree(folder)

    assert 0 < ready < 2 * TRIALS
