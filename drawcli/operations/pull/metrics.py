"""Metrics for Prometheus of the pulls from archives."""

from collections.abc import Iterator

from drawcli.adapters.state.pull_state import SourceState
from drawcli.operations.metrics import Gauge, by_label
from drawcli.operations.pull.health import PullHealth


def pull_gauges(health: PullHealth) -> Iterator[Gauge]:
    """Yield the metrics of a site's archives, by their addresses."""
    asked = [source for source in health.sources if source.asked]
    up = {source.name: float(not source.failed_since) for source in asked}
    yield by_label("pull_up", "1 where the last pull of an archive did not fail.", "source", up)
    for name, what, field in (
        ("pulled_series", "Series pulled completely.", "series"),
        ("pulled_images", "Images stored.", "instances"),
        ("pulled_bytes", "Bytes of them.", "bytes"),
        ("pull_waiting", "Series that were not complete after the last pull.", "waiting"),
    ):
        yield by_label(name, what, "source", {one.name: _number(one, field) for one in asked})
    times = {source.name: source.succeeded for source in asked if source.succeeded}
    what = "When an archive was pulled last without a failure."
    yield by_label("pull_succeeded_timestamp_seconds", what, "source", times)


def _number(source: SourceState, field: str) -> float:
    return float(getattr(source, field))
