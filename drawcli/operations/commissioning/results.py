"""The results of a commissioning: cases compared, structures judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Final

from drawcli.core.dicom.header import read_header
from drawcli.core.jobs.job import Job, State
from drawcli.core.qa.comparison import CompareOptions, Comparison, compare_structure_sets
from drawcli.core.qa.criteria import StructureResult, judge
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.structures import read_rois
from drawcli.core.templates.template import Template
from drawcli.errors import BadStructureSet, DrawcliError
from drawcli.operations.commissioning.acceptance_file import AcceptanceCriteria
from drawcli.operations.commissioning.models import TemplateVersion
from drawcli.operations.commissioning.past_cases import PastCase, PastCases
from drawcli.operations.qa.compare import has_scipy
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.reidentify import finish_structure_set, read_received
from drawcli.system.failures import raise_if_short

BACK: Final = (State.DELIVERED, State.DONE)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """A case, its job, and its comparisons."""

    case: PastCase
    job: Job
    comparison: Comparison | None = None  # by the tolerances of the site
    by_tau: Mapping[float, Comparison] = field(default_factory=dict)
    error: str = ""  # why there is no comparison

    @property
    def standing(self) -> str:
        """Why the case is not in the result; "" if it is."""
        if self.comparison is not None:
            return ""
        if self.job.held:
            return f"held: {self.job.reason}"
        return self.error or f"not finished: {self.job.state}"

    def structures(self, tau_mm: float | None = None) -> tuple[StructureComparison, ...]:
        """Return the comparisons by a tolerance; None is that of the site."""
        chosen = self.comparison if tau_mm is None else self.by_tau.get(tau_mm)
        return () if chosen is None else chosen.structures


@dataclass(frozen=True)
class Commissioned:
    """A commissioning as far as it is."""

    name: str  # of its folder
    template_name: str
    template: Template
    version: TemplateVersion
    acceptance: AcceptanceCriteria
    past: PastCases
    cases: tuple[CaseResult, ...]
    stopped: str = ""  # why jobs are left that could go on

    @property
    def compared(self) -> list[CaseResult]:
        """The cases in the result."""
        return [one for one in self.cases if one.comparison is not None]

    @property
    def is_complete(self) -> bool:
        """Whether no further case can come into the result without a person."""
        return all(one.job.held or one.job.state in BACK for one in self.cases)

    @cached_property
    def results(self) -> list[StructureResult]:
        """The result for each structure of the template."""
        return [self._result(name) for name in self.template.shown]

    def _result(self, name: str) -> StructureResult:
        judged = tuple(
            judge(one, list(self.by_case(name, one.tau_mm).values()))
            for one in self.acceptance.criteria.get(name, ())
        )
        return StructureResult(name, tuple(self.by_case(name).values()), judged)

    def by_case(self, name: str, tau_mm: float | None = None) -> dict[int, StructureComparison]:
        """Return the comparisons of a structure by the number of the case."""
        return {
            one.case.number: structure
            for one in self.compared
            for structure in one.structures(tau_mm)
            if structure.name == name
        }

    @property
    def site_taus_mm(self) -> list[float]:
        """The tolerances of the site that were used."""
        compared = (one for case in self.compared for one in case.structures())
        return sorted({one.tau_mm for one in compared if one.tau_mm is not None})

    @property
    def passed(self) -> bool | None:
        """Whether every structure with criteria passes; None while that cannot be said."""
        if not self.compared or not self.is_complete:
            return None
        verdicts = [one.passed for one in self.results if one.judgements]
        if False in verdicts:
            return False
        return None if not verdicts or None in verdicts else True

    @property
    def untouched(self) -> int:
        """The number of clinical contours that are those of the model, point by point."""
        kinds = [one.outcome for result in self.results for one in result.structures]
        return sum(kinds.count(kind) for kind in (ContourOutcome.UNTOUCHED, ContourOutcome.RENAMED))

    @property
    def days(self) -> tuple[datetime, datetime] | None:
        """When the first series was taken up, and when the last result came."""
        at = [event.at for one in self.cases for event in one.job.events]
        return (min(at), max(at)) if at else None


def compare_case(case: PastCase, job: Job, taus_mm: list[float], side: Context) -> CaseResult:
    """Compare the contours of a case that is back with its clinical structure set."""
    if job.state not in BACK:
        return CaseResult(case, job)
    try:
        sent = read_received(job, side)
        if sent is None:
            raise BadStructureSet("the file that came back has changed since")
        finished, _, _ = finish_structure_set(job, sent, side.crosswalk(job), side)
        drawn = read_rois(read_header(finished, complete=True))
        clinical = case.clinical.rois
    except DrawcliError as err:
        raise_if_short(err)
        return CaseResult(case, job, error=f"not compared: {err}")
    options = compare_options(side)
    compared = compare_structure_sets(drawn, clinical, options)
    by_tau = {}
    for tau in taus_mm:
        own = replace(options, tau_mm=tau, tau_of={})
        by_tau[tau] = compared if own == options else compare_structure_sets(drawn, clinical, own)
    return CaseResult(case, job, compared, by_tau)


def compare_options(ctx: Context) -> CompareOptions:
    """Return how a site compares."""
    qa = ctx.settings.qa
    return CompareOptions(
        tau_mm=qa.tau_mm, tau_of=qa.tau, aliases=qa.aliases, with_distances=has_scipy()
    )
