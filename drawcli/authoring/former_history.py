"""Keeps what a former DRAW client did: its series with their outcome, ratings and statistics.

Identifiers, names, comments and paths of the export are left out: a series is known by its keyed
hash, and a rating has numbers, dates and names of structures.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from drawcli.adapters.state.former_client import (
    DONE,
    LEFT,
    SENT,
    Entries,
    FormerHistory,
    is_number,
)
from drawcli.authoring.former_export import FormerExport, Record

_OUTCOMES: Final = {  # by the states of both clients; all others: the series was not sent
    "RTSTRUCTURE_EXPORTED": DONE,
    "RTSTRUCT_EXPORTED": DONE,
    "SENT_TO_DRAW_SERVER": SENT,
    "RTSTRUCTURE_RECEIVED": SENT,
    "RTSTRUCTURE_EXPORT_FAILED": SENT,
    "INVALID_RTSTRUCTURE_RECEIVED": SENT,
    "DEIDENTIFIED": SENT,  # of the first client, which says so until the contours are there
    "RTSTRUCT_REIDENTIFIED": SENT,
    "RTSTRUCT_EXPORT_FAILED": SENT,
}
_RANK: Final = (LEFT, SENT, DONE)
_STATES: Final = (
    ("dicomseries", "series_processsing_status"),
    ("dicomseriesprocessingmodel", "processing_status"),
)
_MODIFICATIONS: Final = frozenset(
    "NO_MODIFICATION MINOR_MODIFICATION MAJOR_MODIFICATION NOT_SEGMENTED".split()
)


def history_of(dump: FormerExport, key_id: str, key_of: Callable[[str], str]) -> FormerHistory:
    """Return the history in an export.

    Parameters
    ----------
    dump
        The export.
    key_id
        The id of the site key.
    key_of
        Returns the keyed hash of a SeriesInstanceUID under it.
    """
    series: Entries = {}
    for uid, entry in _series(dump):
        known = series.setdefault(key_of(uid), entry)
        if _RANK.index(entry["outcome"]) > _RANK.index(known["outcome"]):
            series[key_of(uid)] = entry
    return FormerHistory(
        {key_id: series} if series else {}, dict(_ratings(dump)), dict(_statistics(dump))
    )


def _series(dump: FormerExport) -> Iterator[tuple[str, dict[str, Any]]]:
    for kind, field in _STATES:
        for record in dump.all(kind).values():
            uid = str(record.get("series_instance_uid") or "").strip()
            if uid and field in record:
                state = str(record[field] or "").strip().upper()
                outcome = _OUTCOMES.get(state, LEFT)
                if str(record.get("series_state") or "").upper() == "COMPLETE":
                    outcome = DONE
                yield uid, {"outcome": outcome, "at": _moment(record, "updated_at")}


def _ratings(dump: FormerExport) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the reviews of structure sets; those that nobody has reviewed are left out."""
    for key, record in dump.all("rtstructurefileimport").items():
        day = _moment(record, "date_contour_reviewed")
        if not day:
            continue
        structures = {
            str(one.get("volume_name"))[:64]: str(one["contour_modification"])
            for _, one in dump.of("rtstructurefilevoidata", "rt_structure_file_import", key)
            if one.get("contour_modification") in _MODIFICATIONS
        }
        numbers = {
            "overall": record.get("overall_rating"),
            "minutes": record.get("contour_modification_time_required"),
        }
        kept = {
            name: one for name, one in numbers.items() if isinstance(one, int) and is_number(one)
        }
        yield key, {"at": day, **kept, "structures": structures}


def _statistics(dump: FormerExport) -> Iterator[tuple[str, dict[str, Any]]]:
    for key, record in dump.all("statistics").items():
        name, value = str(record.get("parameter_name") or ""), _number(record)
        if name.isidentifier() and value is not None:
            yield key, {"name": name, "value": value, "at": _moment(record, "created_at")}


def _number(record: Record) -> float | None:
    try:
        value = float(str(record.get("parameter_value")))
    except ValueError:
        return None
    return value if is_number(value) else None


def _moment(record: Record, field: str) -> str:
    """Return a time or day as ISO text; "" if it is none."""
    text = str(record.get(field) or "")
    try:
        return datetime.fromisoformat(text).isoformat()
    except ValueError:
        return ""
