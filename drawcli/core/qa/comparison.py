"""Compares two structure sets, structure by structure: outcome and figures."""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Final

import numpy as np

from drawcli.core.qa import DEFAULT_TAU_MM
from drawcli.core.qa.overlap import (
    PathLengths,
    common_mm3,
    ends_moved,
    is_untouched,
    path_lengths,
    same_slices,
)
from drawcli.core.qa.pairing import Pair, pair_rois
from drawcli.core.qa.structures import Axes, Floats, RoiContours, Solid, solids_of

_MM3_OF_CM3: Final = 1000.0
_REDRAWN: Final = 2 / 3  # share of B's contours on A's, below which B is drawn anew

_SAME: Final = {"surface_dice": 1.0, "hd_mm": 0.0, "hd95_mm": 0.0, "mean_distance_mm": 0.0}


class ContourOutcome(StrEnum):
    """What became of a structure of A in B."""

    UNTOUCHED = "untouched"  # the same contours, within 0.01 mm
    EDITED = "edited"  # the same in some slices, or two thirds of B's contours lie on A's
    REDRAWN = "redrawn"  # neither
    RENAMED = "renamed"  # the same contours under another name
    SPLIT = "split"  # several ROIs of B together are the ROI of A
    OTHER_SLICES = "other-slices"  # no slice has contours of both, although their ranges overlap
    EMPTIED = "emptied"  # B has the ROI without contours
    FILLED = "filled"  # A has the ROI without contours, B with
    EMPTY = "empty"  # neither has contours
    REMOVED = "removed"  # B has no such ROI
    ADDED = "added"  # A has no such ROI
    AMBIGUOUS = "ambiguous"  # several ROIs have the name
    OTHER_FRAME = "other-frame"  # the files have different frames of reference
    NOT_COMPARED = "not-compared"  # the contours of a file cannot be read; `note` says why


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureComparison:
    """One structure; a figure that has no meaning is None.

    Distances, lengths and shifts in mm, volumes in cm3; A is the reference, B the other.
    """

    name: str  # in A; in B if A has none
    outcome: ContourOutcome
    name_b: str | None = None  # if it is another
    dice: float | None = None
    surface_dice: float | None = None
    hd_mm: float | None = None
    hd95_mm: float | None = None
    mean_distance_mm: float | None = None
    apl_mm: float | None = None
    apl_share: float | None = None  # of the length of B's contours
    volume_a_cm3: float | None = None
    volume_b_cm3: float | None = None
    over_cm3: float | None = None  # of A outside B
    under_cm3: float | None = None  # of B outside A
    shift_mm: tuple[float, float, float] | None = None  # of the centroid: left, posterior, superior
    slices_a: int = 0
    slices_b: int = 0
    ends_moved: tuple[int, int] | None = None  # slices added (+) or removed (-): lower, upper end
    step_mm: float | None = None  # of the grid for the distances
    note: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Return the comparison as a JSON object, figures with four decimals."""
        plain = {one.name: _rounded(getattr(self, one.name)) for one in fields(self)}
        return plain | {"outcome": str(self.outcome)}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) + 0.0 if isinstance(value, float) else value  # no negative zero


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two structure sets compared."""

    structures: tuple[StructureComparison, ...]
    contours: tuple[tuple[list[Floats], list[Floats]], ...]  # of each structure, in A and in B


def compare_structure_sets(
    first: Sequence[RoiContours],
    second: Sequence[RoiContours],
    *,
    tau_mm: float = DEFAULT_TAU_MM,
    aliases: Mapping[str, str] | None = None,
    with_distances: bool = True,
) -> Comparison:
    """Compare the ROIs of structure set A with those of B.

    Parameters
    ----------
    first, second
        The ROIs of A and of B; see `read_rois`.
    tau_mm
        Tolerance of surface Dice and of the added path length.
    aliases
        Name in B -> name in A.
    with_distances
        Whether to compute distances between surfaces, which need SciPy.
    """
    axes = Axes.of(points for roi in (*first, *second) for points in roi.contours)
    frames = [{roi.frame for roi in rois if roi.frame} for rois in (first, second)]
    other_frame = all(frames) and not frames[0] & frames[1]
    pairs = pair_rois(list(solids_of(first, axes)), list(solids_of(second, axes)), aliases)
    compared = tuple(
        _compare(pair, axes, tau_mm, with_distances=with_distances, other_frame=other_frame)
        for pair in pairs
    )
    return Comparison(compared, tuple(_contours(pair, first, second) for pair in pairs))


def _contours(
    pair: Pair, first: Sequence[RoiContours], second: Sequence[RoiContours]
) -> tuple[list[Floats], list[Floats]]:
    named = {one.name for one in pair.b}
    own = [roi.contours for roi in first if pair.a and roi.name == pair.a.name]
    others = [roi.contours for roi in second if roi.name in named]
    return functools.reduce(operator.iadd, own, []), functools.reduce(operator.iadd, others, [])


def _compare(
    pair: Pair, axes: Axes, tau_mm: float, *, with_distances: bool, other_frame: bool
) -> StructureComparison:
    a, b = pair.a or Solid("", ()), pair.b[0] if len(pair.b) == 1 else Solid("", ())
    named = ", ".join(one.name for one in pair.b)
    facts: dict[str, Any] = {
        "name": pair.a.name if pair.a else named,
        "outcome": _outcome(pair, other_frame=other_frame),
        "name_b": named if pair.a and pair.b and named != pair.a.name else None,
        "volume_a_cm3": a.volume_mm3 / _MM3_OF_CM3 if a.slabs else None,
        "volume_b_cm3": sum(one.volume_mm3 for one in pair.b) / _MM3_OF_CM3
        if any(one.slabs for one in pair.b)
        else None,
        "slices_a": len(a.slabs),
        "slices_b": len(b.slabs),
        "note": a.fault or b.fault,
    }
    if facts["outcome"] is not None:
        return StructureComparison(**facts)
    lengths = path_lengths(a, b, tau_mm)
    facts["outcome"] = _drawn(a, b, pair, lengths)
    facts |= _figures(a, b, axes, lengths)
    if facts["outcome"] in (ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED):
        facts |= _SAME
    elif with_distances:
        facts |= _distances(a, b, tau_mm)
    return StructureComparison(**facts)


def _outcome(pair: Pair, *, other_frame: bool) -> ContourOutcome | None:
    """Return the outcome if there are no two drawn structures to compare."""
    drawn = bool(pair.a and pair.a.slabs), any(one.slabs for one in pair.b)
    reasons = {
        ContourOutcome.AMBIGUOUS: pair.ambiguous,
        ContourOutcome.ADDED: pair.a is None,
        ContourOutcome.REMOVED: not pair.b,
        ContourOutcome.NOT_COMPARED: any(one.fault for one in (pair.a, *pair.b) if one),
        ContourOutcome.EMPTY: drawn == (False, False),
        ContourOutcome.EMPTIED: drawn == (True, False),
        ContourOutcome.FILLED: drawn == (False, True),
        ContourOutcome.OTHER_FRAME: other_frame,
        ContourOutcome.SPLIT: len(pair.b) > 1,
    }
    return next((outcome for outcome, applies in reasons.items() if applies), None)


def _drawn(a: Solid, b: Solid, pair: Pair, lengths: PathLengths) -> ContourOutcome:
    """Return the outcome for two structures with contours."""
    if is_untouched(a, b):
        return ContourOutcome.RENAMED if pair.by == "contours" else ContourOutcome.UNTOUCHED
    ranges_overlap = a.slabs[0].low < b.slabs[-1].high and b.slabs[0].low < a.slabs[-1].high
    if ranges_overlap and all(None in slices for slices in same_slices(a, b)):
        return ContourOutcome.OTHER_SLICES
    is_new = not lengths.slices and lengths.kept < _REDRAWN * lengths.total
    return ContourOutcome.REDRAWN if is_new else ContourOutcome.EDITED


def _figures(a: Solid, b: Solid, axes: Axes, lengths: PathLengths) -> dict[str, Any]:
    common, volume_a, volume_b = common_mm3(a, b), a.volume_mm3, b.volume_mm3
    left, posterior, superior = axes.to_patient(np.asarray(b.centroid - a.centroid)).tolist()
    return {
        "dice": 2 * common / (volume_a + volume_b),
        "apl_mm": lengths.added,
        "apl_share": lengths.added / lengths.total,
        "over_cm3": max(volume_a - common, 0.0) / _MM3_OF_CM3,
        "under_cm3": max(volume_b - common, 0.0) / _MM3_OF_CM3,
        "shift_mm": (left, posterior, superior),
        "ends_moved": ends_moved(a, b),
    }


def _distances(a: Solid, b: Solid, tau_mm: float) -> dict[str, Any]:
    from drawcli.core.qa.distances import surface_distances
    from drawcli.core.qa.surfaces import step_for, surface_of

    step = max(step_for(a), step_for(b))
    found = surface_distances(surface_of(a, step), surface_of(b, step), tau_mm)
    return {
        "surface_dice": found.surface_dice,
        "hd_mm": found.hd,
        "hd95_mm": found.hd95,
        "mean_distance_mm": found.mean,
        "step_mm": step,
    }
