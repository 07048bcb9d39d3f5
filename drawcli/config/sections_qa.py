"""The settings section for quality assurance of contours after delivery."""

from pathlib import Path
from typing import Final

from drawcli.system.kinds import (
    PATH,
    SWITCH,
    TEXT,
    as_list,
    choice,
    keyed,
    listed,
    maybe,
    number,
    whole,
    words,
)
from drawcli.system.records import Record, setting

CHARTED: Final = ("dice", "surface_dice", "hd95_mm", "mean_distance_mm", "apl_share")
_CAN_BE_CHARTED: Final = (*CHARTED, "hd_mm", "apl_mm")
_TAU: Final = number(above=0, most=50)


class Qa(Record):
    """Comparison of delivered structure sets with the clinical ones."""

    enabled: bool = setting(default=False, kind=SWITCH)  # a step at the end of run-once
    folders: list[Path] = setting(  # of clinical structure sets, beside the datastore
        [], listed(PATH, split=as_list)
    )
    wait_days: float = setting(14.0, number(least=0, most=365))  # for the approval of a set
    aliases: dict[str, str] = setting({}, keyed(TEXT, TEXT))  # clinical ROI name: delivered name
    tau_mm: float = setting(3.0, _TAU)  # tolerance of surface Dice and added path length
    tau: dict[str, float] = setting({}, keyed(_TAU, TEXT))  # the same for a delivered ROI name
    charts: list[str] = setting(list(CHARTED), listed(choice(*_CAN_BE_CHARTED), split=words))
    baseline: int = setting(30, whole(least=20, most=150))  # cases of a chart that set its limits
    limits: Path | None = setting(None, maybe(PATH))  # limits set by hand, with reasons
    golden_days: float = setting(30.0, number(above=0, most=3650))  # between two runs of a scan
    on_change: str = setting("warn", choice("hold", "warn"))  # if a golden case differs
    raters: bool = setting(default=False, kind=SWITCH)  # whether ratings name who rated
