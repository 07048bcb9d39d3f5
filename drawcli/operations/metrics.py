"""Metrics of a site for Prometheus: jobs by state, waiting times, failures and volumes.

The format is text format 0.0.4, for the textfile collector and `/metrics`. It is small enough to
write here without a library; the tests read it with Prometheus' own parser. All metrics are gauges
computed from state_dir, so nothing is kept between runs. No label names a job.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from drawcli import __version__
from drawcli.adapters.state.run_log import ANSWERED
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.operations.overview import Overview, RunHealth, newest_delivery
from drawcli.operations.report import Report, report_of
from drawcli.pipeline.context import Context
from drawcli.system.files import write_durably
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import call_with_timeout

_READABLE: Final = 0o644  # node_exporter is another user
_LATELY: Final = timedelta(days=1)  # finished jobs stay in the ledger for so long


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with one value, or one for each value of a label."""

    name: str
    what: str
    label: str = ""  # name of the label, if there is one
    values: Mapping[str, float] = field(default_factory=dict)  # by label value

    def lines(self) -> Iterator[str]:
        """Yield its lines in the text format; none without a value."""
        if not self.values:
            return
        name = f"drawcli_{self.name}"
        yield f"# HELP {name} {self.what}"
        yield f"# TYPE {name} gauge"
        for value, figure in self.values.items():
            label = f'{{{self.label}="{_escaped(value)}"}}' if self.label else ""
            yield f"{name}{label} {figure:.15g}"


def metrics_text(ctx: Context) -> str:
    """Return the metrics of a site in the text format."""
    jobs, now = ctx.ledger.jobs(), ctx.now()
    home = newest_delivery(jobs, ctx.ledger.archive)
    gauges = [
        Gauge("info", "Version of drawcli.", "version", {__version__: 1}),
        *_of_jobs(jobs, len(ctx.ledger.archive), now),
        *_of_last_day(report_of(jobs, now - _LATELY, now)),
        *_of_runs(RunHealth.of(ctx.settings.state_dir), now),
        *([_at("last_delivered_timestamp_seconds", "The newest delivery.", home)] if home else []),
        _one("free_bytes", "Free on the disk of state_dir.", ctx.work.free_bytes()),
        _one("disclosures", "Lines of the audit log.", ctx.audit.head().number),
    ]
    return "\n".join(line for one in gauges for line in one.lines()) + "\n"


def write_textfile(ctx: Context, path: Path) -> None:
    """Replace the file for node_exporter atomically.

    Raises
    ------
    TimeoutError
        If its folder does not answer.
    """
    write = partial(write_durably, path, metrics_text(ctx).encode("utf-8"), mode=_READABLE)
    call_with_timeout(write, EXCHANGES["textfile"].seconds)


def _of_jobs(jobs: Iterable[Job], archived: int, now: datetime) -> Iterator[Gauge]:
    overview = Overview.of(jobs)
    counts = {str(state): float(overview.counts[state]) for state in State}
    yield Gauge("jobs", "Jobs by state; finished ones for a day.", "state", counts)
    yield _one("archived_jobs", "Finished jobs in the archive.", archived)
    held = Counter(job.reason_code or "unknown" for job in overview.held)
    yield _one("held", "Jobs that wait for a person.", len(overview.held))
    yield Gauge("held_jobs", "The same by reason.", "code", {**held})
    ages: dict[str, float] = {}
    for job in (*overview.held, *overview.open):
        if job.state not in FINISHED:
            age = max((now - job.since).total_seconds(), 0.0)
            ages[str(job.state)] = max(age, ages.get(str(job.state), 0.0))
    what = "How long the job has stood there that came to the state first."
    yield Gauge("oldest_job_seconds", what, "state", ages)


def _of_last_day(report: Report) -> Iterator[Gauge]:
    for name, what in (("found", "Series found"), ("sent", "Uploads"), ("delivered", "Deliveries")):
        yield _one(f"{name}_last_day", f"{what} within 24 h.", report.total(name))
    yield _one("bytes_sent_last_day", "Bytes of packages within 24 h.", report.total("bytes_sent"))
    failures, holds = dict(report.failures), dict(report.holds)
    yield Gauge("failures_last_day", "Tries that failed within 24 h.", "code", {**failures})
    yield Gauge("holds_last_day", "Times a person was asked within 24 h.", "code", {**holds})
    medians = {one.step: one.median for one in report.took}
    nineties = {one.step: one.ninetieth for one in report.took}
    yield Gauge("step_median_seconds", "Half took no longer, within 24 h.", "step", medians)
    yield Gauge("step_p90_seconds", "Nine of ten took no longer, within 24 h.", "step", nineties)


def _of_runs(pulse: RunHealth, now: datetime) -> Iterator[Gauge]:
    last, well, answered = pulse.last, pulse.success, pulse.answered
    at_work = 0.0 if pulse.runner is None else (now - pulse.runner.since).total_seconds()
    yield _one("paused", "1 while uploads are paused.", float(pulse.pause is not None))
    what = "How long the run has been at work that is at work now; 0 where none is."
    yield _one("running_seconds", what, max(at_work, 0.0))
    if last is not None:
        seconds = (last.ended - last.began).total_seconds()
        yield _at("last_run_timestamp_seconds", "The end of the last run.", last.ended)
        yield _one("last_run_exit_code", "How it ended; 0, 6 and 9 are well.", last.exit_code)
        yield _one("last_run_seconds", "How long it took.", seconds)
    if well is not None:
        yield _at("last_success_timestamp_seconds", "The last run that went well.", well.ended)
    if pulse.server is not None:
        what = "1 where the server answered when it was asked last."
        yield _one("server_up", what, float(pulse.server.server == ANSWERED))
    if answered is not None:
        yield _at("server_answered_timestamp_seconds", "The server's last answer.", answered.ended)


def _one(name: str, what: str, value: float | None) -> Gauge:
    return Gauge(name, what, "", {} if value is None else {"": value})


def _at(name: str, what: str, moment: datetime) -> Gauge:
    return _one(name, what, moment.timestamp())


def _escaped(text: str) -> str:
    r"""Return the value of a label.

    >>> _escaped('a"b\\c')
    'a\\"b\\\\c'
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
