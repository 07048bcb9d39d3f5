"""Compare the delivered structure set of a job with the clinical one; return the record."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.header import ascii_text
from drawcli.core.jobs.job import Job
from drawcli.core.qa.candidates import (
    WHY,
    DeliveredSeries,
    PassedOver,
    SetChoice,
    StructureSetFacts,
    Waiting,
    choose,
    in_words,
    needs_comparison,
)
from drawcli.core.qa.comparison import CompareOptions, Comparison, compare_structure_sets
from drawcli.core.qa.outcomes import ContourOutcome
from drawcli.core.qa.records import PairRecord, PairStatus, recordable
from drawcli.core.qa.structures import read_rois
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.series.slice_grid import Grid
from drawcli.errors import JobError
from drawcli.operations.doctor.outcome import EXPECTED
from drawcli.operations.qa.clinical.delivered_set import NO_SET, drawcli_of, read_delivered
from drawcli.operations.qa.clinical.finder import SetFinder
from drawcli.operations.qa.clinical.structure_files import (
    SeriesSent,
    StructureSetBytes,
    Unreadable,
    facts_of,
    made_at,
    read_whole,
)
from drawcli.operations.qa.compare import has_scipy
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.reidentify import own_uids
from drawcli.system.threads import call_while_heard, call_with_timeout

_ALONE: Final = frozenset({ContourOutcome.ADDED, ContourOutcome.REMOVED})
_SAME: Final = frozenset({ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED, ContourOutcome.EMPTY})
_STATUSES: Final = ("APPROVED", "UNAPPROVED", "REJECTED")  # PS3.3 C.8.8.16


@dataclass(frozen=True, slots=True)
class Candidate:
    """A structure set that names the series of a job, in a file."""

    path: Path
    facts: StructureSetFacts | None = None  # None if it is unreadable


@dataclass(kw_only=True)
class PairMaker:
    """Makes the record of one job.

    Parameters
    ----------
    job, ctx, finder
        The job, its site, and what finds its structure sets.
    paths
        The structure sets that name its series or frame of reference.
    earlier
        Its last record.
    waits
        Since when the contours that the last record waits for are known.
    frame_is_shared
        Whether another delivered series has its frame of reference.
    """

    job: Job
    ctx: Context
    finder: SetFinder
    paths: Sequence[Path]
    earlier: PairRecord
    waits: Mapping[str, datetime] = field(default_factory=dict)
    frame_is_shared: bool = False
    delivered: StructureSetBytes | None = None
    candidates: list[Candidate] = field(default_factory=list)
    named: frozenset[str] = frozenset()  # SOPInstanceUIDs that a plan names
    choice: SetChoice = field(default_factory=lambda: SetChoice(PairStatus.MISSING))

    def record(self) -> PairRecord | None:
        """Return the record; the clinical set is compared if there is one.

        None if the job was compared before the series was delivered again: that stays.

        Raises
        ------
        TimeoutError
            If a file server does not answer.
        JobError
            If the identity of the job cannot be read.
        """
        if self._superseded_by and self.earlier.status is PairStatus.COMPARED:
            return None
        if self._superseded_by:
            note = f"the series was delivered again with this template: job {self._superseded_by}"
            return self._record(PairStatus.CLOSED, note)
        self.judge()
        without = list[StructureSetFacts]()
        while True:
            chosen = self.choice.chosen
            if self.choice.status is not None or chosen is None:
                status = self.choice.status or PairStatus.MISSING
                return self._record(status, _note(status, self.reasons))
            if self.delivered is None:
                note = "the delivered structure set is gone, and cannot be rebuilt"
                return self._record(PairStatus.FAILED, note)
            compared = self._compare(chosen)
            if any(one.outcome not in _ALONE for one in compared.structures):
                return self._with(compared)
            without.append(chosen)
            self.choice = choose(self._series, self._facts, self._waiting, without)

    def judge(self) -> None:
        """Read the candidates and the delivered structure set, and choose."""
        if self.paths:
            self._read_files()
        self.choice = choose(self._series, self._facts, self._waiting)

    def role_of(self, candidate: Candidate) -> str:
        """Return what a candidate is, in words."""
        if candidate.facts is None:
            return WHY[PassedOver.UNREADABLE]
        digest = candidate.facts.digest
        if self.choice.chosen is not None and self.choice.chosen.digest == digest:
            return "the clinical set"
        reasons = (why for one, why in self.choice.passed_over if one.digest == digest)
        return WHY[next(reasons, PassedOver.OURS)]

    def _read_files(self) -> None:
        crosswalk, seconds = self._crosswalk, self.finder.answer_seconds
        self.delivered = call_with_timeout(
            lambda: read_delivered(self.job, crosswalk, self.ctx), seconds
        )
        self.candidates = call_while_heard(
            lambda heard: list(self._read(crosswalk, heard)), seconds
        )
        moved = any(one.facts and one.facts.digest == self._sha256 for one in self.candidates)
        if self.delivered is None and moved:  # within the folders that are read
            self.delivered = self._file_of(self._sha256)

    @property
    def sets(self) -> tuple[str, ...]:
        """The SOPInstanceUIDs of the candidates, as hashes, if plans matter."""
        facts = [one.facts for one in self.candidates if one.facts is not None]
        is_contested = len(facts) > 1 and self._is_contested(facts)
        return tuple(one.instance for one in facts) if is_contested else ()

    @property
    def reasons(self) -> list[PassedOver]:
        """Why each of the other sets was not chosen; drawcli's own are left out."""
        unreadable = [PassedOver.UNREADABLE for one in self.candidates if one.facts is None]
        return sorted([*(why for _, why in self.choice.passed_over), *unreadable])

    def _read(self, crosswalk: Crosswalk, heard: Callable[[], None]) -> Iterator[Candidate]:
        """Yield the candidates; one file at a time is in memory."""
        series = SeriesSent(crosswalk.series_uid, Grid.of(crosswalk))
        for path in sorted(self.paths):
            try:
                yield Candidate(path, facts_of(read_whole(path), series, self.finder.key))
            except (Unreadable, MemoryError, *EXPECTED):
                yield Candidate(path)
            heard()

    def _file_of(self, digest: str) -> StructureSetBytes:
        """Read the file of a candidate again; raise JobError if it has changed meanwhile."""
        same = (one.path for one in self.candidates if one.facts and one.facts.digest == digest)
        path = next(same)
        with suppress(Unreadable):
            file = call_with_timeout(lambda: read_whole(path), self.finder.answer_seconds)
            if file.sha256 == digest:
                return file
        raise JobError("a structure set changed while it was compared")

    @property
    def _sha256(self) -> str:
        return self.job.delivered_sha256 or ""

    @cached_property
    def _crosswalk(self) -> Crosswalk:
        return self.ctx.crosswalk(self.job)

    @cached_property
    def _of_series(self) -> list[Job]:
        jobs = self.ctx.ledger.of_series(self.job.series_key)
        return [one for one in jobs if one.delivered_sha256]

    @cached_property
    def _superseded_by(self) -> str:
        """The id of a later job that delivered the same images with the same template, or ""."""
        job = self.job
        later = (one for one in self._of_series if one.number > job.number)
        images = (job.template, job.source_digest)
        return next((one.id for one in later if (one.template, one.source_digest) == images), "")

    @cached_property
    def _series(self) -> DeliveredSeries:
        job, crosswalk, key = self.job, self._crosswalk, self.finder.key
        born = ascii_text(crosswalk.identity.get(tags.PatientBirthDate, b""))
        own = {one.id: own_uids(one, self.ctx).sop for one in (*self._of_series, job)}
        if self.delivered is not None:  # the setting of the root may have changed
            own[job.id] = self.delivered.header.text(tags.SOPInstanceUID)
        later = (one for one in self._of_series if one.number > job.number)
        return DeliveredSeries(
            instance=key(own[job.id]),
            patient=key(crosswalk.patient_id),
            born=key(born) if born else "",
            series=key(crosswalk.series_uid),
            frame=key(crosswalk.frame_uid) if crosswalk.frame_uid else "",
            frame_is_shared=self.frame_is_shared,
            images=frozenset(key(file.sop_uid) for file in crosswalk.files),
            own=frozenset(map(key, own.values())),
            own_digests=frozenset(one.delivered_sha256 or "" for one in self._of_series),
            delivered_at=self.earlier.delivered_at,
            made_at=made_at(self.delivered.header) if self.delivered is not None else None,
            changed=bool(job.late_digest)
            or any(one.source_digest != job.source_digest for one in later),
        )

    @cached_property
    def _facts(self) -> list[StructureSetFacts]:
        """The facts of the candidates, with plans and equal contours if these matter."""
        facts = [one.facts for one in self.candidates if one.facts is not None]
        if not self._is_contested(facts):
            return facts
        self.named = self.finder.named(one.instance for one in facts)
        return [
            replace(one, planned=one.instance in self.named, unchanged=self._is_unchanged(one))
            for one in facts
        ]

    def _is_contested(self, facts: Sequence[StructureSetFacts]) -> bool:
        return needs_comparison(self._series, facts)

    @property
    def _waiting(self) -> Waiting:
        wait = timedelta(days=self.ctx.settings.qa.wait_days)
        return Waiting(now=self.ctx.now(), wait=wait, since=self.waits)

    def _is_unchanged(self, one: StructureSetFacts) -> bool:
        """Return whether a set has the delivered contours, and no others."""
        if self.delivered is None:
            return False
        compared = self._compare(one, CompareOptions(with_distances=False))
        return all(structure.outcome in _SAME for structure in compared.structures)

    def _compare(self, one: StructureSetFacts, options: CompareOptions | None = None) -> Comparison:
        qa = self.ctx.settings.qa
        options = options or CompareOptions(
            tau_mm=qa.tau_mm, tau_of=qa.tau, aliases=qa.aliases, with_distances=has_scipy()
        )
        own = read_rois(self.delivered.header) if self.delivered is not None else ()
        return compare_structure_sets(own, read_rois(self._file_of(one.digest).header), options)

    def _with(self, compared: Comparison) -> PairRecord:
        structures, unpaired = recordable(compared.structures, self.ctx.settings.qa.aliases)
        record = self._record(PairStatus.COMPARED, "")
        return replace(record, structures=structures, unpaired=unpaired)

    def _record(self, status: PairStatus, note: str) -> PairRecord:
        """Return the record without structures."""
        chosen, delivered, reasons = self.choice.chosen, self.delivered, self.reasons
        version = drawcli_of(delivered.header) if delivered else ""
        return replace(
            self.earlier,
            status=status,
            at=self.ctx.now(),
            drawcli=version or self.earlier.drawcli,
            a_sha256=delivered.sha256 if delivered else self.earlier.a_sha256,
            b_sha256=chosen.digest if chosen else "",
            chosen_by=self.choice.by if chosen else "",
            approval=chosen.approval if chosen and chosen.approval in _STATUSES else "",
            others=len(reasons),
            passed_over=tuple(map(str, reasons)),
            note=note,
            structures=(),
            unpaired=0,
        )


def _note(status: PairStatus, reasons: Sequence[PassedOver]) -> str:
    """Return why there is no comparison, in one sentence."""
    begin = {
        PairStatus.MISSING: "no clinical structure set" if reasons else NO_SET,
        PairStatus.WAITING: "the structure set is not approved yet",
        PairStatus.UNCLEAR: "no structure set is preferred",
        PairStatus.CHANGED: "the series has changed since it was sent",
    }[status]
    return f"{begin}; found: {in_words(reasons)}" if reasons else begin
