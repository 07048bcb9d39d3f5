"""Patient and study of each job, from its vault, and the search for them; names patients.

Nothing of this is written to disk.
"""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.core.gate.text_traces import days, fold, spellings
from drawcli.system.printable import plain

if TYPE_CHECKING:
    from drawcli.core.jobs.job import Job
    from drawcli.core.series.crosswalk import Crosswalk
    from drawcli.pipeline.context import Context

_BETWEEN_WORDS: Final = re.compile(r"[\s,;^=()]+")
_DATE: Final = re.compile(r"(\d{4})(\d\d)(\d\d)")
_LONGEST: Final = 200  # characters of a value that is kept


class PatientCase(NamedTuple):
    """Patient and study of a job. Dates are DA values, "" if not known."""

    job: str
    patient: str  # key for addresses: derived from the site key
    study: str  # the same of its study
    name: str
    patient_id: str
    birth_date: str
    accession: str
    study_date: str
    description: str  # StudyDescription (0008,1030)
    known: str  # what the search compares: folded, in all spellings

    def matches(self, query: "PatientQuery") -> bool:
        """Return whether the case has every word and the day of a query."""
        if query.day and query.day not in (self.birth_date, self.study_date):
            return False
        return all(any(one in self.known for one in word) for word in query.words)


class PatientQuery(NamedTuple):
    """What is searched: words in any order, and a day of birth or study (yyyymmdd, or "")."""

    words: tuple[frozenset[str], ...]  # each in all spellings
    day: str = ""

    @classmethod
    def of(cls, text: str, day: str = "") -> "PatientQuery":
        """Read a query; case, accents, order and `^` do not count, parts of words match.

        A date in one of the words is compared as a date.

        >>> PatientQuery.of("Åsa^LIND 12.03.1967").words[2] >= {"19670312"}
        True
        """
        found = (word for word in _BETWEEN_WORDS.split(text) if word)
        words = tuple(frozenset(spellings(word)) | frozenset(days(fold(word))) for word in found)
        return cls(words, "".join(char for char in day if char.isdigit())[:8])

    def __bool__(self) -> bool:
        """Return whether anything is searched."""
        return bool(self.words or self.day)


def case_of(job_id: str, crosswalk: "Crosswalk", ctx: "Context") -> PatientCase:
    """Return patient and study of a job.

    Accession number, dates and description are known once the series is packaged.
    """
    name, patient_id = (plain(text)[:_LONGEST] for text in crosswalk.patient)
    study = crosswalk.readable()
    texts = {key: plain(study.get(key, ""))[:_LONGEST] for key in _KEPT}
    birth, day = _day(texts["PatientBirthDate"]), _day(texts["StudyDate"])
    searched = " ".join((name, patient_id, texts["AccessionNumber"]))
    who = (
        ("patient", crosswalk.patient_id) if crosswalk.patient_id else ("no-id", _study(crosswalk))
    )
    return PatientCase(
        job=job_id,
        patient=ctx.stand_ins.digest("page-patient", *who),
        study=ctx.stand_ins.digest("page-study", _study(crosswalk)),
        name=_as_written(name),
        patient_id=patient_id,
        birth_date=birth,
        accession=texts["AccessionNumber"],
        study_date=day,
        description=texts["StudyDescription"],
        known=" ".join((*sorted(spellings(searched)), birth, day)),
    )


_KEPT: Final = ("PatientBirthDate", "StudyDate", "AccessionNumber", "StudyDescription")


def case_of_job(job: "Job", ctx: "Context") -> PatientCase | None:
    """Return patient and study of a job; None if its vault is gone or cannot be opened."""
    from drawcli.errors import JobError

    if job.of_folder:
        return None
    try:
        return case_of(job.id, ctx.crosswalk(job), ctx)
    except JobError:
        return None


def _study(crosswalk: "Crosswalk") -> str:
    return crosswalk.study_uid or crosswalk.series_uid


def _day(value: str) -> str:
    """Return a DA value as yyyymmdd; "" if it is no date."""
    return next(days(value.strip().replace(".", "")), "")


def date_text(day: str) -> str:
    """Return a day as text.

    >>> date_text("19670312"), date_text("")
    ('1967-03-12', '')
    """
    return _DATE.sub(r"\1-\2-\3", day)


def _as_written(name: str) -> str:
    """Return a PN value as people write names.

    >>> _as_written("LINDQVIST^Åsa^M^^"), _as_written("Yamada^Tarou=山田^太郎"), _as_written("Solo")
    ('LINDQVIST, Åsa M', 'Yamada, Tarou = 山田, 太郎', 'Solo')
    """
    return " = ".join(filter(None, map(_of_components, name.split("="))))


def _of_components(group: str) -> str:
    family, *others = (part.strip() for part in group.split("^"))
    given = " ".join(filter(None, others))
    return ", ".join(filter(None, (family, given)))


def different(texts: Iterable[str]) -> list[str]:
    """Return the different non-empty texts, in the order of their first occurrence."""
    return [*dict.fromkeys(filter(None, texts))]
