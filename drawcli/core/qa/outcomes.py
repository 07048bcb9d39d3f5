"""The result of a comparison for one structure: outcome and figures."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from functools import cache
from types import UnionType
from typing import Any, Final, Self, get_args, get_origin


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
    tau_mm: float | None = None  # tolerance of surface Dice and added path length
    note: str = ""

    def as_plain(self) -> dict[str, Any]:
        """Return the comparison as a JSON object, figures with four decimals."""
        plain = {name: _rounded(getattr(self, name)) for name in _FIELDS}
        return plain | {"outcome": str(self.outcome)}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a comparison from what `as_plain` returned; unknown fields are left out.

        Raises
        ------
        ValueError
            If a field is missing, the outcome is unknown, or a figure is impossible.
        """
        try:
            facts = {name: _tuple(plain[name]) for name in _FIELDS if name in plain}
            made = cls(**facts | {"outcome": ContourOutcome(plain["outcome"])})
        except (KeyError, TypeError) as err:
            raise ValueError(f"not a comparison: {err}") from None
        check_types(made)
        for name, most in _MOST.items():
            value = getattr(made, name)
            if value is not None and not 0 <= value <= most:
                raise ValueError(f"{name} cannot be {value}")
        return made


def check_types(made: Any) -> None:
    """Raise ValueError if a record from a file has a value of another type, or a time no zone."""
    for name, kinds in _types_of(made.__class__):
        value = getattr(made, name)
        kind = type(value)
        if kind not in kinds or (kind is datetime and value.tzinfo is None):
            raise ValueError(f"{name} cannot be {value!r:.40}")


@cache
def _types_of(cls: Any) -> tuple[tuple[str, frozenset[Any]], ...]:
    """Return the types that the fields of a class may have."""
    return tuple((item.name, frozenset(_types_in(item.type))) for item in fields(cls))


def _types_in(given: Any) -> Iterator[Any]:
    for one in get_args(given) if isinstance(given, UnionType) else (given,):
        kind = get_origin(one) or one
        yield dict if kind is Mapping else kind
        if kind is float:
            yield int


_FIELDS: Final = tuple(item.name for item in fields(StructureComparison))
_SHARES: Final = ("dice", "surface_dice", "apl_share")
_MOST: Final = {  # possible figures are from 0 to
    item.name: 1.0 if item.name in _SHARES else 1e9
    for item in fields(StructureComparison)
    if item.type == float | None
}


def _tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_rounded(one) for one in value]
    return round(value, 4) + 0.0 if isinstance(value, float) else value  # no negative zero
