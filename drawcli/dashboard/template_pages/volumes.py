"""The volumes of recent structure sets of a template, and their picture beside its limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from itertools import islice
from math import isfinite
from pathlib import Path
from statistics import median
from typing import Any, Final

from markupsafe import Markup

from drawcli.adapters.state.qa_records import QaRecords
from drawcli.adapters.state.workdir import REPORT, TEMPLATE
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.templates.template import Template
from drawcli.dashboard.snapshot import SiteReader
from drawcli.system.printable import counted, volume_text
from drawcli.system.yaml_edit import flow_style

MOST: Final = 40  # structure sets
_MOST_FOLDERS: Final = 1000  # work folders that are looked into
_LONGEST_LINE: Final = 200
_WIDTH, _HEIGHT, _EDGE = 240, 30, 6
_HEADROOM: Final = 1.08  # of the axis above the largest volume or limit

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True)
class StructureVolumes:
    """The volumes of a structure in recent structure sets, the oldest first."""

    drawn: Sequence[float]  # cm3, of those with contours
    empty: int = 0  # structure sets without contours of it
    bounds: Bounds | None = None  # the limits of the template, cm3

    @property
    def outside(self) -> int:
        """How many are outside the limits."""
        return sum(not _is_within(one, self.bounds) for one in self.drawn)

    @property
    def sentence(self) -> str:
        """The volumes in words."""
        parts = []
        if self.drawn:
            low, high = volume_text(min(self.drawn)), volume_text(max(self.drawn))
            span = f"{low} to {high}" if low != high else low
            parts.append(f"{span} cm³, median {volume_text(median(self.drawn))}")
        if self.empty:
            parts.append(f"empty in {self.empty}")
        if self.outside:
            parts.append(f"{self.outside} outside the limits")
        of = counted(len(self.drawn) + self.empty, "structure set")
        return f"{'; '.join(parts)} (of {of})" if parts else ""

    @property
    def picture(self) -> Markup:
        """Dots for volumes, a band for the limits; the axis begins at 0."""
        if not self.drawn:
            return Markup("")
        top = max(*self.drawn, *(self.bounds or ()), 1e-9) * _HEADROOM
        inside = "".join((*_band(self.bounds, top), *_dots(self.drawn, self.bounds, top)))
        label = escape(f"Volumes: {self.sentence}", quote=True)
        return Markup(  # noqa: S704 - numbers, and a label that is escaped
            f'<svg class="volumes" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{label}">{inside}</svg>'
        )


def recent_volumes(name: str, template: Template, site: SiteReader) -> dict[str, StructureVolumes]:
    """Return the volumes of the latest structure sets by structure of the template.

    They come from the acceptance reports of jobs whose work folder is there, and of the others
    from the end of the records of quality assurance.
    """
    found = dict(_from_records(name, template, site))
    for job, (at, volumes) in _from_reports(name, site):
        found[job] = (at, {**found.get(job, (at, {}))[1], **volumes})
    latest = [volumes for _, volumes in sorted(found.values(), key=lambda pair: pair[0])][-MOST:]
    return {
        structure: _gathered(structure, template, latest)
        for structure in (*template.drawn, *template.derived)
    }


def _gathered(
    structure: str, template: Template, latest: Sequence[Mapping[str, float]]
) -> StructureVolumes:
    every = [volumes[structure] for volumes in latest if structure in volumes]
    look = template.structures.get(structure)
    drawn = [one for one in every if one > 0]
    return StructureVolumes(drawn, len(every) - len(drawn), look.volume_cm3 if look else None)


_Found = Iterator[tuple[str, tuple[datetime, Mapping[str, float]]]]


def _from_reports(name: str, site: SiteReader) -> _Found:
    """Yield job, time and volumes of the latest jobs whose structure set was checked."""
    work = site.ctx.work
    files = ((job, _changed_at(work.file(job, REPORT))) for job in work.job_ids())
    there = sorted(((at, job) for job, at in files if at), reverse=True)[:_MOST_FOLDERS]
    line = f"name: {flow_style(name)}\n"
    of_it = ((at, job) for at, job in there if _is_of(work.file(job, TEMPLATE), line))
    for at, job in islice(of_it, MOST):
        if volumes := dict(_measured(work.read_json(job, REPORT))):
            yield job, (at, volumes)


def _changed_at(path: Path) -> datetime | None:
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError:
        return None


def _is_of(path: Path, first_line: str) -> bool:
    """Return whether a template file of a package begins with a line."""
    try:
        with path.open(encoding="utf-8") as stream:
            return stream.readline(_LONGEST_LINE) == first_line
    except (OSError, ValueError):
        return False


def _measured(report: Any) -> Iterator[tuple[str, float]]:
    structures = report.get("structures") if isinstance(report, dict) else None
    for one in structures if isinstance(structures, list) else ():
        volume = one.get("volume_cm3") if isinstance(one, dict) else None
        if isinstance(volume, int | float) and isfinite(volume):
            yield str(one.get("name")), float(volume) if one.get("contours") else 0.0


def _from_records(name: str, template: Template, site: SiteReader) -> _Found:
    """Yield job, time and volumes of the records of quality assurance, which have the labels."""
    looks = {**template.structures, **template.derived}
    shown = {(one in looks and looks[one].label) or one: one for one in template.drawn}
    shown |= {rule.label or one: one for one, rule in template.derived.items()}
    for record in QaRecords(site.ctx.settings.state_dir).recent_of_template(name, MOST):
        volumes = {
            shown[one.name]: one.volume_a_cm3 or 0.0
            for one in record.structures
            if one.name in shown and one.outcome is not ContourOutcome.ADDED
        }
        if volumes:
            yield record.job, (record.delivered_at, volumes)


def _is_within(volume: float, bounds: Bounds | None) -> bool:
    return bounds is None or bounds[0] <= volume <= bounds[1]


def _x(volume: float, top: float) -> float:
    return round(_EDGE + volume / top * (_WIDTH - 2 * _EDGE), 1)


def _band(bounds: Bounds | None, top: float) -> Iterator[str]:
    middle = _HEIGHT / 2
    if bounds is not None:
        left, right = _x(bounds[0], top), _x(bounds[1], top)
        yield f'<rect class="band" x="{left}" y="3" width="{right - left:.1f}" height="24" rx="3"/>'
    yield f'<path class="axis" d="M{_EDGE} {middle}H{_WIDTH - _EDGE}"/>'


def _dots(drawn: Sequence[float], bounds: Bounds | None, top: float) -> Iterator[str]:
    middle = _HEIGHT / 2
    for volume in drawn:
        x = _x(volume, top)
        if _is_within(volume, bounds):
            yield f'<circle class="dot" cx="{x}" cy="{middle}" r="4"/>'
        else:  # a shape of its own, not only a colour
            yield f'<path class="out" d="M{x} 8l6 7-6 7-6-7z"/>'
