"""pause and resume, and who says that a site is paused."""

import json

from tests.cli.conftest import Run
from tests.conftest import Site


def test_a_pause_is_reported_wherever_someone_looks(drawcli: Run, site: Site) -> None:
    drawcli("pause", "--reason", "new CT protocol")

    status, doctor = drawcli("status"), drawcli("doctor", "--offline", "--json").answer["data"]
    plain = drawcli("status", "--json").answer["data"]["paused"]
    upload, cron, run = drawcli("upload"), drawcli("run-once"), drawcli("run-once", "-v")
    dry, as_json = drawcli("upload", "-n"), drawcli("run-once", "--json").answer["data"]["paused"]

    assert plain == as_json == json.loads((site.state / "paused.json").read_text())
    assert plain["reason"] == "new CT protocol"
    assert {one["check"]: one["grade"] for one in doctor["checks"]}["pause"] == "WARN"
    for said in (status.out, upload.err, dry.out):
        assert "uploads are paused since" in said
        assert ": new CT protocol. 'drawcli resume'" in said.replace("\n", " ")
    assert (cron.code, cron.out, cron.err) == (0, "", "")  # a mail every five minutes helps nobody
    assert run.code == 0
    assert drawcli("upload", "--fail-if-idle").code == 9


def test_pause_and_resume_may_be_repeated_and_tried(drawcli: Run, site: Site) -> None:
    mark = site.state / "paused.json"

    assert drawcli("pause", "-n").out.startswith("would be paused")
    assert not mark.exists()
    drawcli("pause", "--reason", "first")
    once = json.loads(mark.read_text())
    again, other = drawcli("pause"), drawcli("pause", "--reason", "second")
    assert "already paused" in again.out
    assert "second" in other.out
    assert json.loads(mark.read_text()) == once | {"reason": "second"}

    assert drawcli("resume", "-n").out.startswith("would be resumed")
    assert mark.exists()
    assert drawcli("resume").out.startswith("resumed")
    assert not mark.exists()
    assert drawcli("resume").out.startswith("not paused")


def test_a_site_can_be_paused_whose_ledger_is_damaged(drawcli: Run, site: Site) -> None:
    (site.state / "ledger.json").write_text("x")

    assert drawcli("pause").code == 0
    assert drawcli("resume").code == 0
