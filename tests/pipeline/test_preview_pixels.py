"""The images of a series with their pixels, as a stack."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.pixels import get_decoder  # type: ignore[attr-defined] # where its docs say it is
from pydicom.uid import JPEG2000Lossless, RLELossless

from drawcli.core.pictures.frame import Plane
from drawcli.core.series.crosswalk import SourceFile
from drawcli.errors import ConfigError, DrawcliError, SeriesRefused, SourceUnsettled
from drawcli.pipeline import preview_pixels
from drawcli.pipeline.preview_pixels import read_images_of
from tests.conftest import PELVIS
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.planning import write_planning_ct

SLICES = 4


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    return write_planning_ct(tmp_path / "ct", PELVIS, slices=SLICES, size=32, seed=1)


def sources(paths: list[Path], frames: int = 1) -> list[SourceFile]:
    return [
        SourceFile(str(path), path.stat().st_size, 0, f"1.2.{n}", frames=frames)
        for n, path in enumerate(paths)
    ]


def hounsfield(path: Path) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    one = dcmread(path)
    return np.asarray(one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept))


def changed(paths: list[Path], **values: object) -> None:
    for path in paths:
        one = dcmread(path)
        for keyword, value in values.items():
            setattr(one, keyword, value)
        one.save_as(path)


def test_a_slice_has_the_values_that_the_scanner_meant(files: list[Path]) -> None:
    read = read_images_of(sources(files[::-1]))

    section = read.stack.section(Plane.AXIAL, float(read.stack.levels[2]))
    assert np.array_equal(section.values, hounsfield(files[2]))
    assert (read.modality, read.inverse, read.changed) == ("CT", False, 0)


@pytest.mark.parametrize("syntax", [RLELossless, JPEG2000Lossless])
def test_compressed_images_are_the_same(files: list[Path], syntax: str) -> None:
    plain = read_images_of(sources(files)).stack.section(Plane.CORONAL, 10.0).values
    for path in files:
        one = dcmread(path)
        one.compress(syntax, generate_instance_uid=False)
        one.save_as(path)

    squeezed = read_images_of(sources(files)).stack.section(Plane.CORONAL, 10.0).values

    assert np.array_equal(plain, squeezed)


def test_a_missing_decoder_is_named(files: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for path in files:
        one = dcmread(path)
        one.compress(JPEG2000Lossless, generate_instance_uid=False)
        one.save_as(path)
    decoder = get_decoder(JPEG2000Lossless)
    monkeypatch.setattr(decoder, "_available", {})

    with pytest.raises(ConfigError, match="JPEG 2000") as caught:
        read_images_of(sources(files))

    assert caught.value.hint.endswith("-m pip install pylibjpeg pylibjpeg-openjpeg")


def test_every_frame_of_a_multi_frame_image_lies_where_it_says(
    files: list[Path], tmp_path: Path
) -> None:
    path = write_enhanced(tmp_path / "enhanced.dcm", PELVIS, files[::-1])

    read = read_images_of(sources([path], SLICES))

    section = read.stack.section(Plane.AXIAL, float(read.stack.levels[1]))
    assert len(read.stack.levels) == SLICES
    assert np.array_equal(section.values, hounsfield(files[1]))


def test_of_a_series_too_large_for_memory_fewer_pixels_are_kept_at_their_places(
    files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = read_images_of(sources(files)).stack
    monkeypatch.setattr(preview_pixels, "_MOST_BYTES", SLICES * 32 * 32)

    thin = read_images_of(sources(files)).stack

    assert thin.stored.nbytes * 4 == whole.stored.nbytes
    assert thin.extent(0) == pytest.approx(whole.extent(0), abs=whole.steps[1])
    some = thin.section(Plane.AXIAL, 0.0).values
    assert np.array_equal(some, whole.section(Plane.AXIAL, 0.0).values[::2, ::2])


def test_inverse_grey_is_told(files: list[Path]) -> None:
    changed(files, PhotometricInterpretation="MONOCHROME1")

    assert read_images_of(sources(files)).inverse


def test_images_that_are_not_those_that_were_sent_are_counted(files: list[Path]) -> None:
    sent = [SourceFile(str(one), 1, 0, "1.2", header_sha256="0" * 64) for one in files]

    assert read_images_of(sent).changed == SLICES


def cut_off(files: list[Path]) -> None:
    files[1].write_bytes(files[1].read_bytes()[:-100])


def other_size(files: list[Path]) -> None:
    one = dcmread(files[1])
    one.Rows, one.PixelData = 16, one.PixelData[: 16 * 32 * 2]
    one.save_as(files[1])


def nowhere(files: list[Path]) -> None:
    one = dcmread(files[1])
    del one.ImagePositionPatient
    one.save_as(files[1])


def coloured(files: list[Path]) -> None:
    changed(files, SamplesPerPixel=3)


def broken_stream(files: list[Path]) -> None:
    one = dcmread(files[1])
    one.compress(RLELossless, generate_instance_uid=False)
    one.PixelData = one.PixelData[:16] + bytes(len(one.PixelData) - 16)
    one.save_as(files[1])


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (cut_off, SeriesRefused),
        (other_size, SeriesRefused),
        (nowhere, SeriesRefused),
        (coloured, SeriesRefused),
        (broken_stream, SeriesRefused),
        (lambda files: files[2].unlink(), SourceUnsettled),
    ],
)
def test_images_that_cannot_be_shown_are_refused_without_naming_them(
    files: list[Path], spoil: Callable[[list[Path]], None], kind: type[DrawcliError]
) -> None:
    sent = sources(files)
    spoil(files)

    with pytest.raises(kind) as caught:
        read_images_of(sent)

    assert str(files[1].parent) not in str(caught.value)
