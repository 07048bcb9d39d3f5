"""An RTSTRUCT as bytes: what the acceptance gate wants to know, and the way back to the patient.

Both walk the file without an object per value: a structure set has tens of thousands of UIDs and
coordinates, and all but a few bytes of it stay as they are.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from drawcli.core import tags
from drawcli.core.acceptance import Roi, StructureSet
from drawcli.core.crosswalk import RESTORED, Crosswalk
from drawcli.core.decimal_strings import mended
from drawcli.core.deidentify import file_meta
from drawcli.core.dicom import (
    DEEPEST,
    Element,
    Header,
    NotDicom,
    ascii_text,
    encoded,
    encoded_item,
    items,
)
from drawcli.core.profile import ALWAYS_PRESENT, BY_KEYWORD
from drawcli.core.pseudonym import is_registered
from drawcli.errors import BadStructureSet

_ROI_LIST: Final = 0x30060020  # StructureSetROISequence
_ROI_NUMBER: Final = 0x30060022
_ROI_NAME: Final = 0x30060026
_ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
_CONTOURS: Final = 0x30060040  # ContourSequence
_CONTOUR_IMAGES: Final = 0x30060016  # ContourImageSequence
_REFERENCED_ROI: Final = 0x30060084
_REFERENCED_SERIES: Final = 0x30060014  # RTReferencedSeriesSequence
_FRAMES: Final = frozenset({tags.FrameOfReferenceUID, 0x30060024})  # ReferencedFrameOf...
_APPROVAL: Final = 0x300E0002  # ApprovalStatus
_REVIEW: Final = frozenset({0x300E0004, 0x300E0005, 0x300E0008})  # ReviewDate, -Time, ReviewerName
_PATIENT_GROUP: Final = 0x0010
_REFERENCED_SOP: Final = 0x00081155
_MARKERS: Final = frozenset(
    {
        tags.DeidentificationMethod,
        tags.DeidentificationMethodCodeSequence,
        tags.LongitudinalTemporalInformationModified,
    }
)
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_UTF_8: Final = b"ISO_IR 192"
_ESCAPE: Final = b"\x1b"  # switches the character set within a text (PS3.5 6.1.2.5)
_TYPE_2: Final = frozenset(BY_KEYWORD[keyword].tag for keyword in ALWAYS_PRESENT)
_LONGEST_SHORT: Final = 0xFFFE  # bytes: explicit VR has 16 bits for the length of a DS
_DELIMITERS: Final = {0x0A, 0x0C, 0x0D, 0x5C, 0x5E, 0x3D}  # PS3.5 6.1.2.5.3


@dataclass(frozen=True, slots=True)
class _Found:
    """One element with the tags of the sequences it lies in."""

    above: tuple[int, ...]
    item: int  # counts the items met so far: tells elements of one item together
    tag: int
    vr: str
    raw: bytes


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
    character_set = header.raw(tags.SpecificCharacterSet) or b""
    for one in _every(header):
        inmost = one.above[-1] if one.above else 0
        if one.vr == "UI":
            values = {uid for uid in _uids(one.raw) if uid and not is_registered(uid)}
            named["any"] |= values
            named[_role(one.tag, inmost)] |= values
        elif one.tag == _ROI_NUMBER and inmost == _ROI_LIST:
            numbers[one.item] = int(ascii_text(one.raw))
        elif one.tag == _ROI_NAME and inmost == _ROI_LIST:
            names[one.item] = _text(one.raw, character_set).strip(" \0")
    contoured = list(_contoured(header))
    contours = Counter[int]()
    for number, count in contoured:
        contours[number] += count
    return StructureSet(
        sop_class=header.text(tags.SOPClassUID),
        sop_uid=header.text(tags.SOPInstanceUID),
        series_uid=header.text(tags.SeriesInstanceUID),
        study_uid=header.text(tags.StudyInstanceUID),
        patient_id=header.text(tags.PatientID),
        has_pixels=header.pixels is not None,
        rois=tuple(
            Roi(number=number, name=names.get(item, ""), contours=contours[number])
            for item, number in numbers.items()
        ),
        contoured=tuple(number for number, _ in contoured),
        referenced_series=frozenset(named["series"]),
        frames=frozenset(named["frame"]),
        contour_images=frozenset(named["image"]),
        uids=frozenset(named["any"]),
    )


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
        count = 0 if inside is None else sum(1 for _ in _parts(header, inside))
        yield int(ascii_text(_raw(header, item, _REFERENCED_ROI) or b"-1")), count


def reidentified(header: Header, crosswalk: Crosswalk, own: Mapping[str, str]) -> bytes:
    """Return the RTSTRUCT with the patient's identity, as a whole file.

    UIDs at every depth are mapped back; patient and study values are the source's, byte for byte,
    under the source's character set; dates that were moved come back; coordinates longer than a DS
    may be are mended; the marks of de-identification are gone. Private elements, which nobody can
    check, are left out.

    Parameters
    ----------
    header
        The file as it came from the server.
    crosswalk
        Of the job.
    own
        The UIDs that the server made for the file itself, with those it gets here.

    Raises
    ------
    BadStructureSet
        Where one UID is neither the file's own nor one of the job's.
    """
    try:
        return _Restoration(header, crosswalk, own).whole_file()
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


class _Restoration:
    """Rewrites one file."""

    def __init__(self, header: Header, crosswalk: Crosswalk, own: Mapping[str, str]) -> None:
        self._header = header
        self._crosswalk = crosswalk
        self._known = {**crosswalk.uids, **own}
        server_text = header.raw(tags.SpecificCharacterSet) or b""
        self._recode_from: bytes | None = None
        self._character_set = crosswalk.character_set.strip(b" \0") or server_text
        if self._character_set != server_text.strip(b" \0") and self._beyond_ascii():
            self._recode_from, self._character_set = server_text, _UTF_8

    def whole_file(self) -> bytes:
        """Return preamble, file meta and data set."""
        header = self._header
        kept = self._rewritten(list(header.elements.values()), explicit=header.explicit)
        for tag, vr in RESTORED.items():
            value = self._crosswalk.identity.get(tag)
            if value is None and tag not in _TYPE_2:
                kept.pop(tag, None)
                continue
            value = value or b""  # what the source lacks is empty where it must be present
            if self._recode_from is not None and vr in _TEXT:
                value = _recoded(value, self._crosswalk.character_set)
            kept[tag] = self._encoded(tag, vr, value)
        kept[tags.SpecificCharacterSet] = self._encoded(
            tags.SpecificCharacterSet, "CS", self._character_set
        )
        for tag in [tag for tag in kept if self._is_not_the_servers_to_say(tag)]:
            del kept[tag]
        kept[_APPROVAL] = self._encoded(_APPROVAL, "CS", b"UNAPPROVED")
        if tags.PatientIdentityRemoved in kept:
            kept[tags.PatientIdentityRemoved] = self._encoded(
                tags.PatientIdentityRemoved, "CS", b"NO"
            )
        meta = file_meta(
            header.text(tags.SOPClassUID),
            self._original(header.text(tags.SOPInstanceUID)),
            header.transfer_syntax,
        )
        return meta + b"".join(kept[tag] for tag in sorted(kept))

    @staticmethod
    def _is_not_the_servers_to_say(tag: int) -> bool:
        """Tell whether an element speaks of the patient, of persons, or of a review.

        What the source says of the patient is restored; nothing else of that kind goes home.
        """
        person = _dictionary_vr(tag) == "PN" or tag >> 16 == _PATIENT_GROUP
        return tag in _MARKERS | _REVIEW or (person and tag not in RESTORED)

    def _rewritten(
        self, elements: Sequence[Element], *, explicit: bool, depth: int = 0
    ) -> dict[int, bytes]:
        kept: dict[int, bytes] = {}
        for element in elements:
            if (element.tag >> 16) % 2 or not element.tag & 0xFFFF:
                continue  # private, or a group length
            vr = _vr(element)
            if vr == "SQ":
                raw = self._sequence(element, explicit=explicit, depth=depth)
            else:
                raw = self._value(element, vr)
            kept[element.tag] = self._encoded(element.tag, vr, raw)
        return kept

    def _value(self, element: Element, vr: str) -> bytes:
        """Return a value as it goes home."""
        raw = self._header.data[element.value : element.end]
        if vr == "UN" or element.undefined:
            raise BadStructureSet("an element of unknown kind cannot be checked")
        if vr == "UI":
            return "\\".join(self._original(uid) for uid in _uids(raw)).encode("ascii")
        if vr in ("DA", "DT"):
            original = self._crosswalk.dates.get(ascii_text(raw))
            return raw if original is None else original.encode("ascii")
        if vr == "DS":
            return mended(raw)
        recoded = vr in _TEXT and self._recode_from is not None
        return _recoded(raw, self._recode_from or b"") if recoded else raw

    def _sequence(self, element: Element, *, explicit: bool, depth: int) -> bytes:
        _check_depth(depth)
        inner = explicit and element.vr != b"UN"
        content = b""
        for item in items(self._header.data, element, explicit=inner):
            kept = self._rewritten(item, explicit=inner, depth=depth + 1)
            content += encoded_item(b"".join(kept[tag] for tag in sorted(kept)))
        return content

    def _original(self, uid: str) -> str:
        if not uid or is_registered(uid):
            return uid
        try:
            return self._known[uid]
        except KeyError:
            raise BadStructureSet(
                "a reference is not of this job", code="foreign-reference"
            ) from None

    def _encoded(self, tag: int, vr: str, raw: bytes) -> bytes:
        """Return an element; a DS too long for explicit VR goes as UN (PS3.5 6.2.2, note 4)."""
        if vr == "DS" and len(raw) > _LONGEST_SHORT:
            vr = "UN"
        return encoded(tag, vr.encode("ascii"), raw, explicit=self._header.explicit)

    def _beyond_ascii(self) -> bool:
        texts = (one.raw for one in _every(self._header) if one.vr in _TEXT)
        return any(not raw.isascii() or _ESCAPE in raw for raw in texts)


def _every(header: Header) -> Iterator[_Found]:
    """Yield every element at every depth; numbers of items start at 1."""
    counter = [0]

    def below(
        elements: Sequence[Element], above: tuple[int, ...], item: int, *, explicit: bool
    ) -> Iterator[_Found]:
        for element in elements:
            vr = _vr(element)
            if vr != "SQ":
                raw = header.data[element.value : element.end]
                yield _Found(above, item, element.tag, vr, raw)
                continue
            _check_depth(len(above))
            inner = explicit and element.vr != b"UN"
            for inside in items(header.data, element, explicit=inner):
                counter[0] += 1
                yield from below(inside, (*above, element.tag), counter[0], explicit=inner)

    yield from below(list(header.elements.values()), (), 0, explicit=header.explicit)


def _items_of(header: Header, tag: int) -> Iterator[list[Element]]:
    element = header.elements.get(tag)
    return iter(()) if element is None else _parts(header, element)


def _parts(header: Header, sequence: Element) -> Iterator[list[Element]]:
    inner = header.explicit and sequence.vr != b"UN"
    return items(header.data, sequence, explicit=inner)


def _raw(header: Header, item: Sequence[Element], tag: int) -> bytes | None:
    element = next((element for element in item if element.tag == tag), None)
    return None if element is None else header.data[element.value : element.end]


def _vr(element: Element) -> str:
    """Return the VR of an element: the file's, but for references, which must not be overlooked."""
    known = _dictionary_vr(element.tag)
    if known in ("UI", "SQ") or element.vr in (b"", b"UN"):
        return known
    return element.vr.decode("ascii")


@cache
def _dictionary_vr(tag: int) -> str:
    """Return the VR of PS3.6; "UN" for a tag that it does not know."""
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag)[:2]  # "US or SS" is encoded alike
    except KeyError:
        return "UN"


def _uids(raw: bytes) -> list[str]:
    return [part.strip(" \0") for part in ascii_text(raw).split("\\")]


def _recoded(raw: bytes, character_set: bytes) -> bytes:
    """Return text in UTF-8 that was written in another character set."""
    return _text(raw, character_set).encode("utf-8")


def _text(raw: bytes, character_set: bytes) -> str:
    """Return text that was written in a character set of PS3.3 C.12.1.1.2.

    Raises
    ------
    BadStructureSet
        Where the set is not known, or the text not of the set: a name is not guessed.
    """
    if raw.isascii() and _ESCAPE not in raw:
        return raw.decode("ascii")
    from pydicom.charset import convert_encodings, decode_bytes

    names = [part.strip(" \0") for part in character_set.decode("ascii", "replace").split("\\")]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # pydicom would go on with replacement characters
            return decode_bytes(raw, convert_encodings(names), _DELIMITERS)
    except (UserWarning, LookupError, UnicodeError):
        raise BadStructureSet("text that is not in the character set it names") from None


def _check_depth(depth: int) -> None:
    if depth >= DEEPEST:
        raise BadStructureSet("sequences nested too deep")
