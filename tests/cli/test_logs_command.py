"""logs: what happened last, of a job or of all."""

import pytest

from tests.cli.conftest import Run
from tests.conftest import Site


@pytest.mark.usefixtures("pelvis")
def test_the_last_entries_of_the_log_also_of_one_job(drawcli: Run) -> None:
    assert drawcli("logs").out == "No entries.\n"
    drawcli("scan")
    drawcli("match")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    drawcli("pause")

    every, of_job = drawcli("logs").out, drawcli("logs", "--job", job[:6]).out
    (last,) = drawcli("logs", "-l", "1", "--json").answer["data"]["entries"]
    entries = drawcli("logs", "--job", job, "--json").answer["data"]["entries"]

    assert "step=pause outcome=paused" in every
    assert "code=None" not in every
    assert [line.split()[-3:-1] for line in of_job.splitlines()] == [
        ["step=scan", "outcome=found"],
        ["from=found", "outcome=matched"],
    ]
    assert (last["step"], last["outcome"]) == ("pause", "paused")
    assert [entry["step"] for entry in entries] == ["scan", "match"]
    assert drawcli("logs", "-f", "--json").code == 2


def test_the_log_can_be_read_when_the_ledger_cannot(drawcli: Run, site: Site) -> None:
    drawcli("pause")
    (site.state / "ledger.json").write_text("x")

    assert "step=pause" in drawcli("logs").out


def test_following_prints_the_last_entries_and_ends_with_ctrl_c(
    drawcli: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawcli("pause")

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("drawcli.adapters.state.log_reader.time.sleep", interrupted)
    ended = drawcli("logs", "--follow")

    assert (ended.code, "step=pause" in ended.out) == (0, True)
