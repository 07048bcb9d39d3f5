"""The table of compared structures."""

from math import hypot
from typing import TYPE_CHECKING, Final

from drawcli.cli import render
from drawcli.system.printable import volume_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from drawcli.core.qa.outcomes import StructureComparison

LONGEST_NAME: Final = 16  # characters in the table


def show_structures(out: "Console", structures: "Iterable[StructureComparison]") -> None:
    """Show the figures of structures, one a line; lengths in mm."""
    from drawcli.operations.qa.page import figure

    titles = (
        "structure",
        "outcome",
        "A cm³",
        "B cm³",
        "Dice",
        "sDice",
        "HD95",
        "mean",
        "APL",
        "shift",
    )
    rows = [
        (
            render.shortened(one.name, LONGEST_NAME),
            str(one.outcome),
            _volume(one.volume_a_cm3),
            _volume(one.volume_b_cm3),
            figure(one.dice, 3),
            figure(one.surface_dice, 3),
            figure(one.hd95_mm, 1),
            figure(one.mean_distance_mm, 2),
            figure(one.apl_mm, 0),
            figure(None if one.shift_mm is None else hypot(*one.shift_mm), 1),
        )
        for one in structures
    ]
    render.columns(titles, rows, numbers_from=2)(out)
    for one in structures:
        if one.note or one.name_b:
            why = one.note or f"in B {one.name_b}"
            out.print(f"{one.name}: {why}", soft_wrap=True)


def legend(taus: "Sequence[float]", reference: str) -> str:
    """Return what the columns of the table mean; `reference` says what A is."""
    tolerance = " or ".join(f"{tau:g}" for tau in taus)
    within = f"sDice, APL: tolerance {tolerance} mm. " if tolerance else ""
    return f"{within}HD95, mean, APL, shift in mm.{reference}"


def _volume(cm3: float | None) -> str:
    from drawcli.operations.qa.page import NO_FIGURE

    return NO_FIGURE if cm3 is None else volume_text(cm3)
