"""What is kept of the sources while their slices are read for a package."""

import gc
import zlib
from pathlib import Path
from typing import IO, Any

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGLSLossless, RLELossless

from drawcli.adapters.datastore.images import open_slice
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import Header
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.errors import SourceUnsettled
from drawcli.pipeline import sent_slices
from drawcli.pipeline.deidentify_folder import read_folder
from drawcli.pipeline.sent_slices import deidentify_slices
from drawcli.pipeline.steps.deidentify import read_replacements
from tests.conftest import PELVIS
from tests.phantoms.planning import write_planning_ct

KEY = StandIns(bytes(range(32)))


def files_as_read(folder: Path, choices: Choices) -> dict[str, SourceFile]:
    """Read all slices of a series as for a package."""
    (found,) = read_folder(folder).series
    crosswalk = Crosswalk.of(found.slices)
    files: dict[str, SourceFile] = {}
    replacements, _ = read_replacements(crosswalk, KEY, choices)
    for _, pieces in deidentify_slices(crosswalk, replacements, files):
        assert b"".join(pieces)
    return files


def padded(path: Path) -> None:
    image = dcmread(path)
    image.PixelData += bytes(8)
    image.save_as(path)


def stored_pixels(path: str) -> bytes:
    """Return the bytes from the value of the pixel data up to the end of the file."""
    held: Any = dcmread(path).get_item("PixelData")
    return Path(path).read_bytes()[held.value_tell :]


@pytest.mark.parametrize("decompress", [True, False], ids=["decoded", "as they are"])
@pytest.mark.parametrize("form", ["plain", "padded", "RLE", "JPEG-LS"])
def test_the_check_of_a_source_is_that_of_its_pixels_as_stored(
    tmp_path: Path, form: str, *, decompress: bool
) -> None:
    for path in write_planning_ct(tmp_path, PELVIS, slices=2, size=16, seed=1):
        if form == "padded":
            padded(path)
        elif form != "plain":
            image = dcmread(path)
            syntax = RLELossless if form == "RLE" else JPEGLSLossless
            image.compress(syntax, generate_instance_uid=False)
            image.save_as(path)

    files = files_as_read(tmp_path, Choices(decompress=decompress))

    assert len(files) == 2
    for source, file in files.items():
        assert file.pixels_crc32 == zlib.crc32(stored_pixels(source))


def test_plain_pixels_are_not_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_planning_ct(tmp_path, PELVIS, slices=2, size=16, seed=1)
    monkeypatch.delattr(sent_slices, "pixel_crc32")

    assert len(files_as_read(tmp_path, Choices())) == 2


class Streams:
    """The files that are open."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.opened: list[IO[bytes]] = []
        self.most = 0

        def counted(path: str) -> tuple[IO[bytes], Header]:
            stream, header = open_slice(path)
            self.opened.append(stream)
            self.most = max(self.most, len(self.open))
            return stream, header

        monkeypatch.setattr(sent_slices, "open_slice", counted)

    @property
    def open(self) -> list[IO[bytes]]:
        return [stream for stream in self.opened if not stream.closed]


@pytest.mark.parametrize(("largest", "most"), [(16 << 20, 16), (1, 1), (12_000, 4)])
def test_the_headers_of_a_few_slices_are_read_before_their_pixels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int, most: int
) -> None:
    """A bound of their number and of their bytes: files and headers stay in memory until then."""
    write_planning_ct(tmp_path, PELVIS, slices=40, size=16, seed=1)
    monkeypatch.setattr(sent_slices, "_MOST_BYTES_BEGUN", largest)
    streams = Streams(monkeypatch)

    assert len(files_as_read(tmp_path, Choices())) == 40
    assert 1 <= streams.most <= most
    assert (streams.most > 1) == (most > 1)
    assert streams.open == []


def test_a_slice_that_is_refused_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = write_planning_ct(tmp_path, PELVIS, slices=6, size=16, seed=1)
    (found,) = read_folder(tmp_path).series
    crosswalk = Crosswalk.of(found.slices)
    replacements, _ = read_replacements(crosswalk, KEY, Choices())
    streams = Streams(monkeypatch)
    raw = paths[3].read_bytes()
    paths[3].write_bytes(raw[:-1])

    with pytest.raises(SourceUnsettled):
        list(deidentify_slices(crosswalk, replacements, {}))

    gc.collect()
    assert streams.opened
    assert streams.open == []
