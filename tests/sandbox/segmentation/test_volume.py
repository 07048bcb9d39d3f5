from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread

from drawcli.sandbox.segmentation.volume import BadSeries, PhantomSlice, volume


def test_slices_come_in_order_of_their_place_not_of_their_name(slices: list[Path]) -> None:
    found = volume(dcmread(path) for path in (slices[2], slices[0], slices[3], slices[1]))

    levels = [each.origin[2] for each in found]
    assert levels == sorted(levels)


def test_values_are_in_hu(slices: list[Path]) -> None:
    dataset = dcmread(slices[0])

    (found,) = volume([dataset])

    assert found.values().min() == -1024
    assert found.slope == 1.0


def test_points_become_mm_by_position_direction_and_spacing() -> None:
    plane = PhantomSlice(
        header=Dataset(),
        origin=np.array([10.0, 20.0, 30.0]),
        along_row=np.array([0.0, 2.0, 0.0]),
        along_column=np.array([0.0, 0.0, -3.0]),
        stored=np.zeros((4, 4)),
        slope=1,
        intercept=0,
    )

    assert plane.to_mm(np.array([[1.0, 0.0], [0.5, 2.0]])).tolist() == [[10, 22, 30], [10, 21, 24]]
    assert plane.pixel_mm2 == 6


def test_pixel_spacing_is_rows_first(slices: list[Path]) -> None:
    dataset = dcmread(slices[0])
    dataset.PixelSpacing = [2, 5]  # between rows, between columns: PS3.3 10.7.1.3

    (found,) = volume([dataset])

    assert found.along_row.tolist() == [5, 0, 0]
    assert found.along_column.tolist() == [0, 2, 0]


def test_a_series_without_a_slice_is_refused() -> None:
    with pytest.raises(BadSeries, match="no slice"):
        volume([])


@pytest.mark.parametrize("keyword", ["PixelData", "ImagePositionPatient", "PixelSpacing"])
def test_a_slice_without_pixels_or_place_is_refused(slices: list[Path], keyword: str) -> None:
    dataset = dcmread(slices[0])
    delattr(dataset, keyword)

    with pytest.raises(BadSeries, match="no usable pixels or geometry"):
        volume([dataset])


def test_truncated_pixels_are_refused(slices: list[Path]) -> None:
    dataset = dcmread(slices[0])
    dataset.PixelData = dataset.PixelData[:100]

    with pytest.raises(BadSeries, match="no usable pixels"):
        volume([dataset])


def test_slices_of_different_direction_are_refused(slices: list[Path]) -> None:
    datasets = [dcmread(path) for path in slices]
    datasets[1].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    with pytest.raises(BadSeries, match="direction"):
        volume(datasets)


def test_slices_of_different_size_are_refused(slices: list[Path]) -> None:
    datasets = [dcmread(path) for path in slices]
    datasets[1].Rows = 16
    datasets[1].PixelData = datasets[1].PixelData[: 16 * 32 * 2]

    with pytest.raises(BadSeries, match="number of rows"):
        volume(datasets)
