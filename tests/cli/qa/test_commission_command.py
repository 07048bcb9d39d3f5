"""qa commission and qa golden as a physicist types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from drawcli.sandbox.options import SandboxOptions
from drawcli.sandbox.past_patients import write_past_patients
from drawcli.sandbox.server import Running, running
from tests.cli.conftest import Run, at_sandbox, environment
from tests.conftest import PELVIS, Site
from tests.phantoms.planning import write_planning_ct

TEMPLATE = ("--template", "Prostate_OAR")
PATIENTS = 3


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("--template", "Prostate", "--accept", "good.yaml"), 2, "no template 'Prostate'"),
        ((*TEMPLATE, "--accept", "bad.yaml"), 3, "bad.yaml:1:11: '0.9' is no criterion"),
        ((*TEMPLATE, "--accept", "none.yaml"), 3, "none.yaml"),
        ((*TEMPLATE, "--accept", "good.yaml", "--html", "none/x.html"), 2, "there is no folder"),
        ((*TEMPLATE, "--accept", "good.yaml", "--identify"), 2, "on a terminal only"),
        ((*TEMPLATE, "--accept", "good.yaml"), 2, "no series with a clinical structure set"),
    ],
)
def test_what_cannot_be_commissioned_is_told_before_anything_is_sent(
    site: Site, drawcli: Run, words: tuple[str, ...], code: int, why: str
) -> None:
    (site.folder / "past").mkdir()
    (site.folder / "good.yaml").write_text("Bladder: {dice: '>= 0.9'}")
    (site.folder / "bad.yaml").write_text("Bladder: {dice: '0.9'}")

    ended = drawcli("qa", "commission", "past", *words)

    assert (ended.code, why in ended.err) == (code, True), ended.err
    assert not (site.state / "qa" / "commissioning").exists()


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (("add", "0123456789ab-1"), 2, "there is no job"),
        (("add", "store"), 2, "which template?"),
        (("add", "store", *TEMPLATE), 2, "no complete series"),
        (("accept", "Prostate_OAR"), 2, "no golden case of template Prostate_OAR has changed"),
        (("remove", "a"), 2, "there is no golden case 'a'"),
    ],
)
def test_what_cannot_be_done_with_golden_cases_is_told(
    drawcli: Run, words: tuple[str, ...], code: int, why: str
) -> None:
    ended = drawcli("qa", "golden", *words)

    assert (ended.code, why in ended.err) == (code, True), ended.err


def test_a_site_without_golden_cases_is_told_how_to_keep_one(drawcli: Run) -> None:
    assert "qa golden add JOB" in drawcli("qa", "golden", "list").out
    assert drawcli("qa", "golden", "run", "--json").answer["data"] == {
        "sent": {},
        "waiting": 0,
        "results": [],
    }


@dataclass
class Practice:
    """A site, past patients, and a sandbox whose models can be replaced."""

    site: Site
    past: Path
    server: Path

    def words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "drawcli", *words, "--json"]

    def run(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run drawcli as a process; return its data."""
        ended = subprocess.run(
            self.words(*words),
            cwd=self.site.folder,
            env=environment(self.site),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == code, ended.stdout + ended.stderr
        data: dict[str, Any] = json.loads(ended.stdout)["data"]
        return data

    @contextmanager
    def sandbox(self, **options: Any) -> Iterator[Running]:
        """Serve the sandbox, with what it remembers, at a new address."""
        with running(self.server, options=SandboxOptions(**options)) as served:
            text = self.site.config.read_text()
            at_sandbox(self.site, served.url, served.token_file)
            yield served
            self.site.config.write_text(text)
            served.token_file.write_bytes((self.site.folder / "token.json").read_bytes())


@pytest.fixture
def practice(site: Site, tmp_path: Path) -> Practice:
    past = tmp_path / "past"
    write_past_patients(past, PATIENTS, slices=12, size=64, tell=lambda _line: None)
    (site.folder / "accept.yaml").write_text(
        "Bladder: {dice: '>= 0.9', hd95_mm: '<= 5'}\n'*': {dice: '>= 0.7', n: '>= 3'}"
    )
    return Practice(site, past, tmp_path / "sandbox")


def commission_words(practice: Practice, *more: str) -> tuple[str, ...]:
    return ("qa", "commission", str(practice.past), *TEMPLATE, "--accept", "accept.yaml", *more)


@pytest.mark.sweep
def test_a_physicist_commissions_past_patients_and_signs_a_page(practice: Practice) -> None:
    with practice.sandbox() as served:
        done = practice.run(*commission_words(practice, "--html", "page.html", "--pdf", "page.pdf"))
        again = practice.run(*commission_words(practice))

    assert (done["passed"], done["n"], done["complete"]) == (True, PATIENTS, True)
    assert again["structures"] == done["structures"]
    assert served.requests["upload"] == PATIENTS
    page = (practice.site.folder / "page.html").read_text()
    assert "PASS: 4 of 4 structures" in page
    assert "PAST" not in page
    assert (practice.site.folder / "page.pdf").read_bytes().startswith(b"%PDF")
    assert [path for path in practice.site.store.rglob("*") if path.is_file()] == []


@pytest.mark.sweep
def test_a_commissioning_that_is_killed_goes_on(practice: Practice) -> None:
    with practice.sandbox(work_seconds=0.5) as served:
        killed = subprocess.Popen(
            practice.words(*commission_words(practice)),
            cwd=practice.site.folder,
            env=environment(practice.site),
            stdout=subprocess.DEVNULL,
        )
        while not served.requests["upload"]:
            time.sleep(0.05)
            assert killed.poll() is None
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()

        done = practice.run(*commission_words(practice))

    assert (done["n"], done["complete"]) == (PATIENTS, True)
    cut_off = 2  # uploads at once: server.parallel
    assert PATIENTS <= served.requests["upload"] <= PATIENTS + cut_off


@pytest.mark.sweep
def test_a_new_model_is_noticed_by_a_golden_case_and_holds_the_template(
    practice: Practice,
) -> None:
    site = practice.site
    site.add_line("qa: {enabled: true, on_change: hold}")
    with practice.sandbox():
        practice.run("qa", "golden", "add", str(practice.past / "past-001"), *TEMPLATE)
        (first,) = practice.run("qa", "golden", "run")["results"]
        assert first["outcome"] == "reference"
        assert practice.run("qa", "golden", "run")["results"] == []
        first_version = practice.run(*commission_words(practice))
    with practice.sandbox(model_version=2, same_catalogue=True):
        assert practice.run("run-once")["golden"]["sent"] == {}  # the catalogue is the same
        (changed,) = practice.run("qa", "golden", "run", "--now", code=6)["results"]
        assert changed["outcome"] == "changed"
        assert [one["name"] for one in changed["structures"]] == ["Bladder"]
        write_planning_ct(site.store / "new", PELVIS, slices=12, size=64, seed=9)
        practice.run("run-once", code=6)
        (job,) = practice.run("status")["jobs"]
        assert (job["state"], job["held"], job["reason_code"]) == (
            "matched",
            True,
            "model-changed",
        )
        accepted = practice.run("qa", "golden", "accept", "Prostate_OAR")
        assert len(accepted["released"]) == 1
        practice.run("run-once")
        (job,) = practice.run("status")["jobs"]
        assert job["state"] in ("uploaded", "segmented", "done")
    with practice.sandbox(model_version=2):
        second = practice.run(*commission_words(practice))
    assert second["version"] != first_version["version"]
    bladder = [found["structures"][0]["metrics"]["dice"] for found in (first_version, second)]
    assert bladder[1]["median"] < bladder[0]["median"] - 0.02
