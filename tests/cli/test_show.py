"""show: the whole story of a job, without the patient."""

import json
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.ledger import FileLedger
from drawcli.core.jobs.job import Job, State
from drawcli.sandbox.faults import read_faults
from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, at_terminal
from tests.conftest import NOON, PELVIS, SLICES, Site


def test_show_tells_times_tries_sizes_and_files(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    assert pelvis
    faults = read_faults("upload:500*2")
    with running(tmp_path / "sandbox", options=SandboxOptions(faults=faults)) as server:
        at_sandbox(site, server.url, server.token_file)
        drawcli("run-once")
        drawcli("retry", "--all")
        drawcli("run-once")
    with FileLedger(site.state / "ledger.json") as ledger:
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
    with FileLedger(site.state / "ledger.json") as ledger:
        ledger.add(Job(id="0123456789ab-1", state=State.DONE, since=NOON))

    told = drawcli("show", "0123456789ab-1")

    assert told.code == 0
    assert "no work folder any more" in told.out


SECRETS = ["Canary", "CANARY"]
ASKED = """\
rules:
  - name: one of them
    template: Prostate_OAR
    when:
      all:
        - Modality: CT
        - any:
            - PatientName: {contains: Canary}
            - InstitutionName: Canary Hospital
            - folder: {contains: Canary}
        - SeriesDescription: {contains: nowhere}
  - name: never
    exclude: true
    when: {PatientID: CANARY-7}
"""


def everything_kept(site: Site) -> str:
    paths = (one for one in site.state.rglob("*") if one.is_file())
    return "\n".join(f"{one}\n{one.read_bytes().decode('latin-1')}" for one in paths)


def test_what_a_rule_asks_of_a_patient_is_neither_kept_nor_told(
    drawcli: Run, site: Site, pelvis: list[Path]
) -> None:
    assert pelvis
    (site.folder / "rules.yaml").write_text(ASKED)
    drawcli("scan", "-vv")
    said = [drawcli("match", "--dry-run", "-vv"), drawcli("match", "-vv")]
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    for words in (["show", job], ["explain", job], ["explain", str(pelvis[0].parent)]):
        said += [drawcli(*words), drawcli(*words, "--json")]
    said += [drawcli(*words) for words in (["rules", "check"], ["rules", "test"], ["status"])]
    said += [drawcli("doctor", "--offline"), drawcli("doctor", "--offline", "--bundle", "b.zip")]
    said += [drawcli("report"), drawcli("ledger", "export", "--csv")]

    told = "".join(one.out + one.err for one in said)
    assert "PatientName contains (hidden)" in told
    assert "InstitutionName equals (hidden)" in told
    with zipfile.ZipFile(site.folder / "b.zip") as bundle:
        told += "".join(bundle.read(name).decode() for name in bundle.namelist())
    for text in (told, everything_kept(site)):
        assert [secret for secret in SECRETS if secret in text] == []


@pytest.mark.usefixtures("pelvis")
def test_who_may_see_patients_reads_it_again_from_the_rules(drawcli: Run, site: Site) -> None:
    rules = site.folder / "rules.yaml"
    rules.write_text(ASKED)
    drawcli("scan")
    drawcli("match")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

    shown = at_terminal(site, "show", job, "--identify")
    explained = at_terminal(site, "explain", job, "--identify")
    rules.write_text(ASKED.replace("PatientName", "PatientID").replace("nowhere", "there"))
    of_other_rules = at_terminal(site, "show", job, "--identify")
    rules.write_text("rules: [")
    without_rules = at_terminal(site, "show", job, "--identify")

    for said in (shown, explained):
        assert "PatientName contains Canary" in said
        assert "InstitutionName equals Canary Hospital" in said
    assert "PatientName contains (hidden)" in of_other_rules
    assert "SeriesDescription contains nowhere" in of_other_rules  # as it was asked then
    assert "PatientName contains (hidden)" in without_rules


@pytest.mark.usefixtures("pelvis")
def test_what_an_earlier_drawcli_kept_in_clear_is_not_told(drawcli: Run, site: Site) -> None:
    drawcli("scan")
    drawcli("match")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    tree = {
        "condition": "all",
        "outcome": "fail",
        "parts": [{"condition": "PatientName contains Canary", "outcome": "fail"}],
    }
    kept = site.state / "work" / job / "explanation.json"
    kept.write_text(json.dumps({"choice": "unmatched", "rules": {"one": tree}}))

    said = drawcli("show", job).out + drawcli("show", job, "--json").out
    kept.write_text('{"rules": {"one": 5}}')
    damaged = drawcli("show", job)

    assert "Canary" not in said
    assert said.count("PatientName contains (hidden)") == 2
    assert damaged.code == 0


STEERING = "\x1b]0;pwn\x07\x9b31m\u202e"


def test_nothing_in_an_image_steers_the_terminal_of_whoever_asks(
    drawcli: Run, site: Site, pelvis: list[Path]
) -> None:
    (site.folder / "rules.yaml").write_text(ASKED)
    for path in pelvis:
        dataset = dcmread(path)
        dataset.PatientName = f"Smith{STEERING}^J"
        dataset.PatientID = f"A{STEERING}1"
        dataset.InstitutionName = f"H{STEERING}"
        dataset.SeriesDescription = f"D{STEERING}"
        dataset.save_as(path)
    drawcli("scan")
    drawcli("match")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    asked = (["show", job], ["explain", job], ["explain", str(pelvis[0].parent)], ["status"])

    said = [at_terminal(site, *words, "--identify") for words in asked]

    assert "Smith·]0;pwn··31m·^J" in said[0]
    assert "H·]0;pwn··31m·" in said[1]
    for text in said:
        assert not [bad for bad in ("\x1b]0", "\x07", "\x9b", "\u202e") if bad in text]
