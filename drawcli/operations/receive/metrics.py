"""Metrics for Prometheus of `drawcli receive`, from the file that it writes."""

from collections.abc import Iterator
from pathlib import Path

from drawcli.operations.metrics import Gauge, by_label, single
from drawcli.operations.receive.health import ReceiverHealth


def receive_gauges(state_dir: Path) -> Iterator[Gauge]:
    """Yield the metrics of a site's listener; only its state without any earlier run."""
    health = ReceiverHealth.of(state_dir)
    yield single("receive_up", "1 while 'drawcli receive' runs.", float(health.is_running))
    if health.state is None:
        return
    tally = health.state.tally
    yield single("received_objects", "Objects stored.", tally.stored)
    yield single("received_bytes", "Bytes of them.", tally.bytes)
    yield single("received_again", "Objects received again with the same bytes.", tally.repeated)
    what = "Objects of a known SOP Instance UID with other bytes, kept apart."
    yield single("received_conflicts", what, tally.conflicts)
    refused = {code: float(n) for code, n in tally.refused.items()}
    yield by_label("receive_refused", "Objects and associations refused.", "reason", refused)
    open_now = float(tally.open) if health.is_running else 0.0
    yield single("receive_associations", "Associations open now.", open_now)
    if tally.last_stored:
        what = "When an object was stored last."
        yield single("received_timestamp_seconds", what, tally.last_stored)
