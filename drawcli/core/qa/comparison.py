"""Compares two structure sets, structure by structure: outcome and figures."""

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from shapely.errors import GEOSException

from drawcli.core.qa import DEFAULT_TAU_MM
from drawcli.core.qa.axes import Axes, Floats
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.overlap import (
    PathLengths,
    common_mm3,
    ends_moved,
    is_untouched,
    kept_length,
    path_lengths,
    same_slices,
)
from drawcli.core.qa.pairing import Pair, pair_rois
from drawcli.core.qa.structures import RoiContours, Solid, flattened, slice_step, solids_of

_MM3_OF_CM3: Final = 1000.0
_REDRAWN: Final = 2 / 3  # share of B's contours on A's, below which B is drawn anew

_NO_OVERLAP: Final = "the contours are so irregular that no overlap can be computed"
_SAME: Final = {"surface_dice": 1.0, "hd_mm": 0.0, "hd95_mm": 0.0, "mean_distance_mm": 0.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class CompareOptions:
    """How structure sets are compared."""

    tau_mm: float = DEFAULT_TAU_MM  # tolerance of surface Dice and of the added path length
    tau_of: Mapping[str, float] = field(default_factory=dict)  # the same by name of the ROI in A
    aliases: Mapping[str, str] = field(default_factory=dict)  # name in B -> name in A
    with_distances: bool = True  # between surfaces; they need SciPy

    def tau(self, name: str) -> float:
        """Return the tolerance for an ROI of A, mm."""
        return self.tau_of.get(name, self.tau_mm)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two structure sets compared."""

    structures: tuple[StructureComparison, ...]
    contours: tuple[tuple[list[Floats], list[Floats]], ...]  # of each structure, in A and in B


def compare_structure_sets(
    first: Sequence[RoiContours],
    second: Sequence[RoiContours],
    options: CompareOptions | None = None,
) -> Comparison:
    """Compare the ROIs of structure set A with those of B.

    Parameters
    ----------
    first, second
        The ROIs of A and of B; see `read_rois`.
    options
        Tolerances, aliases, and whether to compute distances.
    """
    options = options or CompareOptions()
    axes = Axes.of(points for roi in (*first, *second) for points in roi.contours)
    a, b = flattened(first, axes), flattened(second, axes)
    steps = slice_step(a), slice_step(b)  # one slice alone has none: then that of the other file
    pairs = pair_rois(
        list(solids_of(a, steps[0] or steps[1])),
        list(solids_of(b, steps[1] or steps[0])),
        options.aliases,
    )
    compared = tuple(_compare(pair, axes, options) for pair in pairs)
    return Comparison(compared, tuple(_contours(pair, first, second) for pair in pairs))


def _contours(
    pair: Pair, first: Sequence[RoiContours], second: Sequence[RoiContours]
) -> tuple[list[Floats], list[Floats]]:
    named = {one.name for one in pair.b}
    own = [roi.contours for roi in first if pair.a and roi.name == pair.a.name]
    others = [roi.contours for roi in second if roi.name in named]
    return functools.reduce(operator.iadd, own, []), functools.reduce(operator.iadd, others, [])


def _compare(pair: Pair, axes: Axes, options: CompareOptions) -> StructureComparison:
    a, b = pair.a or Solid("", ()), pair.b[0] if len(pair.b) == 1 else Solid("", ())
    named = ", ".join(one.name for one in pair.b)
    facts: dict[str, Any] = {
        "name": pair.a.name if pair.a else named,
        "outcome": _outcome(pair),
        "name_b": named if pair.a and pair.b and named != pair.a.name else None,
        "volume_a_cm3": a.volume_mm3 / _MM3_OF_CM3 if a.slabs else None,
        "volume_b_cm3": sum(one.volume_mm3 for one in pair.b) / _MM3_OF_CM3
        if any(one.slabs for one in pair.b)
        else None,
        "slices_a": len(a.slabs),
        "slices_b": len(b.slabs),
        "note": _note(pair),
    }
    if facts["outcome"] is not None:
        return StructureComparison(**facts)
    tau_mm = options.tau(a.name)
    try:
        lengths = path_lengths(a, b, tau_mm)
        facts |= {"outcome": _drawn(a, b, pair, lengths), "tau_mm": tau_mm}
        facts |= _figures(a, b, axes, lengths)
    except GEOSException:
        facts |= {"outcome": ContourOutcome.NOT_COMPARED, "note": _NO_OVERLAP}
        return StructureComparison(**facts)
    if facts["outcome"] in (ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED):
        facts |= _SAME
    elif options.with_distances:
        facts |= _distances(a, b, tau_mm)
    return StructureComparison(**facts)


def _note(pair: Pair) -> str:
    """Return why, or what of it, is not compared."""
    notes = [one.fault or one.note for one in (pair.a, *pair.b) if one]
    return "; ".join(dict.fromkeys(filter(None, notes)))


def _outcome(pair: Pair) -> ContourOutcome | None:
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
        ContourOutcome.OTHER_FRAME: _in_other_frame(pair),
        ContourOutcome.SPLIT: len(pair.b) > 1,
    }
    return next((outcome for outcome, applies in reasons.items() if applies), None)


def _in_other_frame(pair: Pair) -> bool:
    frame = pair.a.frame if pair.a else ""
    return bool(frame) and any(one.frame not in ("", frame) for one in pair.b)


def _drawn(a: Solid, b: Solid, pair: Pair, lengths: PathLengths) -> ContourOutcome:
    """Return the outcome for two structures with contours."""
    if is_untouched(a, b):
        return ContourOutcome.RENAMED if pair.by == "contours" else ContourOutcome.UNTOUCHED
    ranges_overlap = a.slabs[0].low < b.slabs[-1].high and b.slabs[0].low < a.slabs[-1].high
    if ranges_overlap and all(None in slices for slices in same_slices(a, b)):
        return ContourOutcome.OTHER_SLICES
    is_new = not lengths.slices and kept_length(a, b) < _REDRAWN * lengths.total
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
