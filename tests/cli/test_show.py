"""show: the whole story of a job, without the patient."""

from pathlib import Path

from drawcli.core.job import Job, State
from drawcli.ledger import Ledger
from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import Options
from drawcli.sandbox.people import identifying_values
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox
from tests.conftest import NOON, PELVIS, SLICES, Site


def test_show_tells_times_tries_sizes_and_files(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    assert pelvis
    faults = read_faults("upload:500*2")
    with running(tmp_path / "sandbox", options=Options(faults=faults)) as server:
        at_sandbox(site, server.url, server.token_file)
        drawcli("run-once")
        drawcli("retry", "--all")
        drawcli("run-once")
    with Ledger(site.state / "ledger.json") as ledger:
        (job,) = ledger.jobs()

    told = drawcli("show", job.id)
    data = drawcli("show", job.id, "--json").answer["data"]

    whole = sum(path.stat().st_size for path in pelvis)
    assert told.code == 0
    assert f"CT, {SLICES} files, {whole:,} bytes" in told.out
    assert "+ " in told.out
    assert "no answer" not in told.err
    assert data["job"]["source_bytes"] == whole
    assert data["job"]["waits_for"].startswith("another try in")
    assert data["files"]["package.zip"] == job.zip_bytes
    failed = [one for one in data["events"] if one["what"].startswith("failed: ")]
    assert [one["attempt"] for one in failed] == [1, 1]  # counted anew after a person's retry
    assert all(one["why"] for one in failed)
    assert all(one["seconds_after"] >= 0 for one in data["events"][1:])
    assert [v for v in identifying_values(PELVIS) if v in told.out] == []
    assert str(site.store) not in told.out


def test_a_job_whose_folder_is_gone_is_still_told(drawcli: Run, site: Site) -> None:
    with Ledger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.DONE, since=NOON))

    told = drawcli("show", "0123456789ab-1")

    assert told.code == 0
    assert "no work folder any more" in told.out
