"""Image files: their header, how it differs from that of another slice, and its texts for rules."""

import atexit
import os
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from math import isfinite
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp
from typing import Final, NamedTuple

from drawcli.adapters.datastore.element_texts import head_in, texts_of_file
from drawcli.adapters.datastore.images import pixel_end
from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.core.dicom.header import (
    LONG_VRS,
    PIXEL_DATA,
    SHORT_VRS,
    Element,
    Header,
    Incomplete,
    NotDicom,
    data_set_start,
    read_header,
    walk,
)
from drawcli.core.dicom.instance import slice_of
from drawcli.core.dicom.streaming import header_of_stream, read_or_convert
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.core.series.differing import HeaderModel
from drawcli.errors import SeriesRefused
from tests.fuzz import dicom_tree
from tests.fuzz.targets import READ, UNITS, Units, corpus, target

UNKNOWN_LENGTH: Final = b"\xff\xff\xff\xff"
ITEM, ITEM_END, SEQUENCE_END = (bytes.fromhex(f"FEFF{end}") for end in ("00E0", "0DE0", "DDE0"))
RAM: Final = Path("/dev/shm")  # noqa: S108 - files there cost no disk
SCRATCH: Final = "FUZZ_SCRATCH"  # names the folder of folders; atheris ends without atexit


def scratch() -> Path:
    """Return a new folder, in memory if possible; it goes with the process."""
    parent = os.environ.get(SCRATCH) or (RAM if RAM.is_dir() else None)
    made = Path(mkdtemp(prefix="fuzz-", dir=parent))
    atexit.register(rmtree, made, ignore_errors=True)
    return made


class Place(NamedTuple):
    """An element: its tag, and where its value lies."""

    tag: int
    value: int
    end: int  # after the value, or after the delimiter of an undefined length


def places(data: bytes, at: int, *, explicit: bool) -> Iterator[Place]:
    """Yield the elements from an offset on by a reader of the test; stop at pixels or the end."""
    while at + 8 <= len(data):
        group, number = (int.from_bytes(data[at + n : at + n + 2], "little") for n in (0, 2))
        vr, start = data[at + 4 : at + 6], at + 8
        if not explicit:
            length = data[at + 4 : at + 8]
        elif vr in LONG_VRS:
            length, start = data[at + 8 : at + 12], at + 12
        else:
            length = data[at + 6 : at + 8]
        end = start + int.from_bytes(length, "little")
        if length == UNKNOWN_LENGTH and (group, number) != (0x7FE0, 0x0010):
            end = _behind_items(data, start, explicit=explicit and vr != b"UN")
        yield Place(group << 16 | number, start, end)
        if (group, number) == (0x7FE0, 0x0010):
            return
        at = end


def _behind_items(data: bytes, at: int, *, explicit: bool) -> int:
    """Return the offset after the delimiter of a sequence."""
    while data[at : at + 4] != SEQUENCE_END:
        assert data[at : at + 4] == ITEM
        length = data[at + 4 : at + 8]
        at += 8
        if length != UNKNOWN_LENGTH:
            at += int.from_bytes(length, "little")
            continue
        while data[at : at + 4] != ITEM_END:
            at = next(places(data, at, explicit=explicit)).end
        at += 8
    return at + 8


def elements_of(data: bytes) -> list[bytes]:
    """Return the beginning of a file, each element of its header, and the rest."""
    try:
        _, explicit, at = data_set_start(data)
    except (NotDicom, Incomplete):
        return [data]
    found = [data[:at]]
    with suppress(NotDicom, Incomplete):
        for element in walk(data, at, len(data), explicit=explicit, stop_at=PIXEL_DATA):
            if element.tag != PIXEL_DATA:
                found.append(data[element.start : element.end])
                at = element.end
    return [*found, data[at:]]


def with_elements(messages: list[bytes]) -> bytes:
    """Return a file of these elements, each with its length as it is."""
    if not messages:
        return b""
    beginning, *elements = messages
    explicit = any(one[4:6] in LONG_VRS | SHORT_VRS for one in elements[:3])
    *whole, rest = elements or [b""]
    return beginning + b"".join(with_length(one, explicit=explicit) for one in whole) + rest


def with_length(element: bytes, *, explicit: bool) -> bytes:
    """Return an element with the length of its value; an undefined length stays."""
    at = 8 if explicit and element[4:6] in LONG_VRS else 4
    size = 2 if explicit and element[4:6] not in LONG_VRS else 4
    at += 2 if size == 2 else 0
    if len(element) < at + size or element[at : at + size] == UNKNOWN_LENGTH:
        return element
    length = min(len(element) - at - size, (1 << 8 * size) - 1)
    return element[:at] + length.to_bytes(size, "little") + element[at + size :]


def check_places(header: Header, start: int) -> None:
    """Compare the elements of a header with those of the reader of the test."""
    expected = list(places(header.data, start, explicit=header.explicit))
    found = [*header.elements.values(), *([header.pixels] if header.pixels else [])]
    assert [(one.tag, one.value) for one in found] == [one[:2] for one in expected]
    ends = [one.end for one in found if one.tag != PIXEL_DATA or not one.undefined]
    assert ends == [one.end for one in expected][: len(ends)]
    assert [one.tag for one in found] == sorted({one.tag for one in found})


def last_place(data: bytes) -> Place:
    """Return where the pixel data are, by the reader of the test."""
    _, explicit, start = data_set_start(data)
    *_, last = places(data, start, explicit=explicit)
    if data[last.value - 4 : last.value] == UNKNOWN_LENGTH:
        return last._replace(end=_behind_items(data, last.value, explicit=explicit))
    return last


UNITS["image_header"] = Units(elements_of, with_elements, dicom_tree.altered)


@target
def image_header(data: bytes) -> None:
    """The header of a file, as a scan and the de-identification read it, converted if need be."""
    with suppress(NotDicom, Incomplete):
        header = header_of_stream(BytesIO(data))
        assert header.data == data[: len(header.data)]
        check_places(header, data_set_start(data)[2])
    try:
        header, whole = read_or_convert(BytesIO(data))
    except (NotDicom, Incomplete):
        return
    if whole is not None:  # what was converted is regular
        again, twice = read_or_convert(BytesIO(whole))
        assert (twice, [*again.elements]) == (None, [*header.elements])
        check_places(again, data_set_start(whole)[2])
    source = data if whole is None else whole
    facts = slice_of(header, path="", size=len(source), mtime_ns=0)
    assert facts.sop_uid.encode("ascii", "surrogateescape") in source
    for plane in facts.planes:
        assert all(map(isfinite, [*(plane.position or ()), *(plane.spacing or ())]))
    stream = BytesIO(source)
    with suppress(SeriesRefused):
        end = pixel_end(stream, header)
        assert header.pixels is not None
        assert header.pixels.value <= end <= len(source)
        assert end == last_place(source).end
        assert not header.pixels.undefined or source[end - 8 : end - 4] == SEQUENCE_END
        READ["image_header"] += 1


UNITS["header_difference"] = UNITS["image_header"]


@cache
def model() -> tuple[Header, HeaderModel]:
    """Return the header that others are compared with."""
    header = read_header(corpus("header_difference")["valid-1"])
    return header, HeaderModel(header)


@target
def header_difference(data: bytes) -> None:
    """The elements in which a slice differs from another one, which is compared as bytes."""
    first, compared = model()
    try:
        found = compared.differing(data)
    except (NotDicom, Incomplete):
        return
    other = read_header(data)  # what the comparison accepts, the reader accepts

    def bytes_of(header: Header, element: Element) -> bytes:
        return header.data[element.start : element.end]

    theirs = {tag: bytes_of(other, element) for tag, element in other.elements.items()}
    ours = {tag: bytes_of(first, element) for tag, element in first.elements.items()}
    assert found == {
        tag: theirs.get(tag)
        for tag in sorted(theirs.keys() | ours.keys())
        if theirs.get(tag) != ours.get(tag)
    }
    READ["header_difference"] += 1


UNREADABLE: Final[tuple[type[Exception], ...]] = (NotDicom, Incomplete, *pydicom_errors())
UNITS["rule_header"] = UNITS["image_header"]


@cache
def files() -> tuple[str, Path]:
    """Return the path of a slice, and that of a file to be written."""
    folder = scratch()
    first = folder / "first.dcm"
    first.write_bytes(corpus("header_difference")["valid-1"])
    return str(first), folder / "other.dcm"


@target
def rule_header(data: bytes) -> None:
    """What two slices share, for rules: the same as if both were decoded whole."""
    first, other = files()
    other.write_bytes(data)
    try:
        shared = shared_elements([first, str(other)])
    except SeriesRefused:
        return
    with Path(first).open("rb") as stream:
        ours = texts_of_file(stream)
    try:
        whole = read_or_convert(BytesIO(data))[1]
        theirs = texts_of_file(BytesIO(data if whole is None else whole))
    except UNREADABLE:
        return  # it was compared as bytes up to the pixels, and no element was decoded
    both = ours.keys() & theirs.keys()
    expected = {path: ours[path] for path in both if ours[path] == theirs[path]}
    assert dict(shared.values) == expected
    assert shared.mixed.keys() == (ours.keys() | theirs.keys()) - expected.keys()
    for path in shared.mixed:
        assert shared.mixed[path] == [ours.get(path, ()), theirs.get(path, ())]
        assert head_in(path)
    READ["rule_header"] += 1
