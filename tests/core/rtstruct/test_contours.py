"""The points of contours, read at once or one by one: always the same."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread

from drawcli.core.dicom.header import NotDicom, read_header
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.rtstruct.contours import contours_of, in_frames, points_of, unreadable
from tests.structure_sets import structure_set


def contour(text: str, count: str) -> FileContour:
    return FileContour(1, "CLOSED_PLANAR", count, (), text.encode("ascii"))


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("1\\2\\3\\4\\5\\6", "2"),
        ("1.5\\-2e1\\+3\\.5\\5.\\-0 ", "2"),
        (" 1 \\ 2\\3 \\4\\5\\6", "2"),
        ("1\\2\\3\\4\\5\\6", "3"),
        ("1\\2\\3\\4\\5", "2"),
        ("1\\2\\nan\\4\\5\\6", "2"),
        ("1\\2\\inf\\4\\5\\6", "2"),
        ("1\\2\\0x10\\4\\5\\6", "2"),
        ("1\\\\3\\4\\5\\6", "2"),
        ("1\\2\\3 4\\5\\6", "2"),
        ("9e9\\2\\3\\4\\5\\6", "2"),
        ("2e5\\2\\3\\4\\5\\6", "2"),
        ("1\\2\\3\\4\\5\\6", ""),
        ("1\\2\\3\\4\\5\\6", "two"),
        ("", "0"),
        ("", "1"),
        ("true\\2\\3", "1"),
        ("null\\2\\3", "1"),
        ("1,2\\3", "1"),
        ("1\\2\\[3]", "1"),
        ('1\\2\\"3"', "1"),
        ("1\\2\n\\3", "1"),
        ("-0\\007\\1e400", "1"),
    ],
)
def test_points_are_those_of_the_contour_or_none(text: str, count: str) -> None:
    one = contour(text, count)

    assert points_of(one).tolist() == [list(point) for point in one.points() or []]


numbers = st.one_of(
    st.floats(-500, 500).map(lambda value: f"{value:.10g}"),
    st.text("0123456789+-.eE \\", max_size=6),
)


@given(st.lists(numbers, min_size=3, max_size=9))
def test_no_text_is_read_in_two_ways(texts: list[str]) -> None:
    one = contour("\\".join(texts), str(len(texts) // 3))

    assert np.array_equal(points_of(one), np.array(one.points() or np.empty((0, 3))).reshape(-1, 3))


def test_images_that_were_frames_have_the_number_of_the_frame() -> None:
    received = FileContour(1, "POINT", "1", (("2.25.1", 1), ("2.25.2", 1)), b"1\\2\\3")

    assert in_frames(received, {}) is received
    assert in_frames(received, {"2.25.3": 7}) is received
    assert in_frames(received, {"2.25.2": 7}) == replace(
        received, images=(("2.25.1", 1), ("2.25.2", 7))
    )


def test_contours_are_read_structure_by_structure(pelvis: list[Path]) -> None:
    def change(dataset: Dataset) -> None:
        dataset.PatientName = "A"
        first, second, third = dataset.ROIContourSequence
        first.ContourSequence[0].ContourImageSequence[0].ReferencedFrameNumber = [2, 3]
        del first.ContourSequence[1].ContourImageSequence
        del first.ContourSequence[1].NumberOfContourPoints
        del second.ContourSequence
        del third.ReferencedROINumber
        third.ContourSequence = third.ContourSequence[:1]
        del third.ContourSequence[0].ContourGeometricType

    slices = [dcmread(path) for path in pelvis[:2]]
    data = structure_set(slices, ["A", "B", "C"], change=change)

    contours = list(contours_of(read_header(data, complete=True)))

    uid = str(slices[0].SOPInstanceUID)
    assert [(one.roi, one.kind, one.count, one.images) for one in contours] == [
        (1, "CLOSED_PLANAR", "4", ((uid, 2), (uid, 3))),
        (1, "CLOSED_PLANAR", "", ()),
        (-1, "", "4", ((uid, 1),)),
    ]
    assert [len(one.points() or ()) for one in contours] == [4, 4, 4]


def test_the_reason_why_a_structure_set_cannot_be_read_is_reported() -> None:
    assert str(unreadable(NotDicom("an odd VR"))) == "the RTSTRUCT cannot be read: an odd VR"
    assert "not in the expected form" in str(unreadable(ValueError("Lindqvist")))
