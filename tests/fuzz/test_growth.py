"""Time grows no faster than an input: what repeats in it is read once."""

from collections import Counter
from collections.abc import Sequence
from struct import pack
from time import process_time
from typing import Any

import pytest

from drawcli.core.dicom import multiframe
from drawcli.core.dicom.conversion import convert_file
from drawcli.core.dicom.header import Element, Header, NotDicom, read_header
from drawcli.core.frames.groups import FrameGroups
from tests.fuzz.file_seeds import enhanced, written

MOST = 9.0  # times for four times as much: n log n has 5 at most, n squared 16


def with_items(count: int) -> bytes:
    """Return a big endian file with a sequence of many items."""
    inside = (b"\xff\xfe\xe0\x00" + pack(">I", 0)) * count
    sequence = b"\x00\x40\x02\x75SQ\0\0" + pack(">I", len(inside)) + inside
    return b"\x00\x08\x00\x60CS\x00\x02CT" + sequence


def seconds(count: int) -> float:
    data, began = with_items(count), process_time()
    convert_file(bytes(128) + b"DICM" + data)
    return process_time() - began


@pytest.mark.sweep
def test_a_converted_sequence_costs_as_much_as_its_items() -> None:
    ratios: list[float] = []
    for count in (30_000, 60_000):  # a larger one, before the growth of one is believed
        few = min(seconds(count) for _ in range(3))
        ratios.append(min(seconds(4 * count) for _ in range(3)) / few)
        if ratios[-1] < MOST:
            break

    assert min(ratios) < MOST, ratios


def test_shared_groups_are_read_once_and_not_for_each_frame(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = Counter[int]()
    usual = multiframe.items_in

    def counted(header: Header, sequence: Element | None) -> Sequence[list[Element]]:
        read[0 if sequence is None else sequence.tag] += 1
        return usual(header, sequence)

    monkeypatch.setattr(multiframe, "items_in", counted)
    image = enhanced("CT")
    frames: Any = image.PerFrameFunctionalGroupsSequence
    image.PerFrameFunctionalGroupsSequence = [*frames] * 20
    image.NumberOfFrames = "40"

    facts = multiframe.frames_of(read_header(written(image), complete=True))

    assert facts is not None
    assert len(facts.planes) == 40
    assert read[0x00289110] == 1  # PixelMeasuresSequence is shared
    assert read[0x00209113] == 40  # PlanePositionSequence is not


def test_shared_groups_of_thousands_of_values_are_refused() -> None:
    image = enhanced("CT")
    shared: Any = image.SharedFunctionalGroupsSequence[0]
    for group in range(0x0099, 0x00AB, 2):
        block = shared.PixelMeasuresSequence[0].private_block(group, "ACME", create=True)
        for number in range(250):
            block.add_new(number, "LO", "x")

    with pytest.raises(NotDicom, match="shared values"):
        FrameGroups(read_header(written(image), complete=True))
