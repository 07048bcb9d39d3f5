"""What the acceptance gate wants to know of an RTSTRUCT, read from its bytes."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from drawcli.core import tags
from drawcli.core.acceptance import Roi, StructureSet
from drawcli.core.dicom import Element, Header, NotDicom, ascii_text, tag_text
from drawcli.core.pseudonym import is_registered
from drawcli.core.walk import (
    NAME_NO_INSTANCE,
    Found,
    every_element,
    item_value,
    parts,
    text_of,
    uids_in,
)
from drawcli.errors import BadStructureSet

_ROI_LIST: Final = 0x30060020  # StructureSetROISequence
_ROI_NUMBER: Final = 0x30060022
_ROI_NAME: Final = 0x30060026
_ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
_CONTOURS: Final = 0x30060040  # ContourSequence
_CONTOUR_IMAGES: Final = 0x30060016  # ContourImageSequence
_REFERENCED_ROI: Final = 0x30060084
_OBSERVATIONS: Final = 0x30060080  # RTROIObservationsSequence
_REFERENCED_SERIES: Final = 0x30060014  # RTReferencedSeriesSequence
_REFERENCED_SOP: Final = 0x00081155
_REFERENCED_FRAME: Final = 0x00081160
_LONGEST: Final = {"CS": 16, "IS": 12, "LO": 64, "SH": 16}  # characters of a value (PS3.5 6.2)
_FRAMES: Final = frozenset({tags.FrameOfReferenceUID, 0x30060024})  # ReferencedFrameOf...


def facts_of(header: Header) -> StructureSet:
    """Return what the acceptance gate needs to know of an RTSTRUCT.

    Raises
    ------
    BadStructureSet
        Where the file cannot be read to its end.
    """
    try:
        return _facts(header)
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


def _facts(header: Header) -> StructureSet:
    named: dict[str, set[str]] = {role: set() for role in ("any", "series", "image", "frame")}
    numbers: dict[int, int] = {}
    names: dict[int, str] = {}
    images: dict[int, str] = {}
    frames: dict[int, list[int]] = {}
    character_set = header.raw(tags.SpecificCharacterSet) or b""
    too_long: set[str] = set()
    for one in every_element(header):
        too_long.update(_overlong(one, character_set))
        inmost = one.above[-1] if one.above else 0
        if one.vr == "UI" and one.tag not in NAME_NO_INSTANCE:
            values = {uid for uid in uids_in(one.raw) if uid and not is_registered(uid)}
            named["any"] |= values
            named[_role(one.tag, inmost)] |= values
            if inmost == _CONTOUR_IMAGES and one.tag == _REFERENCED_SOP:
                images[one.item] = ascii_text(one.raw)
        elif one.tag == _REFERENCED_FRAME and inmost == _CONTOUR_IMAGES:
            frames[one.item] = _frame_numbers(one.raw)
        elif one.tag == _ROI_NUMBER and inmost == _ROI_LIST:
            numbers[one.item] = int(ascii_text(one.raw))
        elif one.tag == _ROI_NAME and inmost == _ROI_LIST:
            names[one.item] = text_of(one.raw, character_set).strip(" \0")
    contoured = list(_contoured(header))
    return StructureSet(
        sop_class=header.text(tags.SOPClassUID),
        sop_uid=header.text(tags.SOPInstanceUID),
        series_uid=header.text(tags.SeriesInstanceUID),
        study_uid=header.text(tags.StudyInstanceUID),
        patient_id=header.text(tags.PatientID),
        has_pixels=header.pixels is not None,
        rois=_rois(numbers, names, contoured),
        contoured=tuple(number for number, _ in contoured),
        observed=tuple(_observed(header)),
        referenced_series=frozenset(named["series"]),
        frames=frozenset(named["frame"]),
        contour_images=frozenset(named["image"]),
        contour_frames=frozenset(
            (images.get(item, ""), number) for item, many in frames.items() for number in many
        ),
        uids=frozenset(named["any"]),
        too_long=frozenset(too_long),
    )


def _rois(
    numbers: Mapping[int, int], names: Mapping[int, str], contoured: Iterable[tuple[int, int]]
) -> tuple[Roi, ...]:
    """Return the structures; numbers and names by the item that they stand in."""
    contours = Counter[int]()
    for number, count in contoured:
        contours[number] += count
    return tuple(
        Roi(number=number, name=names.get(item, ""), contours=contours[number])
        for item, number in numbers.items()
    )


def _overlong(one: Found, character_set: bytes) -> tuple[str, ...]:
    """Return the keyword of an element of which a value is longer than its VR allows."""
    most = _LONGEST.get(one.vr)
    if most is None or len(one.raw) <= most:
        return ()
    from pydicom.datadict import keyword_for_tag

    values = text_of(one.raw, character_set).split("\\")
    longest = max(len(value.strip(" \0")) for value in values)
    return (keyword_for_tag(one.tag) or tag_text(one.tag),) if longest > most else ()


def _frame_numbers(raw: bytes) -> list[int]:
    """Return the values of ReferencedFrameNumber (0008,1160); none where it is empty."""
    text = ascii_text(raw)
    return [int(part) for part in text.split("\\")] if text else []


def _role(tag: int, inmost: int) -> str:
    """Return what a UID stands for, by its tag and the sequence it lies in."""
    if tag in _FRAMES:
        return "frame"
    if tag == tags.SeriesInstanceUID and inmost == _REFERENCED_SERIES:
        return "series"
    return "image" if tag == _REFERENCED_SOP and inmost == _CONTOUR_IMAGES else "any"


def _contoured(header: Header) -> Iterator[tuple[int, int]]:
    """Yield the ROI number and the count of contours of each item of ROIContourSequence."""
    for item in _items_of(header, _ROI_CONTOURS):
        inside = next((element for element in item if element.tag == _CONTOURS), None)
        count = 0 if inside is None else sum(1 for _ in parts(header, inside))
        yield int(ascii_text(item_value(header, item, _REFERENCED_ROI) or b"-1")), count


def _observed(header: Header) -> Iterator[int]:
    for item in _items_of(header, _OBSERVATIONS):
        yield int(ascii_text(item_value(header, item, _REFERENCED_ROI) or b"-1"))


def _items_of(header: Header, tag: int) -> Iterator[list[Element]]:
    element = header.elements.get(tag)
    return iter(()) if element is None else parts(header, element)
