"""Files of jobs in shared storage: in a folder and in an S3 server, well and with faults."""

import io
import logging
import os
import resource
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from drawcli.adapters.work_store import folder_store, s3_store
from drawcli.adapters.work_store.folder_store import FolderStore
from drawcli.adapters.work_store.objects import ObjectFiles
from drawcli.adapters.work_store.s3_store import S3Store
from drawcli.adapters.work_store.sealed_stream import (
    DamagedObject,
    open_stream,
    seal_stream,
    sealed_size,
)
from drawcli.adapters.work_store.sealing import FileKeys
from drawcli.adapters.work_store.store import WorkStore
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.jobs.shared_files import SharedFile
from drawcli.errors import LedgerError, OutOfReach
from drawcli.system.files import CHUNK
from tests.adapters.work_store.conftest import KEYS, S3

JOB, NAME = "0123456789ab-1", "package.zip"
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK)


def sealed(content: bytes, keys: FileKeys = KEYS, job: str = JOB) -> bytes:
    return b"".join(seal_stream(keys, job, NAME, io.BytesIO(content)))


def opened(raw: bytes, step: int = 70_000, job: str = JOB, name: str = NAME) -> bytes:
    parts = (raw[at : at + step] for at in range(0, len(raw), step))
    return b"".join(open_stream(KEYS, job, name, parts))


@pytest.mark.parametrize("size", SIZES)
def test_a_sealed_file_is_restored_unchanged(size: int) -> None:
    content = os.urandom(size)
    raw = sealed(content)

    assert len(raw) == sealed_size(size)
    assert opened(raw) == content
    assert size < 32 or content[:32] not in raw


@pytest.mark.parametrize("size", SIZES[1:])
def test_a_file_that_is_cut_off_anywhere_is_refused(size: int) -> None:
    raw = sealed(os.urandom(size))

    for length in {0, 10, 60, len(raw) - 1, len(raw) - 16, len(raw) - 17, CHUNK + 16 + 57}:
        if length < len(raw):
            with pytest.raises(DamagedObject):
                opened(raw[:length])


def test_pieces_in_another_order_or_of_another_file_are_refused() -> None:
    head, piece = 57, CHUNK + 16
    raw, other = sealed(bytes(3 * CHUNK)), sealed(bytes(3 * CHUNK))
    parts = [raw[:head], *(raw[head + n * piece :][:piece] for n in range(3))]
    assert b"".join(parts) == raw
    swapped = b"".join((parts[0], parts[2], parts[1], parts[3]))
    doubled = b"".join((*parts[:2], parts[1], parts[2], parts[3]))
    longer = raw + parts[3]
    mixed = b"".join((*parts[:2], other[head + piece :][:piece], parts[3]))

    for wrong in (swapped, doubled, longer, mixed):
        with pytest.raises(DamagedObject):
            opened(wrong)


def test_a_file_of_another_job_name_or_site_is_refused() -> None:
    raw = sealed(b"of this job")
    stranger = FileKeys(StandIns(bytes(32)))

    with pytest.raises(DamagedObject):
        opened(raw, job="0123456789ab-2")
    with pytest.raises(DamagedObject):
        opened(raw, name="received.dcm")
    with pytest.raises(LedgerError, match="another site key"):
        opened(sealed(b"of another site", stranger))


def test_a_file_goes_to_the_store_and_comes_back(store: WorkStore, tmp_path: Path) -> None:
    path, back = tmp_path / NAME, tmp_path / "back"
    path.write_bytes(os.urandom(9 << 20))  # several parts of an upload
    files = ObjectFiles(store, KEYS)

    entry = files.put(JOB, NAME, path, KEYS.digest(JOB, NAME, [path.read_bytes()]))

    assert files.get(JOB, NAME, entry, back)
    assert back.read_bytes() == path.read_bytes()
    again = files.put(JOB, NAME, path, entry.digest)
    assert again.place != entry.place  # written once


def test_a_missing_object_is_a_missing_file(
    store: WorkStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = ObjectFiles(store, KEYS)

    with caplog.at_level(logging.WARNING):
        found = files.get(JOB, NAME, SharedFile("ab", "ab/abcd.0123"), tmp_path / "back")

    assert not found
    assert not (tmp_path / "back").exists()
    assert "is missing" in caplog.text


def test_objects_that_no_job_names_are_removed_after_a_day(
    store: WorkStore, tmp_path: Path
) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"content")
    files = ObjectFiles(store, KEYS)
    kept, lost = (files.put(JOB, NAME, path, "abcd") for _ in range(2))
    now = datetime.now(UTC)

    assert files.sweep(lambda _places: {kept.place}, now + timedelta(hours=23)) == 0
    assert files.sweep(lambda _places: {kept.place}, now + timedelta(hours=25)) == 1

    assert files.get(JOB, NAME, kept, tmp_path / "back")
    assert not files.get(JOB, NAME, lost, tmp_path / "back")


def s3_files(s3: S3, bucket: str) -> ObjectFiles:
    return ObjectFiles(S3Store(s3.cluster(bucket), "north"), KEYS)


@pytest.mark.parametrize("fault", ["503", "500", "cut"])
def test_a_short_fault_is_retried(s3: S3, bucket: str, tmp_path: Path, fault: str) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"content" * 1000)
    files = s3_files(s3, bucket)
    entry = files.put(JOB, NAME, path, "abcd")

    s3.faults = [fault]

    assert files.get(JOB, NAME, entry, tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        (["503"] * 20, "status 503"),
        (["403"] * 20, "refuses the credentials"),
        (["slow"] * 20, "no answer in time"),
        (["drip"] * 20, "no answer in time"),
    ],
)
def test_a_store_that_fails_is_out_of_reach(  # noqa: PLR0913, PLR0917 - a table
    s3: S3,
    bucket: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    faults: list[str],
    words: str,
) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"content")
    entry = s3_files(s3, bucket).put(JOB, NAME, path, "abcd")
    if words == "no answer in time":
        monkeypatch.setattr(s3_store, "STORE_SECONDS", 0.6)
    files = s3_files(s3, bucket)

    for work in (
        lambda: files.put(JOB, NAME, path, "abcd"),
        lambda: files.get(JOB, NAME, entry, tmp_path / "back"),
    ):
        s3.faults = [*faults]
        with pytest.raises(OutOfReach, match=words) as refused:
            work()
        assert refused.value.code == "work-store"
        assert "X-Amz" not in str(refused.value)
    assert not (tmp_path / "back").exists()


def test_a_request_is_for_a_part_of_an_object_so_that_a_slow_line_is_enough(
    s3: S3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, back = tmp_path / NAME, tmp_path / "back"
    for size in (900, 4500):
        path.write_bytes(os.urandom(size))
        files = s3_files(s3, bucket)
        entry = files.put(JOB, NAME, path, "abcd")
        with monkeypatch.context() as patch:
            patch.setattr(s3_store, "STORE_PART_BYTES", 1000)
            before = s3.requests
            assert files.get(JOB, NAME, entry, back)

        assert back.read_bytes() == path.read_bytes()
        assert s3.requests - before == -(-sealed_size(size) // 1000)


def test_wrong_bytes_are_read_again_and_then_count_as_a_missing_file(
    s3: S3, bucket: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path, back = tmp_path / NAME, tmp_path / "back"
    path.write_bytes(b"content" * 1000)
    files = s3_files(s3, bucket)
    entry = files.put(JOB, NAME, path, "abcd")

    s3.faults = ["wrong"]
    assert files.get(JOB, NAME, entry, back)
    back.unlink()
    s3.faults = ["wrong", "wrong"]
    assert not files.get(JOB, NAME, entry, back)

    assert not back.exists()
    assert "is damaged" in caplog.text


def test_credentials_come_from_a_command(
    s3: S3, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    printed = '{"Version": 1, "AccessKeyId": "test", "SecretAccessKey": "test"}'
    command = [sys.executable, "-c", f"print('{printed}')"]
    settings = s3.cluster(bucket).replace(s3_credentials_command=command)
    files = ObjectFiles(S3Store(settings, "north"), KEYS)
    path = tmp_path / NAME
    path.write_bytes(b"content")

    assert files.put(JOB, NAME, path, "abcd").place

    broken = settings.replace(s3_credentials_command=[sys.executable, "-c", "print(7)"])
    with pytest.raises(OutOfReach, match="credentials"):
        ObjectFiles(S3Store(broken, "north"), KEYS).put(JOB, NAME, path, "abcd")


def test_a_folder_that_is_not_mounted_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"content")
    (tmp_path / "mount").mkdir()

    for root, is_used in ((tmp_path / "nowhere", False), (tmp_path / "mount", True)):
        files = ObjectFiles(FolderStore(root, "north", is_used=is_used), KEYS)
        with pytest.raises(OutOfReach, match="is not there"):
            files.put(JOB, NAME, path, "abcd")
    assert list((tmp_path / "mount").iterdir()) == []


def test_a_folder_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    over = Event()
    (tmp_path / NAME).write_bytes(b"content")
    monkeypatch.setattr(folder_store, "SHARED_FOLDER_SECONDS", 0.1)
    monkeypatch.setattr(folder_store, "make_private", lambda _path: over.wait())
    files = ObjectFiles(FolderStore(tmp_path, "north", is_used=False), KEYS)

    with pytest.raises(OutOfReach, match="does not answer"):
        files.put(JOB, NAME, tmp_path / NAME, "abcd")
    over.set()


def test_a_folder_that_gives_back_other_bytes_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / NAME
    path.write_bytes(b"content")
    (tmp_path / "shared").mkdir()
    files = ObjectFiles(FolderStore(tmp_path / "shared", "north", is_used=False), KEYS)
    monkeypatch.setattr(
        "drawcli.adapters.work_store.folder_store.sha256_of", lambda _path: "another"
    )

    with pytest.raises(OutOfReach, match="other bytes than were written"):
        files.put(JOB, NAME, path, "abcd")


@pytest.mark.sweep
def test_memory_does_not_grow_with_a_package(store: WorkStore, tmp_path: Path) -> None:
    files = ObjectFiles(store, KEYS)

    def carried(size: int) -> int:
        path = tmp_path / NAME
        with path.open("wb") as stream:
            stream.truncate(size)
        entry = files.put(JOB, NAME, path, "abcd")
        assert files.get(JOB, NAME, entry, tmp_path / "back")
        assert (tmp_path / "back").stat().st_size == size
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

    if isinstance(store, S3Store):
        pytest.skip("the server of the tests has its objects in the memory of this process")
    small = carried(32 << 20)
    assert carried(1 << 30) < small + 64
