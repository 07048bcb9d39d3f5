"""An archive that is asked by C-FIND, and sends by C-GET or C-MOVE (study root)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

from drawcli.adapters.archive.archive import NARROWER, FoundSeries, as_job_error, matches
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.adapters.dicom_network.query_association import QueryAssociation
from drawcli.core.dicom import tags
from drawcli.core.dicom.upper_layer import NodeTrouble
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import ArrivingObject, Take
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.protocol.dicom_address import Node
from drawcli.core.pull.answers import (
    Answer,
    ArchivedInstance,
    ArchivedSeries,
    BadAnswer,
    decode_answer,
    encode_query,
    instance_in,
    query_of,
    return_keys,
    series_in,
    study_in,
)
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, QueryKey
from drawcli.core.pull.offers import storage_offers
from drawcli.core.pull.retrieval import FIND, GET, MOVE
from drawcli.system.limits import NODE_ECHO_SECONDS
from drawcli.system.network.pull_limits import PULL_INSTANCES, PULL_SERIES, PULL_STUDIES
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    import ssl

    from drawcli.core.dicom_service.tally import StoreOutcome

_T = TypeVar("_T")
_NO_STUDY: Final = "2.25.0"
_MOST_UIDS: Final = 100  # in one request


@dataclass(slots=True)
class DimseArchive:
    """An archive as a DICOM node; an association for queries is kept while it is used."""

    node: Node
    calling: str  # our own AE title
    supported: Supported
    largest: int  # bytes of an object
    tick: Callable[[], None]  # called before each query and object; may raise TryLater
    tls: "ssl.SSLContext | None" = None
    destination: str = ""  # AE title of our receiver, for C-MOVE
    deadlines: Deadlines = field(default_factory=Deadlines)
    _finder: QueryAssociation | None = field(default=None, init=False)

    def describe(self) -> str:
        """Return its name for messages."""
        return f"the archive {self.node}"

    def ask(self) -> None:
        """Send a query that no study matches; raise TryLater or NeedsPerson if it fails."""
        asked = encode_query(STUDY, {tags.StudyInstanceUID: _NO_STUDY})
        try:
            with QueryAssociation(
                self.node, self.calling, [FIND], self.deadlines, self.tls
            ) as association:
                next(association.find(asked, NODE_ECHO_SECONDS), None)
        except NodeTrouble as err:
            raise as_job_error(err, self.describe()) from None

    def find_series(self, keys: Sequence[QueryKey], today: date) -> FoundSeries:
        """Return the series that match; each study is asked for its series."""
        found = FoundSeries()

        def read(answer: Answer) -> str | None:
            return study_in(answer) if matches(answer, keys, STUDY, today, found) else None

        asked = query_of(STUDY, return_keys(STUDY), keys, today)
        for study in dict.fromkeys(self._asked(STUDY, asked, PULL_STUDIES, read)):
            with found.problem_noted():
                found.series += self._series_of(study, keys, today, found)
            found.check_number(self.describe())
        return found

    def find_instances(self, series: ArchivedSeries) -> list[ArchivedInstance]:
        """Return the instances of a series, each once."""
        read = partial(instance_in, asked=series)
        found = self._asked(IMAGE, return_keys(IMAGE, series), PULL_INSTANCES, read)
        return list({one.sop_instance: one for one in found}.values())

    def retrieve(
        self, series: ArchivedSeries, instances: Sequence[ArchivedInstance], take: Take
    ) -> None:
        """Retrieve instances from the archive by C-GET."""
        self.close()
        offers = list(storage_offers(series, instances, self.supported))

        def taken(facts: ObjectFacts) -> "ArrivingObject | StoreOutcome":
            self.tick()
            return take(facts)

        try:
            with QueryAssociation(
                self.node, self.calling, [GET], self.deadlines, self.tls, storage=offers
            ) as association:
                association.check_objects()
                for identifier in _identifiers(series, instances):
                    association.get(identifier, taken, self.largest)
        except NodeTrouble as err:
            raise as_job_error(err, self.describe()) from None

    def send(
        self,
        series: ArchivedSeries,
        instances: Sequence[ArchivedInstance],
        arrived: Callable[[], int],
    ) -> None:
        """Retrieve instances by C-MOVE: the archive sends them to our receiver."""
        self.close()

        def looked() -> int:
            self.tick()
            return arrived()

        try:
            with QueryAssociation(
                self.node, self.calling, [MOVE], self.deadlines, self.tls
            ) as association:
                for identifier in _identifiers(series, instances):
                    association.move(identifier, self.destination, looked)
        except NodeTrouble as err:
            raise as_job_error(err, self.describe()) from None

    def close(self) -> None:
        """Release the association for queries."""
        finder, self._finder = self._finder, None
        if finder is not None:
            finder.__exit__(None)

    def _series_of(
        self, study: str, keys: Sequence[QueryKey], today: date, found: FoundSeries
    ) -> list[ArchivedSeries]:
        def read(answer: Answer) -> ArchivedSeries | None:
            one = series_in(answer, study)
            return one if matches(answer, keys, SERIES, today, found) else None

        asked = query_of(SERIES, return_keys(SERIES, study=study), keys, today)
        matching = self._asked(SERIES, asked, PULL_SERIES, read)
        return list({one.series: one for one in matching}.values())

    def _asked(
        self,
        level: str,
        asked: Mapping[int, str],
        most: int,
        read: Callable[[Answer], _T | None],
    ) -> list[_T]:
        """Return what is read of the answers to a query; None is left out."""
        self.tick()
        finder, self._finder = self._finder, None
        found = list[_T]()
        try:
            finder = finder or QueryAssociation(
                self.node, self.calling, [FIND], self.deadlines, self.tls
            )
            for number, data in enumerate(finder.find(encode_query(level, asked))):
                _check_number(number, most)
                if (one := read(decode_answer(data))) is not None:
                    found.append(one)
        except BaseException as err:
            if finder is not None:
                finder.__exit__(err)
            if isinstance(err, NodeTrouble | BadAnswer):
                raise as_job_error(err, self.describe()) from None
            raise
        self._finder = finder
        return found


def check_installed() -> None:
    """Raise ConfigError if pynetdicom is not installed."""
    import logging

    try:
        import pynetdicom
    except ImportError as err:
        what = "a node of 'pull'"
        raise not_installed(what, "dicom-net", code="dicom-net", or_else="Or remove it.") from err
    logging.getLogger(pynetdicom.__name__).setLevel(logging.CRITICAL)  # it may log patient data


def _check_number(number: int, most: int) -> None:
    if number >= most:
        raise BadAnswer(f"has more than {most:,} answers to a query: {NARROWER}")


def _identifiers(series: ArchivedSeries, instances: Sequence[ArchivedInstance]) -> Iterator[bytes]:
    """Yield the identifiers of requests for instances."""
    upper = {tags.StudyInstanceUID: series.study, tags.SeriesInstanceUID: series.series}
    for start in range(0, len(instances), _MOST_UIDS):
        uids = [one.sop_instance for one in instances[start : start + _MOST_UIDS]]
        yield encode_query(IMAGE, {**upper, tags.SOPInstanceUID: "\\".join(uids)})
