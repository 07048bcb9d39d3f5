"""How fast contours are compared, beside Dice and Hausdorff distances by plastimatch.

Each pair of structures is compared by drawcli (all figures, from contours), and by plastimatch
(Dice and Hausdorff distances, from masks that are made before the clock starts): on the whole grid,
as it is used, and on masks cropped to the pair, which is the least it can do. Then whole structure
sets as processes, and the memory over the number of pairs.

python bench/qa.py [--structures 30] [--slices 200] [--size 512] [--pairs 60] [--repeat 1] [--json]
"""

import io
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from shutil import which
from subprocess import DEVNULL, run
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
from measure import Row, beside, cpu_seconds, options, peak_mib, tell, unmeasured
from PIL import Image, ImageDraw
from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.core.qa.comparison import compare_structure_sets
from drawcli.core.qa.structures import RoiContours

STEP_MM: Final = 3.0  # between slices; pixels are 1 mm
FEW_PAIRS: Final = 5
OF_A_PAIR: Final = 2  # structures, where memory is measured
_BESIDE_PYTHON: Final = Path(sys.executable).with_name("plastimatch")  # or Debian's, on the PATH
PLASTIMATCH: Final = str(_BESIDE_PYTHON) if _BESIDE_PYTHON.exists() else which("plastimatch")


def organ(seed: int, slices: int, size: int, *, edit: float = 0.0) -> RoiContours:
    """Return an organ of irregular sections: the first as large as a body, the others smaller.

    Parameters
    ----------
    seed
        Its number.
    slices, size
        Of the scan, and of a slice in pixels of 1 mm.
    edit
        The share by which it is larger, and moved in mm.
    """
    chance = np.random.default_rng(seed)
    half = size * (0.35 if seed == 0 else chance.uniform(0.02, 0.12))
    count = slices if seed == 0 else int(chance.integers(max(slices // 10, 3), slices + 1))
    first = 0 if seed == 0 else int(chance.integers(0, slices - count + 1))
    centre = chance.uniform(-0.15, 0.15, 2) * size * (seed > 0) + size / 2 + edit
    angles = np.linspace(0, 2 * np.pi, max(60, int(2 * np.pi * half)), endpoint=False)
    phases, flat = chance.uniform(0, 6, 4), chance.uniform(0.6, 1)
    contours = []
    for number in range(count):
        along = (2 * number + 1) / count - 1
        waves = sum(0.03 * np.sin(k * angles + phases[k - 2] + number / 7) for k in range(2, 6))
        radius = half * (1 + edit * 0.03) * np.sqrt(1 - 0.9 * along**2) * (1 + waves)
        x, y = radius * np.cos(angles), radius * flat * np.sin(angles)
        z = np.full(len(angles), STEP_MM * (first + number))
        contours.append(np.round(np.stack([centre[0] + x, centre[1] + y, z], axis=1), 2))
    return RoiContours(seed + 1, f"Organ {seed}", "1.2.3", contours)


def mask(roi: RoiContours, slices: int, size: int) -> np.ndarray:
    """Return the pixels that a structure encloses: slices x rows x columns."""
    pixels = np.zeros((slices, size, size), np.uint8)
    for contour in roi.contours:
        image = Image.new("L", (size, size))
        ImageDraw.Draw(image).polygon([(x, y) for x, y, _ in contour], fill=1)
        pixels[round(contour[0, 2] / STEP_MM)] |= np.asarray(image)
    return pixels


def write_mha(path: Path, pixels: np.ndarray) -> None:
    """Write pixels as a MetaImage."""
    columns, rows, slices = pixels.shape[::-1]
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"Offset = 0 0 0\nElementSpacing = 1 1 {STEP_MM:g}\nDimSize = {columns} {rows} {slices}\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + pixels.tobytes())


def cropped(pixels: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return two masks without what is empty in both, but for a margin of a voxel."""
    both = pixels[0] | pixels[1]
    filled = [np.flatnonzero(both.any(axis=axes)) for axes in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(max(one[0] - 1, 0), one[-1] + 2) for one in filled)
    return [one[box] for one in pixels]


def theirs(a: Path, b: Path) -> None:
    """Let plastimatch compute Dice and Hausdorff distances."""
    run([PLASTIMATCH, "dice", "--all", a, b], check=True, stdout=DEVNULL, stderr=DEVNULL)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return the CPU and the wall time of something, s."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    work()
    return cpu_seconds() - cpu, time.perf_counter() - wall


def fastest(work: Callable[[], object], repeat: int) -> tuple[float, float]:
    """Return the least CPU and wall time of several turns, s."""
    cpu, wall = zip(*(timed(work) for _ in range(repeat)), strict=True)
    return min(cpu), min(wall)


def by_structure(
    folder: Path, structures: int, slices: int, size: int, *, repeat: int
) -> Iterator[Row]:
    """Compare the time of each structure."""
    ours, whole, least = [], [], []
    a, b = folder / "a.mha", folder / "b.mha"
    for seed in range(structures):
        pair = [organ(seed, slices, size), organ(seed, slices, size, edit=1.0)]
        compare = partial(compare_structure_sets, pair[:1], pair[1:])
        if seed == 0:
            compare()  # what is imported once
        masks = [mask(one, slices, size) for one in pair]
        for told, both in ((whole, masks), (least, cropped(masks))):
            for path, pixels in zip((a, b), both, strict=True):
                write_mha(path, pixels)
            told.append(fastest(partial(theirs, a, b), repeat))
        ours.append(fastest(compare, repeat))
    for number, clock in enumerate(("CPU", "wall")):
        for what, peer, target in (("", whole, 1.0), (", masks cropped", least, None)):
            pairs = [(own[number], other[number]) for own, other in zip(ours, peer, strict=True)]
            yield beside(f"a structure, {clock} / plastimatch{what}", pairs, target=target)


def item(**values: object) -> Dataset:
    """Return a data set of some elements."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def contour(points: np.ndarray) -> Dataset:
    """Return a contour; its numbers as bytes, which pydicom does not look at."""
    made = item(ContourGeometricType="CLOSED_PLANAR", NumberOfContourPoints=len(points))
    text = "\\".join(f"{number:.2f}" for number in points.ravel().tolist())
    made.add_new(0x30060050, "UN", text.encode() + b" " * (len(text) % 2))
    return made


def structure_set(rois: Sequence[RoiContours]) -> bytes:
    """Return ROIs as an RTSTRUCT file."""
    whole = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3", SOPInstanceUID="2.25.1", PatientID="1"
    )
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    whole.StructureSetROISequence = [
        item(ROINumber=roi.number, ROIName=roi.name, ReferencedFrameOfReferenceUID=roi.frame)
        for roi in rois
    ]
    whole.ROIContourSequence = [
        item(
            ReferencedROINumber=roi.number,
            ContourSequence=[contour(one) for one in roi.contours],
        )
        for roi in rois
    ]
    out = io.BytesIO()
    whole.save_as(out, enforce_file_format=True)
    return out.getvalue()


def whole_sets(folder: Path, structures: int, slices: int, size: int) -> Iterator[Row]:
    """Compare the time of whole structure sets: one process of ours, theirs one for each pair."""
    rois = [[organ(n, slices, size, edit=e) for n in range(structures)] for e in (0.0, 1.0)]
    files = [folder / name for name in ("a.dcm", "b.dcm")]
    for path, own in zip(files, rois, strict=True):
        path.write_bytes(structure_set(own))
    a, b = folder / "a.mha", folder / "b.mha"
    cpu = wall = 0.0
    for pair in zip(*rois, strict=True):
        for path, one in zip((a, b), pair, strict=True):
            write_mha(path, mask(one, slices, size))
        spent = timed(partial(theirs, a, b))
        cpu, wall = cpu + spent[0], wall + spent[1]
    words = [sys.executable, "-m", "drawcli", "qa", "compare", *map(str, files), "--json"]
    ours = timed(partial(run, words, check=True, stdout=DEVNULL))
    yield beside("structure sets as processes, CPU", [(ours[0], cpu)], target=1.0)
    yield beside("structure sets as processes, wall", [(ours[1], wall)], target=1.0)


def memory(pairs: int) -> Iterator[Row]:
    """Compare the memory over the number of pairs."""
    numbers = sorted({min(FEW_PAIRS, pairs), max(pairs // 3, 1), pairs})
    peaks = [peak_mib([__file__, "--only-pairs", str(number)]) for number in numbers]
    for number, peak in zip(numbers[1:], peaks[1:], strict=True):
        yield beside(
            f"memory, {number} / {numbers[0]} pairs",
            [(peak, peaks[0])],
            target=1.1,
            unit="MiB",
            curve="contours: memory, by pairs",
            size=number,
        )


def compare_pairs(count: int) -> None:
    """Compare so many pairs of structure sets, one after the other."""
    for number in range(count):
        both = [
            [organ(1 + OF_A_PAIR * number + n, 60, 256, edit=e) for n in range(OF_A_PAIR)]
            for e in (0.0, 1.0)
        ]
        compare_structure_sets(*both)


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    parser = options(__doc__, structures=30, slices=200, size=512, pairs=60, repeat=1)
    parser.add_argument("--only-pairs", type=int, help="used by the bench itself")
    given = parser.parse_args()
    if given.only_pairs is not None:
        compare_pairs(given.only_pairs)
        return 0
    sizes = given.structures, given.slices, given.size
    found: list[Row] = []
    with TemporaryDirectory() as name:
        if PLASTIMATCH:
            found += by_structure(Path(name), *sizes, repeat=given.repeat)
            found += whole_sets(Path(name), *sizes)
        else:
            found.append(unmeasured("a structure / plastimatch", "not installed: plastimatch"))
    found += memory(given.pairs)
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
