"""Scanner and description of a series, by which people recognise it; without patient data.

What is shown are values that may also stand in rules under git (`core/rules/privacy.py`): without
names and ids of their own patient, dates, long numbers and addresses. They are read from the first
image in the background, only for series that somebody looks at, and kept in memory only.
"""

from collections import OrderedDict, deque
from functools import partial
from threading import Lock, Thread
from time import monotonic
from typing import Final, NamedTuple

from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.core.jobs.job import Job
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.rules.privacy import shareable_values
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import DrawcliError
from drawcli.system.threads import call_with_timeout

_MOST: Final = 20_000  # series in memory
_MOST_WAITING: Final = 300  # a page of 200 rows, and some
_IMAGE_SECONDS: Final = 5.0
_AGAIN_SECONDS: Final = 300.0  # after an image could not be read
_SCANNER: Final = ("ManufacturerModelName", "Manufacturer")
_DESCRIPTION: Final = ("SeriesDescription", "ProtocolName", "BodyPartExamined")


class SeriesText(NamedTuple):
    """Scanner and description of a series; "" where they are not known or may not be shown."""

    scanner: str = ""
    description: str = ""

    @classmethod
    def of(cls, header: RuleHeader) -> "SeriesText":
        """Return what may be shown of a header."""
        allowed = shareable_values(header)
        scanner = next((" ".join(allowed[path]) for path in _SCANNER if path in allowed), "")
        words = dict.fromkeys(" ".join(allowed[path]) for path in _DESCRIPTION if path in allowed)
        return cls(scanner, " · ".join(words))


NOTHING: Final = SeriesText()


class SeriesTexts:
    """The texts of the series that were looked at last; safe for any number of threads."""

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()
        self._kept: OrderedDict[str, tuple[SeriesText, float]] = OrderedDict()  # and its end
        self._waiting: deque[Job] = deque(maxlen=_MOST_WAITING)
        self._thread: Thread | None = None
        self._silent_until = 0.0
        self.count = 0  # of readings: changes when a page has something new to show

    def of(self, job: Job) -> SeriesText:
        """Return the text of a job's series; empty until it is read in the background."""
        now = monotonic()
        with self._lock:
            kept = self._kept.get(job.series_key)
            if kept is not None and now < kept[1]:
                return kept[0]
            if now >= self._silent_until and not job.of_folder:
                self._waiting.append(job)
                if self._thread is None:
                    self._thread = Thread(target=self._read_all, name="series", daemon=True)
                    self._thread.start()
        return NOTHING

    def known(self, job: Job) -> SeriesText:
        """Return the text of a job's series if it has been read; nothing is read for it."""
        with self._lock:
            kept = self._kept.get(job.series_key)
        return NOTHING if kept is None else kept[0]

    def wait(self) -> None:
        """Wait until nothing is being read."""
        thread = self._thread
        if thread is not None:
            thread.join()

    def _read_all(self) -> None:
        while (job := self._next()) is not None:
            try:
                text, ends = call_with_timeout(partial(self._read, job), _IMAGE_SECONDS)
            except TimeoutError:  # the file server: it is left alone for a while
                with self._lock:
                    self._silent_until = monotonic() + _AGAIN_SECONDS
                    self._waiting.clear()
                continue
            with self._lock:
                self._kept[job.series_key] = (text, ends)
                self._kept.move_to_end(job.series_key)
                while len(self._kept) > _MOST:
                    self._kept.popitem(last=False)
                self.count += 1

    def _next(self) -> Job | None:
        """Return a series that was not read meanwhile; None: the thread ends."""
        with self._lock:
            while self._waiting:
                job = self._waiting.popleft()
                kept = self._kept.get(job.series_key)
                if kept is None or monotonic() >= kept[1]:
                    return job
            self._thread = None
            return None

    def _read(self, job: Job) -> tuple[SeriesText, float]:
        try:
            first = self._site.ctx.crosswalk(job).files[0].path
            return SeriesText.of(shared_elements([first])), float("inf")
        except (OSError, DrawcliError, IndexError):
            return NOTHING, monotonic() + _AGAIN_SECONDS
