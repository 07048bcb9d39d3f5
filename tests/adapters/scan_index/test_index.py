"""The scan index: a cache that may go at any time, and says nothing of a patient."""

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from filelock import FileLock

from drawcli.adapters.datastore.walk import read_file
from drawcli.adapters.scan_index import FILE_NAME, open_index, opening
from drawcli.core.dicom.instance import Slice
from drawcli.core.jobs.job import State
from drawcli.core.series.image_file import File
from drawcli.errors import AnotherRun, DiskFull
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import preview_scan, scan
from drawcli.pipeline.survey import readers
from drawcli.system.files import report_disk_full
from tests.conftest import PELVIS, SLICES, Site, only_job


def test_the_index_contains_no_patient_data_and_no_file_names(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    scan(ctx)
    crosswalk = ctx.crosswalk(only_job(ctx))

    whole = b"".join(path.read_bytes() for path in site.state.glob(f"{FILE_NAME}*"))

    secrets = {PELVIS.patient_id, PELVIS.name, crosswalk.series_uid, crosswalk.study_uid}
    secrets |= {part for part in PELVIS.name.split("^") if part}
    secrets |= {path.name for path in pelvis} | {pelvis[0].parent.name, site.store.name}
    secrets |= {file.sop_uid for file in crosswalk.files}
    assert len(whole) > 1000
    assert [one for one in secrets if one.encode() in whole] == []


@pytest.mark.skipif(sys.platform == "win32", reason="modes are POSIX's")
@pytest.mark.usefixtures("pelvis")
def test_only_its_owner_may_read_it(ctx: Context, site: Site) -> None:
    before = os.umask(0o022)
    try:
        scan(ctx)
    finally:
        os.umask(before)

    files = list(site.state.glob(f"{FILE_NAME}*"))

    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_the_index_may_be_deleted_at_any_time(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    scan(ctx)
    before = only_job(ctx)
    for path in site.state.glob(f"{FILE_NAME}*"):
        path.unlink()

    done = scan(ctx)

    assert (done.jobs, done.rebuilt) == ([], "")
    assert only_job(ctx) == before
    assert pelvis


@pytest.mark.parametrize("damage", ["no database", "zeros", "cut", "middle"])
def test_a_damaged_index_is_rebuilt_and_reported(
    ctx: Context, site: Site, pelvis: list[Path], damage: str
) -> None:
    scan(ctx)
    path = site.state / FILE_NAME
    whole = path.read_bytes()
    page = len(whole) // 4096 // 2 * 4096
    path.write_bytes(
        {
            "no database": b"this is no database, whatever it is called" * 200,
            "zeros": bytes(len(whole)),
            "cut": whole[: len(whole) // 3],
            "middle": whole[:page] + b"\xa5" * (len(whole) - page),
        }[damage]
    )
    pelvis[0].write_bytes(pelvis[0].read_bytes())

    done = scan(ctx)
    again = scan(ctx)

    assert done.rebuilt
    assert not again.rebuilt
    assert (only_job(ctx).state, only_job(ctx).slices) == (State.FOUND, SLICES)


@pytest.mark.usefixtures("pelvis")
def test_an_index_of_another_version_is_rebuilt_and_reported(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(opening, "_FORMAT", "0 an older one")
        scan(ctx)

    assert scan(ctx).rebuilt == "it is of another version or site key"


def test_data_moved_to_another_file_are_detected(
    ctx: Context, site: Site, pelvis: list[Path]
) -> None:
    """Sizes and times are bound to what is sealed: a row cannot speak for another file."""
    scan(ctx)
    with sqlite3.connect(site.state / FILE_NAME) as database:
        database.execute("UPDATE file SET size = size + 1")
        database.execute("UPDATE folder SET digest = NULL")
    database.close()
    pelvis[0].write_bytes(pelvis[0].read_bytes())

    scan(ctx)

    assert only_job(ctx).slices == SLICES


def test_waiting_for_another_process_has_a_limit(
    ctx: Context, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "_LOCK_SECONDS", 0.1)

    with (
        FileLock(site.state / f"{FILE_NAME}.lock"),
        pytest.raises(AnotherRun, match="has been reading"),
    ):
        scan(ctx)


def test_a_dry_run_writes_nothing(ctx: Context, site: Site, pelvis: list[Path]) -> None:
    before = sorted(site.state.iterdir())
    (first,) = preview_scan(ctx)
    after = sorted(site.state.iterdir())
    scan(ctx)
    index = (site.state / FILE_NAME).read_bytes()
    pelvis[0].unlink()

    assert preview_scan(ctx) == []
    assert (site.state / FILE_NAME).read_bytes() == index
    assert before == after
    assert first.files == SLICES


def fill(state: Path) -> None:
    with report_disk_full("state"), open_index(state, bytes(32), "0" * 8) as index:
        index._database.execute("PRAGMA max_page_count = 1")
        for number in range(10_000):
            index.set_fact(f"{number}", "x" * 1000)


def test_a_full_disk_is_reported_as_such(site: Site) -> None:
    with pytest.raises(DiskFull, match="no space left"):
        fill(site.state)


KILLED = """
import os, signal, sys
from pathlib import Path
from drawcli.config.load import load_settings
from drawcli.pipeline.context import open_context
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey import readers, update

update._CHUNK = 2
seen = 0

def tell(files):
    if files >= int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

with open_context(load_settings(Path(sys.argv[1]), {})) as ctx:
    scan(ctx, tell=tell)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's")
def test_files_read_before_a_kill_are_not_read_again(
    ctx: Context, site: Site, pelvis: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(site.config), "4"], check=False, capture_output=True
    )
    opened: list[str] = []

    def read(path: str, listed: File) -> Slice | str:
        opened.append(path)
        return read_file(path, listed)

    monkeypatch.setattr(readers, "read_file", read)

    scan(ctx)

    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(opened) == SLICES - 4
    assert (only_job(ctx).state, only_job(ctx).slices) == (State.FOUND, SLICES)
    assert pelvis


@pytest.mark.skipif(sys.platform != "linux", reason="ulimit -f")
@pytest.mark.usefixtures("pelvis")
def test_a_limit_of_the_size_of_files_is_no_failing_disk(site: Site) -> None:
    """SQLite reports both as an input or output error."""
    import resource

    done = subprocess.run(
        [sys.executable, "-m", "drawcli", "-c", str(site.config), "scan"],
        # The limit would cut the compiled modules that every other test loads.
        env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000)),
        capture_output=True,
        check=False,
        text=True,
    )

    assert done.returncode == 12, done.stderr
    assert "no space left" in done.stderr
