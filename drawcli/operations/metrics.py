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
from typing import TYPE_CHECKING, Final

from drawcli import __version__
from drawcli.adapters.state.qa_summary import read_summary
from drawcli.adapters.state.run_log import ANSWERED
from drawcli.core.jobs.job import FINISHED, Job, State
from drawcli.operations.overview import Overview, RunHealth, newest_delivery
from drawcli.operations.pull.network_health import pulls_of
from drawcli.operations.report import Report, report_of
from drawcli.pipeline.context import Context
from drawcli.system.files import write_durably
from drawcli.system.limits import EXCHANGES
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    from drawcli.operations.pull.health import PullHealth


_READABLE: Final = 0o644  # node_exporter is another user
_LATELY: Final = timedelta(days=1)  # finished jobs stay in the ledger for so long


@dataclass(frozen=True, slots=True)
class Gauge:
    """A metric with one value, or one for each set of values of its labels."""

    name: str
    what: str
    values: Mapping[tuple[str, ...], float] = field(default_factory=dict)  # by label values
    labels: tuple[str, ...] = ()  # names of the labels

    def lines(self) -> Iterator[str]:
        """Yield its lines in the text format; none without a value."""
        if not self.values:
            return
        name = f"drawcli_{self.name}"
        yield f"# HELP {name} {self.what}"
        yield f"# TYPE {name} gauge"
        for values, figure in self.values.items():
            pairs = zip(self.labels, values, strict=True)
            labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in pairs)
            yield f"{name}{f'{{{labels}}}' if labels else ''} {figure:.15g}"


def by_label(name: str, what: str, label: str, values: Mapping[str, float]) -> Gauge:
    """Return a metric with one value for each value of a label."""
    return Gauge(name, what, {(value,): figure for value, figure in values.items()}, (label,))


def single(name: str, what: str, value: float | None) -> Gauge:
    """Return a metric with one value, or none if it is None."""
    return Gauge(name, what, {} if value is None else {(): value})


def moment(name: str, what: str, at: datetime) -> Gauge:
    """Return a time as a metric, s since 1970."""
    return single(name, what, at.timestamp())


def metrics_text(ctx: Context) -> str:
    """Return the metrics of a site in the text format."""
    jobs, now = ctx.ledger.jobs(), ctx.now()
    home = newest_delivery(jobs, ctx.ledger.archive)
    gauges = [
        by_label("info", "Version of drawcli.", "version", {__version__: 1}),
        *_of_jobs(jobs, len(ctx.ledger.archive), now),
        *_of_last_day(report_of(jobs, now - _LATELY, now)),
        *_of_runs(RunHealth.of(ctx.settings.state_dir, shared=ctx.ledger.shared), now),
        *(
            [moment("last_delivered_timestamp_seconds", "The newest delivery.", home)]
            if home
            else []
        ),
        single("free_bytes", "Free on the disk of state_dir.", ctx.work.free_bytes()),
        single("disclosures", "Lines of the audit log.", ctx.audit.head().number),
        *_of_contours(ctx.settings.state_dir, now),
        *(_of_receiver(ctx.settings.state_dir) if ctx.settings.receive.folder else ()),
        *_of_pulls(pulls_of(ctx.settings)),
        *(_of_cluster(ctx) if ctx.settings.ledger else ()),
    ]
    return text_of(gauges)


def text_of(gauges: Iterable[Gauge]) -> str:
    """Return metrics in the text format."""
    return "\n".join(line for gauge in gauges for line in gauge.lines()) + "\n"


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
    yield by_label("jobs", "Jobs by state; finished ones for a day.", "state", counts)
    yield single("archived_jobs", "Finished jobs in the archive.", archived)
    held = Counter(job.reason_code or "unknown" for job in overview.held)
    yield single("held", "Jobs that wait for a person.", len(overview.held))
    yield by_label("held_jobs", "The same by reason.", "code", held)
    ages: dict[str, float] = {}
    for job in (*overview.held, *overview.open):
        if job.state not in FINISHED:
            age = max((now - job.since).total_seconds(), 0.0)
            ages[str(job.state)] = max(age, ages.get(str(job.state), 0.0))
    what = "How long the job has stood there that came to the state first."
    yield by_label("oldest_job_seconds", what, "state", ages)


def _of_cluster(ctx: Context) -> Iterator[Gauge]:
    from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
    from drawcli.operations.cluster.metrics import cluster_gauges
    from drawcli.operations.cluster.status import status_of

    if isinstance(ctx.ledger, DatabaseLedger):
        yield from cluster_gauges(status_of(ctx.ledger))


def _of_last_day(report: Report) -> Iterator[Gauge]:
    for name, what in (("found", "Series found"), ("sent", "Uploads"), ("delivered", "Deliveries")):
        yield single(f"{name}_last_day", f"{what} within 24 h.", report.total(name))
    yield single(
        "bytes_sent_last_day", "Bytes of packages within 24 h.", report.total("bytes_sent")
    )
    failures, holds = dict(report.failures), dict(report.holds)
    yield by_label("failures_last_day", "Tries that failed within 24 h.", "code", failures)
    yield by_label("holds_last_day", "Times a person was asked within 24 h.", "code", holds)
    medians = {taken.step: taken.median for taken in report.took}
    nineties = {taken.step: taken.ninetieth for taken in report.took}
    yield by_label("step_median_seconds", "Half took no longer, within 24 h.", "step", medians)
    yield by_label("step_p90_seconds", "Nine of ten took no longer, within 24 h.", "step", nineties)


def _of_runs(pulse: RunHealth, now: datetime) -> Iterator[Gauge]:
    last, well, answered = pulse.last, pulse.success, pulse.answered
    at_work = 0.0 if pulse.runner is None else (now - pulse.runner.since).total_seconds()
    yield single("paused", "1 while uploads are paused.", float(pulse.pause is not None))
    what = "How long the run has been at work that is at work now; 0 where none is."
    yield single("running_seconds", what, max(at_work, 0.0))
    if last is not None:
        seconds = (last.ended - last.began).total_seconds()
        yield moment("last_run_timestamp_seconds", "The end of the last run.", last.ended)
        yield single("last_run_exit_code", "How it ended; 0, 6 and 9 are well.", last.exit_code)
        yield single("last_run_seconds", "How long it took.", seconds)
    if well is not None:
        yield moment("last_success_timestamp_seconds", "The last run that went well.", well.ended)
    if pulse.server is not None:
        what = "1 where the server answered when it was asked last."
        yield single("server_up", what, float(pulse.server.server == ANSWERED))
    if answered is not None:
        yield moment(
            "server_answered_timestamp_seconds", "The server's last answer.", answered.ended
        )


def _of_contours(state_dir: Path, now: datetime) -> Iterator[Gauge]:
    summary = read_summary(state_dir)
    if summary is not None:
        from drawcli.operations.qa.metrics import contour_gauges

        yield from contour_gauges(summary, now)


def _of_receiver(state_dir: Path) -> Iterator[Gauge]:
    from drawcli.operations.receive.metrics import receive_gauges

    yield from receive_gauges(state_dir)


def _of_pulls(pulls: "PullHealth | None") -> Iterator[Gauge]:
    if pulls is not None:
        from drawcli.operations.pull.metrics import pull_gauges

        yield from pull_gauges(pulls)


def _escaped(text: str) -> str:
    r"""Return the value of a label.

    >>> _escaped('a"b\\c')
    'a\\"b\\\\c'
    """
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
