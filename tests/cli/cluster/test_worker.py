"""drawcli worker: what it refuses, and that status shows its queues."""

from datetime import UTC, datetime

from drawcli.adapters.ledger.postgres.site import database_ledger
from drawcli.adapters.work_queue.queue import Deferral, WorkQueue
from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.tasks import QueueTask
from tests.cli.cluster.conftest import Owner
from tests.cli.cluster.test_commands import use
from tests.cli.conftest import Run
from tests.conftest import Site
from tests.postgres import needs_postgres


def test_a_ledger_in_a_file_needs_no_worker(drawcli: Run, site: Site) -> None:
    assert site.config.exists()
    ended = drawcli("worker")

    assert ended.code == 2
    assert "run-once" in ended.err


def test_an_unknown_kind_of_work_is_named(drawcli: Run, site: Site) -> None:
    assert site.config.exists()
    ended = drawcli("worker", "--queues", "scan,contour")

    assert ended.code == 2
    assert "no kind of work 'contour'" in ended.err


@needs_postgres
def test_status_shows_workers_and_queues(by_owner: Owner, drawcli: Run, site: Site) -> None:
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])
    with database_ledger(site.settings()) as ledger:
        queue = WorkQueue(ledger.database, "north")
        queue.defer(Deferral(QueueTask("north", "upload", "0123456789ab-1", "ct-1")))
        running = [{"step": "match", "job": "0123456789ab-2"}]
        facts = {"queues": ["match", "upload"], "parallel": 2, "running": running}
        ledger.shared.beat(4242, facts, alive=[])

    shown = drawcli("cluster", "status", "--json").answer["data"]
    text = drawcli("cluster", "status").out

    [waiting] = shown["queues"]
    [worker] = shown["workers"]
    assert (waiting["queue"], waiting["kind"], waiting["host"]) == ("upload@ct-1", "upload", "ct-1")
    assert (waiting["waiting"], waiting["later"], waiting["running"]) == (1, 0, 0)
    assert (worker["pid"], worker["parallel"], worker["running"]) == (4242, 2, running)
    assert "1 of 2" in text
    assert "upload@ct-1" in text


@needs_postgres
def test_a_pause_is_of_the_whole_site(by_owner: Owner, drawcli: Run, site: Site) -> None:
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])
    with database_ledger(site.settings()) as ledger:
        job = Job(id="0123456789ab-1", state=State.PACKAGED, since=datetime.now(UTC))
        ledger.add(job)

    drawcli("pause", "--reason", "works on the server")

    assert not (site.state / "paused.json").exists()
    assert "works on the server" in str(drawcli("status", "--json").answer)
    assert "works on the server" in drawcli("status").out
    paused = drawcli("upload", "--json").answer["data"]["paused"]
    assert paused["reason"] == "works on the server"
    drawcli("resume")
    assert "works on the server" not in str(drawcli("status", "--json").answer)


@needs_postgres
def test_where_workers_are_alive_no_run_of_cron_is_missed(
    by_owner: Owner, drawcli: Run, site: Site
) -> None:
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])
    new = drawcli("status").out
    with database_ledger(site.settings()) as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.DONE, since=datetime.now(UTC)))
    without = drawcli("status").out
    with database_ledger(site.settings()) as ledger:
        ledger.shared.beat(4242, {"queues": ["match"]}, alive=[])

    shown, checked = drawcli("status").out, drawcli("doctor", "--offline", "--json").answer

    assert "no run yet: 'drawcli init'" in new
    assert "no worker is alive" in " ".join(without.split()).lower()
    assert "cron" not in shown
    assert "1 worker at work" in shown
    [last_run] = [one for one in checked["data"]["checks"] if one["check"] == "last run"]
    assert last_run["grade"] == "PASS", last_run


@needs_postgres
def test_a_job_without_a_next_step_is_not_shown_as_due(
    by_owner: Owner, drawcli: Run, site: Site
) -> None:
    use(site, by_owner("init", "--site", "north", "--json").answer["data"])
    now = datetime.now(UTC)
    with database_ledger(site.settings()) as ledger:
        for number, state in enumerate((State.DONE, State.UNMATCHED, State.PACKAGED)):
            ledger.add(Job(id=f"{number:012x}-1", state=state, since=now))
        ledger.add(Job(id="0123456789ab-1", state=State.PACKAGED, since=now, held=True))

    jobs = drawcli("cluster", "status", "--json").answer["data"]["jobs"]

    due = {one["state"]: (one["jobs"], one["held"], one["due"]) for one in jobs}
    assert due == {"done": (1, 0, 0), "packaged": (2, 1, 1), "unmatched": (1, 0, 0)}
