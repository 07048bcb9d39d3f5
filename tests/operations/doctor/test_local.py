"""Each check of doctor, of a site that is well and of one that is really broken."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drawcli.adapters.state.keys.key_source import site_keys
from drawcli.adapters.state.run_log import Run, RunLog
from drawcli.adapters.state.site_key import replace_site_key
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import Job, State
from drawcli.errors import LedgerError, NeedsPerson
from drawcli.operations.doctor import delivery, local
from drawcli.operations.doctor import outcome as outcomes
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Grade, of_share
from drawcli.operations.keys import note_keys_kept
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import NOON, Site

Make = Callable[..., Job]
CHECKS = dict(local.LOCAL)
NOWHERE_TO_WRITE = Path("/proc/sys")  # also for root
on_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")


@pytest.fixture
def looked(site: Site, ctx: Context) -> CheckContext:
    """Return the site as doctor looks at it, at noon."""
    site.state.chmod(0o700)
    return CheckContext(settings=site.settings(), config=site.config, now=NOON, ctx=ctx)


def seen(name: str, looked: CheckContext, **changed: object) -> tuple[Grade, str, str]:
    """Return what one check says, made as doctor makes it; WARN and FAIL name what mends it."""
    one = looked._replace(**changed)  # type: ignore[arg-type] # fields of a site
    (found,) = outcomes.run_checks([(name, CHECKS[name])], one)
    assert bool(found.result.remedy) == (found.result.grade is not Grade.PASS), found
    return found.result.grade, found.result.text, found.result.remedy


def set_to(site: Site, looked: CheckContext, line: str) -> CheckContext:
    site.add_line(line)
    return looked._replace(settings=site.settings())


def a_run(ended: datetime, exit_code: int = 0) -> Run:
    return Run(id="0badcafe", began=ended - timedelta(minutes=1), ended=ended, exit_code=exit_code)


@pytest.mark.parametrize(
    "name",
    [name for name in CHECKS if name not in "last run, datastore, key backup, old studies"],
)
def test_a_new_site_is_well(looked: CheckContext, site: Site, name: str) -> None:
    grade, text, _ = seen(name, looked)

    assert (grade, bool(text)) == (Grade.PASS, True)
    assert not list(site.folder.rglob(".drawcli-*"))


@pytest.mark.parametrize("file", ["drawcli.yaml", "rules.yaml", "templates.yaml"])
def test_whoever_may_change_the_rules_may_change_what_is_drawn(
    looked: CheckContext, site: Site, file: str
) -> None:
    (site.folder / file).chmod(0o666)

    grade, text, remedy = seen("settings", looked)

    assert (grade, file in text) == (Grade.WARN, True)
    assert os.system(remedy) == 0  # noqa: S605 - the line that mends it does
    assert seen("settings", looked)[0] is Grade.PASS


@pytest.mark.parametrize("committed", [False, True])
def test_a_token_that_git_has_or_would_add(
    looked: CheckContext, site: Site, *, committed: bool
) -> None:
    git = ["git", "-C", str(site.folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run([*git, "init", "-q"], check=True)
    if committed:
        subprocess.run([*git, "add", "token.json"], check=True)
        subprocess.run([*git, "commit", "-qm", "all"], check=True)

    grade, text, remedy = seen("settings", looked)

    assert (grade, "token.json" in text) == (Grade.WARN, True)
    assert os.system(remedy) == 0  # noqa: S605 - the line that mends it does
    assert seen("settings", looked)[0] is Grade.PASS
    assert (site.folder / "token.json").exists()


def test_a_state_folder_that_others_read(looked: CheckContext, site: Site) -> None:
    site.state.chmod(0o755)

    grade, _, remedy = seen("state folder", looked)

    assert (grade, remedy) == (Grade.WARN, f"chmod 700 {site.state}")


@on_linux
def test_a_state_folder_that_cannot_be_written(looked: CheckContext) -> None:
    elsewhere = looked.settings.replace(state_dir=NOWHERE_TO_WRITE)

    assert seen("state folder", looked, settings=elsewhere)[0] is Grade.FAIL


@pytest.mark.parametrize("name", ["state folder", "token"])
def test_what_may_not_be_tried_is_asked_of_the_system(
    looked: CheckContext, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(
        "drawcli.adapters.delivery.folder.check_writable", lambda _: pytest.fail("tried")
    )

    well = seen(name, looked, probes=False)
    monkeypatch.setattr("os.access", lambda *_: False)
    closed = seen(name, looked, probes=False)

    assert (well[0], closed[0]) == (Grade.PASS, Grade.FAIL)
    assert "may not be written by the user who runs drawcli" in closed[1]


def test_a_state_folder_on_a_share(looked: CheckContext, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.operations.doctor.quick.remote_disk", lambda _folder: "nfs4")

    grade, text, _ = seen("state folder", looked)

    assert (grade, "network share (nfs4)" in text) == (Grade.FAIL, True)


def test_a_site_key_that_is_gone(looked: CheckContext, site: Site) -> None:
    (site.state / "site.key").unlink()

    grade, text, _ = seen("site key", looked)

    assert (grade, "there is no site key" in text) == (Grade.FAIL, True)


def test_a_site_key_that_git_would_take(looked: CheckContext, site: Site) -> None:
    (site.folder / ".git").mkdir()
    (site.state / ".gitignore").unlink(missing_ok=True)

    grade, _, remedy = seen("site key", looked)

    assert (grade, ".gitignore" in remedy) == (Grade.FAIL, True)


def test_a_backup_of_the_keys_counts_for_the_keys_that_it_has(
    looked: CheckContext, site: Site
) -> None:
    before = seen("key backup", looked)
    note_keys_kept(site.state, site_keys(site.settings()), NOON - timedelta(days=3))
    after = seen("key backup", looked)
    replace_site_key(site.state)
    rotated = seen("key backup", looked)

    assert (before[0], rotated[0]) == (Grade.WARN, Grade.WARN)
    assert after[:2] == (Grade.PASS, "made 3 d ago (2026-11-11)")
    assert "lacks 1 of 1 keys" in rotated[1]


def test_without_a_list_of_locks_the_run_lock_is_not_checked(
    looked: CheckContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "has_lock_table", lambda: False)

    assert seen("run lock", looked)[0] is Grade.SKIP


@pytest.mark.parametrize(("free_gib", "grade"), [(0.5, Grade.FAIL), (1.5, Grade.WARN)])
def test_a_disk_that_runs_full(
    looked: CheckContext, monkeypatch: pytest.MonkeyPatch, free_gib: float, grade: Grade
) -> None:
    monkeypatch.setattr(WorkDir, "free_bytes", lambda _: int(free_gib * 2**30))

    assert seen("free space", looked)[:2] == (
        grade,
        f"{free_gib} GiB free for state_dir"
        + ("" if grade is Grade.FAIL else "; deliver.keep_free_gib asks for 2"),
    )


@pytest.mark.usefixtures("pelvis")
def test_a_datastore_that_is_there_and_one_that_is_not(looked: CheckContext, site: Site) -> None:
    well = seen("datastore", looked)
    shutil.rmtree(site.store)
    gone = seen("datastore", looked)
    site.store.mkdir()
    empty = seen("datastore", looked)

    assert [one[0] for one in (well, gone, empty)] == [Grade.PASS, Grade.FAIL, Grade.WARN]
    assert "is the share mounted?" in gone[1]
    assert "is the share mounted?" in empty[1]


def test_a_share_that_hangs_does_not_hang_doctor(looked: CheckContext, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def hangs(_: CheckContext) -> CheckResult:
        return CheckResult.well(fifo.read_text())  # nobody ever writes

    found = of_share(hangs, longest_seconds=0.05)(looked)
    fifo.open("w").close()

    assert (found.grade, found.text) == (Grade.FAIL, "does not answer")


@on_linux
@pytest.mark.parametrize(
    ("folder", "said"),
    [
        (str(NOWHERE_TO_WRITE), str(NOWHERE_TO_WRITE)),
        ("missing/{patient_id}", "is the share mounted?"),
    ],
)
def test_a_folder_for_structure_sets_that_takes_none(
    looked: CheckContext, site: Site, folder: str, said: str
) -> None:
    elsewhere = set_to(site, looked, f"deliver: {{folder: '{folder}'}}")

    grade, text, _ = seen("delivery", elsewhere)

    assert (grade, said in text) == (Grade.FAIL, True)


def test_the_probe_leaves_nothing_and_no_scan_would_take_it(
    looked: CheckContext, site: Site, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "unlink", lambda *_, **__: None)  # as if it were killed in the middle
    assert seen("delivery", looked)[0] is Grade.PASS
    monkeypatch.undo()
    left = list(site.store.iterdir())

    run_step("scan", ctx, Selection())

    assert len(left) == 1
    assert ctx.ledger.jobs() == []
    assert seen("delivery", looked)[0] is Grade.PASS
    assert list(site.store.iterdir()) == []  # the next probe of this process takes its place


def test_beside_a_series_is_tried_where_the_newest_series_lies(
    looked: CheckContext, ctx: Context, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_step("scan", ctx, Selection())
    folder, tried = pelvis[0].parent, []

    def closed(place: Path) -> None:
        tried.append(place)
        if place == folder:
            raise PermissionError(13, "denied", str(place))

    monkeypatch.setattr(delivery, "check_writable", closed)
    grade, text, _ = seen("delivery", looked)

    assert tried == [folder]
    assert (grade, "folder of the newest may not be written" in text) == (Grade.FAIL, True)
    assert folder.name not in text.replace(str(looked.settings.datastore[0]), "")


@pytest.mark.usefixtures("pelvis")
def test_a_datastore_whose_top_alone_is_closed(
    looked: CheckContext, ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(place: Path) -> None:
        if place == looked.settings.datastore[0]:
            raise PermissionError(13, "denied", str(place))

    monkeypatch.setattr(delivery, "check_writable", closed)
    before = seen("delivery", looked)[0]
    run_step("scan", ctx, Selection())

    assert (before, seen("delivery", looked)[0]) == (Grade.WARN, Grade.PASS)


@on_linux
def test_an_active_run_is_reported_and_an_overdue_one(looked: CheckContext, ctx: Context) -> None:
    with ctx.work.run_lock(NOON):
        now = seen("run lock", looked, now=NOON + timedelta(minutes=5))
        late = seen("run lock", looked, now=NOON + timedelta(hours=7))
        RunLog(ctx.settings.state_dir).add(a_run(NOON - timedelta(hours=2)))
        last = seen("last run", looked)

    assert now[:2] == (Grade.PASS, f"a run is active: process {os.getpid()} for 5 min")
    assert late[0] is Grade.FAIL
    assert last[:2] == (
        Grade.PASS,
        "ended 2 h ago with exit code 0; another is active now",
    )


def test_a_ledger_that_speaks_of_what_is_not_there(looked: CheckContext, in_state: Make) -> None:
    in_state(State.UPLOADED)

    grade, _, remedy = seen("ledger", looked)

    assert (grade, remedy) == (Grade.WARN, "drawcli ledger check")


def test_a_ledger_that_cannot_be_opened_says_why_and_counts_nothing(looked: CheckContext) -> None:
    err = LedgerError("ledger.json is no ledger", hint="Put a copy back.")

    told = seen("ledger", looked, ctx=None, closed=err)

    assert told == (Grade.FAIL, "ledger.json is no ledger", "Put a copy back.")
    assert seen("held jobs", looked, ctx=None, closed=err)[0] is Grade.SKIP


def test_jobs_that_wait_for_a_person(looked: CheckContext, ctx: Context, in_state: Make) -> None:
    job = in_state(State.FOUND)
    ctx.ledger.commit(job.held_for(NeedsPerson("odd", code="odd"), at=NOON))

    assert seen("held jobs", looked)[:2] == (Grade.WARN, "1 held")


def test_rules_that_cannot_be_read_and_rules_that_are_hardly_meant(
    looked: CheckContext, site: Site
) -> None:
    path = site.folder / "rules.yaml"
    whole = path.read_text()
    path.write_text(whole + "  - name: never\n    template: Thorax_OAR\n    when: {Modality: []}\n")
    broken = seen("rules", looked)
    rule = "    template: Thorax_OAR\n    when: {Modality: CT}\n"
    path.write_text(whole + "".join(f"  - name: {name}\n{rule}" for name in ("one", "two")))
    odd = seen("rules", looked)

    assert (broken[0], "rules.yaml:" in broken[1]) == (Grade.FAIL, True)
    assert (odd[0], "1 warning" in odd[1]) == (Grade.WARN, True)


@pytest.mark.parametrize(
    ("written", "grade", "said"),
    [
        ('{"access_token": "a", "expires_at": "2026-11-14T11:00:00Z"}', Grade.FAIL, "expired 1 h"),
        (
            '{"access_token": "a", "expires_at": "2026-11-15T13:00:00Z"}',
            Grade.WARN,
            "valid for 1 d",
        ),
        (
            '{"access_token": "a", "expires_at": "2026-12-14T12:00:00Z"}',
            Grade.PASS,
            "valid for 30 d",
        ),
        ('{"access_token": "a"}', Grade.WARN, "no expiry date"),
        ('{"access_token": "a", "refresh_token": "b"}', Grade.PASS, "renews itself"),
        ('{"access_token": ""}', Grade.FAIL, "empty"),
        ("{", Grade.FAIL, "is not JSON"),
        ("[]", Grade.FAIL, "holds no access_token"),
    ],
)
def test_a_token(looked: CheckContext, site: Site, written: str, grade: Grade, said: str) -> None:
    (site.folder / "token.json").write_text(written)

    found = seen("token", looked)

    assert (found[0], said in found[1]) == (grade, True), found


def test_a_token_that_others_read_or_that_is_gone(looked: CheckContext, site: Site) -> None:
    path = site.folder / "token.json"
    path.chmod(0o640)
    exposed = seen("token", looked)
    path.unlink()
    gone = seen("token", looked)

    assert (exposed[0], gone[0]) == (Grade.FAIL, Grade.FAIL)
    assert "chmod 600" in exposed[2]
    assert "drawcli token set" in gone[2]


def test_a_token_that_cannot_be_kept_when_it_is_renewed(
    looked: CheckContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed(place: Path) -> None:
        raise OSError(30, "read-only", str(place))

    monkeypatch.setattr("drawcli.adapters.delivery.folder.check_writable", closed)
    grade, text, _ = seen("token", looked)

    assert (grade, "cannot be renewed" in text, "is read-only" in text) == (Grade.FAIL, True, True)


@pytest.mark.parametrize(
    ("before", "exit_code", "grade"),
    [
        (timedelta(minutes=5), 0, Grade.PASS),
        (timedelta(minutes=5), 6, Grade.PASS),  # a job is held: the run came to its end
        (timedelta(minutes=5), 7, Grade.WARN),
        (timedelta(hours=2), 0, Grade.WARN),
        (timedelta(hours=25), 0, Grade.FAIL),
    ],
)
def test_the_last_run(
    looked: CheckContext, site: Site, before: timedelta, exit_code: int, grade: Grade
) -> None:
    assert seen("last run", looked)[0] is Grade.WARN  # none yet
    RunLog(site.state).add(a_run(NOON - before, exit_code))

    assert seen("last run", looked)[0] is grade


def test_versions_are_told_of_each_package_also_of_one_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["typer>=0.1", "nowhere-at-all"])

    found = local.versions()

    assert found.grade is Grade.WARN
    assert "nowhere-at-all (missing)" in found.text
    assert found.text.startswith("drawcli ")


def broken(site: Site, way: str) -> None:
    """Break everything that doctor reads, in one way."""
    for path in [*site.folder.rglob("*")]:
        if not path.is_file():
            continue
        if way == "gone":
            path.unlink()
        elif way == "folders":
            path.unlink()
            path.mkdir()
        else:
            path.write_bytes({"empty": b"", "noise": b"\xff\xfe\x00[[[{", "list": b"[1, 2]"}[way])


@pytest.mark.parametrize("way", ["gone", "folders", "empty", "noise", "list"])
@pytest.mark.usefixtures("pelvis")
def test_no_check_raises_whatever_lies_there(
    looked: CheckContext, site: Site, ctx: Context, way: str
) -> None:
    run_step("scan", ctx, Selection())
    RunLog(site.state).add(a_run(NOON))
    broken(site, way)

    found = [seen(name, looked) for name in CHECKS]

    assert len(found) == len(CHECKS)
    assert not any(ctx.crosswalk.__name__ in text for _, text, _ in found)
    assert {Grade.FAIL} <= {grade for grade, _, _ in found}


@pytest.mark.parametrize(
    "err",
    [
        *(ValueError("Kowalski"), KeyError("Kowalski"), AttributeError("Kowalski")),
        *(OverflowError("Kowalski"), RecursionError("Kowalski"), ImportError("Kowalski")),
        *(OSError(5, "Input/output error", "/store/Kowalski"), UnicodeError("Kowalski")),
    ],
)
def test_a_check_that_cannot_be_made_says_so_and_quotes_nothing(
    looked: CheckContext, err: Exception
) -> None:
    def breaks(_: CheckContext) -> CheckResult:
        raise err

    check: Check = breaks
    (found,) = outcomes.run_checks([("odd", check)], looked)

    plain: dict[str, Any] = found.as_plain()
    assert plain["grade"] == "FAIL"
    assert "could not be checked" in plain["text"]
    assert "Kowalski" not in str(plain)


def test_old_studies_are_counted_as_long_as_no_date_is_set(
    looked: CheckContext, site: Site, ctx: Context, pelvis: list[Path]
) -> None:
    before = seen("old studies", looked)
    run_step("scan", ctx, Selection())
    counted = seen("old studies", looked)
    ctx.ledger.commit(replace(ctx.ledger.jobs()[0], state=State.UPLOADED))
    sent = seen("old studies", looked)
    text = site.config.read_text()
    site.config.write_text(text.replace("scan: {", "scan: {studied_after: 2026-11-14, "))
    dated = seen("old studies", set_to(site, looked, ""))

    assert pelvis
    assert before[:2] == (Grade.WARN, "scan.studied_after is not set")
    assert "1 unsent series was studied before today" in counted[1]
    assert "0 unsent series" in sent[1]
    assert dated[0] is Grade.PASS


def test_a_site_without_an_enabled_rule_sends_nothing(looked: CheckContext, site: Site) -> None:
    rules = site.folder / "rules.yaml"
    rules.write_text(
        rules.read_text().replace("\n    template:", "\n    enabled: false\n    template:")
    )

    grade, text, _ = seen("rules", looked)

    assert grade is Grade.WARN
    assert "no rule is enabled: nothing is sent" in text
