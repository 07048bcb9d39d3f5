"""What status, doctor, metrics and the web page say of the listener."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from drawcli.adapters.state.receive_state import (
    ReceiveState,
    is_listening,
    listening,
    read_state,
    write_state,
)
from drawcli.core.dicom_service.tally import StoreOutcome, Tally
from drawcli.operations.doctor.outcome import CheckContext, Grade
from drawcli.operations.doctor.receiver import commitment, receiver
from drawcli.operations.metrics import Gauge
from drawcli.operations.overview import RunHealth
from drawcli.operations.pull.network_health import receiver_of
from drawcli.operations.receive.health import ReceiverHealth
from drawcli.operations.receive.metrics import receive_gauges
from tests.dicom_sender import data_set, receiving, site_that_receives
from tests.tls import Authority

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the state folder of a listener that has run, and its datastore."""
    folder = tmp_path_factory.mktemp("site")
    with receiving(folder) as running:
        with running.associated() as sender:
            sender.store("1.2.1", data_set("1.2.1"))
            sender.store("1.2.1", data_set("1.2.1"))
            sender.store("1.2.1", data_set("1.2.1", pixels=b"xx"))
            sender.store("1.2.2", data_set("1.2.1"))
            sender.release()
        assert is_listening(running.settings.state_dir)
    assert not is_listening(running.settings.state_dir)
    return running.settings.state_dir, folder


def figures(gauges: Iterator[Gauge]) -> dict[str, float]:
    text = "\n".join(line for one in gauges for line in one.lines()) + "\n"
    return {
        f"{one.name}{''.join(one.labels.values())}": one.value
        for family in text_string_to_metric_families(text)
        for one in family.samples
    }


def test_metrics_have_every_count(state: tuple[Path, Path]) -> None:
    found = figures(receive_gauges(state[0]))

    stored = found.pop("drawcli_received_timestamp_seconds")
    assert NOW.timestamp() <= stored <= datetime.now(UTC).timestamp()
    assert found == {
        "drawcli_receive_up": 0,
        "drawcli_received_objects": 1,
        "drawcli_received_bytes": len(data_set("1.2.1")),
        "drawcli_received_again": 1,
        "drawcli_received_conflicts": 1,
        "drawcli_receive_refusedmismatch": 1,
        "drawcli_receive_associations": 0,
    }


def test_counts_go_on_after_a_restart(state: tuple[Path, Path]) -> None:
    with receiving(state[1]) as running, running.associated() as sender:
        assert sender.store("1.2.9", data_set("1.2.9")) == 0
        sender.release()

    found = read_state(state[0])
    assert found is not None
    assert (found.tally.stored, found.tally.repeated, found.tally.open) == (2, 1, 0)


def test_associations_of_a_killed_listener_are_not_open(tmp_path: Path) -> None:
    state_dir = site_that_receives(tmp_path).state_dir
    write_state(state_dir, ReceiveState("", "", tls=False, since=0.0, tally=Tally(open=3)))
    with receiving(tmp_path):
        pass

    found = read_state(state_dir)
    assert found is not None
    assert found.tally.open == 0


def test_a_listener_that_does_not_run_is_an_alarm_where_it_is_configured(
    state: tuple[Path, Path],
) -> None:
    health = RunHealth.of(state[0])._replace(receiver=receiver_of(state[0]))
    lines = {one.subject: one for one in health.sentences(NOW)}
    without = [one.subject for one in RunHealth.of(state[0]).sentences(NOW)]

    assert lines["receive"].is_alarm
    assert lines["receive"].text.startswith("not running: scanners cannot send")
    assert "1 with a known UID and other content" in lines["receive"].text
    assert "receive" not in without


def test_a_listener_that_runs_says_where_and_what_it_received(tmp_path: Path) -> None:
    with receiving(tmp_path) as running, running.associated() as sender:
        sender.store("1.2.1", data_set("1.2.1"))
        sender.release()
    with receiving(tmp_path) as running:
        health = ReceiverHealth.of(running.settings.state_dir)
        text = health.text(datetime.now(UTC) + timedelta(minutes=7))

    assert text.startswith("listening on 127.0.0.1:")
    assert "1 object received, the last 7 min ago" in text


def test_doctor_warns_of_a_listener_that_does_not_run_and_of_what_was_kept_apart(
    tmp_path: Path,
) -> None:
    settings = site_that_receives(tmp_path)
    site = CheckContext(settings=settings, config=tmp_path / "x", now=NOW, ctx=None, closed=None)
    down = receiver(site)
    with receiving(tmp_path) as running:
        up = receiver(site)
        with running.associated() as sender:
            sender.store("1.2.1", data_set("1.2.1"))
            sender.store("1.2.1", data_set("1.2.1", pixels=b"xx"))
        apart = receiver(site)

    assert (down.grade, up.grade, apart.grade) == (Grade.WARN, Grade.PASS, Grade.WARN)
    assert "drawcli receive" in down.remedy
    assert "1 received with a known SOP Instance UID" in apart.text
    assert ".drawcli-conflicts" in apart.remedy


COMMITTING = "deliver: {targets: [{node: 'TPS@127.0.0.1:104', commitment: true}]}\n"


def test_doctor_warns_where_no_report_of_commitment_can_arrive(tmp_path: Path) -> None:
    def graded(caller: str, *, receives: bool = True) -> tuple[Grade, str]:
        settings = site_that_receives(tmp_path, [caller], more=COMMITTING)
        if not receives:
            settings = settings.replace(receive=settings.receive.replace(folder=None))
        site = CheckContext(
            settings=settings, config=tmp_path / "x", now=NOW, ctx=None, closed=None
        )
        found = commitment(site)
        return found.grade, found.text

    unknown = graded("CT1@127.0.0.1")
    down = graded("TPS@127.0.0.1")
    with receiving(tmp_path, ["TPS@127.0.0.1"], more=COMMITTING):
        up = graded("TPS@127.0.0.1")
    of_runs = graded("TPS@127.0.0.1", receives=False)

    assert [one[0] for one in (unknown, down)] == [Grade.WARN, Grade.WARN]
    assert [one[0] for one in (up, of_runs)] == [Grade.PASS, Grade.PASS]
    assert "TPS@127.0.0.1:104" in unknown[1]
    assert "not running" in down[1]
    assert "for 5 s after a request" in of_runs[1]


def test_doctor_warns_before_a_certificate_ends(tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).certificate("127.0.0.1", days=20)
    settings = site_that_receives(tmp_path, tls_cert=cert, tls_key=key)
    site = CheckContext(settings=settings, config=tmp_path / "x", now=NOW, ctx=None, closed=None)
    with receiving(tmp_path, tls_cert=cert, tls_key=key):
        found = receiver(site)

    assert found.grade is Grade.WARN
    assert "the certificate expires on" in found.text


@pytest.mark.parametrize("raw", [b"", b"{}", b"[1]", b'{"tally": {"refused": 3}}', b"\xff"])
def test_a_damaged_state_file_is_no_state(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "receive").mkdir()
    (tmp_path / "receive" / "state.json").write_bytes(raw)

    assert read_state(tmp_path) is None
    assert ReceiverHealth.of(tmp_path).text(NOW).startswith("not running")


def test_the_state_is_read_as_it_was_written(tmp_path: Path) -> None:
    tally = Tally(open=3)
    tally.count(StoreOutcome(0, "stored"), 10, 5.0)
    tally.refuse("too-slow")
    written = ReceiveState("[::1]:11112", "DRAWCLI", True, 4.0, tally)  # noqa: FBT003 - a record
    write_state(tmp_path, written)
    tally.changed = False

    assert read_state(tmp_path) == written
    with listening(tmp_path):
        assert is_listening(tmp_path)
