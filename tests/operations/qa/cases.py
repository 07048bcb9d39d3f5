"""Records of delivered and clinical structure sets, as many as a test needs."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.records import PairRecord, PairStatus
from tests.conftest import NOON

EDITED, UNTOUCHED = ContourOutcome.EDITED, ContourOutcome.UNTOUCHED


def edited(name: str, dice: float, **facts: object) -> StructureComparison:
    """Return a structure whose distances follow from its Dice; all are worse as it falls."""
    loss = 1 - dice
    figures = {
        "dice": dice,
        "surface_dice": 1 - loss / 2,
        "hd_mm": 60 * loss,
        "hd95_mm": 40 * loss,
        "mean_distance_mm": 10 * loss,
        "apl_mm": 3000 * loss,
        "apl_share": loss,
    }
    outcome = EDITED if loss else UNTOUCHED
    return StructureComparison(name=name, **{"outcome": outcome} | figures | facts)  # type: ignore[arg-type]


def record(number: int, *structures: StructureComparison, **facts: object) -> PairRecord:
    """Return the record of a pair that was compared; deliveries are four hours apart."""
    usual = {
        "status": PairStatus.COMPARED,
        "delivered_at": at(number),
        "template": "Prostate_OAR",
        "catalogue_digest": "first",
        "template_digest": "t",
        "drawcli": "1.2.0",
    }
    return PairRecord(
        job=job(number),
        at=NOON,
        structures=structures,
        **usual | facts,  # type: ignore[arg-type]
    )


def job(number: int) -> str:
    return f"{number:012x}-1"


def at(number: int) -> datetime:
    return NOON + timedelta(hours=4 * number)


def cases(
    first: int, n: int, *, dice: float = 0.92, roi: str = "Bladder", **facts: object
) -> Iterator[PairRecord]:
    """Yield records whose Dice scatters around a value, the same in each run of the tests."""
    scatter = random.Random(first)  # noqa: S311 - no secret
    for number in range(first, first + n):
        yield record(number, edited(roi, min(scatter.gauss(dice, 0.01), 0.999)), **facts)
