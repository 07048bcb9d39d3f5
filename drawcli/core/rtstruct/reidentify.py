"""Build the delivered structure set from the server's contours and the patient's identity.

Only listed elements of the received file are used: numbers and names of structures, colours,
contours, dates and manufacturer. Everything else comes from the images that were sent, the settings
and the template, so an unlisted element cannot be delivered. The result is in Implicit VR Little
Endian, with explicit lengths and ascending tags in every item.

References
----------
PS3.3 A.19.3 (RT Structure Set IOD); `iod.TABLE` names every element.
"""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Final, NamedTuple

from drawcli.core.deid.own_elements import file_meta
from drawcli.core.deid.profile import ALWAYS_PRESENT
from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import is_encodable, item_value, recode_as_utf8
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text
from drawcli.core.gate.acceptance import STRUCTURE_SET
from drawcli.core.rtstruct.contour_writer import ContourWriter
from drawcli.core.rtstruct.contours import (
    contour_lists,
    items_of,
    names_of,
    unreadable,
)
from drawcli.core.rtstruct.derived import DerivedStructure
from drawcli.core.rtstruct.displayed import default_color
from drawcli.core.rtstruct.items import (
    StructureItem,
    contour_item,
    encode_file,
    equipment_item,
    image_references,
    item_of,
    observation_item,
    roi_item,
)
from drawcli.core.rtstruct.presentation import LABELS, PLAIN, Presentation, look_elements
from drawcli.core.rtstruct.server_values import server_values
from drawcli.core.series.crosswalk import RESTORED, Crosswalk
from drawcli.errors import BadStructureSet

_IMPLICIT: Final = "1.2.840.10008.1.2"
_DETACHED_STUDY: Final = "1.2.840.10008.3.1.2.3.1"  # Detached Study Management SOP Class, retired
_UTF_8: Final = b"ISO_IR 192"
_TYPE_2: Final = frozenset(ALWAYS_PRESENT)
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST"})
_COLOR_FORM: Final = re.compile(r"[0-9]{1,3}(?:\\[0-9]{1,3}){2}")
_BRIGHTEST: Final = 255

Values = dict[int, bytes]  # tag -> value, or the items of a sequence


class OwnUids(NamedTuple):
    """The UIDs that drawcli assigns to a structure set."""

    sop: str
    series: str


def reidentify_file(
    header: Header, crosswalk: Crosswalk, own: OwnUids, dressing: Presentation = PLAIN
) -> bytes:
    """Return the structure set with the patient's identity, as a complete file.

    Parameters
    ----------
    header
        The received file.
    crosswalk
        The source of UIDs, dates, patient and study values.
    own
        The UIDs of the delivered file.
    dressing
        What template and settings add: labels, appearance, derived structures.

    Raises
    ------
    BadStructureSet
        If the file cannot be read, or contours refer to images that are not of the job.
    """
    try:
        return _Writer(header, crosswalk, own, dressing).whole_file()
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None


class _Writer:
    """Builds a file."""

    def __init__(
        self, header: Header, crosswalk: Crosswalk, own: OwnUids, dressing: Presentation
    ) -> None:
        self._header = header
        self._crosswalk = crosswalk
        self._own = own
        self._dressing = dressing
        self._names = names_of(header)
        self._character_set = crosswalk.character_set.strip(b" \0")
        self._utf_8 = dressing.utf_8 or self._needs_utf_8()
        self._contours = ContourWriter(header, crosswalk)

    def whole_file(self) -> bytes:
        """Return preamble, file meta and data set."""
        structures = [*self._of_server(), *map(self._derived, self._dressing.made)]
        values = (
            self._identity()
            | server_values(self._header, self._crosswalk)
            | self._fixed()
            | self._lists(structures)
        )
        return encode_file(file_meta(STRUCTURE_SET, self._own.sop, _IMPLICIT), values, structures)

    # --- patient, study and text ---------------------------------------------------------------

    def _needs_utf_8(self) -> bool:
        """Return whether structure names need another character set than the patient's name."""
        derived = (structure.rule.label or structure.name for structure in self._dressing.made)
        names = (*self._names.values(), *derived)
        server = (self._header.raw(tags.SpecificCharacterSet) or b"").strip(b" \0")
        if server != self._character_set and not "".join(self._names.values()).isascii():
            return True
        return not all(is_encodable(name, self._character_set) for name in names)

    def _identity(self) -> Values:
        """Return the patient and study values of the images, and the character set."""
        values: Values = {}
        for tag, vr in RESTORED.items():
            value = self._crosswalk.identity.get(tag)
            if value is None and tag not in _TYPE_2:
                continue
            value = value or b""  # type 2: empty if the images lack it
            if self._utf_8 and vr in _TEXT:
                value = recode_as_utf8(value, self._crosswalk.character_set)
            values[tag] = value
        character_set = _UTF_8 if self._utf_8 else self._character_set
        return values | ({tags.SpecificCharacterSet: character_set} if character_set else {})

    def _text(self, name: str) -> bytes:
        """Return the name of a structure in the character set of the file."""
        if name.isascii():
            return name.encode("ascii")
        if self._utf_8:
            return name.encode("utf-8")
        from pydicom.charset import encode_string, python_encoding

        return encode_string(name, [python_encoding[self._character_set.decode("ascii")]])

    def _fixed(self) -> Values:
        """Return the elements whose values drawcli sets itself."""
        labels = {tags.StructureSetLabel: "DRAW"} | dict(self._dressing.labels)
        texts: Values = {
            tag: text[: LABELS[tag][1]].strip().encode("ascii") for tag, text in labels.items()
        }
        frame = {tags.FrameOfReferenceUID: self._crosswalk.frame_uid.encode("ascii")}
        equipment = [equipment_item(contribution) for contribution in self._dressing.equipment]
        return {
            **texts,
            **(frame | {tags.PositionReferenceIndicator: b""} if self._crosswalk.frame_uid else {}),
            **({tags.ContributingEquipmentSequence: b"".join(equipment)} if equipment else {}),
            tags.SOPClassUID: STRUCTURE_SET.encode("ascii"),
            tags.SOPInstanceUID: self._own.sop.encode("ascii"),
            tags.SeriesInstanceUID: self._own.series.encode("ascii"),
            tags.StudyInstanceUID: self._crosswalk.study_uid.encode("ascii"),
            tags.Modality: b"RTSTRUCT",
            tags.OperatorsName: b"",
            tags.ApprovalStatus: b"UNAPPROVED",
        }

    # --- structures ----------------------------------------------------------------------------

    def _lists(self, structures: list[StructureItem]) -> Values:
        """Return the references to the images and two of the three lists of structures."""
        frame = self._crosswalk.frame_uid.encode("ascii")
        return {
            tags.ReferencedFrameOfReferenceSequence: self._referenced_frame(),
            tags.StructureSetROISequence: b"".join(
                roi_item(structure, frame) for structure in structures
            ),
            tags.RTROIObservationsSequence: b"".join(map(observation_item, structures)),
        }

    def _referenced_frame(self) -> bytes:
        """Return the item of ReferencedFrameOfReferenceSequence: the series with every image."""
        crosswalk = self._crosswalk
        images = b"".join(self._contours.image_item(file.sop_uid, 0) for file in crosswalk.files)
        series = {
            tags.SeriesInstanceUID: crosswalk.series_uid.encode("ascii"),
            tags.ContourImageSequence: images,
        }
        study = {
            tags.ReferencedSOPClassUID: _DETACHED_STUDY.encode("ascii"),
            tags.ReferencedSOPInstanceUID: crosswalk.study_uid.encode("ascii"),
            tags.RTReferencedSeriesSequence: item_of(series),
        }
        frame = crosswalk.frame_uid.encode("ascii")
        return item_of(
            {tags.FrameOfReferenceUID: frame, tags.RTReferencedStudySequence: item_of(study)}
        )

    def _of_server(self) -> Iterator[StructureItem]:
        """Yield the received structures in the order of the template."""
        lists = defaultdict[int, list[list[Element]]](list)
        for number, roi in contour_lists(self._header):
            lists[number].append(roi)
        unlisted = (roi for number in lists.keys() - self._names.keys() for roi in lists[number])
        if any([*items_of(self._header, tags.ContourSequence, roi)] for roi in unlisted):
            raise BadStructureSet("contours of a structure that is not listed", code="roi-numbers")
        colors, dressing = dict(self._colors()), self._dressing
        order = sorted(self._names, key=lambda number: dressing.ranks.get(number, 0))
        for number in order:
            looks = dressing.looks.get(number, {})
            yield StructureItem(
                number=number,
                name=self._text(looks.get(tags.ROIName, self._names[number])),
                description=looks.get(tags.ROIGenerationDescription)
                or dressing.usual.get(number, "DRAW"),
                color=looks.get(tags.ROIDisplayColor) or colors.get(number, ""),
                type=looks.get(tags.RTROIInterpretedType, ""),
                contours=self._contours.items(number, lists.get(number, [])),
            )

    def _colors(self) -> Iterator[tuple[int, str]]:
        """Yield the colours by ROI number; 255.0 is read as 255, invalid colours are replaced."""
        for roi in items_of(self._header, tags.ROIContourSequence):
            parts = ascii_text(item_value(self._header, roi, tags.ROIDisplayColor) or b"").split(
                "\\"
            )
            color = "\\".join(part.strip().removesuffix(".0") for part in parts)
            if color:
                number = int(
                    ascii_text(item_value(self._header, roi, tags.ReferencedROINumber) or b"")
                )
                yield (
                    number,
                    color if _is_color(color) else "\\".join(map(str, default_color(number))),
                )

    def _derived(self, made: DerivedStructure) -> StructureItem:
        """Return the item of a derived structure."""
        looks = look_elements(made.rule)
        contours = []
        for (uid, frame), points in made.outlines:
            data = "\\".join(f"{value:.3f}" for point in points for value in point)
            image = image_references([self._contours.image_item(uid, frame)])
            contours.append(
                contour_item(image, "CLOSED_PLANAR", str(len(points)), data.encode("ascii"))
            )
        return StructureItem(
            number=made.number,
            name=self._text(made.rule.label or made.name),
            description=looks.get(tags.ROIGenerationDescription) or made.rule.sentence,
            color=looks.get(tags.ROIDisplayColor, ""),
            type=looks.get(tags.RTROIInterpretedType, ""),
            contours=iter(contours),
        )


def _is_color(text: str) -> bool:
    """Return whether a text is red, green and blue, 0 to 255 each."""
    form = _COLOR_FORM.fullmatch(text) is not None
    return form and max(map(int, text.split("\\"))) <= _BRIGHTEST
