"""An archive that is asked by QIDO-RS, and sends by WADO-RS (PS3.18 10.4, 10.6)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from http import HTTPStatus
from typing import Final, TypeVar

import httpx

from drawcli.adapters.archive.archive import (
    AWAY,
    BAD_ANSWER,
    REFUSED,
    FoundSeries,
    matches,
)
from drawcli.adapters.archive.web_parts import PartsTaker
from drawcli.adapters.dicom_web.web_client import (
    Answer as WebAnswer,
)
from drawcli.adapters.dicom_web.web_client import (
    WebFailure,
    WebRequest,
    WebTarget,
    exchange,
    open_download,
    open_target_client,
)
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import Take
from drawcli.core.pull.answers import (
    Answer,
    ArchivedInstance,
    ArchivedSeries,
    BadAnswer,
    instance_in,
    query_of,
    return_keys,
    series_in,
    study_in,
)
from drawcli.core.pull.keys import IMAGE, SERIES, STUDY, QueryKey
from drawcli.core.pull.multipart import boundary_of
from drawcli.core.pull.web_answers import decode_answers, query_path, retrieve_path
from drawcli.errors import NeedsPerson, TryLater
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.pull_limits import (
    PULL_INSTANCES,
    PULL_NEXT_SECONDS,
    PULL_PAGE,
    PULL_PAGE_BYTES,
    PULL_QUERY_SECONDS,
    PULL_SERIES,
    PULL_STUDIES,
)
from drawcli.system.pacing import Deadline

_T = TypeVar("_T")
_JSON: Final = {"accept": "application/dicom+json"}
_FILES: Final = {
    "accept": 'multipart/related; type="application/dicom"; transfer-syntax=*',
}
_MOST_APART: Final = 8  # missing instances that are asked for one by one
_PERMITTED: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_BUSY: Final = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(slots=True)
class WebArchive:
    """An archive by DICOMweb; a connection is kept while it is used."""

    url: str  # base address
    web: WebTarget
    supported: Supported
    largest: int  # bytes of an object
    tick: Callable[[], None]  # called before each query and object; may raise TryLater
    _open: ExitStack = field(default_factory=ExitStack, init=False)
    _client: httpx.Client | None = field(default=None, init=False)
    was_reached: bool = field(default=True, init=False)  # by the last request

    def describe(self) -> str:
        """Return its name for messages."""
        return f"the archive {self.url}"

    def ask(self) -> WebAnswer:
        """Send a query for one study; return its answer."""
        path = query_path(STUDY, return_keys(STUDY), 0, 1)
        deadline = Deadline(EXCHANGES["stow-check"].seconds)
        with self._translated():
            answer = exchange(
                self._connected(), WebRequest("GET", self.url + path, _JSON), deadline
            )
            if answer.status != HTTPStatus.NO_CONTENT:
                self._check(answer.status, "the query")
                decode_answers(answer.body)
        return answer

    def find_series(self, keys: Sequence[QueryKey], today: date) -> FoundSeries:
        """Return the series that match: query the studies, then the series of each."""
        found = FoundSeries()

        def read(answer: Answer) -> tuple[str, str] | None:
            study = study_in(answer) if matches(answer, keys, STUDY, today, found) else None
            return None if study is None else (study, study)

        asked = query_of(STUDY, return_keys(STUDY), keys, today)
        for study in self._asked(STUDY, asked, PULL_STUDIES, read):
            with found.problem_noted():
                found.series += self._series_of(study, keys, today, found)
            found.check_number(self.describe())
        return found

    def find_instances(self, series: ArchivedSeries) -> list[ArchivedInstance]:
        """Return the instances of a series, each once."""

        def read(answer: Answer) -> tuple[str, ArchivedInstance]:
            one = instance_in(answer, series)
            return one.sop_instance, one

        return self._asked(IMAGE, return_keys(IMAGE, series), PULL_INSTANCES, read)

    def retrieve(
        self, series: ArchivedSeries, instances: Sequence[ArchivedInstance], take: Take
    ) -> None:
        """Get the whole series; a few instances one by one."""
        few = len(instances) <= _MOST_APART
        paths = [retrieve_path(series, one.sop_instance) for one in instances if few]
        for path in paths or [retrieve_path(series)]:
            with self._translated():
                self._take_parts(path, take)

    def send(
        self,
        series: ArchivedSeries,
        instances: Sequence[ArchivedInstance],
        arrived: Callable[[], int],
    ) -> None:
        """Refuse: settings allow C-MOVE for nodes only."""
        raise NotImplementedError

    def close(self) -> None:
        """Close the connection."""
        self._client = None
        self._open.close()

    def _series_of(
        self, study: str, keys: Sequence[QueryKey], today: date, found: FoundSeries
    ) -> list[ArchivedSeries]:
        def read(answer: Answer) -> tuple[str, ArchivedSeries] | None:
            one = series_in(answer, study)
            return (one.series, one) if matches(answer, keys, SERIES, today, found) else None

        asked = query_of(SERIES, return_keys(SERIES, study=study), keys, today)
        return self._asked(SERIES, asked, PULL_SERIES, read)

    def _asked(
        self,
        level: str,
        asked: Mapping[int, str],
        most: int,
        read: Callable[[Answer], tuple[str, _T] | None],
    ) -> list[_T]:
        """Return what is read of all pages of answers, each UID once; None is left out."""
        seen, found, deadline = set[bytes](), dict[str, _T](), Deadline(PULL_QUERY_SECONDS)
        with self._translated():
            while True:
                self.tick()
                path = query_path(level, asked, len(seen), PULL_PAGE)
                page, has_more = self._page(level, path, deadline)
                before = len(seen)
                for answer in page:
                    text = repr(sorted(answer.items())).encode("utf-8", "replace")
                    seen.add(blake2b(text, digest_size=16).digest())
                    if (one := read(answer)) is not None:
                        found[one[0]] = one[1]
                if len(seen) > most:
                    raise BadAnswer(f"has more than {most:,} answers to a query")
                if len(seen) == before or not (has_more or len(page) == PULL_PAGE):
                    return list(found.values())

    def _page(
        self, level: str, path: str, deadline: Deadline
    ) -> tuple[list[dict[int, list[str]]], bool]:
        """Return the answers of one request, and whether the archive says that it has more."""
        request = WebRequest("GET", self.url + path, _JSON)
        answer = exchange(self._connected(), request, deadline, PULL_PAGE_BYTES)
        is_gone = answer.status == HTTPStatus.NOT_FOUND and level != STUDY
        if is_gone or answer.status == HTTPStatus.NO_CONTENT:
            return [], False
        self._check(answer.status, "the query")
        return decode_answers(answer.body), answer.warning.startswith("299")

    def _take_parts(self, path: str, take: Take) -> None:
        request = WebRequest("GET", self.url + path, _FILES)
        deadline = Deadline(PULL_NEXT_SECONDS)
        with open_download(self._connected(), request, deadline) as download:
            if download.status in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_FOUND):
                return  # what is missing is found by its absence
            self._check(download.status, "to send the series")
            parts = PartsTaker(
                boundary_of(download.media_type), self.supported, self.largest, take, self.tick
            )
            try:
                for piece in download.pieces:
                    parts.feed(piece)
                parts.finish()
            finally:
                parts.discard()

    def _connected(self) -> httpx.Client:
        if self._client is None:
            self._client = self._open.enter_context(open_target_client(self.web))
        return self._client

    def _check(self, status: int, what: str) -> None:
        """Raise the error of a status that is no success."""
        who, text = self.describe(), f"(status {status})"
        if status in _PERMITTED:
            self.web.credentials.forget()
            self.close()
            hint = "Check token_file or token_command of the source, and what its account may do."
            raise TryLater(f"{who} refuses our credentials {text}", code=AWAY, hint=hint)
        if status in _BUSY or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise TryLater(f"{who} cannot answer now {text}", code=AWAY)
        if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
            hint = "Set the address that it names; drawcli follows no redirect."
            raise TryLater(f"{who} answers with a redirect {text}", code=AWAY, hint=hint)
        if status >= HTTPStatus.BAD_REQUEST:
            hint = "Check the address in pull.sources: it should end before '/studies'."
            raise NeedsPerson(f"{who} refuses {what} {text}", code=REFUSED, hint=hint)
        if status != HTTPStatus.OK:
            raise TryLater(f"{who} answers with an unexpected status {text}", code=AWAY)

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise a JobError for what goes wrong with a request or its answer."""
        try:
            yield
        except WebFailure as err:
            self.was_reached = not err.never_connected
            self.close()
            hint = err.hint or "Run 'drawcli nodes check' to test it."
            raise TryLater(f"{self.describe()} {err}", code=AWAY, hint=hint) from None
        except BadAnswer as err:
            self.close()
            hint = "Report it to the vendor of the archive; 'drawcli logs' has the time."
            raise NeedsPerson(f"{self.describe()} {err}", code=BAD_ANSWER, hint=hint) from None
