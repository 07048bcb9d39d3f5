import errno
import hashlib
import io
import os
import random
import shutil
import subprocess
import time
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.adapters import package as module
from drawcli.adapters.package import Member, Package, read_range, write_package
from drawcli.errors import DiskFull, SeriesRefused, SourceUnsettled

Contents = dict[str, bytes]
CONTENTS: Contents = {
    "2.25.1.dcm": bytes(1000) + b"DICM" + random.Random(1).randbytes(300_000),  # noqa: S311
    "2.25.2.dcm": b"pixels " * 70_000,
    "template.yml": b"name: A\n",
}


def in_pieces(content: bytes, size: int = 1 << 16) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


def packed(path: Path, contents: Contents) -> Package:
    return write_package(path, ((name, in_pieces(raw)) for name, raw in contents.items()))


def unpacked(path: Path) -> Contents:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def test_zipfile_reads_what_was_written_in_the_order_in_which_it_was(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"

    package = packed(path, CONTENTS)

    assert unpacked(path) == CONTENTS
    assert list(unpacked(path)) == list(CONTENTS)
    assert package.size == path.stat().st_size
    assert package.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.skipif(shutil.which("unzip") is None, reason="no unzip")
def test_unzip_reads_what_was_written(tmp_path: Path) -> None:
    packed(tmp_path / "package.zip", CONTENTS)

    done = subprocess.run(
        ["unzip", "-t", "package.zip"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    subprocess.run(["unzip", "-q", "package.zip", "-d", "out"], cwd=tmp_path, check=True)

    assert done.returncode == 0, done.stdout
    assert "No errors detected in compressed data" in done.stdout
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == CONTENTS


@given(
    contents=st.dictionaries(
        st.text("0123456789.", min_size=1, max_size=40), st.binary(max_size=3000), max_size=5
    ),
    size=st.integers(1, 1000),
)
@settings(max_examples=40, deadline=None)
def test_any_content_in_pieces_of_any_size_survives(
    tmp_path_factory: pytest.TempPathFactory, contents: Contents, size: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.zip"

    write_package(path, ((name, in_pieces(raw, size)) for name, raw in contents.items()))

    assert unpacked(path) == contents


def test_the_same_content_gives_the_same_bytes_on_another_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = packed(tmp_path / "a.zip", CONTENTS)
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    before = os.umask(0)
    second = packed(tmp_path / "b.zip", CONTENTS)
    os.umask(before)

    assert first == second
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_a_member_says_nothing_but_its_name_and_its_content(tmp_path: Path) -> None:
    packed(tmp_path / "package.zip", CONTENTS)

    with zipfile.ZipFile(tmp_path / "package.zip") as archive:
        members = archive.infolist()
        assert archive.comment == b""
    for member in members:
        assert member.date_time == (1980, 1, 1, 0, 0, 0)
        assert (member.comment, member.extra, member.external_attr) == (b"", b"", 0)
        assert member.compress_type == zipfile.ZIP_DEFLATED


def test_a_package_of_nothing_is_a_zip(tmp_path: Path) -> None:
    packed(tmp_path / "package.zip", {})

    assert unpacked(tmp_path / "package.zip") == {}


def test_a_member_that_fails_leaves_the_earlier_package(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    packed(path, CONTENTS)
    whole = path.read_bytes()

    def members() -> Iterator[Member]:
        yield "2.25.1.dcm", in_pieces(b"x" * 100_000)
        raise SeriesRefused("a slice is not what it was")

    with pytest.raises(SeriesRefused):
        write_package(path, members())

    assert path.read_bytes() == whole
    assert [one.name for one in tmp_path.iterdir()] == ["package.zip"]


def test_a_full_disk_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(DiskFull):
        packed(tmp_path / "package.zip", CONTENTS)

    assert list(tmp_path.iterdir()) == []


def test_as_many_members_as_a_zip_can_number_are_packed_and_one_more_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_MEMBERS", 5)
    five = {f"{number}.dcm": b"x" for number in range(5)}

    packed(tmp_path / "five.zip", five)
    with pytest.raises(SeriesRefused, match="larger than a zip can be") as caught:
        packed(tmp_path / "six.zip", {**five, "5.dcm": b"x"})

    assert caught.value.code == "too-large"
    assert unpacked(tmp_path / "five.zip") == five
    assert [path.name for path in tmp_path.iterdir()] == ["five.zip"]


def test_the_limits_are_those_of_a_zip_without_zip64() -> None:
    assert module._MOST_MEMBERS < 0xFFFF
    assert module._LARGEST < 0xFFFFFFFF


@pytest.mark.parametrize("content", [bytes(5000), random.Random(2).randbytes(5000)])  # noqa: S311
def test_a_member_or_a_zip_that_is_too_large_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 4000)
    taken: list[int] = []

    def pieces() -> Iterator[bytes]:
        for piece in in_pieces(content * 10, 1000):
            taken.append(len(piece))
            yield piece

    with pytest.raises(SeriesRefused, match="larger than a zip can be"):
        write_package(tmp_path / "package.zip", [("a.dcm", pieces())])

    assert sum(taken) <= 6000
    assert list(tmp_path.iterdir()) == []


def test_a_directory_that_would_reach_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LARGEST", 1000)
    members = {f"{number:0100}.dcm": b"" for number in range(5)}

    with pytest.raises(SeriesRefused):
        packed(tmp_path / "package.zip", members)


def test_memory_does_not_grow_with_a_member(tmp_path: Path) -> None:
    piece = random.Random(3).randbytes(1 << 20)  # noqa: S311

    def peak_of(pieces: int) -> int:
        tracemalloc.start()
        write_package(tmp_path / "package.zip", [("a.dcm", (piece for _ in range(pieces)))])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak

    small, large = peak_of(8), peak_of(64)  # some pieces are on their way at once

    assert (tmp_path / "package.zip").stat().st_size > 60 << 20
    assert large < small + (1 << 20)


def test_memory_does_not_grow_with_a_file(tmp_path: Path) -> None:
    path = tmp_path / "large"
    with path.open("wb") as stream:
        stream.truncate(64 << 20)

    tracemalloc.start()
    with path.open("rb") as stream:
        read = sum(len(piece) for piece in read_range(stream, 0, 64 << 20))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert read == 64 << 20
    assert peak < 5 << 20


def test_pieces_are_the_bytes_between_two_offsets() -> None:
    content = random.Random(4).randbytes(3_000_000)  # noqa: S311

    read = b"".join(read_range(io.BytesIO(content), 17, 2_500_001))

    assert read == content[17:2_500_001]
    assert list(read_range(io.BytesIO(content), 5, 5)) == []


def test_a_file_that_ends_too_early_is_refused() -> None:
    with pytest.raises(SeriesRefused) as caught:
        list(read_range(io.BytesIO(b"12345"), 2, 9))

    assert caught.value.code == "truncated"


def test_a_disk_that_does_not_give_the_file_is_tried_again() -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(SourceUnsettled, match="cannot be read: Input/output error"):
        list(read_range(Broken(b"12345"), 0, 5))


def test_level_and_time_against_zlib_are_reported(
    tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    noise = random.Random(5).randbytes(1 << 16)  # noqa: S311
    slices = {f"2.25.{n}.dcm": bytes((b & 15) | 64 for b in noise) * 8 for n in range(10)}

    begun = time.perf_counter()
    ours = packed(tmp_path / "ours.zip", slices)
    ours_took = time.perf_counter() - begun
    begun = time.perf_counter()
    zlibs = sum(len(zlib.compress(raw, 6)) for raw in slices.values())
    zlib_took = time.perf_counter() - begun

    record_testsuite_property("size against zlib 6", f"{ours.size / zlibs:.3f}")
    record_testsuite_property("time against zlib 6", f"{ours_took / zlib_took:.3f}")
    assert unpacked(tmp_path / "ours.zip") == slices


@pytest.mark.parametrize("workers", [0, 2, 4])
def test_the_bytes_do_not_depend_on_the_number_of_workers(tmp_path: Path, workers: int) -> None:
    dice = random.Random(7)  # noqa: S311 - no secret
    contents = {f"{number}.dcm": dice.randbytes(dice.randrange(50_000)) for number in range(20)}
    contents["large.dcm"] = dice.randbytes(3 * module._AHEAD)  # more than is held in memory

    def members() -> Iterator[tuple[str, Iterator[bytes]]]:
        return ((name, in_pieces(raw)) for name, raw in contents.items())

    one = write_package(tmp_path / "one.zip", members(), workers=1)
    many = write_package(tmp_path / "many.zip", members(), workers=workers)

    assert one == many
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "many.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "many.zip") as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == contents


def test_a_member_that_fails_in_a_worker_leaves_the_earlier_package(tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(b"earlier")

    def fails() -> Iterator[bytes]:
        yield b"some"
        raise SeriesRefused("no more")

    members = [("1.dcm", iter([b"one"])), ("2.dcm", fails()), ("3.dcm", iter([b"three"]))]
    with pytest.raises(SeriesRefused, match="no more"):
        write_package(path, members, workers=2)

    assert path.read_bytes() == b"earlier"
    assert [one.name for one in tmp_path.iterdir()] == ["package.zip"]
