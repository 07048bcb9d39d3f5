"""What makes a system run drawcli: texts that the systems take, and that are never overwritten."""

import plistlib
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from drawcli.errors import ConfigError, UsageError
from drawcli.operations import schedules
from drawcli.operations.receive.service import receive_service, service_at
from drawcli.operations.schedule_install import crontab_of, install, install_cron_line
from drawcli.operations.schedules import (
    ALWAYS,
    Schedule,
    ScheduledSite,
    Scheduler,
    always,
    cron_line,
    place_of,
    schedule,
    text_of,
)
from tests.conftest import Site

ROOT = Path(__file__).parents[2]
EXAMPLE = ScheduledSite(
    program=("/usr/local/bin/drawcli",),
    config=Path("/etc/drawcli/drawcli.yaml"),
    state_dir=Path("/var/lib/drawcli"),
    writable=(Path("/etc/drawcli"), Path("/mnt/dicom")),
)
ODD = ScheduledSite(
    program=("/opt/draw cli/bin/drawcli",),
    config=Path("/srv/50%/R&D <1>/draw$cli.yaml"),
    state_dir=Path("/srv/50%/state of it"),
    writable=(Path("/mnt/a b"), Path("/mnt/c")),
)
unix = pytest.mark.skipif(sys.platform == "win32", reason="calls shell scripts, POSIX paths")


def cron_files() -> dict[str, str]:
    """Return the files of cron/ as the code writes them for the example site."""
    made = {
        path.name: text
        for one in (Scheduler.SYSTEMD, Scheduler.LAUNCHD, Scheduler.WINDOWS)
        for path, text in schedule(one, EXAMPLE).files.items()
    }
    (rotation,) = schedule(Scheduler.LOGROTATE, EXAMPLE).files.values()
    for maker in (Scheduler.SYSTEMD, Scheduler.LAUNCHD, Scheduler.WINDOWS):
        made |= {path.name: text for path, text in of_receive(maker, EXAMPLE).files.items()}
    for command in ALWAYS:
        made |= {path.name: text for path, text in kept(command, EXAMPLE).files.items()}
    crontab = text_of("crontab", {"line": cron_line(EXAMPLE.words)})
    return made | {"crontab": crontab, "logrotate": rotation}


def kept(command: str, place: ScheduledSite) -> Schedule:
    """Return the service of a command that systemd keeps running."""
    return always(replace(place, command=command))


def of_receive(scheduler: Scheduler, place: ScheduledSite, port: int = 11112) -> Schedule:
    """Return the service of the listener of a site."""
    return service_at(scheduler, replace(place, command="receive"), port)


@unix
def test_the_files_in_cron_are_those_that_init_writes() -> None:
    there = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "cron").iterdir()}

    assert there.pop("README.md")
    assert there == cron_files()


@unix
def test_cron_and_its_shell_give_drawcli_its_words_whatever_is_in_them() -> None:
    line = cron_line(ODD.words).removeprefix("*/10 * * * * ")

    assert "%" not in line.replace(r"\%", "")  # where cron would end the command
    assert tuple(shlex.split(line.replace(r"\%", "%"))) == ODD.words


@unix
def test_launchd_and_the_task_scheduler_get_the_same_words() -> None:
    (plist,) = schedule(Scheduler.LAUNCHD, ODD).files.values()
    task = next(iter(schedule(Scheduler.WINDOWS, ODD).files.values()))
    names = {"": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    root = ET.fromstring(task)  # noqa: S314 - our own

    assert tuple(plistlib.loads(plist.encode())["ProgramArguments"]) == ODD.words
    assert root.findtext(".//Command", namespaces=names) == ODD.words[0]
    arguments = root.findtext(".//Arguments", namespaces=names)
    assert arguments == subprocess.list2cmdline(ODD.words[1:])
    assert root.findtext(".//MultipleInstancesPolicy", namespaces=names) == "IgnoreNew"


@unix
@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
@pytest.mark.parametrize("command", ["run-once", "receive", "worker"])
@pytest.mark.parametrize("place", [EXAMPLE, ODD], ids=["usual", "odd"])
def test_systemd_finds_nothing_to_say_and_little_exposed(
    place: ScheduledSite,
    tmp_path: Path,
    command: str,
) -> None:
    program = tmp_path / "draw cli"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    place = ScheduledSite(program=(str(program),), config=place.config, state_dir=place.state_dir)
    units = []
    made = {
        "run-once": partial(schedule, Scheduler.SYSTEMD),
        "receive": partial(of_receive, Scheduler.SYSTEMD, port=104),
        "worker": partial(kept, "worker"),
    }
    for path, text in made[command](place).files.items():
        (tmp_path / path.name).write_text(text)
        units.append(str(tmp_path / path.name))

    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", units[0]],
        capture_output=True,
        text=True,
        check=False,
    )

    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")
    assert judged.returncode == 0, judged.stdout.splitlines()[-1:]


@unix
def test_the_service_of_the_listener_gets_its_words_on_every_system() -> None:
    words = replace(ODD, command="receive").words
    (plist,) = of_receive(Scheduler.LAUNCHD, ODD).files.values()
    task = next(iter(of_receive(Scheduler.WINDOWS, ODD).files.values()))
    names = {"": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    root = ET.fromstring(task)  # noqa: S314 - our own
    arguments = root.findtext(".//Arguments", namespaces=names)

    assert words[1] == "receive"
    assert tuple(plistlib.loads(plist.encode())["ProgramArguments"]) == words
    assert arguments == subprocess.list2cmdline(words[1:])
    assert root.findtext(".//ExecutionTimeLimit", namespaces=names) == "PT0S"


def test_the_service_of_the_listener_may_write_its_state_and_its_folder(site: Site) -> None:
    site.add_line("receive: {folder: store/in, callers: [CT1@10.0.0.0/8], listen: '10.1.2.3:104'}")
    made = receive_service(Scheduler.SYSTEMD, site.config, site.settings())

    assert made is not None
    (unit,) = made.files.values()
    assert f"\nReadWritePaths=-{site.state} -{site.store / 'in'}\n" in unit
    assert "AmbientCapabilities=CAP_NET_BIND_SERVICE" in unit
    assert receive_service(Scheduler.CRON, site.config, site.settings()) is None


def test_the_service_may_write_what_a_run_writes_and_nothing_else(site: Site) -> None:
    site.add_line("deliver: {folder: 'tps/{patient_id}'}")
    site.add_line("metrics: {textfile: figures/drawcli.prom}")
    settings = site.settings()

    place = place_of(site.config, settings)

    assert place.writable == (site.folder, site.folder / "figures", site.folder / "tps")
    assert place.state_dir == site.state


def test_the_service_may_write_what_it_pulls_and_shares(site: Site) -> None:
    """The datastore is read-only where structure sets go elsewhere."""
    site.add_line("deliver: {folder: tps}")
    source = f"node: 'PACS@pacs:104', folder: '{site.store}/pulled', keys: {{Modality: CT}}"
    site.add_line(f"pull: {{sources: [{{{source}}}]}}")
    site.add_line("ledger: postgresql://north@db.example/draw")
    site.add_line("cluster: {work: /mnt/draw-work}")

    place = place_of(site.config, site.settings())

    assert place.writable[1:] == (
        site.folder / "tps",
        site.store / "pulled",
        Path("/mnt/draw-work"),
    )


@unix
def test_a_state_folder_of_its_own_below_var_lib_is_made_by_systemd() -> None:
    usual, other = (
        next(iter(schedule(Scheduler.SYSTEMD, place).files.values())) for place in (EXAMPLE, ODD)
    )

    assert "\nStateDirectory=drawcli\nStateDirectoryMode=0700\n" in usual
    assert "\nStateDirectory" not in other
    assert '"-/srv/50%%/state of it" "-/mnt/a b" -/mnt/c' in other


def test_each_system_has_its_usual_scheduler(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    for platform in ("win32", "darwin", "linux"):
        monkeypatch.setattr(sys, "platform", platform)
        found.append(schedules.usual_here())
    monkeypatch.setattr(shutil, "which", lambda name: name)

    assert found == [Scheduler.WINDOWS, Scheduler.LAUNCHD, Scheduler.SYSTEMD]
    assert schedules.usual_here() is Scheduler.CRONTAB


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a crontab and a systemctl of our own in the way of the system's."""
    folder = tmp_path / "bin"
    folder.mkdir()
    crontab = 'case $1 in -l) cat tab 2>/dev/null || { echo "no crontab for me" >&2; exit 1; };;'
    for name, text in {
        "crontab": f"{crontab} -) cat > tab;; esac\n",
        "systemctl": 'echo "$*" >> calls\ntest ! -e broken || { echo "no bus" >&2; exit 1; }\n',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\ncd {folder}\n{text}")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(schedules, "UNITS", tmp_path / "units")
    return folder


@unix
def test_a_crontab_gets_one_line_for_each_site_and_keeps_its_others(programs: Path) -> None:
    other = cron_line(("drawcli", "run-once", "--config", "/etc/drawcli/drawcli.yaml.old"))
    by_hand = "0 7 * * 1 drawcli report"
    line = cron_line(EXAMPLE.words)
    (programs / "tab").write_text(f"MAILTO=me\n{by_hand}\n# {line}\n{other}")

    first, second = install_cron_line(line), install_cron_line(line)

    assert (first, second) == (line, line)
    assert (programs / "tab").read_text() == (f"MAILTO=me\n{by_hand}\n# {line}\n{other}\n{line}\n")


@unix
def test_a_line_that_a_person_changed_stays(programs: Path) -> None:
    mine = f"*/5 6-22 * * * nice {shlex.join(EXAMPLE.words)} --max-minutes 30"
    (programs / "tab").write_text(f"{mine}\n")

    assert install_cron_line(cron_line(EXAMPLE.words)) == mine
    assert (programs / "tab").read_text() == f"{mine}\n"


@unix
def test_the_first_line_of_a_user_without_a_crontab(programs: Path) -> None:
    line = install_cron_line(cron_line(EXAMPLE.words))

    assert (programs / "tab").read_text() == f"{line}\n"


@unix
def test_units_are_written_once_then_systemd_is_told(programs: Path) -> None:
    schedules.UNITS.mkdir()
    what = schedule(Scheduler.SYSTEMD, EXAMPLE)

    install(what)
    install(what)

    assert {path.name for path in schedules.UNITS.iterdir()} == {"drawcli.service", "drawcli.timer"}
    told = ["daemon-reload", "enable --now drawcli.timer"]
    assert (programs / "calls").read_text().splitlines() == told * 2


@unix
def test_a_unit_that_says_something_else_stays_and_nothing_is_done(programs: Path) -> None:
    schedules.UNITS.mkdir()
    (schedules.UNITS / "drawcli.service").write_text("mine")

    with pytest.raises(UsageError, match="says something else"):
        install(schedule(Scheduler.SYSTEMD, EXAMPLE))

    assert [path.read_text() for path in schedules.UNITS.iterdir()] == ["mine"]
    assert not (programs / "calls").exists()


@unix
def test_what_the_system_refuses_is_told_in_its_words(programs: Path) -> None:
    schedules.UNITS.mkdir()
    (programs / "broken").touch()

    with pytest.raises(ConfigError, match="'systemctl daemon-reload' says: no bus"):
        install(schedule(Scheduler.SYSTEMD, EXAMPLE))

    assert not list(schedules.UNITS.iterdir())  # no unit stays behind
    assert (programs / "calls").read_text().splitlines() == [
        "daemon-reload",
        "disable --now drawcli.timer",
        "daemon-reload",
    ]


@unix
def test_units_that_were_there_stay_where_systemctl_fails(programs: Path) -> None:
    schedules.UNITS.mkdir()
    install(schedule(Scheduler.SYSTEMD, EXAMPLE))
    (programs / "broken").touch()

    with pytest.raises(ConfigError, match="no bus"):
        install(schedule(Scheduler.SYSTEMD, EXAMPLE))

    assert len(list(schedules.UNITS.iterdir())) == 2


@unix
def test_files_without_a_command_are_taken_back_too(tmp_path: Path) -> None:
    files = {tmp_path / "task.xml": "x", tmp_path / "none" / "install.ps1": "y"}

    with pytest.raises(ConfigError, match="there is no folder"):
        install(Schedule(files=files))

    assert not list(tmp_path.iterdir())


@unix
def test_two_sites_have_two_units(programs: Path) -> None:
    schedules.UNITS.mkdir()
    sites = [replace(EXAMPLE, config=Path(f"/srv/{name}/drawcli.yaml")) for name in "ab"]

    for site in (EXAMPLE, *sites):
        install(schedule(Scheduler.SYSTEMD, site))

    names = {path.name for path in schedules.UNITS.iterdir()}
    assert names == {
        f"drawcli{end}.{kind}" for end in ("", "-srv-a", "-srv-b") for kind in ("service", "timer")
    }
    assert "enable --now drawcli-srv-b.timer" in (programs / "calls").read_text()
    labels = {
        plistlib.loads(text.encode())["Label"]
        for site in sites
        for text in schedule(Scheduler.LAUNCHD, site).files.values()
    }
    assert labels == {"drawcli-srv-a", "drawcli-srv-b"}


@unix
def test_a_unit_of_an_earlier_version_keeps_its_name(programs: Path) -> None:
    schedules.UNITS.mkdir()
    site = replace(EXAMPLE, config=Path("/srv/a/drawcli.yaml"))
    command = " ".join(site.words)
    (schedules.UNITS / "drawcli.service").write_text(f"[Service]\nExecStart={command}\n")

    assert programs.is_dir()
    assert site.name == "drawcli"
    assert replace(EXAMPLE, config=Path("/srv/b/drawcli.yaml")).name == "drawcli-srv-b"


@unix
def test_root_edits_the_crontab_of_the_owner_of_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    as_root = [crontab_of(name) for name in ("root", "daemon", "no-such-user")]
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    assert as_root == [("crontab",), ("crontab", "-u", "daemon"), ("crontab",)]
    assert crontab_of("daemon") == ("crontab",)


def test_a_system_without_such_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no folder"):
        install(Schedule(files={tmp_path / "none" / "drawcli.service": ""}))
