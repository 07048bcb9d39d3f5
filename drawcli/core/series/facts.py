"""Facts of a series that are in no single element, for rules: see `operators.DERIVED`."""

import re
from collections.abc import Mapping
from datetime import date
from math import isclose
from typing import Final

from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.slice_grid import Grid

_YEARS: Final = re.compile("([0-9]{1,9})Y")
_ALONG_AN_AXIS: float = 0.01  # how far from 0 or 1 a direction cosine may be
_YEAR_DAYS: float = 365.25


def series_facts(
    crosswalk: Crosswalk, header: Mapping[str, tuple[str, ...]], today: date
) -> dict[str, tuple[str, ...]]:
    """Return the known facts, as text by name, in mm, years and days.

    Parameters
    ----------
    crosswalk
        Files and geometry of the series.
    header
        Its elements, as text by keyword.
    today
        The date from which the age of the study is counted.
    """
    grid = Grid.of(crosswalk)
    studied, born = _day(header, "StudyDate"), _day(header, "PatientBirthDate")
    facts: dict[str, str | None] = {
        "slices": str(sum(max(1, len(file.positions)) for file in crosswalk.files)),
        "spacing_mm": f"{grid.step:g}" if grid else None,
        "extent_mm": f"{grid.offsets[-1] - grid.offsets[0]:g}" if grid else None,
        "oblique": str(_is_oblique(crosswalk.orientation)).lower() if grid else None,
        "contrast": str(any(header.get("ContrastBolusAgent", ()))).lower(),
        "station": (header.get("StationName") or ("",))[0] or None,
        "folder": _folder(crosswalk.files[0].path),
        "study_age_days": None if studied is None else str((today - studied).days),
        "age_years": _age(header)
        or (f"{(studied - born).days / _YEAR_DAYS:.2f}" if studied and born else None),
    }
    return {name: (value,) for name, value in facts.items() if value is not None}


def _is_oblique(orientation: tuple[float, ...]) -> bool:
    """Return whether the slices are oblique to the patient's axes."""
    return not all(isclose(c, round(c), abs_tol=_ALONG_AN_AXIS) for c in orientation)


def _folder(path: str) -> str:
    """Return the name of a file's folder."""
    parent = path.replace("\\", "/").rpartition("/")[0]
    return parent.rpartition("/")[2]


def _age(header: Mapping[str, tuple[str, ...]]) -> str | None:
    """Return PatientAge (0010,1010) if it is in years."""
    (text, *_) = header.get("PatientAge") or ("",)
    years = _YEARS.fullmatch(text)
    return str(int(years[1])) if years else None


def _day(header: Mapping[str, tuple[str, ...]], keyword: str) -> date | None:
    (text, *_) = header.get(keyword) or ("",)
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None
