"""Reads the ratings in an export of a former DRAW client.

Comments, paths, identifiers and names of patients are left out; names of staff, too, unless the
site keeps them. A structure is kept if a template of the export or TG-263 has its name: a person
may have typed anything into the others.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.state.former_client import read_history
from drawcli.authoring.former_export import FormerExport, Record
from drawcli.authoring.new_template import plain_name
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.ratings import LONGEST_NAME, Edit, Rating, RatingSource
from drawcli.core.templates.tg263 import primary_names
from drawcli.errors import ConfigError
from drawcli.operations.qa.ratings import can_be_rated
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from pathlib import Path

    from drawcli.pipeline.context import Context

_REVIEWS: Final = "rtstructurefileimport"
_STRUCTURES: Final = "rtstructurefilevoidata"
_TEMPLATES: Final = "autosegmentationtemplate"
_NAMES: Final = (  # kinds of records and fields that name a structure of a template
    ("autosegmentationstructure", "name"),
    ("structureproperties", "roi_label"),
    ("additionalstructures", "roi_label"),
)
_KINDS: Final = frozenset(
    {_REVIEWS, _STRUCTURES, _TEMPLATES, "dicomseries", *(kind for kind, _ in _NAMES)}
)
_EDITS: Final = {
    "NO_MODIFICATION": Edit.NONE,
    "MINOR_MODIFICATION": Edit.MINOR,
    "MAJOR_MODIFICATION": Edit.MAJOR,
    "NOT_SEGMENTED": Edit.MISSING,
}
_COMMENT: Final = "contour_modification_comments"
_EDIT: Final = "contour_modification"
# Fields of the second client that say something about a rating; others that are new are reported.
_FIELDS: Final = {
    _REVIEWS: frozenset(
        """
        deidentified_series_instance_uid deidentified_sop_instance_uid
        deidentified_rt_structure_file_path received_rt_structure_file_checksum
        received_rt_structure_file_download_datetime server_segmentation_status
        server_segmentation_updated_datetime reidentified_rt_structure_file_path
        reidentified_rt_structure_file_export_datetime date_contour_reviewed
        contour_modification_time_required assessor_name overall_rating created_at updated_at
        reidentified_rt_structure_file_series_instance_uid
        reidentified_rt_structure_file_sop_instance_uid reidentified_rt_structure_file_sop_class_uid
        """.split()
    ),
    _STRUCTURES: frozenset(
        """
        rt_structure_file_import volume_name assessor_name contour_modification
        contour_modification_type contour_modification_comments created_at updated_at
        """.split()
    ),
}
_AHEAD: Final = timedelta(hours=14)  # of the zone whose day begins first
_DAY: Final = timedelta(hours=36)  # after midnight UTC, a day is over everywhere
_NO_SERIES: Final = "the series is not in the export"
_UNKNOWN_SERIES: Final = (
    "series unknown: neither delivered here, nor in the history of the former client"
)
_LATER: Final = "the series was delivered here only after the review"
_HINT: Final = (
    "Run 'python manage.py dumpdata dicom_handler -o FILE.json' on the former client, version 2."
)


class _Refused(ValueError):
    """A rating cannot be imported; the text says why, without a value of the export."""


@dataclass(slots=True)
class FormerRatings:
    """The ratings of an export that belong to series of this site, and what was left out."""

    ratings: list[Rating] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)  # why -> ratings
    not_reviewed: int = 0  # structure sets
    comments: int = 0  # not kept
    raters: int = 0  # names, not kept
    unnamed: int = 0  # structures whose names are not kept
    fields: list[str] = field(default_factory=list)  # not known
    passed_over: int = 0  # records of other kinds: patients, images ...


def read_former_ratings(path: "Path", ctx: "Context") -> FormerRatings:
    """Return the ratings in an export of a former client.

    Raises
    ------
    ConfigError
        If the file is no such export, or the history of the former client cannot be read.
    """
    dump = FormerExport(path, _KINDS)
    if not dump.all(_REVIEWS):
        raise ConfigError(f"{path}: contains no reviews of structure sets", hint=_HINT)
    found = FormerRatings(fields=sorted(_new_fields(dump)))
    found.passed_over = dump.passed_over.total()
    reader = _Reader(dump, ctx, found)
    for key, record in dump.all(_REVIEWS).items():
        if record.get("date_contour_reviewed") in (None, ""):
            found.not_reviewed += 1
            continue
        try:
            found.ratings.append(reader.rating_of(key, record))
        except ValueError as err:
            found.refused[str(err)] += 1
    return found


def _new_fields(dump: FormerExport) -> set[str]:
    """Return the fields that are not known; names that are no identifiers may be anything."""
    return {
        f"{kind}.{name if name.isidentifier() else '(no name)'}"
        for kind, known in _FIELDS.items()
        for record in dump.all(kind).values()
        for name in record.keys() - known
        if name.strip() == name  # else a note of the reader
    }


class _Reader:
    """Makes ratings of records."""

    def __init__(self, dump: FormerExport, ctx: "Context", found: FormerRatings) -> None:
        self._dump = dump
        self._ctx = ctx
        self._found = found
        self._history = read_history(ctx.settings.state_dir).series
        self._names = set(primary_names()) | {
            str(record.get(name) or "").strip()
            for kind, name in _NAMES
            for record in dump.all(kind).values()
        }

    def rating_of(self, key: str, record: Record) -> Rating:
        """Return a rating; raise ValueError if there is none, or it belongs to no series here."""
        series = self._dump.all("dicomseries").get(
            str(record.get("deidentified_series_instance_uid")), {}
        )
        uid = str(series.get("series_instance_uid") or "").strip()
        if not uid:
            raise _Refused(_NO_SERIES)
        at = self._day(record)
        known, job = self._series(uid, at)
        structures = dict(self._structures(key))
        rater = plain(" ".join(str(record.get("assessor_name") or "").split()))[:LONGEST_NAME]
        if rater and not self._ctx.settings.qa.raters:
            self._found.raters, rater = self._found.raters + 1, ""
        return Rating(
            series=known,
            at=at,
            source=RatingSource.FORMER_CLIENT,
            job=None if job is None else job.id,
            template=self._template(series) if job is None else job.template or "",
            overall=record.get("overall_rating"),
            minutes=record.get("contour_modification_time_required"),
            structures=structures,
            by=rater,
            origin=hashlib.sha256(f"{key}\n{uid}".encode()).hexdigest()[:16],
        )

    def _day(self, record: Record) -> datetime:
        try:
            day = date.fromisoformat(str(record["date_contour_reviewed"])[:10])
        except ValueError:
            raise _Refused("the day of the review is not a date") from None
        at = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if at > self._ctx.now() + _AHEAD:
            raise _Refused("the day of the review is in the future")
        return at

    def _series(self, uid: str, at: datetime) -> tuple[str, Job | None]:
        """Return the key of a series, and its last job delivered until a day.

        Contours that were delivered later are not those that were rated.
        """
        is_here = False
        for stand_ins in (self._ctx.stand_ins, *self._ctx.retired):
            key = stand_ins.series_key(uid)
            jobs = self._ctx.ledger.of_series(key)
            is_here = is_here or any(map(can_be_rated, jobs))
            if in_time := [job for job in jobs if _delivered_by(job, at)]:
                return key, in_time[-1]
            if key in self._history.get(stand_ins.key_id, {}):
                return key, None
        raise _Refused(_LATER if is_here else _UNKNOWN_SERIES)

    def _structures(self, key: str) -> Iterator[tuple[str, Edit]]:
        seen: dict[str, Edit] = {}
        for _, record in self._dump.of(_STRUCTURES, "rt_structure_file_import", key):
            self._found.comments += bool(record.get(_COMMENT))
            name, word = str(record.get("volume_name") or "").strip(), record.get(_EDIT)
            if word in (None, ""):
                continue
            if word not in _EDITS:
                raise _Refused("the modification of a structure is not one of the four")
            if not name or name not in self._names:
                self._found.unnamed += 1
                continue
            if seen.setdefault(name, _EDITS[word]) != _EDITS[word]:
                raise _Refused("a structure has two different modifications")
        yield from seen.items()

    def _template(self, series: Mapping[str, Any]) -> str:
        """Return the template of a series, under the name that it has here; "" if not clear."""
        keys = series.get("matched_templates")
        records = [self._dump.all(_TEMPLATES).get(str(key)) for key in _listed(keys)]
        names = {plain_name(str(one.get("template_name") or "")) for one in records if one}
        return names.pop() if len(names) == 1 else ""


def _listed(keys: Any) -> list[Any]:
    return keys if isinstance(keys, list) else []


def _delivered_by(job: Job, at: datetime) -> bool:
    delivered = [event.at for event in job.events if event.reached(State.DELIVERED)]
    return can_be_rated(job) and any(moment <= at + _DAY for moment in delivered)


def without_known(ratings: list[Rating], known: Iterator[Rating]) -> list[Rating]:
    """Return the imported ratings that are not stored as they are."""
    stored = {rating.origin: rating for rating in known if rating.origin}
    return [rating for rating in ratings if stored.get(rating.origin) != rating]
