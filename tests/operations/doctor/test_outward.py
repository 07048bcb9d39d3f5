"""The checks of doctor on what a site tells others: the audit log, the places of alarms."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from drawcli.adapters.notifications import Recipient
from drawcli.adapters.state.audit_log import ATTEMPT
from drawcli.core.jobs.job import Job, State
from drawcli.operations.alarm_conditions import RecipientState
from drawcli.operations.doctor.delivery import dicom_node, folder_of_delivery, target_checks
from drawcli.operations.doctor.outcome import CheckContext, Grade, run_checks
from drawcli.operations.doctor.outward import OUTWARD
from drawcli.operations.notification_store import NotificationStore
from drawcli.pipeline.context import Context
from tests.conftest import NOON, Site
from tests.dicom_peer import Peer, listening
from tests.web_archive import WebArchive, archive

apprise_loads = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated")  # it asks for it


def seen(name: str, site: Site, ctx: Context) -> tuple[Grade, str]:
    one = CheckContext(settings=site.settings(), config=site.config, now=NOON, ctx=ctx)
    (found,) = run_checks([(name, dict(OUTWARD)[name])], one)
    assert bool(found.result.remedy) == (found.result.grade is not Grade.PASS)
    return found.result.grade, found.result.text


def test_an_audit_log_that_holds_and_one_that_was_changed(site: Site, ctx: Context) -> None:
    assert seen("audit log", site, ctx) == (Grade.PASS, "nothing was sent yet")
    ctx.audit.add(ATTEMPT, NOON, "0badcafe", {"job": "0123456789ab-1"})
    assert seen("audit log", site, ctx) == (Grade.PASS, "1 lines, the chain is intact")

    (path,) = ctx.audit.folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"attempt", b"nothing"))

    grade, text = seen("audit log", site, ctx)
    assert (grade, "was changed" in text) == (Grade.FAIL, True)


def test_a_log_without_a_ledger_to_compare_with_is_not_passed(site: Site, ctx: Context) -> None:
    one = CheckContext(settings=ctx.settings, config=site.config, now=NOON)

    (found,) = run_checks([("audit log", dict(OUTWARD)["audit log"])], one)

    assert found.result.grade is Grade.SKIP


def test_an_audit_log_that_is_gone_is_told_by_what_the_ledger_counts(
    site: Site, ctx: Context, in_state: Callable[..., Job]
) -> None:
    in_state(State.PACKAGED, posts=2, attested=2)

    grade, text = seen("audit log", site, ctx)

    told = "uploads of job 0123456789ab-1: 2 in ledger, 0 in audit log"
    assert (grade, text) == (Grade.FAIL, told)


@pytest.fixture
def places(site: Site) -> Path:
    path = site.folder / "notify.urls"
    path.write_text("ntfy://canary-topic\n")
    path.chmod(0o600)
    site.add_line("notify: {urls_file: notify.urls}")
    return path


@apprise_loads
def test_places_of_alarms_are_told_by_their_service(site: Site, ctx: Context, places: Path) -> None:
    assert seen("notify", site, ctx) == (Grade.PASS, "recipient 1 (ntfy)")

    places.write_text("ntfy://canary-topic\nfoo://canary\n")
    grade, text = seen("notify", site, ctx)

    assert (grade, "recipient 2 of notify" in text, "canary" in text) == (Grade.FAIL, True, False)


@apprise_loads
def test_a_place_that_takes_nothing_is_told_with_how_long(
    site: Site, ctx: Context, places: Path
) -> None:
    memory = NotificationStore.read(site.state)
    told = RecipientState.new(NOON, NOON, None)
    key = Recipient(1, places.read_text().strip()).key(memory.salt)
    memory.places[key] = told._replace(failing_since=NOON - timedelta(hours=3))
    memory.write()

    grade, text = seen("notify", site, ctx)

    assert (grade, text) == (Grade.WARN, "recipient 1 (ntfy) has accepted no message for 3 h")


def test_where_nothing_is_set_up_all_is_well(site: Site, ctx: Context) -> None:
    assert seen("notify", site, ctx)[0] is Grade.PASS
    assert seen("metrics", site, ctx) == (Grade.PASS, "not set up")


@pytest.mark.parametrize(
    ("line", "grade", "told"),
    [
        ("{textfile: drawcli.prom}", Grade.PASS, "drawcli.prom"),
        ("{textfile: nowhere/drawcli.prom}", Grade.WARN, "cannot be written"),
        ("{heartbeat_url: 'https://monitor.example/canary'}", Grade.PASS, "heartbeat"),
        ("{heartbeat_url: 'http://monitor.example/canary'}", Grade.WARN, "plain http"),
    ],
)
def test_figures_that_cannot_be_written_or_sent(
    site: Site, ctx: Context, line: str, grade: Grade, told: str
) -> None:
    site.add_line(f"metrics: {line}")

    found, text = seen("metrics", site, ctx)

    assert (found, told in text, "canary" in text) == (grade, True, False)


def node_seen(site: Site) -> tuple[Grade, str, str]:
    one = CheckContext(settings=site.settings(), config=site.config, now=NOON)
    (found,) = run_checks([("DICOM node", dicom_node)], one)
    return found.result.grade, found.result.text, found.result.remedy


def test_a_dicom_node_that_answers_and_takes_structure_sets(site: Site) -> None:
    with listening(Peer()) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")

        grade, text, _ = node_seen(site)

    assert grade is Grade.PASS
    assert text == f"the DICOM node TPS@127.0.0.1:{peer.port} accepts structure sets"
    assert peer.callers == ["DRAWCLI"]
    assert peer.received == []


def targets_seen(site: Site, *, offline: bool = False) -> list[tuple[str, Grade, str]]:
    one = CheckContext(settings=site.settings(), config=site.config, now=NOON)
    checks = [("delivery", folder_of_delivery), *target_checks(one, offline=offline)]
    found = run_checks(checks, one)
    return [(outcome.check, outcome.result.grade, outcome.result.text) for outcome in found]


def test_each_target_of_a_list_has_a_line_and_an_optional_one_only_warns(site: Site) -> None:
    (site.folder / "tps").mkdir()
    with listening(Peer()) as peer, archive(WebArchive()) as web:
        site.add_line("deliver:\n  targets:")
        site.add_line(f"  - {{node: 'TPS@127.0.0.1:{peer.port}'}}")
        site.add_line(f"  - {{stow: '{web.url}'}}")
        site.add_line("  - {folder: tps}")
        site.add_line("  - {folder: nowhere, required: false}")
        site.add_line("  - {node: 'TPS@127.0.0.1:1', required: false}")
        site.add_line("  - {node: 'TPS@127.0.0.1:2', tls: {ca_file: nowhere.pem}}")
        found = targets_seen(site)
        offline = targets_seen(site, offline=True)

    grades = [Grade.PASS] * 4 + [Grade.WARN] * 2 + [Grade.FAIL]
    assert [name for name, _, _ in found] == ["delivery", *(f"target {n}" for n in range(1, 7))]
    assert [grade for _, grade, _ in found] == grades
    assert found[0][2] == "to 6 targets; required: 4"
    assert found[2][2] == f"the DICOMweb archive {web.url} accepts structure sets"
    assert [name for name, _, _ in offline] == ["delivery", "target 3", "target 4"]
    assert list((site.folder / "tps").iterdir()) == []


def test_a_target_that_returns_to_the_sender_is_checked_at_every_node(site: Site) -> None:
    with listening(Peer()) as peer:
        site.add_line("deliver:\n  targets: [{sender: true}]")
        site.add_line(f"  senders: {{CT1: 'TPS@127.0.0.1:{peer.port}', CT2: 'GONE@127.0.0.1:1'}}")
        _, (name, grade, text) = targets_seen(site)

    assert (name, grade, peer.asked) == ("target 1", Grade.FAIL, 1)
    assert "GONE@127.0.0.1:1 cannot be reached" in text


def test_a_dicom_node_that_does_not_know_us(site: Site) -> None:
    with listening(Peer(), require_calling_aet=["SOMEBODY"]) as peer:
        site.add_line(f"deliver: {{node: 'TPS@127.0.0.1:{peer.port}'}}")

        grade, text, remedy = node_seen(site)

    assert grade is Grade.FAIL
    assert "calling AE title not recognised" in text
    assert "It must accept DRAWCLI" in remedy
