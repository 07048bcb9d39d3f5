"""Images that only one host has, and records of deliveries for all hosts."""

import shutil
from pathlib import Path

import pytest

from drawcli.adapters.delivery.confirmations import RECORD, Confirmations
from drawcli.adapters.delivery.sendings import Sendings, record_of
from drawcli.adapters.delivery.target import Delivery, SiteTarget
from drawcli.adapters.ledger.postgres.jobs import DatabaseLedger
from drawcli.core.jobs.job import State
from drawcli.core.protocol.dicom_address import parse_node
from drawcli.errors import HOST_AWAY, LeaseLost, TryLater
from drawcli.pipeline.context import Context
from drawcli.pipeline.one_off import OneOffRequest, scan_paths
from drawcli.pipeline.runner import Selection, run_once, run_step
from tests.conftest import Clock, only_job
from tests.fake_draw import FakeDraw
from tests.pipeline.cluster.conftest import Hosts, gone
from tests.postgres import Postgres, needs_postgres

pytestmark = needs_postgres
ALL = Selection()
NODE = parse_node("TPS@127.0.0.1:104")


def taken_up(ctx: Context, usb: Path) -> None:
    scan_paths(OneOffRequest((usb,)), ctx)
    assert only_job(ctx).one_off


def test_a_one_off_job_is_left_to_the_host_that_has_its_images(
    on: Hosts, usb: Path, draw: FakeDraw
) -> None:
    with on("north-a") as a, on("north-b") as b:
        taken_up(a, usb)
        before = only_job(b)

        list(run_once(b, ALL))

        assert only_job(b) == before
        for _ in range(3):
            list(run_once(a, ALL))
        assert only_job(b).state is State.DONE
    assert draw.posts() == 1


def test_a_one_off_job_of_a_lost_host_waits_and_names_that_host(
    on: Hosts, usb: Path, clock: Clock, postgres_server: Postgres, database: str
) -> None:
    with on("north-a") as a:
        taken_up(a, usb)
    gone(postgres_server, database, "north-a")
    shutil.move(usb, usb.with_name("taken away"))
    with on("north-b") as b:
        list(run_once(b, ALL))
        job = only_job(b)
        assert (job.state, job.held, job.reason_code) == (State.FOUND, False, HOST_AWAY)
        assert "only on host north-a" in (job.reason or "")
    shutil.move(usb.with_name("taken away"), usb)
    clock.advance(hours=1)

    with on("north-a") as a:
        for _ in range(3):
            list(run_once(a, ALL))
        assert only_job(a).state is State.DONE


@pytest.mark.usefixtures("pelvis")
def test_a_delivery_is_recorded_for_all_hosts_before_it_is_sent(
    on: Hosts, postgres_server: Postgres, database: str
) -> None:
    with on("north-a") as a, on("north-b") as b:
        run_step("scan", a, ALL)
        job = only_job(a)
        folder = a.work.folder(job.id)
        sendings = Sendings(folder / record_of(NODE), NODE, lambda: a.files.keep(job.id))
        with a.job_lock(job.id):
            sendings.add("digest of the file")
            Confirmations(folder, "digest of the file").add(str(NODE), "sent")
            a.files.keep(job.id)
            postgres_server.execute(  # this host dies, and its lease ends
                "UPDATE drawcli.job SET lease_until = NULL", database=database
            )
            with b.job_lock(job.id):
                there = b.work.folder(job.id)
                assert Sendings(there / record_of(NODE), NODE).are_only("digest of the file")
                assert (there / RECORD).exists()

            with pytest.raises(LeaseLost):
                sendings.add("digest of another file")


def died(*_: object, **__: object) -> None:
    """Stop where a host dies before it has stored the outcome of a step."""
    raise KeyboardInterrupt


class Silent:
    """A target that records a file, takes it, and does not answer."""

    def describe(self) -> str:
        return "the silent node"

    def check(self) -> None:
        return None

    def send(self, delivery: Delivery) -> str:
        Sendings(delivery.work_folder / record_of(NODE), NODE, delivery.kept).add("its digest")
        raise TryLater("no answer", code="dicom-node")


@pytest.mark.usefixtures("pelvis")
def test_a_delivery_stores_each_record_in_the_database(
    on: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    with on("north-a") as a, on("north-b") as b:
        vars(a)["targets"] = [SiteTarget("silent", Silent)]
        for step in ("scan", "match", "deidentify", "upload", "poll", "fetch"):
            run_step(step, a, ALL)
        job = only_job(a)
        monkeypatch.setattr(DatabaseLedger, "commit", died)
        with pytest.raises(KeyboardInterrupt):
            run_step("reidentify", a, ALL)

        b.look(job)
        assert Sendings(b.work.folder(job.id) / record_of(NODE), NODE).are_only("its digest")
