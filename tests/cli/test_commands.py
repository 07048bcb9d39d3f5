"""The commands as their users call them: what they print, write, and leave alone."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
import yaml
from pydicom import dcmread
from pydicom.uid import UID

from drawcli.cli.commands import app
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.server import running
from tests.cli.conftest import Run, at_pseudo_terminal, at_sandbox, poll_until
from tests.conftest import HEAD_NECK, PELVIS, SLICES, Site
from tests.phantoms.planning import write_planning_ct

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
NAMES = sorted(command.name or "" for command in app.registered_commands)
STEPS = ["scan", "match", "deidentify", "upload", "poll", "fetch", "reidentify"]


@pytest.mark.parametrize("name", NAMES)
def test_every_command_explains_itself_and_has_the_common_options(drawcli: Run, name: str) -> None:
    ended = drawcli(name, "--help")

    assert ended.code == 0
    for option in ("--config", "--json", "--quiet", "--verbose", "--no-color", "--debug"):
        assert option in ended.out


@pytest.mark.parametrize(
    "name", [*STEPS, "run-once", "release", "retry", "assign", "cancel", "init"]
)
def test_every_command_that_changes_something_has_a_dry_run(drawcli: Run, name: str) -> None:
    assert "--dry-run" in drawcli(name, "--help").out


def test_the_steps_one_by_one_bring_a_structure_set_home(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        scanned = drawcli("scan").out.splitlines()
        said = [drawcli(step).out.split() for step in ("match", "deidentify", "upload")]
        poll_until(drawcli, "segmented")
        said += [drawcli(step).out.split() for step in ("fetch", "reidentify")]

    assert scanned == [
        f"scanned: 1 series of {len(pelvis)} images in the datastore",
        "   1 found",
        "waiting now:",
        "   1 found: the next run: match",
    ]
    assert said == [
        ["1", "matched"],
        ["1", "packaged"],
        ["1", "uploaded"],
        ["1", "fetched"],
        ["1", "delivered", "1", "done"],
    ]
    assert len(list(pelvis[0].parent.glob("RS.*"))) == 1


def test_options_may_stand_on_either_side_of_the_command(drawcli: Run, site: Site) -> None:
    elsewhere = site.config.rename(site.folder / "other.yaml")

    before = drawcli("--config", str(elsewhere), "--json", "status")
    behind = drawcli("status", "--json", "-c", str(elsewhere))

    assert before.code == behind.code == 0
    answers = [one.answer for one in (before, behind)]
    for one in answers:
        assert one["data"].pop("at")
    assert answers[0] == answers[1]


@pytest.mark.usefixtures("pelvis")
def test_the_json_envelope(drawcli: Run) -> None:
    answer = drawcli("scan", "--json").answer

    assert list(answer) == ["schema", "command", "status", "data", "errors"]
    assert (answer["schema"], answer["command"], answer["status"]) == (1, "scan", "success")
    assert answer["data"]["steps"] == {"scan": {"found": 1}}
    assert answer["errors"] == []


@pytest.mark.usefixtures("pelvis")
def test_status_lists_the_same_facts_for_people_and_programs(drawcli: Run) -> None:
    drawcli("scan")
    drawcli("match")

    table, rows = drawcli("status").out, drawcli("status", "--json").answer["data"]

    (job,) = rows["jobs"]
    assert (job["state"], job["template"], job["modality"]) == ("matched", "Prostate_OAR", "CT")
    assert (job["slices"], job["attempts"], job["held"], job["due_at"]) == (SLICES, 0, False, None)
    assert rows["counts"] == {"matched": 1}
    for fact in (job["id"], "matched", "Prostate_OAR", "CT", str(SLICES)):
        assert fact in table


@pytest.mark.usefixtures("pelvis")
def test_nothing_that_drawcli_says_or_logs_names_the_patient(
    drawcli: Run, site: Site, tmp_path: Path
) -> None:
    said = ""
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        said += drawcli("run-once", "-vv").err
        poll_until(drawcli, "segmented")
        said += drawcli("run-once", "-vv").err
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]
    for words in (["status"], ["status", "--json"], ["show", job], ["show", job, "--json"]):
        said += drawcli(*words).out
    for path in (site.state / "logs").iterdir():
        said += path.read_text()
    said += (site.state / "ledger.json").read_text()

    assert "outcome=done" in said
    leaked = [value for value in identifying_values(PELVIS) if value in said]
    assert leaked == []
    assert str(site.store) not in said


def test_patient_data_need_a_terminal(drawcli: Run) -> None:
    for words in (["status", "--identify"], ["status", "--identify", "--json"]):
        ended = drawcli(*words)

        assert ended.code == 2
        assert "terminal" in ended.err + ended.out


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.usefixtures("pelvis")
def test_a_person_at_a_terminal_may_ask_who_it_is(drawcli: Run, site: Site) -> None:
    drawcli("scan")

    said = at_pseudo_terminal(site, "status", "--identify")

    assert PELVIS.patient_id in said
    assert "कुलकर्णी" in said


@pytest.mark.parametrize("step", [*STEPS, "run-once"])
@pytest.mark.usefixtures("pelvis")
def test_a_dry_run_writes_nothing_and_asks_nobody(drawcli: Run, site: Site, step: str) -> None:
    drawcli("scan")
    drawcli("match")
    before = contents(site.folder)

    ended = drawcli(step, "--dry-run")

    assert ended.code == 0
    assert contents(site.folder) == before


@pytest.mark.usefixtures("pelvis")
def test_a_dry_run_says_what_would_be_done(drawcli: Run) -> None:
    scanned = drawcli("scan", "-n").out
    drawcli("scan")
    matched = drawcli("match", "-n").out

    assert f"CT of {SLICES} files: ready" in scanned
    assert "matched Prostate_OAR: rule pelvis-planning-ct" in matched


@pytest.mark.usefixtures("pelvis")
def test_assign_overrules_the_rules(drawcli: Run) -> None:
    drawcli("scan")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

    typo = drawcli("assign", job, "Thorax_OARS")
    ended = drawcli("assign", job[:6], "Thorax_OAR")

    after = drawcli("status", "--json").answer["data"]["jobs"][0]
    assert typo.code == 2
    assert "did you mean 'Thorax_OAR'" in typo.err
    assert ended.code == 0
    assert (after["state"], after["template"], after["rule"]) == ("matched", "Thorax_OAR", None)


def test_a_series_that_was_sent_can_be_sent_again_with_another_template(
    drawcli: Run, site: Site, pelvis: list[Path], tmp_path: Path
) -> None:
    assert pelvis
    with running(tmp_path / "sandbox") as server:
        at_sandbox(site, server.url, server.token_file)
        drawcli("run-once")
        job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

        drawcli("assign", job, "Thorax_OAR")
        drawcli("run-once")
        poll_until(drawcli, "segmented")
        drawcli("run-once")

    jobs = drawcli("status", "--json").answer["data"]["jobs"]
    series = job.partition("-")[0]
    assert {(one["id"], one["template"]) for one in jobs} == {
        (f"{series}-1", "Prostate_OAR"),
        (f"{series}-2", "Thorax_OAR"),
    }
    assert len(list(pelvis[0].parent.glob("RS.*"))) == 2


@pytest.mark.usefixtures("pelvis")
def test_cancel_and_retry(drawcli: Run) -> None:
    drawcli("scan")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

    assert drawcli("cancel", job).code == 0
    assert drawcli("run-once").code == 0
    assert drawcli("status", "--state", "cancelled", "--json").answer["data"]["jobs"]
    assert drawcli("retry", job).code == 0
    drawcli("scan")

    assert drawcli("status", "--json").answer["data"]["jobs"][0]["state"] == "found"


@pytest.mark.usefixtures("pelvis")
def test_release_lets_a_held_job_go_on(drawcli: Run, site: Site) -> None:
    drawcli("scan")
    drawcli("match")
    templates = site.folder / "templates.yaml"
    good = templates.read_text()
    rules = site.folder / "rules.yaml"
    rules.write_text("rules: []\n")
    templates.write_text(good.replace("Prostate_OAR", "Pelvis_OAR"))
    held = drawcli("deidentify")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]
    templates.write_text(good)

    released = drawcli("release", job["id"])
    again = drawcli("deidentify")

    assert held.code == 6
    assert (job["held"], job["reason_code"]) == (True, "template-gone")
    assert released.code == 0
    assert (again.code, again.out.split()) == (0, ["1", "packaged"])


def test_several_jobs_are_cancelled_all_or_none(
    drawcli: Run, ctx: Context, in_state: Callable[..., Job]
) -> None:
    one, two, done = (f"{n}123456789ab-1" for n in "abc")
    for job_id, state in ((one, "matched"), (two, "packaged"), (done, "done")):
        in_state(State(state), job_id)

    refused = drawcli("cancel", one, two[:5], done, "nowhere")
    states = [ctx.ledger.get(name) for name in (one, two)]
    planned = drawcli("cancel", one, two, "-n")
    with ctx.work.job_lock(two):
        partly = drawcli("cancel", one, one, two, "--json")

    assert refused.code == 2
    assert f"job {done} is done" in refused.err
    assert "there is no job 'nowhere'" in refused.err
    assert "Nothing was changed" in refused.err
    assert [job.state for job in states if job] == ["matched", "packaged"]
    assert planned.out.count("would be cancelled") == 2
    assert (partly.code, partly.answer["status"]) == (2, "partial")
    assert partly.answer["data"]["jobs"] == [one]
    assert partly.answer["data"]["failed"] == [two]
    assert [err["message"] for err in partly.answer["errors"]] == [f"job {two} is being processed"]


def test_status_of_a_template_or_a_modality(drawcli: Run, in_state: Callable[..., Job]) -> None:
    in_state(State.UPLOADED, "a123456789ab-1", template="Prostate_OAR", modality="CT")
    in_state(State.UPLOADED, "b123456789ab-1", template="Brain_OAR", modality="MR")
    in_state(State.DONE, "c123456789ab-1", template="Brain_OAR", modality="CT")

    def first_digits(*words: str) -> str:
        jobs = drawcli("status", "--json", *words).answer["data"]["jobs"]
        return "".join(sorted(job["id"][0] for job in jobs))

    assert first_digits("--template", "Brain_OAR") == "bc"
    assert first_digits("--modality", "ct") == "ac"
    assert first_digits("--modality", "CT", "--template", "Brain_OAR") == "c"
    assert first_digits("--template", "Brain_OAR", "--state", "uploaded") == "b"
    assert first_digits("--template", "gone") == ""


def test_explain_skips_what_is_no_image(drawcli: Run, site: Site, pelvis: list[Path]) -> None:
    notes = site.store / "notes.txt"
    notes.write_text("hello")
    plan = pelvis[0].with_name("000-plan.dcm")
    dataset = dcmread(pelvis[0])
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = UID(RTSTRUCT)
    dataset.SeriesInstanceUID, dataset.Modality = "1.2.3", "RTSTRUCT"
    dataset.save_as(plan)

    folder = drawcli("explain", str(site.store), "--json").answer["data"]
    files = drawcli("explain", str(notes), str(plan), *map(str, pelvis), "--json").answer["data"]
    shown = drawcli("explain", str(site.store)).out
    nothing = drawcli("explain", str(notes), str(plan))

    assert [one["verdict"] for one in folder["series"]] == ["matched"]
    assert folder == files | {"skipped": {"not-dicom": 1, "not-an-image": 1}}
    assert "skipped files: 1 not-dicom, 1 not-an-image" in shown
    assert nothing.code == 2
    assert "no CT, MR or PT series in these 2 paths; skipped: 1 not-dicom" in nothing.err


@pytest.mark.usefixtures("pelvis")
def test_release_of_a_job_that_is_not_held_says_what_to_do(drawcli: Run) -> None:
    drawcli("scan")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

    ended = drawcli("release", job)

    assert ended.code == 2
    assert f"drawcli retry {job}" in ended.err


@pytest.mark.usefixtures("pelvis")
def test_show_tells_why_a_rule_did_not_fire(drawcli: Run, site: Site) -> None:
    rules = (site.folder / "rules.yaml").read_text().replace("contains: pelvis", "contains: knee")
    (site.folder / "rules.yaml").write_text(rules)
    drawcli("scan")
    drawcli("match")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]

    told = drawcli("show", job["id"]).out

    assert job["state"] == "unmatched"
    assert "nearest is thorax-planning-ct (ProtocolName contains thorax: fail" in job["reason"]
    assert "fail    ProtocolName contains knee" in told
    assert "pass    Modality equals CT" in told


@pytest.mark.usefixtures("pelvis")
def test_unmatched_series_are_matched_when_the_rules_change(drawcli: Run, site: Site) -> None:
    rules = site.folder / "rules.yaml"
    good = rules.read_text()
    rules.write_text(good.replace("contains: pelvis", "contains: knee"))
    drawcli("scan")
    drawcli("match")

    unchanged = drawcli("match").out
    rules.write_text(good)
    changed = drawcli("match").out

    assert unchanged == ""
    assert changed.split() == ["1", "matched"]


def test_init_makes_a_site_and_never_overwrites(drawcli: Run, tmp_path: Path) -> None:
    folder = tmp_path / "new site"
    folder.mkdir()
    (folder / "rules.yaml").write_text("rules: []  # mine\n")
    store = str(tmp_path / "dicom")

    days = [datetime.now().astimezone().date()]
    ended = drawcli("init", str(folder), "--datastore", store, "--url", "https://draw.test")
    days.append(datetime.now().astimezone().date())  # it may be midnight

    assert ended.code == 0
    assert (folder / "rules.yaml").read_text() == "rules: []  # mine\n"
    assert (folder / "state" / "site.key").stat().st_mode & 0o777 == 0o600
    assert "run-once --config" in ended.out
    scan = yaml.safe_load((folder / "drawcli.yaml").read_text())["scan"]
    assert scan in [{"studied_after": day} for day in days]
    key = (folder / "state" / "site.key").read_bytes()
    assert drawcli("init", str(folder)).code == 0
    assert (folder / "state" / "site.key").read_bytes() == key


@pytest.mark.parametrize(("option", "states"), [((), []), (("--practice",), ["matched"])])
def test_a_new_site_sends_nothing_until_date_and_rules_are_set(
    drawcli: Run, tmp_path: Path, pelvis: list[Path], option: tuple[str, ...], states: list[str]
) -> None:
    folder, store = tmp_path / "new", pelvis[0].parent
    drawcli("init", str(folder), "--datastore", str(store), *option)
    rules = yaml.safe_load((folder / "rules.yaml").read_text())["rules"]
    config = ("--config", str(folder / "drawcli.yaml"))

    for step in ("scan", "match"):
        drawcli(step, *config, DRAWCLI_SCAN__QUIET_MINUTES="0")
    jobs = drawcli("status", "--json", *config).answer["data"]["jobs"]

    assert {rule.get("enabled", True) for rule in rules} == {bool(option)}
    assert [job["state"] for job in jobs] == states


def test_a_first_run_with_too_many_series_asks_once_and_is_answered_with_one_command(
    drawcli: Run, site: Site
) -> None:
    for seed, person in enumerate((PELVIS, HEAD_NECK), 1):
        write_planning_ct(site.store / person.site, person, slices=SLICES, size=32, seed=seed)
    env = {"DRAWCLI_MATCH__FIRST_RUN_LIMIT": "1"}

    drawcli("scan")
    held, again = (drawcli("match", **env) for _ in range(2))
    status = drawcli("status").out
    none = drawcli("release", "--reason", "uploads-unanswered").out
    neither = drawcli("release")
    planned = drawcli("cancel", "--reason", "first-run", "--dry-run").out
    released = drawcli("release", "--reason", "first-run").out
    drawcli("scan")
    matched = drawcli("match", **env)

    assert (held.code, held.err.count("drawcli: "), again.code) == (6, 1, 0)
    assert "would send 2 series, more than match.first_run_limit (1); 2 jobs are held" in held.err
    assert status.count("'drawcli release --reason first-run'") == 2
    assert (none, neither.code) == ("No job is held for 'uploads-unanswered'.\n", 2)
    assert planned.count("would be cancelled") == 2
    assert released.count("released; state waiting") == 2
    assert (matched.code, matched.out.split()) == (0, ["2", "matched"])


def test_a_site_made_by_init_works_at_once(drawcli: Run, tmp_path: Path) -> None:
    folder, store = tmp_path / "new", tmp_path / "dicom"
    store.mkdir()
    drawcli("init", str(folder), "--datastore", str(store))

    ended = drawcli("scan", "--config", str(folder / "drawcli.yaml"), "--json")

    assert ended.code == 0
    assert ended.answer["data"]["jobs"] == []


FAR = "pydicom numpy shapely re2 httpx ssl asyncio pynetdicom PIL tenacity".split()
NEAR = "pydantic rich yaml tinydb filelock cryptography logging hashlib".split()
UNASKED = "pydantic rich importlib.metadata email http urllib.request".split()
NO_READING = """
concurrent.futures statistics tinydb drawcli.core.deid.profile drawcli.core.dicom.instance
filelock drawcli.cli.commands
""".split()
LOADED = """
import atexit, sys
from drawcli.cli import main
sys.argv[0] = "drawcli"
atexit.register(lambda: print(*sys.modules, file=sys.stderr))
main()
"""


@pytest.fixture
def cancelled(drawcli: Run, pelvis: list[Path]) -> str:
    """Leave a site nothing to do; return its job, which the rules have looked at."""
    assert pelvis
    for step in ("scan", "match"):
        drawcli(step)
    job = str(drawcli("status", "--json").answer["data"]["jobs"][0]["id"])
    assert drawcli("cancel", job).code == 0
    return job


@pytest.mark.parametrize(
    ("words", "heavy"),
    [
        ("--help", [*FAR, *NEAR]),
        ("TAB sta", [*FAR, *NEAR]),
        ("TAB show ", [*FAR, *UNASKED, *NO_READING[:5]]),
        ("status", [*FAR, *UNASKED, *NO_READING, "cryptography", "socket"]),
        ("show {job}", [*FAR, *UNASKED, *NO_READING]),
        (
            "run-once",
            [
                *FAR,
                *UNASKED,
                "cryptography",
                "drawcli.core.deid.profile",
                "drawcli.operations.alarms",
            ],
        ),
    ],
)
def test_a_start_imports_nothing_that_it_does_not_need(
    cancelled: str, site: Site, words: str, heavy: list[str]
) -> None:
    bare = {"PATH": os.environ["PATH"]}  # what measures coverage loads some of them
    if words.startswith("TAB "):
        typed = words.replace("TAB", "drawcli", 1)
        bare |= {"_DRAWCLI_COMPLETE": "complete_bash", "COMP_WORDS": typed}
        bare |= {"COMP_CWORD": str(typed.count(" "))}
        words = ""

    loaded = subprocess.run(
        [sys.executable, "-c", LOADED, *words.format(job=cancelled).split()],
        cwd=site.folder,
        env=bare,
        capture_output=True,
        text=True,
        check=True,
    ).stderr.split()

    assert "drawcli.cli" in loaded
    assert [name for name in heavy if name in loaded] == []


@pytest.mark.usefixtures("pelvis")
def test_a_job_that_another_process_works_on_is_left_to_it(drawcli: Run, site: Site) -> None:
    from drawcli.adapters.state.workdir import WorkDir

    drawcli("scan")
    job = drawcli("status", "--json").answer["data"]["jobs"][0]["id"]

    with WorkDir(site.state).job_lock(job):
        step, person = drawcli("match"), drawcli("cancel", job)

    assert (step.code, step.out.split()) == (0, ["1", "busy"])
    assert person.code == 2
    assert "is being processed" in person.err


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_a_header_that_cannot_be_read_is_told_without_its_value(
    drawcli: Run, pelvis: list[Path]
) -> None:
    for path in pelvis:
        raw = path.read_bytes()
        number = raw.index(b"\x20\x00\x12\x00IS")  # AcquisitionNumber
        length = int.from_bytes(raw[number + 6 : number + 8], "little")
        odd = b"1e999"[:length].ljust(length)
        path.write_bytes(raw[: number + 8] + odd + raw[number + 8 + length :])
    drawcli("scan")

    planned, matched = drawcli("match", "-n"), drawcli("match")

    assert (planned.code, matched.code) == (0, 0)
    assert "matched Prostate_OAR" in planned.out
    assert "1e" not in planned.err + matched.err


def test_percent_is_escaped_for_cron(drawcli: Run, tmp_path: Path) -> None:
    out = drawcli("init", str(tmp_path / "50%done"), "--datastore", str(tmp_path / "d")).out

    assert r"50\%done" in out


def test_a_state_folder_that_cannot_be_written_is_named(drawcli: Run, site: Site) -> None:
    (site.state / "logs").write_text("in the way")

    ended = drawcli("scan")

    assert ended.code == 3
    assert str(site.state / "logs") in ended.err
    assert "Traceback" not in ended.err


def test_a_json_answer_is_one_line(drawcli: Run) -> None:
    out = drawcli("status", "--json").out

    assert out.count("\n") == 1
    assert json.loads(out)["command"] == "status"
