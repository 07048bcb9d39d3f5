"""What a worker does with tasks, in this process: the server is in memory, the tasks are fed."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from drawcli.adapters.ledger.postgres.shared import WorkerSeen
from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.state.pause import Pause, end_pause, read_pause, write_pause
from drawcli.adapters.work_queue.queue import Deferral
from drawcli.core.jobs.job import RULES_DECIDE, Job, State
from drawcli.core.jobs.ledger import LimitReached
from drawcli.core.jobs.tasks import JOB_STEPS, KINDS, SCAN, QueueTask
from drawcli.errors import SILENT, LedgerError
from drawcli.operations.workers import feeder
from drawcli.operations.workers.feeder import Feeder
from drawcli.operations.workers.lane import Lane, StepTrouble, TaskEnded
from drawcli.operations.workers.site import OpenSite, open_site
from drawcli.operations.workers.worker import Signals, Supervisor, WorkerOptions
from drawcli.pipeline import runner
from drawcli.pipeline.context import Context
from tests.conftest import PELVIS, SLICES
from tests.fake_draw import FakeDraw
from tests.operations.workers.conftest import Host, Ward
from tests.phantoms.planning import write_planning_ct
from tests.postgres import Postgres, needs_postgres

pytestmark = needs_postgres
JOB = "0123456789ab-1"


@dataclass
class Told:
    """The end of a pipe, with the messages of a lane."""

    messages: list[Any] = field(default_factory=list)

    def send(self, message: Any) -> None:
        self.messages.append(message)

    def troubles(self) -> list[tuple[str, str]]:
        return [(one.step, one.code) for one in self.messages if isinstance(one, StepTrouble)]


@dataclass
class Bench:
    """A host whose tasks are run by hand."""

    ward: Ward
    site: OpenSite
    lane: Lane
    feeder: Feeder
    told: Told

    @property
    def workers(self) -> list[WorkerSeen]:
        return [WorkerSeen(self.site.host, 1, {"queues": [*KINDS]}, 0.0)]

    def feed(self) -> None:
        self.feeder.feed(self.workers)

    def tasks(self) -> list[str]:
        """Return the steps and jobs of the tasks that could run now, the most urgent first."""
        return [f"{task.step} {task.job_id}".strip() for task in self._due()]

    def _due(self) -> list[QueueTask]:
        rows = self.ward.rows(
            "SELECT args FROM drawcli_queue_north.procrastinate_jobs WHERE status = 'todo' "
            "AND (scheduled_at IS NULL OR scheduled_at <= now()) ORDER BY priority DESC, id"
        )
        facts = ({key: row[0][key] for key in QueueTask._fields} for row in rows)
        return [QueueTask(**one) for one in facts]

    def run(self) -> list[str]:
        """Run the tasks that can run now; return them."""
        due = self._due()
        for task in due:
            self.site.queue.drop(task)
            self.lane.handle(self.site, task)
        return [task.step for task in due]

    def run_all(self, most: int = 40) -> list[str]:
        """Feed and run until nothing is due."""
        done: list[str] = []
        for _ in range(most):
            self.feed()
            ran = self.run()
            if not ran:
                return done
            done += ran
        pytest.fail(f"it does not end: {done}")

    def add(self, state: State, job_id: str = JOB, **facts: Any) -> Job:
        job = Job(id=job_id, state=state, since=datetime.now(UTC), **facts)
        self.site.base.ledger.add(job)
        return job


@pytest.fixture
def at(
    postgres_server: Postgres,
    database: str,
    tmp_path: Path,
    draw: FakeDraw,
    monkeypatch: pytest.MonkeyPatch,
) -> Callable[..., Any]:
    """Return a function that opens a host of the site; its server is in memory."""
    token = tmp_path / "token.json"
    token.write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
    ward = Ward(postgres_server, database, tmp_path, token, "http://127.0.0.1:9")

    def in_memory(site: OpenSite) -> DrawServer:
        client = httpx.Client(transport=httpx.MockTransport(draw))
        server = DrawServer(client, site.settings.server, site.base.tokens, site.clock.now)
        server.pause = lambda _seconds: None
        return server

    monkeypatch.setattr(OpenSite, "_open_server", in_memory)

    @contextmanager
    def open_(name: str = "ct-1", **cluster: Any) -> Iterator[Bench]:
        # A short lease would be renewed now and then, which is a request too, or end.
        host = ward.hosts.get(name) or ward.host(name, **{"lease_seconds": 60} | cluster)
        with open_site(host.site.config) as site:
            told = Told()
            lane = Lane(host.site.config, KINDS, told)  # type: ignore[arg-type] # it sends only
            yield Bench(ward, site, lane, Feeder(site), told)

    return open_


def host_of(bench: Bench) -> Host:
    return bench.ward.hosts[bench.site.host]


def with_pelvis(bench: Bench) -> None:
    folder = host_of(bench).site.store / "pelvis"
    write_planning_ct(folder, PELVIS, slices=SLICES, size=32, seed=1)


def scan(bench: Bench) -> None:
    task = QueueTask("north", SCAN, "", bench.site.host)
    bench.lane.handle(bench.site, task)


def test_a_series_goes_through_every_step(at: Callable[..., Any], draw: FakeDraw) -> None:
    with at() as bench:
        with_pelvis(bench)
        scan(bench)

        assert bench.run_all() == ["match", "deidentify", "upload", "poll", "fetch", "reidentify"]
        assert bench.ward.states() == ["done"]
        assert draw.posts() == 1


def test_a_job_has_one_waiting_task_after_any_number_of_feeds(at: Callable[..., Any]) -> None:
    with at() as bench:
        bench.add(State.UPLOADED, task_id="task-1")
        for _ in range(3):
            bench.feed()

        assert bench.tasks() == [f"poll {JOB}"]


def test_the_ledger_decides_what_is_due(at: Callable[..., Any]) -> None:
    now = datetime.now(UTC)
    with at() as bench:
        bench.add(State.UPLOADED, "000000000001-1", due_at=now + timedelta(minutes=5))
        bench.add(State.UPLOADED, "000000000002-1", held=True, reason="why", reason_code="x")
        bench.add(State.DONE, "000000000003-1")
        bench.add(State.WAITING, "000000000004-1")
        bench.add(State.UPLOADED, "000000000005-1", due_at=now - timedelta(minutes=5))
        bench.add(State.SEGMENTED, "000000000006-1", priority=7)
        bench.feed()

        assert bench.tasks() == ["fetch 000000000006-1", "poll 000000000005-1"]


def test_finished_jobs_with_a_task_at_the_server_are_looked_at_from_time_to_time(
    at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cohort finishes tens of thousands a day; very few have such a task."""
    with at() as bench:
        bench.add(State.DONE, task_id="task-1", replaced=("task-0",))
        bench.feed()
        assert bench.tasks() == [f"poll {JOB}"]
        bench.site.queue.drop(bench._due()[0])
        bench.feed()
        assert bench.tasks() == []

        monkeypatch.setattr(bench.feeder, "_finished_at", 0.0)
        assert bench.run_all() == ["poll"]
        assert [one[0] for one in bench.ward.rows("SELECT state FROM drawcli.job")] == ["done"]
        assert bench.site.base.ledger.get(JOB).replaced == ()


def test_results_go_first_and_few_long_tasks_wait(at: Callable[..., Any]) -> None:
    with at() as bench:
        for number in range(10):
            bench.add(State.PACKAGED, f"00000000000{number}-1", priority=number)
        bench.feed()
        bench.add(State.FETCHED, "0000000000ff-1")
        bench.feed()

        first, *others = bench.tasks()
        assert first == "reidentify 0000000000ff-1"
        assert others == [f"upload 00000000000{number}-1" for number in (9, 8, 7, 6)]


def test_a_task_of_a_job_that_has_moved_on_does_nothing(
    at: Callable[..., Any], draw: FakeDraw
) -> None:
    with at() as bench:
        bench.add(State.UPLOADED, task_id="task-1")

        bench.lane.handle(bench.site, QueueTask("north", "upload", JOB))
        bench.lane.handle(bench.site, QueueTask("north", "upload", "0123456789ff-1"))

        assert bench.ward.states() == ["uploaded"]
        assert draw.asked == []
        assert bench.told.troubles() == []


def test_a_task_of_a_job_that_another_host_has_claimed_does_nothing(
    at: Callable[..., Any], draw: FakeDraw
) -> None:
    with at() as bench, at("ct-2") as other:
        bench.add(State.UPLOADED, task_id="task-1")
        with other.site.base.ledger.claim(JOB):
            bench.lane.handle(bench.site, QueueTask("north", "poll", JOB))
            bench.feed()
            assert bench.tasks() == []

        assert draw.asked == []
        (ended,) = [one for one in bench.told.messages if isinstance(one, TaskEnded)]
        assert ended.outcomes == ((JOB, "busy"),)


def test_broken_rules_stop_only_the_match_and_are_reported_once(at: Callable[..., Any]) -> None:
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        bench.add(State.UPLOADED, "0123456789ff-1", task_id="task-1")
        rules = host_of(bench).site.folder / "rules.yaml"
        right = rules.read_text()
        rules.write_text("rules: [")
        bench.run()  # the match that waits since the scan
        bench.feed()

        assert bench.ward.rows("SELECT state FROM drawcli.job WHERE state = 'found'")
        assert [one for one in bench.told.troubles() if one[0] == "match"] == [("match", "config")]
        assert bench.feeder.broken_rules is not None
        assert "rules.yaml" in str(bench.feeder.broken_rules)
        assert bench.tasks() == ["poll 0123456789ff-1"]

        rules.write_text(right)
        bench.feed()

        assert any(task.startswith("match ") for task in bench.tasks())
        assert bench.feeder.broken_rules is None
        bench.run()
        of_match = [one for one in bench.told.troubles() if one[0] == "match"]
        assert of_match == [("match", "config"), ("match", "")]


def test_new_rules_are_used_by_the_next_task(at: Callable[..., Any]) -> None:
    with at() as bench:
        with_pelvis(bench)
        rules = host_of(bench).site.folder / "rules.yaml"
        right = rules.read_text()
        rules.write_text("rules: []\n")
        scan(bench)
        assert bench.run_all() == ["match"]
        assert bench.ward.states() == ["unmatched"]

        rules.write_text(right)

        assert bench.run_all()[:2] == ["match", "deidentify"]


def test_undecided_jobs_are_read_once_after_a_change_of_the_rules(
    at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[State] = []

    def due_jobs(state: State, ctx: Context) -> Iterator[Job]:
        read.append(state)
        return runner.due_jobs(state, ctx)

    monkeypatch.setattr(feeder, "STOCK", 2)
    monkeypatch.setattr(feeder, "due_jobs", due_jobs)
    with at() as bench:
        ids = [f"{n:012x}-1" for n in range(5)]
        for job_id in ids:
            bench.add(State.UNMATCHED, job_id, rules_digest="of earlier rules")
        seen: list[str] = []
        for _ in range(4):
            bench.feed()
            seen += bench.tasks()
            for task in bench._due():
                bench.site.queue.drop(task)

    assert sorted(seen) == [f"match {job_id}" for job_id in ids]
    assert sorted(read) == sorted(RULES_DECIDE)


def test_changed_settings_end_the_process_before_the_next_task(at: Callable[..., Any]) -> None:
    with at() as bench:
        bench.add(State.UPLOADED, task_id="task-1")
        host_of(bench).site.add_line("preview: never")

        bench.lane.handle(bench.site, QueueTask("north", "poll", JOB))

        assert bench.lane.stop.is_set()
        assert bench.told.messages == []


def test_a_new_site_counts_its_series_before_it_sends(
    at: Callable[..., Any], draw: FakeDraw
) -> None:
    with at() as bench:
        host_of(bench).site.add_line("match: {first_run_limit: 1}")
    with at() as bench:
        for number in range(2):
            folder = host_of(bench).site.store / str(number)
            write_planning_ct(folder, PELVIS, slices=4, size=32, seed=number)
        scan(bench)

        assert set(bench.run_all()) == {"match"}
        held = bench.ward.rows("SELECT state, held FROM drawcli.job")
        assert held == [("matched", True)] * 2
        assert draw.asked == []


def test_a_large_first_run_is_held_in_parts_and_nothing_of_it_is_sent(
    at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Holding ten thousand jobs takes minutes, in which the worker would give no sign."""
    monkeypatch.setattr(feeder, "_HOLD_SECONDS", 0.0)
    with at() as bench:
        host_of(bench).site.add_line("match: {first_run_limit: 1}")
    with at() as bench:
        for number in range(3):
            bench.add(State.MATCHED, f"00000000000{number}-1", template="t", rule="r")
        held = []
        for _ in range(4):
            bench.feed()
            assert bench.tasks() == []
            held += bench.ward.rows("SELECT count(*) FROM drawcli.job WHERE held")

    assert held == [(1,), (2,), (3,), (3,)]


def test_no_series_is_sent_before_all_that_were_found_are_matched(at: Callable[..., Any]) -> None:
    with at() as bench:
        bench.add(State.MATCHED, "000000000001-1", template="t", rule="r")
        bench.add(State.FOUND, "000000000002-1")
        bench.feed()

        assert bench.tasks() == ["match 000000000002-1"]


def test_all_hosts_stop_uploads_to_a_busy_server(at: Callable[..., Any], draw: FakeDraw) -> None:
    with at() as bench, at("ct-2") as other:
        with_pelvis(bench)
        scan(bench)
        draw.answers = [httpx.Response(503, headers={"retry-after": "1800"})]
        assert bench.run_all() == ["match", "deidentify", "upload"]
        other.add(State.PACKAGED, "0123456789ff-1")
        other.feed()

        assert other.tasks() == []
        other.lane.handle(other.site, QueueTask("north", "upload", "0123456789ff-1"))
        assert draw.posts() == 0
        assert draw.asked == ["GET /api/health"]
        [(server, seconds)] = bench.ward.rows(
            "SELECT server, extract(epoch FROM until - drawcli.clock()) FROM drawcli.server_wait"
        )
        assert server == "127.0.0.1:9"
        assert 1700 < seconds <= 1800


def test_a_refused_token_stops_uploads_until_there_is_another(
    at: Callable[..., Any], draw: FakeDraw
) -> None:
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        draw.access = draw.refresh = "of another site"
        for _ in range(3):
            bench.feed()
            bench.run()
        asked = len(draw.asked)
        assert bench.told.troubles()[-1] == ("upload", "token-refused")
        bench.lane.stop.set()  # it need not wait

        bench.feed()
        bench.run()
        assert len(draw.asked) == asked  # it is not tried again

        draw.access = "access-2"
        token = host_of(bench).site.folder / "token.json"
        token.write_text('{"access_token": "access-2", "refresh_token": "refresh-2"}')
        bench.run_all()

        assert bench.ward.states() == ["done"]


def test_a_bug_outside_the_steps_ends_no_worker(
    at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def follow(*_: object) -> None:
        raise ZeroDivisionError("values of a patient")

    monkeypatch.setattr("drawcli.operations.workers.lane.follow", follow)
    with at() as bench:
        bench.add(State.UPLOADED, task_id="task-1")
        bench.lane.handle(bench.site, QueueTask("north", "poll", JOB))

        (trouble,) = [one for one in bench.told.messages if isinstance(one, StepTrouble)]
        assert (trouble.step, trouble.code) == ("poll", "bug")
        assert "patient" not in trouble.text
        assert isinstance(bench.told.messages[-1], TaskEnded)


def test_the_pause_of_the_site_holds_all_hosts_and_a_file_one(at: Callable[..., Any]) -> None:
    pause = Pause(datetime.now(UTC), "ann", "ct-2", "works on the server")
    with at() as bench, at("ct-2") as other:
        bench.add(State.PACKAGED)
        write_pause(other.site.settings.state_dir, pause, other.site.shared)
        bench.feed()
        assert bench.tasks() == []
        assert read_pause(bench.site.settings.state_dir, bench.site.shared) == pause

        end_pause(other.site.settings.state_dir, other.site.shared)
        write_pause(bench.site.settings.state_dir, pause)
        bench.feed()

        assert bench.tasks() == [f"upload {JOB}"]  # for the other host
        bench.run()
        assert bench.ward.states() == ["packaged"]


def test_limits_hold_over_all_hosts(at: Callable[..., Any]) -> None:
    with at(limits={"upload": 2}) as bench, at("ct-2", limits={"upload": 2}) as other:
        for number in range(4):
            bench.add(State.PACKAGED, f"00000000000{number}-1")
        bench.feed()
        assert len(bench.tasks()) == 2

        mine, theirs = bench.site.base.ledger, other.site.base.ledger
        with (
            mine.claim("000000000000-1"),
            mine.shared.slot("upload", "000000000000-1", 2),
            theirs.claim("000000000001-1"),
            theirs.shared.slot("upload", "000000000001-1", 2),
            theirs.claim("000000000002-1"),
        ):
            with pytest.raises(LimitReached), theirs.shared.slot("upload", "000000000002-1", 2):
                pytest.fail("a third")
            bench.lane.handle(bench.site, QueueTask("north", "upload", "000000000003-1"))
            (ended,) = [one for one in bench.told.messages if isinstance(one, TaskEnded)]
            assert ended.outcomes == (("000000000003-1", "busy"),)
            bench.ward.rows("UPDATE drawcli.job SET fence = fence + 1 WHERE id = '000000000000-1'")
            with theirs.shared.slot("upload", "000000000002-1", 2):
                pass  # the claim of the first has been taken over: it does not count any more
        assert bench.ward.rows("SELECT job_id FROM drawcli.slot WHERE fence < 0") == []


def test_a_step_of_a_job_is_for_the_host_that_has_its_files(at: Callable[..., Any]) -> None:
    with at() as bench:
        bench.add(State.PACKAGED, "000000000001-1")
        bench.add(State.PACKAGED, "000000000002-1")
        bench.add(State.PACKAGED, "000000000003-1")
        for number, home in ((1, "ct-1"), (2, "ct-9"), (3, "ct-8")):
            bench.ward.rows(
                f"UPDATE drawcli.job SET home = '{home}' WHERE id = '00000000000{number}-1'"
            )
        bench.ward.rows(
            "INSERT INTO drawcli.host VALUES ('north', 'ct-8', '', '', now(), now(), '{}'), "
            "('north', 'ct-9', '', '', now(), now() - interval '1 day', '{}')"
        )
        bench.feed()

        queues = {one.queue: one.waiting for one in bench.site.queue.counts()}
        assert queues == {"upload@ct-1": 1, "upload": 1}  # ct-9 is gone, ct-8 may come back


def test_the_clock_of_a_host_does_not_matter(
    at: Callable[..., Any], draw: FakeDraw, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw.status = "SEGMENTATION STARTED"
    wrong = datetime.now(UTC) - timedelta(minutes=7)
    monkeypatch.setattr("drawcli.operations.workers.site.utc_now", lambda: wrong)
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        bench.run_all()

        [(late,)] = bench.ward.rows("SELECT extract(epoch FROM due_at - now()) FROM drawcli.job")
        assert -300 < late < 300  # and not seven minutes off


def test_periodic_tasks_come_first_and_again_only_after_they_have_ended(
    at: Callable[..., Any],
) -> None:
    with at() as bench:
        later = WorkerSeen("zz-last", 2, {"queues": [*KINDS]}, 0.0)
        for _ in range(2):
            bench.feeder.feed_own([*bench.workers, later])
        counts = {one.queue: one.waiting for one in bench.site.queue.counts()}
        assert counts == {"scan@ct-1": 1, "tidy@ct-1": 1}
        assert bench.run() == ["tidy", "scan"]
        bench.feeder.feed_own(bench.workers)
        assert bench.tasks() == []
    with at("zz-last") as last:
        last.feeder.feed_own([*bench.workers, later])
        assert last.tasks() == ["tidy"]  # an earlier host scans


def test_workers_of_a_site_are_seen_until_they_end(at: Callable[..., Any]) -> None:
    with at() as bench:
        shared = bench.site.shared
        shared.beat(11, {"queues": ["upload"], "parallel": 2}, alive=[])
        shared.beat(12, {"queues": ["scan"], "parallel": 1}, alive=[11])
        assert [(one.pid, one.queues) for one in shared.workers(60)] == [
            (11, ["upload"]),
            (12, ["scan"]),
        ]
        shared.beat(12, None, alive=[11])
        assert [one.pid for one in shared.workers()] == [11]
        bench.ward.rows("UPDATE drawcli.host SET facts = '[1]'")
        assert shared.workers() == []


def test_the_task_is_returned_by_its_key(at: Callable[..., Any]) -> None:
    with at() as bench:
        task = QueueTask("north", "upload", JOB)
        bench.site.queue.defer(Deferral(task))
        assert bench.site.queue.drop(task) == 1
        assert json.dumps(bench.tasks()) == "[]"
        assert set(JOB_STEPS) < set(KINDS)


def test_a_worker_stops_when_the_tables_are_upgraded(
    at: Callable[..., Any], draw: FakeDraw
) -> None:
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        bench.ward.rows("INSERT INTO drawcli.schema_version (version) VALUES (99) RETURNING 1")
        bench.site.close_round()  # as after a minute
        before = draw.posts(), bench.ward.states()

        for step in ("match", SCAN):
            bench.lane.handle(bench.site, QueueTask("north", step))

        assert (draw.posts(), bench.ward.states()) == before
        assert ("match", "ledger") in bench.told.troubles()
        supervisor = Supervisor(bench_options(bench), bench.site, Signals(), lambda _: None)
        with pytest.raises(LedgerError, match="newer drawcli"):
            supervisor._beat()


def bench_options(bench: Bench) -> WorkerOptions:
    return WorkerOptions(bench.site.config, (), 1, 0.0)


def test_no_series_is_taken_up_with_a_site_key_that_another_host_has_replaced(
    at: Callable[..., Any],
) -> None:
    with at() as bench:
        with_pelvis(bench)
        _ = bench.site.context()  # of this minute
        bench.ward.rows(
            "UPDATE drawcli.site_state SET value = 'fedcba987654' WHERE name = 'site-key-id' "
            "RETURNING 1"
        )

        scan(bench)

        assert bench.ward.states() == []
        assert (SCAN, "site-key") in bench.told.troubles()
        [text] = [one.text for one in bench.told.messages if isinstance(one, StepTrouble)]
        assert "fedcba987654" in text


def test_a_host_without_the_datastore_reports_that_and_leaves_the_jobs_to_others(
    at: Callable[..., Any],
) -> None:
    with at() as bench, at("ct-2") as other:
        with_pelvis(bench)
        scan(bench)
        store = host_of(bench).site.store
        store.rename(store.with_name("elsewhere"))
        store.mkdir()
        tasks = [QueueTask("north", "match", job.id) for job in other.site.base.ledger.jobs()]

        for task in tasks * 2:
            other.lane.handle(other.site, task)

        [job] = other.site.base.ledger.jobs()
        assert (job.state, job.held, job.reason_code) == (State.FOUND, False, SILENT)
        assert "on host ct-2" in (job.reason or "")
        assert job.tries(SILENT) == 1  # the second task was left alone
        assert ("match", SILENT) in other.told.troubles()
        store.rmdir()
        scan(other)
        assert other.told.troubles()[-1] == (SCAN, "datastore-missing")
        store.with_name("elsewhere").rename(store)
        scan(other)
        assert other.told.troubles()[-1] == (SCAN, "")


def test_jobs_that_no_worker_on_their_host_can_continue_are_reported(
    at: Callable[..., Any],
) -> None:
    with at() as bench:
        with_pelvis(bench)
        scan(bench)
        here = WorkerSeen(bench.site.host, 1, {"queues": [SCAN, "match", "deidentify"]}, 0.0)
        there = WorkerSeen("ct-2", 1, {"queues": ["upload", "poll"]}, 0.0)
        for step in ("match", "deidentify"):
            [job] = bench.site.base.ledger.jobs()
            bench.lane.handle(bench.site, QueueTask("north", step, job.id))
        assert bench.ward.states() == ["packaged"]
        said: list[str] = []
        supervisor = Supervisor(bench_options(bench), bench.site, Signals(), said.append)

        for _ in range(2):
            supervisor._report_stranded([here, there])
        assert len(said) == 1
        assert "only host ct-1 has the files of 1 job due for upload" in said[0]
        supervisor._report_stranded(bench.workers)
        assert said[1:] == ["upload on its host: solved"]


def test_what_stops_a_worker_is_reported_once_and_so_is_its_end(at: Callable[..., Any]) -> None:
    with at() as bench:
        said: list[str] = []
        supervisor = Supervisor(bench_options(bench), bench.site, Signals(), said.append)
        values = "'north', 'moved', 'was moved to the file x on 1 Jan 2026'"
        bench.ward.rows(
            f"INSERT INTO drawcli.site_state (site, name, value) VALUES ({values}) RETURNING 1"
        )
        for _ in range(2):
            supervisor._asked(supervisor._beat)
        assert len(said) == 1
        assert "was moved to the file x" in said[0]

        bench.ward.rows("DELETE FROM drawcli.site_state WHERE name = 'moved' RETURNING 1")
        for _ in range(2):
            supervisor._asked(supervisor._beat)

        assert len(said) == 2
        assert said[1].startswith("worker")
        assert supervisor._troubles == {}


def test_hosts_with_other_rules_or_settings_are_reported_after_some_minutes(
    at: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with at() as bench, at("ct-2") as other:
        said: list[str] = []
        supervisor = Supervisor(bench_options(bench), bench.site, Signals(), said.append)
        other.site.settings.rules.write_bytes(bench.site.settings.rules.read_bytes())
        same = other.site.policy
        assert same == bench.site.policy != ""
        other.site.settings.rules.write_text("rules: []\n")
        workers = [
            WorkerSeen(one.site.host, 1, {"policy": one.site.policy}, 0.0) for one in (bench, other)
        ]

        supervisor._report_differences(workers)
        assert said == []  # they may be on their way
        monkeypatch.setattr("drawcli.operations.workers.worker.DIFFER_SECONDS", 0.0)
        for _ in range(2):
            supervisor._report_differences(workers)
        assert len(said) == 1
        assert "ct-2 and ct-1 have different rules" in said[0]
        supervisor._report_differences(workers[:1])
        assert said[1:] == ["hosts: solved"]


def test_a_task_that_has_just_ended_takes_no_place_of_a_limit(at: Callable[..., Any]) -> None:
    """Its line is in the queue until the engine has stored its end, after the worker heard of it.

    The job itself is not fed again at once, so that a task cannot repeat itself without a pause.
    """
    with at(limits={"upload": 1}) as bench:
        for number in range(3):
            bench.add(State.PACKAGED, f"00000000000{number}-1", priority=-number)
        bench.feed()
        (first,) = bench._due()
        bench.ward.server.execute(
            "SET search_path TO drawcli_queue_north",
            "UPDATE procrastinate_jobs SET status = 'doing'",
            database=bench.ward.database,
        )

        assert bench.feeder.feed_step("upload", bench.workers) == 0
        assert bench.feeder.feed_step("upload", bench.workers, ended={first.key}) == 1
        assert bench.tasks() == ["upload 000000000001-1"]
