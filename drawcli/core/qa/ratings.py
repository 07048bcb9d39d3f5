"""Ratings of delivered contours by the people who use them.

A rating holds no value of a patient. Its comment is free text, which a person may have typed
anything into: it is left out of exports unless someone asks for it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum
from statistics import median
from typing import Any, Final, Self

HIGHEST: Final = 10
MOST_MINUTES: Final = 1440  # a day
LONGEST_COMMENT: Final = 500  # characters
LONGEST_NAME: Final = 64
ALL_STRUCTURES: Final = ""  # the structure of a row that counts all of a template


class Edit(StrEnum):
    """How much of a structure had to be edited."""

    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    MISSING = "missing"


MEANINGS: Final = {
    Edit.NONE: "used as delivered",
    Edit.MINOR: "edited",
    Edit.MAJOR: "redrawn, a risk of a dose error, or more than 1 cm in an axial plane",
    Edit.MISSING: "not segmented, although it is in the images",
}


class RatingSource(StrEnum):
    """Where a rating comes from."""

    COMMAND = "command"
    PAGE = "page"
    FORMER_CLIENT = "draw-client"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rating:
    """One person's rating of one structure set. Times are UTC.

    Raises
    ------
    ValueError
        If a value is not allowed; the text says which and why.
    """

    series: str  # keyed hash of SeriesInstanceUID, as in ids of jobs
    at: datetime
    source: RatingSource
    job: str | None = None  # None: delivered by a former client
    template: str = ""  # "" if not known
    overall: int | None = None  # 0 (useless) to 10
    minutes: float | None = None  # of editing
    structures: Mapping[str, Edit] = field(default_factory=dict)  # by delivered name
    comment: str = ""
    by: str = ""  # only with the setting qa.raters
    origin: str = ""  # digest of the imported record

    def __post_init__(self) -> None:
        """Check every value."""
        problem = next(_problems(self), "")
        if problem:
            raise ValueError(problem)

    @property
    def subject(self) -> str:
        """The structure set that is rated; a later rating of it replaces an earlier one."""
        return self.job or self.origin or self.series

    @property
    def is_empty(self) -> bool:
        """Whether nothing is rated; a comment alone is not a rating."""
        return self.overall is None and self.minutes is None and not self.structures

    @property
    def in_words(self) -> str:
        """The rating in a few words, without its comment."""
        edits = Counter(self.structures.values())
        parts = [
            "" if self.overall is None else f"{self.overall} of {HIGHEST}",
            "" if self.minutes is None else f"{self.minutes:g} min of editing",
            ", ".join(f"{edits[edit]} {edit}" for edit in Edit if edits[edit]),
        ]
        return "; ".join(filter(None, parts))

    def as_plain(self) -> dict[str, Any]:
        """Return the rating as a JSON object."""
        plain = {item.name: getattr(self, item.name) for item in fields(self)}
        edits = {name: str(edit) for name, edit in self.structures.items()}
        return plain | {
            "at": self.at.isoformat(),
            "source": str(self.source),
            "structures": edits,
        }

    def as_export(self, *, with_comment: bool = False) -> dict[str, Any]:
        """Return what may leave the site: no name of staff, and no comment unless asked for."""
        plain = self.as_plain()
        left_out = ("by", "origin") if with_comment else ("by", "origin", "comment")
        return {name: value for name, value in plain.items() if name not in left_out}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return a rating from what `as_plain` returned; unknown fields are left out.

        Raises
        ------
        ValueError
            If it is not a rating.
        """
        try:
            facts = {item.name: plain[item.name] for item in fields(cls) if item.name in plain}
            facts["at"] = datetime.fromisoformat(plain["at"])
            facts["source"] = RatingSource(plain["source"])
            edits = plain.get("structures", {})
            facts["structures"] = {name: Edit(edit) for name, edit in edits.items()}
            return cls(**facts)
        except (KeyError, TypeError, AttributeError) as err:
            raise ValueError(f"not a rating: {err}") from None


def _problems(rating: Rating) -> Iterator[str]:
    overall, minutes = rating.overall, rating.minutes
    if overall is not None and not (_is_number(overall, HIGHEST) and isinstance(overall, int)):
        yield f"the overall rating is a whole number from 0 to {HIGHEST}"
    if minutes is not None and not _is_number(minutes, MOST_MINUTES):
        yield f"the minutes of editing are a number from 0 to {MOST_MINUTES}"
    texts: list[tuple[str, Any, int]] = [  # read from a file, they may be anything
        ("comment", rating.comment, LONGEST_COMMENT),
        ("name of the rater", rating.by, LONGEST_NAME),
        *(("name of a structure", name, LONGEST_NAME) for name in rating.structures),
    ]
    for what, text, longest in texts:
        if not isinstance(text, str) or not text.isprintable():
            yield f"the {what} is not plain text on one line"
        elif len(text) > longest:
            yield f"the {what} has {len(text)} characters; at most {longest} are kept"
    if rating.at.tzinfo is None:
        yield "the time has no time zone"


def _is_number(value: Any, most: float) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and 0 <= value <= most  # false for NaN


def current_ratings(ratings: Iterable[Rating]) -> dict[str, Rating]:
    """Return the last rating of each structure set; of two of one time the later in order.

    Of an imported record only the last import counts, whatever its time.
    """
    every = list(ratings)
    imported = {rating.origin: rating for rating in every if rating.origin}
    found: dict[str, Rating] = {}
    for rating in every:
        if rating.origin and imported[rating.origin] is not rating:
            continue
        known = found.get(rating.subject)
        if known is None or known.at <= rating.at:
            found[rating.subject] = rating
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingRow:
    """The ratings of a structure of a template, or of all its structures together."""

    template: str
    structure: str  # ALL_STRUCTURES: of the whole template
    n: int  # structure sets
    edits: Mapping[Edit, int]  # structures by edit; without those that nobody rated
    minutes: float | None = None  # median
    overall: float | None = None  # median

    def share(self, edit: Edit) -> float | None:
        """Return the share of an edit among the rated structures, 0 to 1; None if there is none."""
        rated = sum(self.edits.values())
        return self.edits.get(edit, 0) / rated if rated else None

    def as_plain(self) -> dict[str, Any]:
        """Return the row as a JSON object or a row of CSV, edits as numbers of structures."""
        return {
            "template": self.template,
            "structure": self.structure,
            "n": self.n,
            **{str(edit): self.edits.get(edit, 0) for edit in Edit},
            "minutes_median": self.minutes,
            "overall_median": self.overall,
        }


ROW_COLUMNS: Final = (
    *("template", "structure", "n"),
    *map(str, Edit),
    *("minutes_median", "overall_median"),
)


def rating_rows(ratings: Iterable[Rating]) -> list[RatingRow]:
    """Return rows by template and structure; the first of a template counts all structures.

    Minutes and overall rating of a structure's row are those of the structure sets it was rated in.
    """
    by_template = defaultdict[str, list[Rating]](list)
    for rating in ratings:
        by_template[rating.template].append(rating)
    rows = []
    for template, found in sorted(by_template.items()):
        rows.append(_row(template, ALL_STRUCTURES, found))
        names = sorted({name for rating in found for name in rating.structures})
        rows += [_row(template, name, [r for r in found if name in r.structures]) for name in names]
    return rows


def _row(template: str, structure: str, ratings: list[Rating]) -> RatingRow:
    edits = Counter(
        edit
        for rating in ratings
        for name, edit in rating.structures.items()
        if structure in (ALL_STRUCTURES, name)
    )
    minutes = [rating.minutes for rating in ratings if rating.minutes is not None]
    overall = [rating.overall for rating in ratings if rating.overall is not None]
    return RatingRow(
        template=template,
        structure=structure,
        n=len(ratings),
        edits=edits,
        minutes=median(minutes) if minutes else None,
        overall=median(overall) if overall else None,
    )
