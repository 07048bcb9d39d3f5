"""The same key and sources give the same zip, bit for bit; another key gives another zip.

What is compared was built by the steps themselves, in copies of one site.
"""

import re
import shutil
import zipfile
from pathlib import Path

import pytest

from drawcli.adapters.state.site_key import make_site_key
from drawcli.core.jobs.job import State
from tests.conftest import THORAX, Clock, Site, opened
from tests.deidentification import engine
from tests.fake_draw import FakeDraw
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct


@pytest.fixture
def full(site: Site) -> Site:
    """Put a CT, an MR and a PT of one person into the datastore."""
    for write in (write_planning_ct, write_mr, write_pt):
        write(site.store / write.__name__, THORAX, slices=7, size=32)
    engine.take_everything(site)
    return site


def packages(site: Site, folder: Path, line: str = "") -> dict[str, bytes]:
    """Build every package in a copy of a site; return the bytes of each by its series."""
    copy = Site(folder)
    shutil.copytree(site.folder, folder)
    if line:
        copy.add_line(line)
    with opened(copy, FakeDraw(), Clock()) as ctx:
        jobs = engine.through_steps(ctx)
        assert [job.state for job in jobs] == [State.PACKAGED] * 3
        built = [engine.package_of(ctx, job) for job in jobs]
        return {job.id: path.read_bytes() for job, path in zip(jobs, built, strict=True) if path}


def test_a_second_run_and_any_number_of_workers_build_the_same(full: Site, tmp_path: Path) -> None:
    once = packages(full, tmp_path / "once")

    assert len({*once.values()}) == 3
    assert packages(full, tmp_path / "again") == once
    for workers in (1, 2, 4):
        line = f"deidentify: {{workers: {workers}}}"
        assert packages(full, tmp_path / f"{workers}", line) == once


def test_another_key_has_no_stand_in_in_common(full: Site, tmp_path: Path) -> None:
    one = packages(full, tmp_path / "one")
    (full.state / "site.key").unlink()
    make_site_key(full.state)
    other = packages(full, tmp_path / "other")

    first, second = stand_ins(one, tmp_path), stand_ins(other, tmp_path)
    assert len(first) > 3 * 7
    assert len(first) == len(second)
    assert first & second == set()


def stand_ins(packages: dict[str, bytes], folder: Path) -> set[bytes]:
    """Return every new UID, pseudonym and study ID in some packages."""
    found: set[bytes] = set()
    for raw in packages.values():
        (folder / "one.zip").write_bytes(raw)
        with zipfile.ZipFile(folder / "one.zip") as archive:
            for name in archive.namelist():
                if name.endswith(".dcm"):
                    head = archive.read(name)[:8192]
                    found |= set(re.findall(rb"2\.25\.[0-9]+|DEID.[A-Z2-7]{16}", head))
    return found - {b"2.25.311886914404290474935046405817604716498"}  # what drawcli itself is
