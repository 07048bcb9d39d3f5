"""The interface of an archive: queries down to instances, and the retrieval of one series."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Protocol

from drawcli.core.dicom.upper_layer import NodeTrouble
from drawcli.core.dicom_service.object_store import Take
from drawcli.core.pull.answers import (
    Answer,
    ArchivedInstance,
    ArchivedSeries,
    BadAnswer,
    mismatches,
)
from drawcli.core.pull.keys import QueryKey
from drawcli.core.pull.retrieval import QueryRefused
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.network.pull_limits import PULL_ALL_SERIES

_MOST_PROBLEMS: Final = 20
NARROWER: Final = "name more keys, or fewer days, in 'pull'"
AWAY: Final = "archive"  # it cannot be reached, or gave no valid answer: it is asked again
REFUSED: Final = "archive-refused"
BAD_ANSWER: Final = "archive-answer"


@dataclass(slots=True)
class FoundSeries:
    """The series that match the keys of a source."""

    series: list[ArchivedSeries] = field(default_factory=list)
    problems: list[NeedsPerson] = field(default_factory=list)  # of single studies
    without: Counter[str] = field(default_factory=Counter)  # answers that lack a key's attribute

    def check_number(self, who: str) -> None:
        """Raise NeedsPerson if too many series match."""
        if len(self.series) > PULL_ALL_SERIES:
            text = f"has more than {PULL_ALL_SERIES:,} matching series: {NARROWER}"
            raise as_job_error(BadAnswer(text), who)

    @contextmanager
    def problem_noted(self) -> Iterator[None]:
        """Note what goes wrong with one study; raise it if it was so with many."""
        try:
            yield
        except NeedsPerson as err:
            self.problems.append(err)
            if len(self.problems) > _MOST_PROBLEMS:
                raise


class ImageArchive(Protocol):
    """An archive; every method raises TryLater or NeedsPerson, with a text about the archive."""

    def describe(self) -> str:
        """Return its name for messages: "the archive PACS@host:104"."""

    def find_series(self, keys: Sequence[QueryKey], today: date) -> FoundSeries:
        """Return the series that match."""

    def find_instances(self, series: ArchivedSeries) -> list[ArchivedInstance]:
        """Return the instances of a series, each once."""

    def retrieve(
        self, series: ArchivedSeries, instances: Sequence[ArchivedInstance], take: Take
    ) -> None:
        """Let the archive send instances of a series; `take` is called for each object.

        An archive may send fewer, or others. Raises NotStored if an object cannot be stored.
        """

    def send(
        self,
        series: ArchivedSeries,
        instances: Sequence[ArchivedInstance],
        arrived: Callable[[], int],
    ) -> None:
        """Let the archive send instances to our receiver; `arrived` returns how many are there."""

    def close(self) -> None:
        """Close connections that are open."""


def as_job_error(err: NodeTrouble | BadAnswer, who: str) -> TryLater | NeedsPerson:
    """Return the error for a failed exchange: what is refused needs a person."""
    text = f"{who} {err}"
    if isinstance(err, BadAnswer):
        hint = "Report it to the vendor of the archive; 'drawcli logs' has the time."
        return NeedsPerson(text, code=BAD_ANSWER, hint=hint)
    if isinstance(err, QueryRefused) and err.is_final:
        hint = "See the log of the archive: what does it allow this AE title to do?"
        return NeedsPerson(text, code=REFUSED, hint=hint)
    return TryLater(text, code=AWAY, hint=err.hint or "Run 'drawcli nodes check' to test it.")


def matches(
    answer: Answer, keys: Sequence[QueryKey], level: str, today: date, found: FoundSeries
) -> bool:
    """Return whether an answer matches; count those that lack the attribute of a key."""
    missed = mismatches(answer, keys, level, today)
    for key in missed:
        found.without[key.keyword] += not any(map(str.strip, answer.get(key.tag, ())))
    return not missed
