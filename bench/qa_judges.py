"""The figures of contours beside those of independent packages, as a table.

Every structure of RTSTRUCT files, and randomly edited copies of it: drawcli's figures from the
contours; those of plastimatch, surface-distance, pymeshmetrics and platipy from voxels of the same
contours. What differs, and why, is in docs/explanation/metrics-agreement.md.

    python bench/qa_judges.py FOLDER ... [--platipy PYTHON] [--most 5] [--json]

Folders are searched for RTSTRUCT files. `--platipy` names a Python that has it; it needs an older
numpy. `--most` is how many structures of a file are taken. A judge that is missing is left out.
"""

import argparse
import json
import sys
import tempfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.util import find_spec
from math import ceil, sqrt
from pathlib import Path
from shutil import which
from subprocess import PIPE, run
from typing import Any, Final

import numpy as np
import shapely

from drawcli.core.gate.acceptance import STRUCTURE_SET
from drawcli.core.qa.axes import Axes
from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
from drawcli.core.qa.distances import _directed, _percentile
from drawcli.core.qa.outcomes import StructureComparison
from drawcli.core.qa.overlap import path_lengths
from drawcli.core.qa.structures import (
    RoiContours,
    Solid,
    flattened,
    slice_step,
    solids_of,
)
from drawcli.core.qa.surfaces import step_for, surface_of
from drawcli.errors import DrawcliError
from drawcli.operations.qa.compare import read_structure_set

BEGIN: Final = 20_000  # bytes of a file, in which its SOP class is
TAU_MM: Final = 3.0
FINEST_MM, MOST_PIXELS = 0.5, 160  # of a mask: pixels, and pixels at a side
FEWEST_SLICES: Final = 4
THICKEST_MM: Final = 10.0  # slices; voxels that are thicker say nothing of distances
PIXELS_OF_LENGTH: Final = 0.65, 1.15  # counted pixels of a contour over its length
OF_DIAGONAL: Final = {  # how far a mean may be off
    "pymeshmetrics": 0.15,
    "surface-distance": 0.3,
    "plastimatch": 0.4,
    "platipy": 0.4,
}
SQUARE_MM: Final = 10.0  # the side of the part that an edit adds: 40 mm a slice are added
_BESIDE_PYTHON: Final = Path(sys.executable).with_name("plastimatch")
PLASTIMATCH: Final = str(_BESIDE_PYTHON) if _BESIDE_PYTHON.exists() else which("plastimatch")
FIGURES: Final = ("dice", "hd", "hd95", "mean", "surface_dice", "apl")
_PLATIPY: Final = """
import json, sys
import numpy as np, SimpleITK as sitk
from platipy.imaging.label import comparison as c
for line in sys.stdin:
    file = np.load(line.strip())
    a, b = (sitk.GetImageFromArray(file[name].astype(np.uint8)) for name in "ab")
    for image in (a, b):
        image.SetSpacing(file["spacing"].tolist())
    told = c.compute_surface_metrics(a, b)
    print(json.dumps({
        "dice": c.compute_volume_metrics(a, b)["DSC"],
        "hd": told["hausdorffDistance"],
        "mean": told["meanSurfaceDistance"],
        "surface_dice": c.compute_surface_dsc(a, b, float(file["tau"])),
        "apl": c.compute_metric_total_apl(b, a, float(file["tau"])),
    }), flush=True)
"""

Range = tuple[float, float]
Masks = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Case:
    """A pair of structures, as voxels and as told by drawcli."""

    name: str
    masks: Masks  # slices x rows x columns
    spacing: tuple[float, float, float]  # of the slices, rows and columns, mm
    figures: dict[str, float]
    ranges: dict[str, Range]  # ours for tolerances and shares close to those of the figures
    added_mm: float | None  # the path that the edit added, if that is known
    width_mm: float  # volume over surface: what a Dice from voxels depends on

    @property
    def diagonal(self) -> float:
        """The diagonal of a voxel, mm."""
        return diagonal(self.spacing)


def rois_in(folders: Iterable[Path]) -> Iterator[tuple[str, RoiContours]]:
    """Yield the structures of all RTSTRUCT files in folders, each file once."""
    seen = set()
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as stream:
            begin = stream.read(BEGIN)
        if STRUCTURE_SET.encode() not in begin or begin in seen:
            continue
        seen.add(begin)
        with suppress(DrawcliError):
            for roi in read_structure_set(path).rois:
                yield f"{path.parent.name}/{path.name}", roi


def solid_of(roi: RoiContours) -> tuple[Solid, Axes, float]:
    """Return a structure as slabs, its axes and the distance of its slices, mm."""
    axes = Axes.of(roi.contours)
    flat = flattened([roi], axes)
    step = slice_step(flat)
    (solid,) = solids_of(flat, step)
    return solid, axes, step


def edited(roi: RoiContours, axes: Axes, chance: np.random.Generator) -> Iterator[Any]:
    """Yield edited copies of a structure: what was done, the copy, and the path that it adds."""
    flat = [axes.from_patient(one) for one in roi.contours]
    levels = sorted({round(float(one[:, 2].mean()), 2) for one in flat})
    middle = np.concatenate(flat).mean(axis=0)

    def copy(contours: Iterable[np.ndarray]) -> RoiContours:
        return replace(roi, contours=[one @ axes.matrix for one in contours])

    by = np.array([*chance.uniform(-4, 4, 2), 0.0])
    yield "moved", copy(one + by for one in flat), None
    factor = np.array([*(chance.uniform(0.85, 1.15, 2)), 1.0])
    yield "scaled", copy(middle + (one - middle) * factor for one in flat), None
    lost = levels[-1]
    fewer = [one for one in flat if abs(one[:, 2].mean() - lost) > 0.05]  # noqa: PLR2004 - mm
    yield "one slice fewer", copy(fewer), 0.0
    high = np.max([one.max(axis=0) for one in flat], axis=0)
    corner = np.array([high[0] + 2 * TAU_MM + 2, middle[1], 0.0])
    square = np.array([(0, 0, 0), (1, 0, 0), (1, 1, 0), (0, 1, 0)]) * SQUARE_MM + corner
    at = chance.choice(levels, size=max(2, len(levels) // 3), replace=False)
    parts = [square + np.array([0, 0, level]) for level in at]
    yield "with a part more", copy([*flat, *parts]), 4 * SQUARE_MM * len(at)


def mask_of(solid: Solid, lowest: float, step: float, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the voxels whose centres lie in a structure, on the slices it has."""
    numbers = [round((slab.level - lowest) / step) for slab in solid.slabs]
    found = np.zeros((max(numbers) + 1, len(y), len(x)), bool)
    grid = np.meshgrid(x, y)
    for number, slab in zip(numbers, solid.slabs, strict=True):
        shapely.prepare(slab.area)
        found[number] |= shapely.contains_xy(slab.area, *grid)
    return found


def is_regular(solid: Solid, step: float) -> bool:
    """Return whether each slice is as thick as a voxel."""
    off = max(abs(slab.high - slab.low - step) for slab in solid.slabs)
    low = solid.slabs[0].level
    places = [(slab.level - low) / step for slab in solid.slabs]
    return off < 0.05 * step and max(abs(at - round(at)) for at in places) < 0.05  # noqa: PLR2004


def case_of(name: str, a: RoiContours, b: RoiContours, added: float | None) -> Case | None:
    """Return a pair to be judged; None if its slices are not those of voxels."""
    (solid_a, axes, step), (solid_b, _, _) = solid_of(a), solid_of(b)
    (solid_b,) = solids_of(flattened([b], axes), step)
    both = solid_a, solid_b
    if step > THICKEST_MM or not all(one.slabs and is_regular(one, step) for one in both):
        return None
    areas = [slab.area for solid in (solid_a, solid_b) for slab in solid.slabs]
    left, low, right, high = shapely.total_bounds(areas).tolist()
    pixel = max(FINEST_MM, ceil(2 * max(right - left, high - low) / MOST_PIXELS) / 2)
    x = np.arange(left - 2.3 * pixel, right + 2.3 * pixel, pixel)
    y = np.arange(low - 2.3 * pixel, high + 2.3 * pixel, pixel)
    lowest = min(solid_a.slabs[0].level, solid_b.slabs[0].level) - step
    masks = [mask_of(solid, lowest, step, x, y) for solid in (solid_a, solid_b)]
    slices = max(map(len, masks)) + 1
    padded = tuple(np.pad(one, ((0, slices - len(one)), (0, 0), (0, 0))) for one in masks)
    (found,) = compare_structure_sets([a], [b], CompareOptions(tau_mm=TAU_MM)).structures
    if not all(one.any() for one in padded) or found.hd_mm is None or found.dice is None:
        return None
    walls = sum(slab.area.length * (slab.high - slab.low) for slab in solid_a.slabs)
    lids = 2 * max(slab.area.area for slab in solid_a.slabs)
    spacing = step, pixel, pixel
    return Case(
        name=name,
        masks=(padded[0], padded[1]),
        spacing=spacing,
        figures=told_by_drawcli(found),
        ranges=ranges_of(solid_a, solid_b, spacing),
        added_mm=added,
        width_mm=solid_a.volume_mm3 / (walls + lids),
    )


def diagonal(spacing: Sequence[float]) -> float:
    """Return the diagonal of a voxel, mm."""
    return sqrt(sum(mm * mm for mm in spacing))


def ranges_of(a: Solid, b: Solid, spacing: tuple[float, float, float]) -> dict[str, Range]:
    """Return ours for tolerances half a voxel below and above tau, and for shares near 95 %."""
    step = max(step_for(a), step_for(b))
    surfaces = surface_of(a, step), surface_of(b, step)
    off = diagonal(spacing) / 2
    directed = [
        (_directed(one.samples, other.quads), one.areas)
        for one, other in (surfaces, surfaces[::-1])
    ]
    area = sum(weight.sum() for _, weight in directed)
    close = [
        sum(weight[away <= TAU_MM + sign * off].sum() for away, weight in directed) / area
        for sign in (-1, 1)
    ]
    shares = {share: [_percentile(*one, share / 100) for one in directed] for share in (90, 93, 97)}
    added = [path_lengths(a, b, TAU_MM + sign * 2 * spacing[1]).added for sign in (1, -1)]
    return {
        "surface_dice": (close[0], close[1]),
        "apl": (added[0], added[1]),
        "hd95": (max(shares[93]), max(shares[97])),
        "hd95, mean": (sum(shares[90]) / 2, sum(shares[97]) / 2),
    }


def told_by_drawcli(found: StructureComparison) -> dict[str, float]:
    """Return our figures under the names used here."""
    names = ("dice", "hd_mm", "hd95_mm", "mean_distance_mm", "surface_dice", "apl_mm")
    return {key: getattr(found, name) or 0.0 for key, name in zip(FIGURES, names, strict=True)}


def cases_of(rois: Iterable[tuple[str, RoiContours]], most: int) -> Iterator[Case]:
    """Yield each structure with its edited copies, of each file so many structures."""
    taken: dict[str, int] = defaultdict(int)
    for file, roi in rois:
        usable = roi.contours and not roi.fault and taken[file] < most
        if not usable:
            continue
        solid, axes, _ = solid_of(roi)
        if len(solid.slabs) < FEWEST_SLICES:
            continue
        chance = np.random.default_rng(zlib.crc32(f"{file} {roi.number}".encode()))
        found = [
            case
            for what, copy, added in edited(roi, axes, chance)
            if (case := case_of(f"{file}, {roi.number}, {what}", roi, copy, added))
        ]
        taken[file] += bool(found)
        yield from found


def by_surface_distance(case: Case) -> dict[str, float]:
    """Return what surface-distance says."""
    import surface_distance as peer

    away = peer.compute_surface_distances(*case.masks, case.spacing)
    return {
        "dice": peer.compute_dice_coefficient(*case.masks),
        "hd": peer.compute_robust_hausdorff(away, 100),
        "hd95": peer.compute_robust_hausdorff(away, 95),
        "mean": float(np.mean(peer.compute_average_surface_distance(away))),
        "surface_dice": peer.compute_surface_dice_at_tolerance(away, TAU_MM),
    }


def by_meshmetrics(case: Case) -> dict[str, float]:
    """Return what pymeshmetrics says."""
    import meshmetrics

    peer = meshmetrics.DistanceMetrics(verbose=False)
    a, b = (np.ascontiguousarray(one.transpose(2, 1, 0)) for one in case.masks)
    peer.set_input(a, b, spacing=case.spacing[::-1])
    return {
        "dice": float(peer.dsc()),
        "hd": float(peer.hd()),
        "hd95": float(peer.hd(95)),
        "mean": float(peer.masd()),
        "surface_dice": float(peer.nsd(TAU_MM)),
    }


def by_plastimatch(case: Case) -> dict[str, float]:
    """Return what plastimatch says."""
    told = {}
    with tempfile.TemporaryDirectory() as name:
        files = [Path(name, f"{letter}.mha") for letter in "ab"]
        for path, mask in zip(files, case.masks, strict=True):
            write_mha(path, mask.astype(np.uint8), case.spacing)
        done = run([str(PLASTIMATCH), "dice", "--all", *files], check=True, stdout=PIPE, text=True)
    for line in done.stdout.splitlines():
        key, _, value = line.replace("=", ":").partition(":")
        told[key.strip()] = value.strip()
    return {
        "dice": float(told["DICE"]),
        "hd": float(told["Hausdorff distance (boundary)"]),
        "mean": float(told["Avg average Hausdorff distance (boundary)"]),
        "hd95": float(told["Percent (0.95) Hausdorff distance (boundary)"]),
    }


def write_mha(path: Path, pixels: np.ndarray, spacing: Sequence[float]) -> None:
    """Write pixels as a MetaImage."""
    columns, rows, slices = pixels.shape[::-1]
    header = (
        "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
        f"Offset = 0 0 0\nElementSpacing = {spacing[2]} {spacing[1]} {spacing[0]}\n"
        f"DimSize = {columns} {rows} {slices}\n"
        "ElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    path.write_bytes(header.encode() + pixels.tobytes())


def by_platipy(cases: Sequence[Case], python: str) -> list[dict[str, float]]:
    """Return what platipy says of all pairs, by a process of its own Python."""
    with tempfile.TemporaryDirectory() as name:
        paths = []
        for number, case in enumerate(cases):
            paths.append(Path(name, f"{number}.npz"))
            a, b = case.masks
            np.savez(paths[-1], a=a, b=b, spacing=np.array(case.spacing[::-1]), tau=TAU_MM)
        words = [python, "-W", "ignore", "-c", _PLATIPY]
        text = "\n".join(map(str, paths))
        done = run(words, input=text, stdout=PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def judges(python: str | None) -> dict[str, Callable[[Sequence[Case]], list[dict[str, float]]]]:
    """Return the judges that are installed."""
    found: dict[str, Callable[[Sequence[Case]], list[dict[str, float]]]] = {}
    if find_spec("surface_distance"):
        found["surface-distance"] = lambda cases: list(map(by_surface_distance, cases))
    if find_spec("meshmetrics"):
        found["pymeshmetrics"] = lambda cases: list(map(by_meshmetrics, cases))
    if PLASTIMATCH:
        found["plastimatch"] = lambda cases: list(map(by_plastimatch, cases))
    if python:
        found["platipy"] = lambda cases: by_platipy(cases, python)
    return found


def allowed(judge: str, figure: str, case: Case) -> Range:
    """Return between which values a judge's figure may be; the documents say why."""
    pixel, ours = case.spacing[1], case.figures[figure]
    if figure == "apl":
        low, high = case.ranges["apl"]
        few = 4 * pixel * len(case.masks[0])  # a pixel at each end of what was added
        return PIXELS_OF_LENGTH[0] * low - few, PIXELS_OF_LENGTH[1] * high + few
    if figure == "surface_dice":
        low, high = case.ranges["surface_dice"]
        off = 0.10 if judge == "platipy" else 0.05
        return low - off, high + off
    if figure == "hd95":
        low, high = case.ranges["hd95, mean" if judge == "plastimatch" else "hd95"]
        return low - case.diagonal, high + case.diagonal
    if figure == "dice":
        off = 0.002 + 0.12 * pixel / case.width_mm
    elif figure == "mean":
        off = OF_DIAGONAL[judge] * case.diagonal
    else:
        off = case.diagonal
    return ours - off, ours + off


@dataclass(frozen=True)
class Agreement:
    """How far a judge's figure is from ours, over all pairs."""

    judge: str
    figure: str
    off: list[float]  # absolute differences
    outside: list[Case]  # pairs whose figure is not between what is allowed
    room: float  # the median of what is allowed to either side


def agreements(
    cases: Sequence[Case], python: str | None, only: str | None = None
) -> Iterator[Agreement]:
    """Yield how far each judge's figures are from ours."""
    for judge, ask in judges(python).items():
        if only not in (None, judge):
            continue
        told = ask(cases)
        for figure in FIGURES:
            if figure not in told[0]:
                continue
            values = [one[figure] for one in told]
            ranges = [allowed(judge, figure, case) for case in cases]
            yield Agreement(
                judge,
                figure,
                [
                    abs(value - case.figures[figure])
                    for case, value in zip(cases, values, strict=True)
                ],
                [
                    case
                    for case, value, (low, high) in zip(cases, values, ranges, strict=True)
                    if not low <= value <= high
                ],
                float(np.median([(high - low) / 2 for low, high in ranges])),
            )


def known_paths(cases: Iterable[Case]) -> list[float]:
    """Return how far our added path is from that of edits of known length, mm."""
    return [abs(case.figures["apl"] - case.added_mm) for case in cases if case.added_mm is not None]


def table(found: Iterable[Agreement]) -> str:
    """Return the agreement as a table for the documents."""
    lines = ["| judge | figure | pairs | median | 95 % | largest | bound | outside |"]
    lines.append("|---|---|---:|---:|---:|---:|---:|---:|")
    for one in found:
        middle, most, all_of_them = (np.quantile(one.off, share) for share in (0.5, 0.95, 1))
        lines.append(
            f"| {one.judge} | {one.figure} | {len(one.off)} | {middle:.3g} | {most:.3g} "
            f"| {all_of_them:.3g} | {one.room:.3g} | {len(one.outside)} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print the table; 1 if a figure is outside its bound."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--platipy", metavar="PYTHON")
    parser.add_argument("--most", type=int, default=5)
    parser.add_argument("--only", metavar="JUDGE")
    parser.add_argument("--worst", action="store_true", help="name the pairs outside")
    given = parser.parse_args()
    cases = list(cases_of(rois_in(given.folders), given.most))
    found = list(agreements(cases, given.platipy, given.only))
    known = known_paths(cases)
    files = sorted({case.name.split(",")[0] for case in cases})
    print(f"{len(cases)} pairs of {len(files)} files: {'; '.join(files)}\n")
    print(table(found))
    print(f"\nadded path of {len(known)} edits of known length: at most {max(known):.2g} mm off")
    if given.worst:
        for one in found:
            for case in one.outside:
                print(one.judge, one.figure, case.name, case.figures, case.ranges, case.spacing)
    return int(any(one.outside for one in found))


if __name__ == "__main__":
    sys.exit(main())
