"""The patients of a site in memory, read from the vaults in the background; never on disk.

It is built when somebody who may see patients first asks for one, the newest series first, and
follows the ledger from then on. Series that are not packaged have no accession number and no dates
in their vault: these are read from the first image afterwards, while its file server answers.
"""

import logging
from collections.abc import Iterable
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, NamedTuple

from drawcli.adapters.datastore.rule_header import header_of_file
from drawcli.adapters.state.workdir import VAULT
from drawcli.core.series.crosswalk import Crosswalk, read_identity
from drawcli.dashboard.find.cases import PatientCase, PatientQuery, case_of
from drawcli.dashboard.snapshot import SiteReader, Stamp
from drawcli.errors import DrawcliError, JobError
from drawcli.pipeline.cluster.reading import look_at_all
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    from drawcli.pipeline.context import Context

_log = logging.getLogger(__name__)
MOST_SERIES: Final = 50_000  # in memory, some 1.5 kB each; the newest ones
_IMAGE_SECONDS: Final = 5.0  # for the header of an image


class IndexProgress(NamedTuple):
    """How far the index is."""

    done: int = 0
    of: int = 0
    is_building: bool = False
    is_cut: bool = False  # older series are left out


class PatientIndex:
    """Patient and study of each job that has a vault; safe for any number of threads."""

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()
        self._cases: dict[str, PatientCase] = {}
        self._sealed: dict[str, int] = {}  # by job: time of its vault, ns
        self._looked: dict[str, int] = {}  # by job: the same, when its image was read
        self._thread: Thread | None = None
        self._seen: Stamp | None = None  # of the ledger, when it was last read
        self.progress = IndexProgress()

    def follow(self) -> None:
        """Read in the background what has changed since the last time."""
        stamp = self._site.ctx.ledger.stamp
        with self._lock:
            is_busy = self._thread is not None and self._thread.is_alive()
            if is_busy or stamp == self._seen:
                return
            self._seen = stamp
            self.progress = self.progress._replace(done=0, is_building=True)
            self._thread = Thread(target=self._read, name="patients", daemon=True)
            self._thread.start()

    def wait(self) -> None:
        """Wait until nothing is being read."""
        if self._thread is not None:
            self._thread.join()

    @property
    def size(self) -> int:
        """The number of series in the index."""
        return len(self._cases)

    def find(self, query: PatientQuery) -> list[PatientCase]:
        """Return the cases that match, the newest first."""
        return [case for case in self._newest_first() if case.matches(query)]

    def newest(self, count: int) -> list[PatientCase]:
        """Return the newest cases."""
        return self._newest_first()[:count]

    def of_patient(self, key: str) -> list[PatientCase]:
        """Return the cases of a patient, the newest first."""
        return [case for case in self._newest_first() if case.patient == key]

    def of_study(self, key: str) -> list[PatientCase]:
        """Return the cases of a study, the newest first."""
        return [case for case in self._newest_first() if case.study == key]

    def _newest_first(self) -> list[PatientCase]:
        with self._lock:
            sealed = self._sealed
            return sorted(self._cases.values(), key=lambda case: -sealed[case.job])

    def _read(self) -> None:
        try:
            self._read_vaults()
            self._read_images()
        except (OSError, DrawcliError) as err:
            _log.warning("patients: reading ended early, code=%s", getattr(err, "code", "io"))
        finally:
            self.progress = self.progress._replace(is_building=False)

    def _read_vaults(self) -> None:
        ctx = self._site.ctx
        found = dict(_vaults(ctx))
        newest = sorted(found, key=lambda job: -found[job])[:MOST_SERIES]
        with self._lock:
            for job in self._sealed.keys() - {*newest}:  # its work folder was removed
                self._cases.pop(job, None)
                for kept in (self._sealed, self._looked):
                    kept.pop(job, None)
            due = [job for job in newest if self._sealed.get(job) != found[job]]
        cut = len(newest) < len(found)
        self.progress = IndexProgress(of=len(due), is_building=True, is_cut=cut)
        for number, job in enumerate(due, 1):
            case = _case(job, _crosswalk(job, ctx), ctx)
            self._keep(job, case, found[job])
            self.progress = self.progress._replace(done=number)

    def _keep(self, job: str, case: PatientCase | None, sealed: int) -> None:
        with self._lock:
            self._sealed[job] = sealed
            if case is None:
                self._cases.pop(job, None)
            else:
                self._cases[job] = case

    def _read_images(self) -> None:
        """Add dates and accession numbers from images, until a file server does not answer."""
        ctx = self._site.ctx
        bare = [case.job for case in self._newest_first() if not _has_dates(case)]
        for job in bare:
            sealed = self._sealed[job]
            crosswalk = None if self._looked.get(job) == sealed else _crosswalk(job, ctx)
            self._looked[job] = sealed
            if crosswalk is None or crosswalk.identity:
                continue
            try:
                crosswalk = call_with_timeout(partial(_with_identity, crosswalk), _IMAGE_SECONDS)
            except TimeoutError:
                return
            except (OSError, DrawcliError, ValueError):
                continue
            self._keep(job, _case(job, crosswalk, ctx), sealed)


def _vaults(ctx: "Context") -> Iterable[tuple[str, int]]:
    """Yield the jobs that have a vault, and its time in ns."""
    look_at_all(ctx)
    for job in ctx.work.job_ids():
        try:
            yield job, ctx.work.file(job, VAULT).stat().st_mtime_ns
        except OSError:
            continue


def _crosswalk(job: str, ctx: "Context") -> Crosswalk | None:
    try:
        return ctx.vault.open(ctx.work.file(job, VAULT).parent, job)
    except JobError:
        return None


def _case(job: str, crosswalk: Crosswalk | None, ctx: "Context") -> PatientCase | None:
    if crosswalk is None or not (crosswalk.patient_id or crosswalk.patient_name):
        return None  # such as a folder of unreadable files
    return case_of(job, crosswalk, ctx)


def _has_dates(case: PatientCase) -> bool:
    return bool(case.accession or case.birth_date or case.study_date)


def _with_identity(crosswalk: Crosswalk) -> Crosswalk:
    """Return a crosswalk with the patient and study values of its first image."""
    header = header_of_file(crosswalk.files[0].path)
    return crosswalk._replace(identity=read_identity(header))
