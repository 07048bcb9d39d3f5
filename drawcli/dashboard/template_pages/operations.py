"""What the operations of derived structures do: in words, and as small pictures."""

from typing import Final, NamedTuple

from markupsafe import Markup

_A, _B = (
    '<circle class="from" cx="26" cy="22" r="14"/>',
    '<circle class="from" cx="46" cy="22" r="14"/>',
)
_LEFT_PART: Final = "M36 12.2A14 14 0 1 0 36 31.8A14 14 0 0 1 36 12.2Z"


class Operation(NamedTuple):
    """An operation of `derived`, for a page."""

    name: str  # as in templates.yaml
    title: str
    meaning: str
    inside: str  # of its picture: sources are dashed, the result is filled

    @property
    def picture(self) -> Markup:
        """The picture; the title beside it says what it shows."""
        return Markup(  # noqa: S704 - constants of this module
            f'<svg class="operation" viewBox="0 0 72 44" aria-hidden="true">{self.inside}</svg>'
        )


def _result(shape: str) -> str:
    return f'<path class="made" d="{shape}"/>'


def _disc(x: int, y: int, r: int) -> str:
    return f"M{x - r} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0Z"


_SHOWN: Final = (
    Operation(
        "union",
        "Union",
        "everything that is in one of the structures",
        _result(_disc(26, 22, 14)) + _result(_disc(46, 22, 14)) + _A + _B,
    ),
    Operation(
        "intersection",
        "Intersection",
        "only what is in all of the structures",
        _result("M36 12.2A14 14 0 0 1 36 31.8A14 14 0 0 1 36 12.2Z") + _A + _B,
    ),
    Operation(
        "subtraction",
        "Subtraction",
        "the first structure without the others",
        _result(_LEFT_PART) + _A + _B,
    ),
    Operation(
        "margin",
        "Margin",
        "larger by so many mm in all directions; smaller if negative",
        _result(_disc(36, 22, 18)) + '<circle class="from" cx="36" cy="22" r="11"/>',
    ),
    Operation(
        "crop",
        "Crop",
        "the part inside or outside of another structure, so many mm away from it",
        _result("M37 13.3A14 14 0 1 0 37 30.7A14 14 0 0 1 37 13.3Z")
        + _A
        + '<circle class="from" cx="48" cy="22" r="10"/>',
    ),
    Operation(
        "smooth",
        "Smooth",
        "corners and thin parts below so many mm are rounded off",
        _result("M22 12Q24 8 34 9L46 11Q54 14 53 24Q52 34 42 34L28 34Q19 33 19 24Z")
        + '<path class="from" d="M18 8L30 11 34 4 40 11 56 9 52 20 58 26 51 28 53 38 38 33 '
        '30 40 28 33 15 36 20 26 14 20 20 18Z"/>',
    ),
    Operation(
        "fill_holes",
        "Fill holes",
        "holes within the structure are filled",
        _result(_disc(36, 22, 17)) + '<circle class="from" cx="36" cy="22" r="17"/>'
        '<circle class="from" cx="38" cy="21" r="6"/>',
    ),
    Operation(
        "remove_small",
        "Remove small parts",
        "parts below so many cm³ are removed",
        _result(_disc(27, 22, 15))
        + _result(_disc(56, 11, 7))
        + '<circle class="from" cx="57" cy="34" r="4"/>',
    ),
    Operation(
        "keep_largest",
        "Keep the largest part",
        "only the largest part is kept",
        _result(_disc(27, 22, 15)) + '<circle class="from" cx="56" cy="11" r="7"/>'
        '<circle class="from" cx="57" cy="34" r="4"/>',
    ),
)
OPERATIONS_SHOWN: Final = {one.name: one for one in _SHOWN}
