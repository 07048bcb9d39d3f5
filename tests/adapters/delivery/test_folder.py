import errno
import hashlib
import os
import re
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path, PureWindowsPath

import pytest

from drawcli.adapters.delivery.folder import deliver, filled, made_below
from drawcli.errors import DiskFull, NeedsPerson, TryLater
from drawcli.system import platforms

JOB, NAME = "0123456789ab-1", "RS.4711.Prostate_OAR.0123456789ab-1.dcm"
DATA = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(DATA).hexdigest()
PATIENT = "Kulkarnee_Ashok"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of the planning system that is called like the patient."""
    made = tmp_path / PATIENT
    made.mkdir()
    return made


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def failing(number: int, words: str = "no") -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise OSError(number, words)

    return fail


def test_a_delivered_file_is_whole_alone_and_can_be_imported_by_another_user(folder: Path) -> None:
    before = os.umask(0o022)
    try:
        assert deliver(folder, NAME, DATA, JOB) == SHA256
    finally:
        os.umask(before)

    assert names(folder) == [NAME]
    assert (folder / NAME).read_bytes() == DATA
    assert stat.S_IMODE((folder / NAME).stat().st_mode) == 0o644
    assert (folder / NAME).stat().st_nlink == 1


def test_the_same_file_again_is_success_and_is_not_written_again(folder: Path) -> None:
    deliver(folder, NAME, DATA, JOB)
    before = (folder / NAME).stat()

    assert deliver(folder, NAME, DATA, JOB) == SHA256

    after = (folder / NAME).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert names(folder) == [NAME]


def test_the_same_file_on_a_share_that_became_read_only_is_success(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(folder, NAME, DATA, JOB)
    monkeypatch.setattr(os, "unlink", failing(errno.EROFS))  # also for a file that does not exist
    monkeypatch.setattr(Path, "unlink", failing(errno.EROFS))

    assert deliver(folder, NAME, DATA, JOB) == SHA256


def test_another_file_of_that_name_is_never_touched(folder: Path) -> None:
    (folder / NAME).write_bytes(b"edited by a physician")

    with pytest.raises(NeedsPerson) as caught:
        deliver(folder, NAME, DATA, JOB)

    assert caught.value.code == "name-taken"
    assert (folder / NAME).read_bytes() == b"edited by a physician"
    assert names(folder) == [NAME]


@pytest.mark.parametrize("links", ["links", "no links"])
def test_a_file_that_appears_at_the_last_moment_is_never_touched(
    folder: Path, monkeypatch: pytest.MonkeyPatch, links: str
) -> None:
    link = os.link

    def quicker(source: Path, target: Path, **_: object) -> None:
        Path(target).write_bytes(b"somebody was quicker")
        if links == "no links":
            raise OSError(errno.EPERM, "no links here")
        link(source, target)

    monkeypatch.setattr(os, "link", quicker)

    with pytest.raises(NeedsPerson, match="another file has the name"):
        deliver(folder, NAME, DATA, JOB)

    assert (folder / NAME).read_bytes() == b"somebody was quicker"
    assert names(folder) == [NAME]


def test_a_folder_or_a_dead_link_of_that_name_is_left_alone(folder: Path) -> None:
    (folder / NAME).mkdir()
    with pytest.raises(NeedsPerson):
        deliver(folder, NAME, DATA, JOB)

    (folder / "other.dcm").symlink_to(folder / "nowhere")
    with pytest.raises(NeedsPerson):
        deliver(folder, "other.dcm", DATA, JOB)

    assert names(folder) == [NAME, "other.dcm"]
    assert not (folder / "nowhere").exists()


def test_a_share_without_hard_links_gets_the_file_all_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))

    assert deliver(folder, NAME, DATA, JOB) == SHA256

    assert names(folder) == [NAME]
    assert (folder / NAME).read_bytes() == DATA


def test_what_a_crash_left_behind_is_cleared_away(folder: Path) -> None:
    (folder / f".drawcli-{JOB}.part").write_bytes(b"half of it")

    deliver(folder, NAME, DATA, JOB)

    assert names(folder) == [NAME]


def test_a_crash_between_the_name_and_the_end_is_mended_by_the_next_try(folder: Path) -> None:
    part = folder / f".drawcli-{JOB}.part"
    part.write_bytes(DATA)
    os.link(part, folder / NAME)

    assert deliver(folder, NAME, DATA, JOB) == SHA256

    assert names(folder) == [NAME]
    assert (folder / NAME).stat().st_nlink == 1


KILLED_AT = """
import os, signal, sys
from pathlib import Path
from drawcli.adapters.delivery.folder import deliver

at, folder = int(sys.argv[1]), Path(sys.argv[2])
calls = 0

def deadly(function):
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*args, **kwargs)
    return call

for name in ("open", "fsync", "link", "unlink", "rename", "close"):
    setattr(os, name, deadly(getattr(os, name)))
deliver(folder, sys.argv[3], bytes(range(256)) * 4000, sys.argv[4])
"""


def test_a_kill_at_any_moment_leaves_nothing_that_could_be_imported_but_the_whole_file(
    tmp_path: Path,
) -> None:
    outcomes = []
    for at in range(1, 20):
        folder = tmp_path / str(at)
        folder.mkdir()
        words = [sys.executable, "-c", KILLED_AT, str(at), str(folder), NAME, JOB]
        done = subprocess.run(words, check=False, capture_output=True)
        left = [name for name in names(folder) if not name.startswith(".drawcli-")]
        outcomes.append(left)
        assert left in ([], [NAME])
        assert not left or (folder / NAME).read_bytes() == DATA

        assert deliver(folder, NAME, DATA, JOB) == SHA256
        assert names(folder) == [NAME]
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert [] in outcomes[:-1]
    assert [NAME] in outcomes[:-1]


def test_an_importer_that_watches_never_sees_a_part_of_the_file(folder: Path) -> None:
    seen: set[tuple[str, int]] = set()
    stop = threading.Event()

    def watch() -> None:
        is_last = False
        while not is_last:
            is_last = stop.is_set()  # it looks once more, should it not have had its turn before
            for entry in os.scandir(folder):
                if entry.name.endswith(".dcm"):
                    seen.add((entry.name, len(Path(entry.path).read_bytes())))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        for number in range(40):
            deliver(folder, f"RS.{number}.dcm", DATA, JOB)
    finally:
        stop.set()
        watcher.join()

    assert {size for _, size in seen} == {len(DATA)}


@pytest.mark.parametrize("call", ["open", "fsync"])
def test_a_folder_that_cannot_be_written_costs_a_wait_and_names_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    monkeypatch.setattr(os, call, failing(errno.EROFS, "Read-only file system"))

    with pytest.raises(TryLater, match="Read-only file system") as caught:
        deliver(folder, NAME, DATA, JOB)

    assert caught.value.code == "delivery"
    assert PATIENT not in f"{caught.value} {caught.value.hint}"
    assert [name for name in names(folder) if name.endswith(".dcm")] == []


def test_a_folder_that_is_not_there_costs_a_wait_and_names_nobody(folder: Path) -> None:
    folder.rmdir()

    with pytest.raises(TryLater, match="No such file or directory") as caught:
        deliver(folder, NAME, DATA, JOB)

    assert PATIENT not in f"{caught.value} {caught.value.hint}"
    assert not folder.exists()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_is_closed_to_us_costs_a_wait(folder: Path) -> None:
    folder.chmod(0o500)

    with pytest.raises(TryLater, match="Permission denied"):
        deliver(folder, NAME, DATA, JOB)

    folder.chmod(0o700)
    assert names(folder) == []


def test_a_full_disk_is_told_without_the_path_and_leaves_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC, "No space left on device"))

    with pytest.raises(DiskFull) as caught:
        deliver(folder, NAME, DATA, JOB)

    assert str(caught.value) == "no space left in the folder for the RTSTRUCT"
    assert PATIENT not in str(caught.value)
    assert names(folder) == []


def test_a_disk_that_lies_is_found_out_before_the_file_has_its_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def lying(descriptor: int) -> None:
        fsync(descriptor)
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.pwrite(descriptor, b"\xff", 1000)

    monkeypatch.setattr(os, "fsync", lying)

    with pytest.raises(TryLater, match="read back differs from that written"):
        deliver(folder, NAME, DATA, JOB)

    assert names(folder) == []


def test_the_content_is_durable_before_the_name_and_the_name_before_the_end(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    fsync, link = os.fsync, os.link

    def noted_fsync(descriptor: int) -> None:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        happened.append("content" if regular else "folder")
        fsync(descriptor)

    def noted_link(source: Path, target: Path, **_: object) -> None:
        happened.append("name")
        link(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "link", noted_link)
    deliver(folder, NAME, DATA, JOB)

    assert happened == ["content", "name", "folder"]


@pytest.mark.parametrize(
    ("patient", "template", "name"),
    [
        ("4711", "Prostate_OAR", "RS.4711.Prostate_OAR.j-1.dcm"),
        ("../../etc/passwd", "A", "RS.etc_passwd.A.j-1.dcm"),
        ("a/b\\c:d*e", "A", "RS.a_b_c_d_e.A.j-1.dcm"),
        ("", "A", "RS.unknown.A.j-1.dcm"),
        ("...", "A", "RS.unknown.A.j-1.dcm"),
        ("Ä\udcffé \n\0", "A", "RS.unknown.A.j-1.dcm"),
        ("x" * 200, "T" * 128, f"RS.{'x' * 64}.{'T' * 64}.j-1.dcm"),
        ("$(rm -rf ~)`'\"", "A;B", "RS.rm_-rf.A_B.j-1.dcm"),
        ("CON", "A", "RS.CON.A.j-1.dcm"),
    ],
)
def test_a_name_is_safe_whatever_the_patient_is_called(
    patient: str, template: str, name: str
) -> None:
    facts = {"patient_id": patient, "template": template, "job": "j-1"}
    assert filled("RS.{patient_id}.{template}.{job}.dcm", facts) == name
    assert re.fullmatch(r"RS\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.j-1\.dcm", name)


def test_a_folder_never_has_a_name_that_windows_keeps_for_itself() -> None:
    assert filled("/tps/{patient_id}/RS", {"patient_id": "con"}) == "/tps/con_/RS"
    assert filled("C:\\tps\\{patient_id}", {"patient_id": "AUX"}) == "C:\\tps\\AUX_"


def test_a_share_of_windows_stays_what_it_is_in_a_pattern() -> None:
    pattern = PureWindowsPath(r"\\srv\tps$\import\{patient_id}\RS")

    assert filled(str(pattern), {"patient_id": r"..\7"}) == r"\\srv\tps$\import\7\RS"
    assert made_below(pattern) == PureWindowsPath(r"\\srv\tps$\import")
    assert made_below(pattern.parents[2]) == pattern.parents[2]


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.ENOENT])
def test_a_path_that_is_too_long_is_told_as_such_and_names_nobody(
    folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    if number == errno.ENOENT:  # all that Windows says
        monkeypatch.setattr(platforms, "system", lambda: "windows")
    monkeypatch.setattr(os, "open", failing(number))

    with pytest.raises(TryLater, match="too long for this system") as caught:
        deliver(folder, f"RS.{'x' * 250}.dcm", DATA, JOB)

    assert "deliver.folder" in str(caught.value.hint)
    assert PATIENT not in f"{caught.value} {caught.value.hint}"


def test_folders_of_a_pattern_are_made_below_its_fixed_part(tmp_path: Path) -> None:
    pattern = tmp_path / "import" / "{patient_id}" / "RS"
    folder = tmp_path / "import" / "4711" / "RS"
    assert made_below(pattern) == tmp_path / "import"

    with pytest.raises(TryLater):  # the share is not mounted
        deliver(folder, NAME, DATA, JOB, below=made_below(pattern))
    assert list(tmp_path.rglob("*")) == []

    (tmp_path / "import").mkdir()
    assert deliver(folder, NAME, DATA, JOB, below=made_below(pattern)) == SHA256
    assert (folder / NAME).read_bytes() == DATA


def test_a_real_full_disk_behaves_as_the_pretended_one(tmp_path: Path) -> None:
    """Mount a small file system, where that is allowed, and fill it."""
    mounted = tmp_path / "small"
    mounted.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(mounted)]
    if shutil.which("mount") is None or subprocess.call(words, stderr=subprocess.DEVNULL):
        pytest.skip("a file system cannot be mounted here")
    try:
        with pytest.raises(DiskFull):
            deliver(mounted, NAME, DATA, JOB)
        assert names(mounted) == []
        assert deliver(mounted, NAME, DATA[:1000], JOB)
    finally:
        subprocess.run(["umount", mounted], check=True)
