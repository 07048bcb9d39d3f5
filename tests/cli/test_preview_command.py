"""drawcli preview: files, numbers and pictures in the terminal; in this process, to be quick."""

import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from drawcli.cli.commands import app
from drawcli.core.jobs.job import Job
from drawcli.pipeline.runner import Selection, run_step
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS, SLICES, Clock, Site, made_site, opened
from tests.fake_draw import FakeDraw
from tests.phantoms.planning import write_planning_ct

STEPS = ("scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Make a site with one delivered job, for all tests here: they leave it as it is."""
    made = made_site(tmp_path_factory.mktemp("preview") / "site")
    write_planning_ct(made.store / "pelvis", PELVIS, slices=SLICES, size=32, seed=1)
    with opened(made, FakeDraw(), Clock()) as ctx:
        for step in STEPS:
            run_step(step, ctx, Selection())
    return made


@pytest.fixture(scope="module")
def job(site: Site) -> Job:
    with opened(site, FakeDraw(), Clock()) as ctx:
        (made,) = ctx.ledger.jobs()
    return made


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Put back what the command has done to logging in this process."""
    root = logging.getLogger()
    kept, level = list(root.handlers), root.level
    yield
    for handler in [one for one in root.handlers if one not in kept]:
        root.removeHandler(handler)
        handler.close()
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def called(site: Site, *words: str) -> Result:
    return CliRunner().invoke(app, ["--config", str(site.config), "preview", *words])


def answer(done: Result) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_sheet_and_page_are_written_beside_the_job(site: Site, job: Job) -> None:
    done = called(site, job.id)

    written = re.findall(r"^written: (.+)$", done.stdout, re.MULTILINE)
    assert done.exit_code == 0
    assert [Path(one).name for one in written] == ["sheet.png", "preview.html"]
    assert all(Path(one).parent == site.state / "work" / job.id for one in written)
    assert "Bladder" in done.stdout


def test_programs_are_given_paths_and_numbers(site: Site, job: Job) -> None:
    data = answer(called(site, job.id, "--json"))["data"]

    assert list(data) == ["job", "files", "structures", "findings"]
    assert data["structures"][0] == {
        "number": 1,
        "name": "Bladder",
        "color": "#ff0001",
        "volume_cm3": 270.0,
        "slices": 6,
    }
    with Image.open(data["files"]["sheet"]) as image:
        assert image.format == "PNG"


@pytest.mark.parametrize(
    ("to", "made"),
    [("a.png", ["a.png"]), ("c", ["c/{job}.html", "c/{job}.png"])],
)
def test_files_go_where_they_are_asked_to(
    site: Site, job: Job, tmp_path: Path, to: str, made: list[str]
) -> None:
    folder = tmp_path / "out"

    done = called(site, job.id, "--to", str(folder / to))

    found = sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )
    assert done.exit_code == 0
    assert found == [one.format(job=job.id) for one in made]


def test_nothing_is_written_by_a_dry_run_nor_into_the_datastore(
    site: Site, job: Job, tmp_path: Path
) -> None:
    dry = called(site, job.id, "-n", "--to", str(tmp_path / "x.png"))
    wrong = called(site, job.id, "--to", str(site.store / "x.png"))

    assert (dry.exit_code, wrong.exit_code) == (0, 2)
    assert "would write" in dry.stdout
    assert "read-only" in wrong.stderr
    assert not list(tmp_path.rglob("*.png"))


def test_other_kinds_of_files_are_refused(site: Site, job: Job, tmp_path: Path) -> None:
    (tmp_path / "x.pdf").touch()

    done = called(site, job.id, "--to", str(tmp_path / "x.pdf"))

    assert done.exit_code == 2
    assert "ending in .png or .html" in done.stderr


@pytest.mark.parametrize(("protocol", "begin"), [("kitty", "\x1b_G"), ("sixel", "\x1bP0;1q")])
def test_the_sheet_is_shown_in_the_terminal_that_is_named(
    site: Site, job: Job, protocol: str, begin: str
) -> None:
    assert called(site, job.id, "-n", "--open-in-terminal", protocol).stdout.startswith(begin)


def test_nothing_steers_what_is_no_terminal(
    site: Site, job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KITTY_WINDOW_ID", "1")

    assert "\x1b" not in called(site, job.id, "-n").stdout
    assert "\x1b" not in called(site, job.id, "-n", "--json").stdout


def test_nothing_that_is_printed_names_the_patient(site: Site, job: Job) -> None:
    said = [called(site, job.id, *words) for words in ((), ("--json",), ("-v", "-n"))]

    text = "".join(one.stdout + one.stderr for one in said)
    assert [value for value in identifying_values(PELVIS) if value in text] == []


def test_a_job_that_is_not_there_is_told(site: Site) -> None:
    done = called(site, "0123456789ab-9")

    assert done.exit_code == 2
    assert "there is no job" in done.stderr
