import errno
import io
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import RLELossless

from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.errors import SeriesRefused, SourceUnsettled
from tests.core.real_data import REAL, needs_real


def changed(path: Path, change: Callable[[bytes], bytes]) -> Path:
    path.write_bytes(change(path.read_bytes()))
    return path


def test_an_opened_slice_has_its_header_and_its_pixels(slices: list[Path]) -> None:
    stream, header = open_slice(str(slices[0]))

    with closing(stream):
        end = pixel_end(stream, header)
        assert header.pixels is not None
        stream.seek(header.pixels.value)
        pixels = stream.read(end - header.pixels.value)

    assert pixels == dcmread(slices[0]).PixelData
    assert stream.closed


def test_a_missing_slice_is_retried_and_not_named(tmp_path: Path) -> None:
    with pytest.raises(SourceUnsettled, match="No such file") as caught:
        open_slice(str(tmp_path / "Kulkarnee_Ashok.dcm"))

    assert "Kulkarnee" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda _raw: b"", "not a DICOM file"),
        (lambda raw: raw[:600], "the file ends inside its header"),
        (lambda _raw: b"<html>" * 100, "not a DICOM file"),
    ],
)
def test_a_slice_that_has_changed_is_refused_and_not_named(
    slices: list[Path], change: Callable[[bytes], bytes], told: str
) -> None:
    changed(slices[0], change)

    with pytest.raises(SeriesRefused, match=told) as caught:
        open_slice(str(slices[0]))

    assert slices[0].name not in str(caught.value)
    assert "KULKARNEE" not in str(caught.value)


def test_a_read_error_in_a_header_is_retried(
    slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(io.BytesIO):
        def read(self, _size: int | None = -1) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    opened = Broken()
    monkeypatch.setattr(Path, "open", lambda *_: opened)

    with pytest.raises(SourceUnsettled, match="cannot be read: Input/output error"):
        open_slice(str(slices[0]))

    assert opened.closed


def test_a_slice_without_pixels_is_refused(slices: list[Path]) -> None:
    empty = dcmread(slices[0])
    del empty.PixelData
    empty.save_as(slices[0])
    stream, header = open_slice(str(slices[0]))

    with closing(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "no-pixels"


def test_pixels_that_end_too_early_are_refused(slices: list[Path]) -> None:
    changed(slices[0], lambda raw: raw[:-1])
    stream, header = open_slice(str(slices[0]))

    with closing(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "truncated"


def test_data_after_the_pixels_is_not_read(slices: list[Path]) -> None:
    whole = slices[0].stat().st_size
    changed(slices[0], lambda raw: raw + b"\xfc\xff\xfc\xffOB\0\0\4\0\0\0abcd")
    stream, header = open_slice(str(slices[0]))

    with closing(stream):
        assert pixel_end(stream, header) == whole


def fragmented(path: Path, fragments: list[bytes]) -> None:
    """Write encapsulated pixels into a slice, with pydicom alone."""
    one = dcmread(path)
    one.file_meta.TransferSyntaxUID = RLELossless
    one.PixelData = encapsulate(fragments)
    one["PixelData"].VR = "OB"
    one["PixelData"].is_undefined_length = True
    one.save_as(path)


def test_encapsulated_pixels_end_with_their_delimiter(slices: list[Path]) -> None:
    fragmented(slices[0], [b"\1" * 70_000, b"\2" * 10, b"\3\3"])
    size = slices[0].stat().st_size
    changed(slices[0], lambda raw: raw + b"behind")
    stream, header = open_slice(str(slices[0]))

    with closing(stream):
        assert pixel_end(stream, header) == size


@pytest.mark.parametrize("cut", [1, 8, 12, 2000])
def test_encapsulated_pixels_that_end_too_early_are_refused(slices: list[Path], cut: int) -> None:
    fragmented(slices[0], [b"\1" * 1000, b"\2" * 1000])
    changed(slices[0], lambda raw: raw[:-cut])
    stream, header = open_slice(str(slices[0]))

    with closing(stream), pytest.raises(SeriesRefused) as caught:
        pixel_end(stream, header)

    assert caught.value.code == "truncated"


def test_encapsulated_pixels_with_other_items_than_fragments_are_refused(
    slices: list[Path],
) -> None:
    fragmented(slices[0], [b"\1" * 1000])
    changed(slices[0], lambda raw: raw[:-8] + b"\x10\0\x10\0\4\0\0\0abcd" + raw[-8:])
    stream, header = open_slice(str(slices[0]))

    with (
        closing(stream),
        pytest.raises(SeriesRefused, match=r"\(0010,0010\) in place of"),
    ):
        pixel_end(stream, header)


@needs_real
def test_real_rle_pixels_end_where_pydicom_says() -> None:
    seen = 0
    for path in sorted((REAL / "odd/dicom2nifti/generic/compressed_rle").rglob("*")):
        if not path.is_file():
            continue
        stream, header = open_slice(str(path))
        with closing(stream):
            end = pixel_end(stream, header)
        assert header.pixels is not None
        raw = path.read_bytes()
        assert raw[end - 8 : end] == b"\xfe\xff\xdd\xe0\0\0\0\0"
        assert raw[header.pixels.value : end - 8] == dcmread(path).PixelData
        seen += 1

    assert seen == 4
