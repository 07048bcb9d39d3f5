"""`scan PATH`: what a person shows at a command line, and what it answers."""

import os
import re
import shutil
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_sandbox, piped, poll_until
from tests.conftest import PELVIS, SLICES, Site


@pytest.fixture
def back(tmp_path: Path) -> Path:
    (tmp_path / "back").mkdir()
    return tmp_path / "back"


def test_a_zip_goes_all_the_way_with_the_commands_of_every_day(
    drawcli: Run, site: Site, usb: Path, back: Path
) -> None:
    packed = Path(shutil.make_archive(str(usb), "zip", usb))
    with running(usb.parent / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        shown = drawcli("scan", str(packed), "--deliver-to", str(back))
        packed.unlink()
        sent = drawcli("run-once")
        poll_until(drawcli, "segmented")
        home = drawcli("run-once")

    (file,) = back.iterdir()
    assert (shown.code, sent.code, home.code) == (0, 0, 0)
    assert f"found: CT of {SLICES} files" in shown.out
    assert (sent.out, home.out) == ("", "")
    assert dcmread(file).PatientID == PELVIS.patient_id


def test_a_list_names_the_paths_one_a_line_in_a_file_or_on_standard_input(
    drawcli: Run, site: Site, usb: Path, back: Path
) -> None:
    lines = [str(path) for path in sorted(usb.rglob("*.dcm"))]
    text = "\ufeff" + "\r\n".join([*lines, "", ""])
    (site.folder / "list.txt").write_bytes(text.encode())

    planned = drawcli(
        *("scan", "--from-list", "list.txt", "--deliver-to", str(back), "--dry-run", "--json")
    )
    words = ("scan", "--from-list", "-", "--deliver-to", str(back), "--json")
    answer = piped(site, "\n".join(lines), *words).answer

    assert [one["would"] for one in planned.answer["data"]["planned"]] == [f"CT of {SLICES} files"]
    assert answer["data"]["steps"] == {"scan": {"found": 1}}


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["usb", "--job", "0123456789ab-1"], "belong to a scan of the datastore"),
        (["usb", "--limit", "1"], "belong to a scan of the datastore"),
        (["--deliver-to", "usb"], "--deliver-to needs PATH"),
        (["--from-list", "none.txt"], "the list cannot be read"),
        (["--from-list", os.devnull], "the list contains no PATH"),
        (["usb/KOWALSKI/none"], "PATH 1 of 1: no such file or folder"),
    ],
)
def test_wrong_usage_leaves_with_2_and_names_no_patient(
    drawcli: Run, site: Site, usb: Path, words: list[str], says: str
) -> None:
    usb.rename(site.folder / usb.name)

    ended = drawcli("scan", *words)

    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert "KOWALSKI" not in ended.err


def test_what_is_not_whole_leaves_with_6_and_says_why_at_once(drawcli: Run, usb: Path) -> None:
    sorted(usb.rglob("*.dcm"))[2].unlink()

    told, as_json = drawcli("scan", str(usb)), drawcli("scan", str(usb), "--json")

    (error,) = as_json.answer["errors"]
    assert (told.code, as_json.code, error["code"]) == (6, 6, "missing-slices")
    assert f"CT series of {SLICES - 1} files rejected: missing slices" in told.err
    assert "No job was made" in told.err
    assert "KOWALSKI" not in told.err + told.out + as_json.out
    assert drawcli("status").out.endswith("No jobs.\n")


def test_what_is_known_is_told_with_what_to_do_and_nothing_is_idle_twice(
    drawcli: Run, usb: Path
) -> None:
    first = drawcli("scan", str(usb), "--fail-if-idle")
    again = drawcli("scan", str(usb), "--fail-if-idle")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    drawcli("cancel", job)

    cancelled = drawcli("scan", str(usb))

    assert (first.code, again.code, cancelled.code) == (0, 9, 0)
    assert again.out == f"{job}  known already: found, on its way\n"
    assert f"'drawcli assign {job} TEMPLATE' sends it once more" in cancelled.out
    assert re.search(rf"CT, {SLICES} files.*, one-off", drawcli("show", job).out)
