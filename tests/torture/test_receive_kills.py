"""kill -9 and power cuts at every effect of `receive`: what a sender was told is safe is there."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from drawcli.adapters.datastore.walk import read_datastore
from drawcli.core.dicom_service.service_request import ServiceStatus
from tests.dicom_sender import Sender, data_set, site_that_receives
from tests.waiting import PATIENCE

LONG = int(os.environ.get("TORTURE", "1")) > 1
STRIDE = 1 if LONG else 9
LEAST_EFFECTS = 40
OBJECTS = {
    f"1.2.{patient}.{number}": data_set(
        f"1.2.{patient}.{number}", series=f"1.2.{patient}", pixels=bytes([patient, number]) * 4000
    )
    for number in range(3)
    for patient in (1, 2)
}
OTHER = ("1.2.1.0", data_set("1.2.1.0", series="1.2.1", pixels=b"other" * 900))
CONFLICT = "conflict"  # told for OTHER, which is kept apart
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


@contextmanager
def running(folder: Path, **order: object) -> Iterator[int]:
    """Run `receive` until the block ends, or it has killed itself; yield the port, 0 if it died."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "ORDER": json.dumps(order),
    }
    with subprocess.Popen(
        [sys.executable, "-m", "tests.torture.receiver"],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        yield int(line.split(",")[0].rpartition(":")[2]) if line else 0
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE) in (0, -signal.SIGKILL)


def push(port: int, told: set[str]) -> None:
    """Send every object, by two associations in turns; note which were said to be safe."""
    with suppress(OSError, EOFError), Sender(port) as one, Sender(port) as other:
        one.associate()
        other.associate()
        for number, (uid, data) in enumerate(OBJECTS.items()):
            if (one, other)[number % 2].store(uid, data) == 0:
                told.add(uid)
        if one.store(*OTHER) == ServiceStatus.DUPLICATE:
            told.add(CONFLICT)
        one.release()
        other.release()


def check(folder: Path, told: set[str]) -> None:
    """What was said to be safe is there and whole; nothing that a scan reads is a part."""
    stored = {path.stem: path.read_bytes() for path in (folder / "store" / "in").glob("1*/*")}
    apart = [path.read_bytes() for path in (folder / "store" / "in").glob(".drawcli-conflicts/*")]
    assert told <= stored.keys() | {CONFLICT}
    assert len(apart) <= 1
    assert len(apart) == 1 or CONFLICT not in told
    assert all(data.endswith(OTHER[1]) for data in apart)
    for uid, data in stored.items():
        assert data.endswith(OBJECTS[uid])
        assert data[128:132] == b"DICM"
    walked = read_datastore([folder / "store"])
    assert {one.sop_uid for one in walked.slices} == stored.keys()
    assert set(walked.passed_over) <= {"no-pixel-data"}


@pytest.mark.parametrize("power", [False, True])
def test_what_a_sender_was_told_is_safe_is_there_whatever_the_moment(
    tmp_path: Path,
    power: bool,  # noqa: FBT001 - a table
) -> None:
    whole = tmp_path / "whole"
    site_that_receives(whole)
    told: set[str] = set()
    with running(whole) as port:
        push(port, told)
    count = int((whole / "effects").read_text())
    assert told == OBJECTS.keys() | {CONFLICT}
    check(whole, told)
    assert count >= LEAST_EFFECTS

    kills = 0
    for effect in range(1 + STRIDE * power // 2, count + 1, STRIDE):
        folder, told = tmp_path / str(effect), set[str]()
        site_that_receives(folder)
        with running(folder, kill_at=effect, power=power) as port:
            push(port, told)
        kills += not (folder / "effects").exists()
        check(folder, told)
        with running(folder) as port:
            assert list(folder.rglob("*.part")) == []
            push(port, told)
        check(folder, told)
        assert told == OBJECTS.keys() | {CONFLICT}
        assert len(list((folder / "store" / "in").glob("1*/*"))) == len(OBJECTS)
    assert kills >= count // STRIDE - 2
    sys.stdout.write(f"kills: {kills} of {count} effects\n")
