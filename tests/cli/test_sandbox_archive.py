"""The cycle with the archive of the sandbox: DRAW server, node and DICOMweb in one process."""

from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.pacs.options import PacsOptions
from drawcli.sandbox.server import Running, running
from tests.cli.conftest import Run, at_sandbox, poll_until
from tests.conftest import Site

pytestmark = pytest.mark.sweep
STRUCTURE_SETS = "1.2.840.10008.5.1.4.1.1.481.3"


def options(faults: str = "") -> SandboxOptions:
    return SandboxOptions(pacs=PacsOptions(slices=4, size=32), faults=read_faults(faults))


def deliver_to(site: Site, sandbox: Running, *targets: str) -> None:
    at_sandbox(site, sandbox.url, sandbox.token_file)
    lines = "".join(f"    - {target}\n" for target in targets)
    with site.config.open("a", encoding="utf-8") as config:
        config.write(f"deliver:\n  targets:\n{lines}")


def node_of(sandbox: Running) -> str:
    assert sandbox.pacs is not None
    return f"{{node: 'SANDBOX@127.0.0.1:{sandbox.pacs.port}', commitment: true}}"


def test_a_structure_set_is_stored_committed_and_found(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    with running(tmp_path / "sandbox", options=options()) as sandbox:
        stow = f"{{stow: '{sandbox.url}/dicom-web'}}"
        deliver_to(site, sandbox, node_of(sandbox), stow)
        checked = drawcli("nodes", "check")
        drawcli("run-once")
        poll_until(drawcli, "segmented")
        ended = drawcli("run-once")
        jobs = drawcli("status", "--json").answer["data"]["jobs"]
        assert sandbox.sandbox.archive is not None
        found = [
            header
            for header in sandbox.sandbox.archive.headers()
            if header.SOPClassUID == STRUCTURE_SETS
        ]

    assert (checked.code, checked.err) == (0, "")
    assert (ended.code, [job["state"] for job in jobs]) == (0, ["done"])
    assert [str(each.StudyInstanceUID) for each in found] == [
        str(dcmread(pelvis[0], stop_before_pixels=True).StudyInstanceUID)
    ]


def test_an_archive_that_loses_a_structure_set_is_noticed_by_its_commitment(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    assert pelvis
    with running(tmp_path / "sandbox", options=options("store:lose*")) as sandbox:
        deliver_to(site, sandbox, node_of(sandbox))
        drawcli("run-once")
        poll_until(drawcli, "segmented")
        drawcli("run-once")
        drawcli("retry", "--all")
        drawcli("run-once")
        (job,) = drawcli("status", "--json").answer["data"]["jobs"]

    assert job["state"] != "done"
    assert "commitment" in str(job)
