"""Read the facts of a structure set for the acceptance gate.

Uses `strict_reader`, which shares no code with the writer of the delivered file. It reads the file
from the server, and the finished file before delivery.
"""

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from drawcli.core.gate.acceptance import FileContour, Roi, StructureSet
from drawcli.core.gate.rtstruct_table import (
    LEFT_OUT,
    Table,
    form_fits,
    is_color,
    structure_set_table,
)
from drawcli.core.gate.strict_reader import DataSet, Elements, Malformed, keyword_of, name_of

_CHARACTER_SET: Final = 0x00080005
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_PATIENT_NAME: Final = 0x00100010
_PATIENT_ID: Final = 0x00100020
_STUDY: Final = 0x0020000D
_SERIES: Final = 0x0020000E
_STUDY_ID: Final = 0x00200010
_FRAME: Final = 0x00200052
_PIXEL_DATA: Final = 0x7FE00010
_REFERENCED_CLASS: Final = 0x00081150
_REFERENCED_SOP: Final = 0x00081155
_REFERENCED_FRAME: Final = 0x00081160  # ReferencedFrameNumber
_FRAMES: Final = 0x30060010  # ReferencedFrameOfReferenceSequence
_STUDIES: Final = 0x30060012  # RTReferencedStudySequence
_SERIES_OF: Final = 0x30060014  # RTReferencedSeriesSequence
_IMAGES: Final = 0x30060016  # ContourImageSequence
_ROI_LIST: Final = 0x30060020  # StructureSetROISequence
_ROI_NUMBER: Final = 0x30060022
_FRAME_OF_ROI: Final = 0x30060024  # ReferencedFrameOfReferenceUID
_ROI_NAME: Final = 0x30060026
_COLOR: Final = 0x3006002A  # ROIDisplayColor
_ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
_CONTOURS: Final = 0x30060040  # ContourSequence
_TYPE: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
_OBSERVATIONS: Final = 0x30060080  # RTROIObservationsSequence
_REFERENCED_ROI: Final = 0x30060084
_PATIENT_GROUP: Final = 0x0010
_OFFSET: Final = 0x30060045  # ContourOffsetVector
_TRANSFORMATIONS: Final = frozenset(  # to other frames of reference, with or without a sequence
    {
        0x00640002,  # DeformableRegistrationSequence
        0x00700308,  # RegistrationSequence
        0x00700309,  # MatrixRegistrationSequence
        0x0070030A,  # MatrixSequence
        0x300600C0,  # FrameOfReferenceRelationshipSequence
        0x300600C6,  # FrameOfReferenceTransformationMatrix
    }
)
_MOST_CHARACTERS: Final = {"LO": 64, "SH": 16, "ST": 1024}  # PS3.5 table 6.2-1
_DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3
_ESCAPE: Final = b"\x1b"
# Limits of memory, far above any structure set.
_LONGEST_FRAMES: Final = 1 << 20  # bytes: numbers of 100,000 frames at least
_MOST_ITEMS: Final = 2_000_000
_MOST_STRUCTURES: Final = 10_000
_MOST_IMAGES: Final = 200_000


def read_structure_set(file: DataSet) -> StructureSet:
    """Return the facts of a structure set that the acceptance gate checks.

    Raises
    ------
    Malformed
        If the file is ambiguous, or a number or name in it cannot be read.
    """
    return _FactReader(file).read()


def read_contours(file: DataSet) -> Iterator[FileContour]:
    """Yield every contour, ROI by ROI in the order of the file.

    Raises
    ------
    Malformed
        If the file is ambiguous, or a number in it cannot be read.
    """
    for roi in file.items(file.elements, _ROI_CONTOURS):
        number = _integer(file, roi, _REFERENCED_ROI)
        for item in file.items(roi, _CONTOURS):
            images = tuple(
                (file.text(image, _REFERENCED_SOP), frame)
                for image in file.items(item, _IMAGES)
                for frame in _frames_of(file, image)
            )
            yield FileContour(
                roi=number,
                kind=file.text(item, _TYPE),
                count=file.text(item, _COUNT),
                images=images,
                data=file.raw(item, _DATA) or b"",
            )


def decode_text(raw: bytes, character_set: bytes) -> str:
    """Return a text decoded by a character set (PS3.3 C.12.1.1.2).

    Raises
    ------
    Malformed
        If the character set is unknown or the bytes are not valid in it.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii").strip(" \0")
    from pydicom.charset import convert_encodings, decode_bytes

    names = [name.strip(" \0") for name in character_set.decode("ascii", "replace").split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom would insert replacement characters
            return decode_bytes(raw, convert_encodings(names), _DELIMITERS).strip(" \0")
    except (UserWarning, LookupError, UnicodeError):
        raise Malformed("a text is not in the character set that the file names") from None


@dataclass(slots=True)
class _FactReader:
    """Collects the facts of one file, item by item."""

    file: DataSet
    studies: set[str] = field(default_factory=set)
    series: set[str] = field(default_factory=set)
    frames: set[str] = field(default_factory=set)
    images: set[tuple[str, int]] = field(default_factory=set)
    contour_images: set[tuple[str, int]] = field(default_factory=set)
    classes: set[str] = field(default_factory=set)
    rois: list[tuple[int, str]] = field(default_factory=list)
    contoured: list[int] = field(default_factory=list)
    contours: Counter[int] = field(default_factory=Counter)
    observed: list[int] = field(default_factory=list)
    colors: set[int] = field(default_factory=set)  # ROI numbers with an invalid colour
    unlisted: set[str] = field(default_factory=set)
    moving: set[str] = field(default_factory=set)
    persons: set[str] = field(default_factory=set)
    too_long: set[str] = field(default_factory=set)
    count: int = 0  # of items so far

    def read(self) -> StructureSet:
        """Read the whole file."""
        file, top = self.file, self.file.elements
        table = structure_set_table()
        self._check_elements(top, table, nested=False)
        for frame in self._items(top, table, _FRAMES):
            self._read_frame(frame, table[_FRAMES].items)
        for roi in self._items(top, table, _ROI_LIST):
            self._read_roi(roi)
        for roi in self._items(top, table, _ROI_CONTOURS):
            self._read_contours(roi, table[_ROI_CONTOURS].items)
        for observation in self._items(top, table, _OBSERVATIONS):
            self.observed.append(_integer(file, observation, _REFERENCED_ROI))
        return StructureSet(
            sop_class=file.text(top, _SOP_CLASS),
            sop_uid=file.text(top, _SOP_INSTANCE),
            series_uid=file.text(top, _SERIES),
            study_uid=file.text(top, _STUDY),
            patient_id=file.text(top, _PATIENT_ID),
            patient_name=file.text(top, _PATIENT_NAME),
            study_id=file.text(top, _STUDY_ID),
            has_pixels=_PIXEL_DATA in top,
            rois=tuple(
                Roi(number=number, name=name, contours=self.contours[number])
                for number, name in self.rois
            ),
            contoured=tuple(self.contoured),
            observed=tuple(self.observed),
            studies=frozenset(self.studies),
            referenced_series=frozenset(self.series),
            frames=frozenset(self.frames | ({file.text(top, _FRAME)} - {""})),
            images=frozenset(self.images),
            contour_images=frozenset(self.contour_images),
            image_classes=frozenset(self.classes),
            invalid_colors=frozenset(self.colors),
            unlisted=frozenset(self.unlisted - LEFT_OUT),
            moving=frozenset(self.moving),
            persons=frozenset(self.persons),
            too_long=frozenset(self.too_long),
        )

    def _items(self, elements: Elements, table: Table, tag: int) -> Iterator[Elements]:
        """Yield the items of a sequence, each checked against the table."""
        for item in self.file.items(elements, tag):
            self.count += 1
            if self.count > _MOST_ITEMS or len(self.rois) > _MOST_STRUCTURES:
                raise Malformed(f"{name_of(tag)} has more items than in any structure set")
            if len(self.images) + len(self.contour_images) > 2 * _MOST_IMAGES:
                raise Malformed(f"{name_of(tag)} names more images than any series has")
            self._check_elements(item, table[tag].items, nested=True)
            yield item

    def _check_elements(self, elements: Elements, table: Table, *, nested: bool) -> None:
        """Record elements that are not in the table, and values that are too long."""
        for tag in elements.keys() - table.keys():
            moves = tag in _TRANSFORMATIONS or (tag == _OFFSET and self._is_not_zero(elements))
            if tag & 0xFFFF:  # not a group length
                (self.moving if moves else self.unlisted).add(keyword_of(tag))
            if nested and tag >> 16 == _PATIENT_GROUP and (text := self.file.text(elements, tag)):
                self.persons.add(text)
        for tag in elements.keys() & table.keys():
            most = _MOST_CHARACTERS.get(table[tag].vr)
            raw = self.file.raw(elements, tag) or b""
            if most is not None and len(raw) > most and self._length(raw) > most:
                self.too_long.add(table[tag].keyword)

    def _is_not_zero(self, elements: Elements) -> bool:
        values = self.file.text(elements, _OFFSET).split("\\")
        return any(value.strip().strip("+-0.") for value in values)

    def _length(self, raw: bytes) -> int:
        """Return the number of characters in the longest value of a text."""
        return max(len(value.strip(" \0")) for value in self._decoded(raw).split("\\"))

    def _decoded(self, raw: bytes) -> str:
        return decode_text(raw, self.file.raw(self.file.elements, _CHARACTER_SET) or b"")

    def _read_frame(self, frame: Elements, table: Table) -> None:
        self.frames.add(self.file.text(frame, _FRAME))
        for study in self._items(frame, table, _STUDIES):
            self.studies.add(self.file.text(study, _REFERENCED_SOP))
            inner = table[_STUDIES].items
            for series in self._items(study, inner, _SERIES_OF):
                self.series.add(self.file.text(series, _SERIES))
                self.images |= self._read_images(series, inner[_SERIES_OF].items)

    def _read_images(self, item: Elements, table: Table) -> set[tuple[str, int]]:
        """Return the images referenced by an item, each with the numbers of its frames."""
        named = set()
        for image in self._items(item, table, _IMAGES):
            self.classes.add(self.file.text(image, _REFERENCED_CLASS))
            uid = self.file.text(image, _REFERENCED_SOP)
            named |= {(uid, frame) for frame in _frames_of(self.file, image)}
            if len(named) > _MOST_IMAGES:
                raise Malformed(f"{name_of(_IMAGES)} names more images than any series has")
        return named

    def _read_roi(self, roi: Elements) -> None:
        number = _integer(self.file, roi, _ROI_NUMBER)
        self.rois.append((number, self._decoded(self.file.raw(roi, _ROI_NAME) or b"")))
        if _FRAME_OF_ROI in roi:
            self.frames.add(self.file.text(roi, _FRAME_OF_ROI))

    def _read_contours(self, roi: Elements, table: Table) -> None:
        number = _integer(self.file, roi, _REFERENCED_ROI)
        self.contoured.append(number)
        color = self.file.raw(roi, _COLOR)
        if color and not is_color(color):
            self.colors.add(number)
        for contour in self._items(roi, table, _CONTOURS):
            self.contours[number] += 1
            self.contour_images |= self._read_images(contour, table[_CONTOURS].items)


def _integer(file: DataSet, elements: Elements, tag: int) -> int:
    raw = file.raw(elements, tag)
    text = (raw or b"").rstrip(b" \0")
    if not text or b"\\" in text or not form_fits("IS", text):
        raise Malformed(f"{name_of(tag)} is missing or not one whole number of 32 bits")
    return int(text)


def _frames_of(file: DataSet, image: Elements) -> list[int]:
    """Return the frames named by a reference; the first if it names none."""
    raw = (file.raw(image, _REFERENCED_FRAME) or b"").strip(b" \0")
    if not raw:
        return [1]
    if len(raw) > _LONGEST_FRAMES:
        raise Malformed(f"{name_of(_REFERENCED_FRAME)} has more values than an image has frames")
    if not form_fits("IS", raw):
        raise Malformed(f"{name_of(_REFERENCED_FRAME)} is not a whole number")
    return [int(part) for part in raw.split(b"\\")]
