"""Read the facts of a structure set for the acceptance gate.

Uses `strict_reader`, which shares no code with the writer of the delivered file. It reads the file
from the server, and the finished file before delivery.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from drawcli.core.gate.acceptance import FileContour, Roi, StructureSet
from drawcli.core.gate.contour_places import (
    CONTOURS,
    IMAGES,
    REFERENCED_ROI,
    REFERENCED_SOP,
    ROI_CONTOURS,
    FoundContours,
    Images,
    KnownImages,
    frames_of,
    integer_of,
    place_of,
    places_in,
)
from drawcli.core.gate.rtstruct_table import (
    LEFT_OUT,
    Table,
    is_color,
    structure_set_table,
)
from drawcli.core.gate.strict_reader import (
    DataSet,
    Elements,
    Malformed,
    decode_text,
    keyword_of,
    name_of,
)

_CHARACTER_SET: Final = 0x00080005
_ASCII_ONLY: Final = ("", "ISO_IR 6", "ISO 2022 IR 6")  # SpecificCharacterSet
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
_FRAMES: Final = 0x30060010  # ReferencedFrameOfReferenceSequence
_STUDIES: Final = 0x30060012  # RTReferencedStudySequence
_SERIES_OF: Final = 0x30060014  # RTReferencedSeriesSequence
_ROI_LIST: Final = 0x30060020  # StructureSetROISequence
_ROI_NUMBER: Final = 0x30060022
_FRAME_OF_ROI: Final = 0x30060024  # ReferencedFrameOfReferenceUID
_ROI_NAME: Final = 0x30060026
_COLOR: Final = 0x3006002A  # ROIDisplayColor
_OBSERVATIONS: Final = 0x30060080  # RTROIObservationsSequence
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
# Limits of memory, far above any structure set.
_MOST_ITEMS: Final = 2_000_000
_MOST_STRUCTURES: Final = 10_000
_MOST_IMAGES: Final = 200_000


def read_structure_set(file: DataSet, found: FoundContours | None = None) -> StructureSet:
    """Return the facts of a structure set that the acceptance gate checks.

    Parameters
    ----------
    file
        The file.
    found
        Receives the places of the contours, for `read_contours`.

    Raises
    ------
    Malformed
        If the file is ambiguous, or a number or name in it cannot be read.
    """
    return _FactReader(file, found or FoundContours()).read()


def read_contours(file: DataSet, found: FoundContours | None = None) -> Iterator[FileContour]:
    """Yield every contour, ROI by ROI in the order of the file.

    Parameters
    ----------
    file
        The file.
    found
        The result of `read_structure_set` for the same file; None: the items are walked.

    Raises
    ------
    Malformed
        If the file is ambiguous, or a number in it cannot be read.
    """
    known = found is not None and found.count == len(found.places)
    for roi, kind, stated, images, data in found.places if found and known else places_in(file):
        yield FileContour(roi, kind, stated, images, file.data[data.start : data.end])


@dataclass(slots=True)
class _FactReader:
    """Collects the facts of one file, item by item."""

    file: DataSet
    found: FoundContours
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
    is_decodable: bool = True
    count: int = 0  # of items so far
    known: KnownImages = field(default_factory=KnownImages)

    def read(self) -> StructureSet:
        """Read the whole file."""
        file, top = self.file, self.file.elements
        table = structure_set_table()
        self.is_decodable = file.is_decodable(top, _CHARACTER_SET)
        self._check_elements(top, table, _limits(table), nested=False)
        for frame in self._items(top, table, _FRAMES):
            self._read_frame(frame, table[_FRAMES].items)
        for roi in self._items(top, table, _ROI_LIST):
            self._read_roi(roi)
        for roi in self._items(top, table, ROI_CONTOURS):
            self._read_contours(roi, table[ROI_CONTOURS].items)
        for observation in self._items(top, table, _OBSERVATIONS):
            self.observed.append(integer_of(file, observation, REFERENCED_ROI))
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
            is_decodable=self.is_decodable,
        )

    def _items(self, elements: Elements, table: Table, tag: int) -> Iterator[Elements]:
        """Yield the items of a sequence, each checked against the table."""
        inside = table[tag].items
        limits = _limits(inside)
        for item in self.file.items(elements, tag):
            self.count += 1
            if self.count > _MOST_ITEMS or len(self.rois) > _MOST_STRUCTURES:
                raise Malformed(f"{name_of(tag)} has more items than in any structure set")
            if len(self.images) + len(self.contour_images) > 2 * _MOST_IMAGES:
                raise Malformed(f"{name_of(tag)} names more images than any series has")
            self._check_elements(item, inside, limits, nested=True)
            yield item

    def _check_elements(
        self, elements: Elements, table: Table, limits: Mapping[int, int], *, nested: bool
    ) -> None:
        """Record elements that are not in the table, and values that are too long."""
        for tag in () if elements.keys() <= table.keys() else elements.keys() - table.keys():
            moves = tag in _TRANSFORMATIONS or (tag == _OFFSET and self._is_not_zero(elements))
            if tag & 0xFFFF:  # not a group length
                (self.moving if moves else self.unlisted).add(keyword_of(tag))
            self.is_decodable = self.is_decodable and self.file.is_decodable(elements, tag)
            if nested and tag >> 16 == _PATIENT_GROUP and (text := self.file.text(elements, tag)):
                self.persons.add(text)
        for tag, most in limits.items():
            raw = self.file.raw(elements, tag) or b""
            if len(raw) > most and self._length(raw) > most:
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
            self.studies.add(self.file.text(study, REFERENCED_SOP))
            inner = table[_STUDIES].items
            for series in self._items(study, inner, _SERIES_OF):
                self.series.add(self.file.text(series, _SERIES))
                self.images.update(self._read_images(series, inner[_SERIES_OF].items))

    def _read_images(self, item: Elements, table: Table) -> list[tuple[str, int]]:
        """Return the images referenced by an item, each with the numbers of its frames."""
        named: list[tuple[str, int]] = []
        for image in self._items(item, table, IMAGES):
            self.classes.add(self.file.text(image, _REFERENCED_CLASS))
            uid = self.file.text(image, REFERENCED_SOP)
            named += [(uid, frame) for frame in frames_of(self.file, image)]
            if len(named) > _MOST_IMAGES and len(set(named)) > _MOST_IMAGES:
                raise Malformed(f"{name_of(IMAGES)} names more images than any series has")
        return named

    def _read_roi(self, roi: Elements) -> None:
        number = integer_of(self.file, roi, _ROI_NUMBER)
        name = self.file.raw(roi, _ROI_NAME) or b""
        character_set = self.file.text(self.file.elements, _CHARACTER_SET)
        if character_set in _ASCII_ONLY and not name.isascii():  # most readers would take Latin-1
            raise Malformed(f"{name_of(_ROI_NAME)} needs a character set, and the file names none")
        self.rois.append((number, self._decoded(name)))
        if _FRAME_OF_ROI in roi:
            self.frames.add(self.file.text(roi, _FRAME_OF_ROI))

    def _read_contours(self, roi: Elements, table: Table) -> None:
        number = integer_of(self.file, roi, REFERENCED_ROI)
        self.contoured.append(number)
        color = self.file.raw(roi, _COLOR)
        if color and not is_color(color):
            self.colors.add(number)
        for contour in self._items(roi, table, CONTOURS):
            self.contours[number] += 1
            images = self._images_of(contour, table[CONTOURS].items)
            self.found.add(place_of(self.file, number, contour, images))

    def _images_of(self, contour: Elements, table: Table) -> Images:
        """Return the images of a contour; those that equal bytes name are read once."""
        key = self.known.key(self.file, contour)
        if key in self.known.images:
            images, items = self.known.images[key]
            self.count += items
            return images
        before = self.count
        images = tuple(self._read_images(contour, table))
        self.contour_images.update(images)
        self.known.keep(key, images, self.count - before)
        return images


def _limits(table: Table) -> dict[int, int]:
    """Return the most characters of each text of a table, by tag."""
    return {
        tag: _MOST_CHARACTERS[row.vr] for tag, row in table.items() if row.vr in _MOST_CHARACTERS
    }
