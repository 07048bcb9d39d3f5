"""What golden cases have shown, for charts and alarms."""

from pathlib import Path
from typing import Final

from drawcli.adapters.state.golden_store import GoldenStore
from drawcli.core.qa.golden import GoldenOutcome, GoldenResult
from drawcli.core.qa.summary import VersionChange
from drawcli.operations.alarm_conditions import Alarm, AlarmKind

_KIND: Final = "golden"


def golden_changes(state_dir: Path) -> list[VersionChange]:
    """Return the changes of contours that golden cases have shown, in order of time."""
    return [
        VersionChange(at=one.at, template=one.template, kind=_KIND, text=_text(one))
        for one in GoldenStore(state_dir).results()
        if one.outcome is GoldenOutcome.CHANGED
    ]


def golden_alarms(state_dir: Path) -> list[Alarm]:
    """Return an alarm for each template with a change that nobody has accepted."""
    return [
        Alarm(
            AlarmKind.QA,
            f"{_KIND}/{template}",
            f"template {template}: {_text(one)}; 'drawcli qa golden list'",
        )
        for template, one in GoldenStore(state_dir).changed().items()
    ]


def _text(one: GoldenResult) -> str:
    names = ", ".join(structure.name for structure in one.structures)
    return f"a golden case came back with other contours: {names}"
