"""Rewrite the header of one slice by the policy: bytes in, bytes out.

Kept elements are copied unchanged, so no number is reformatted. Replacements are derived from the
site key. Rewritten elements are cached: most slices of a series share them. The caller appends the
pixels.
"""

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from drawcli.core.deid.coded_entries import clean_coded_entries
from drawcli.core.deid.descriptions import clean_description
from drawcli.core.deid.kept_values import clean_time_of_day, clean_value
from drawcli.core.deid.own_elements import file_meta, own_elements
from drawcli.core.deid.persons import Persons
from drawcli.core.deid.profile import (
    ALWAYS_PRESENT,
    USUAL,
    Action,
    Choices,
    PolicyRow,
    Rows,
    policy_for,
)
from drawcli.core.deid.pseudonyms import StandIns, registered_as, shift_date, shift_datetime
from drawcli.core.dicom import tags
from drawcli.core.dicom.encoding import encode, encode_item
from drawcli.core.dicom.header import Element, Header, NotDicom, ascii_text, items
from drawcli.core.dicom.instance import pixels_extra

FIXED_DATE: Final = "20000101"  # for sites that send no intervals
FIXED_TIME: Final = "000000"
DUMMY_TEXT: Final = "DEID"
_MOST_REMEMBERED: Final = 4096  # elements; those that differ in each slice would fill the memory

# Registered UIDs other than SOP classes that an element may name (PS3.6 annex A).
_REGISTERED: Final = {"SynchronizationFrameOfReferenceUID": ("Synchronization Frame of Reference",)}

# The VRs under which an element may be copied unchanged; b"" is implicit VR.
_SAME: Final = {"xs": (b"US", b"SS", b"")}

Encoded = dict[int, bytes]  # tag -> element as bytes


@dataclass(slots=True)
class Replacements:
    """The replacements for the identifiers of one patient, with a record of every UID replaced.

    Threads may share it: all record the same values.
    """

    stand_ins: StandIns
    pseudonym: str  # 16 base32 characters
    shift: timedelta | None  # None for fixed dates
    choices: Choices = USUAL
    study_id: str = ""  # of the package; "": derived from StudyInstanceUID
    persons: Persons = field(default_factory=Persons)  # named in the header
    uids: dict[str, str] = field(default_factory=dict)  # stand-in -> original, for the crosswalk
    frame_numbers: dict[str, int] = field(default_factory=dict)  # stand-in of a frame -> number
    dates: dict[str, str] = field(default_factory=dict)  # moved -> original, likewise
    known: dict[object, dict[bytes, bytes]] = field(default_factory=dict)  # rewritten elements

    @classmethod
    def of(cls, header: Header, stand_ins: StandIns, choices: Choices = USUAL) -> "Replacements":
        """Return the replacements for the patient of a header.

        Without Patient ID the study UID is used: two unknown patients must not share a pseudonym.
        """
        patient = header.text(tags.PatientID) or header.text(tags.StudyInstanceUID)
        issuer = header.text(tags.IssuerOfPatientID)
        shift = None if choices.fixed_dates else stand_ins.shift(patient, issuer)
        pseudonym, persons = stand_ins.pseudonym(patient, issuer), Persons.of(header)
        return cls(stand_ins, pseudonym, shift, choices, persons=persons)

    def uid(self, original: str) -> str:
        """Return the stand-in for a UID and record the pair."""
        stand_in = self.stand_ins.uid(original)
        self.uids[stand_in] = original
        return stand_in

    def frame_uid(self, original: str, number: int) -> str:
        """Return the stand-in for a frame, which becomes an image, and record both."""
        stand_in = self.stand_ins.own_uid("frame", original, str(number))
        self.uids[stand_in] = original
        self.frame_numbers[stand_in] = number
        return stand_in

    def without_names(self, description: str) -> str:
        """Return a description without names and numbers of persons."""
        return " ".join(word for word in description.split() if not self.persons.is_name(word))

    def date(self, value: str, vr: str) -> str:
        """Return a DA or DT value shifted by the patient's offset; "" if it is not a date."""
        if self.shift is None:
            moved = FIXED_DATE if shift_date(value[:8], timedelta()) else ""
        else:
            moved = (shift_date if vr == "DA" else shift_datetime)(value, self.shift)
            moved = moved[:8] + clean_time_of_day(moved[8:], self.persons)
            if moved:
                self.dates[moved] = value
        return moved


def deidentify_header(header: Header, replacements: Replacements, sop_uid: str = "") -> bytes:
    """Return preamble, file meta and data set of a slice, up to the value of its pixel data.

    Parameters
    ----------
    header
        Of the slice.
    replacements
        The replacements for the patient's values.
    sop_uid
        SOPInstanceUID as it is sent; "": the stand-in of that in the header.

    Raises
    ------
    NotDicom
        If the SOP class is not sent, or an element to be rebuilt cannot be read.
    """
    sop_class = header.text(tags.SOPClassUID)
    try:
        rows = policy_for(sop_class, replacements.choices)
    except KeyError:
        raise NotDicom("not an image of an accepted SOP class") from None
    kept = _rewritten_elements(header, rows, replacements)
    for tag in ALWAYS_PRESENT:
        if tag not in kept:
            kept[tag] = _replace(rows[tag], b"", header, replacements)
    kept.update(own_elements(replacements.choices, explicit=header.explicit))
    if sop_uid:
        value = sop_uid.encode("ascii")
        kept[tags.SOPInstanceUID] = encode(
            tags.SOPInstanceUID, b"UI", value, explicit=header.explicit
        )
    assert header.pixels is not None  # noqa: S101 - a slice without pixels was refused before
    pixel_head = header.data[header.pixels.start : header.pixels.value]
    if extra := pixels_extra(header):  # padding, which is not sent
        length = header.pixels.end - header.pixels.value - extra
        pixel_head = pixel_head[:-4] + length.to_bytes(4, "little")
    data_set = b"".join([kept[tag] for tag in sorted(kept)])
    sop_uid = sop_uid or replacements.uid(header.text(tags.SOPInstanceUID))
    return file_meta(sop_class, sop_uid, header.transfer_syntax) + data_set + pixel_head


def _rewritten_elements(header: Header, rows: Rows, replacements: Replacements) -> Encoded:
    """Return the elements of the new data set by tag; unchanged ones come from the cache."""
    deciding = (tags.SOPClassUID, tags.StudyInstanceUID, tags.PixelRepresentation)
    kind = (header.explicit, *(header.raw(tag) for tag in deciding))
    known = replacements.known.setdefault(kind, {})
    if len(known) > _MOST_REMEMBERED:
        known.clear()
    data, kept = header.data, Encoded()
    for tag, element in header.elements.items():
        row = rows.get(tag)
        if row is None:
            continue
        source = data[element.start : element.end]
        after = known.get(source)
        if after is None:
            after = _rewrite(row, element, header, replacements, explicit=header.explicit)
            known[source] = after
        kept[tag] = after
    return kept


def _rewrite(
    row: PolicyRow, element: Element, header: Header, replacements: Replacements, *, explicit: bool
) -> bytes:
    """Return one element after the policy; `explicit` is the encoding of the source."""
    if row.action is Action.ITEMS:
        return _rebuild_sequence(row, element, header, replacements, explicit=explicit)
    if row.action is Action.CODE:
        return clean_coded_entries(row.tag, element, header, explicit=explicit)
    raw = b"" if element.undefined else header.data[element.value : element.end]
    if row.action is not Action.KEEP:
        return _replace(row, raw, header, replacements)
    kept = clean_value(row.keyword, row.vr, raw, replacements.persons)
    if kept != raw:
        return _recode(row, kept, header)
    same = _SAME.get(row.vr) or (row.vr.encode(), b"")
    if explicit == header.explicit and element.vr in same:
        return header.data[element.start : element.end]
    return _recode(row, raw, header)


def _rebuild_sequence(
    row: PolicyRow, element: Element, header: Header, replacements: Replacements, *, explicit: bool
) -> bytes:
    """Return a sequence with defined lengths and the listed elements of its items."""
    inner = explicit and element.vr != b"UN"  # PS3.5 6.2.2: UN contains implicit VR
    content: list[bytes] = []
    for inside in items(header.data, element, explicit=inner):
        kept = {
            part.tag: _rewrite(row.items[part.tag], part, header, replacements, explicit=inner)
            for part in inside
            if part.tag in row.items
        }
        content.append(encode_item(b"".join([kept[tag] for tag in sorted(kept)])))
    return encode(row.tag, b"SQ", b"".join(content), explicit=header.explicit)


def _replace(row: PolicyRow, raw: bytes, header: Header, replacements: Replacements) -> bytes:
    """Return an element with its replacement value."""
    match row.action:
        case Action.UID | Action.REGISTERED | Action.DATE:
            value = "\\".join(_stand_in(row, value, replacements) for value in _values(raw))
        case Action.TIME:
            value = FIXED_TIME if raw else ""
        case Action.NAME:
            value = f"DEID^{replacements.pseudonym}"
        case Action.PATIENT:
            value = f"DEID-{replacements.pseudonym}"
        case Action.CLEAN:
            value = replacements.without_names(clean_description(ascii_text(raw)))
        case Action.STUDY:
            value = replacements.study_id or replacements.stand_ins.study_id(
                header.text(tags.StudyInstanceUID)
            )
        case _:
            value = DUMMY_TEXT if row.action is Action.DUMMY else ""
    return encode(row.tag, row.vr.encode(), value.encode("ascii"), explicit=header.explicit)


def _stand_in(row: PolicyRow, value: str, replacements: Replacements) -> str:
    """Return the replacement of one UID or date."""
    if row.action is Action.DATE:
        return replacements.date(value, row.vr)
    if row.action is Action.REGISTERED:
        wanted = _REGISTERED.get(row.keyword, ("SOP Class", "Meta SOP Class"))
        if registered_as(value) in wanted:
            return value
    return replacements.uid(value) if value else ""


def _recode(row: PolicyRow, raw: bytes, header: Header) -> bytes:
    """Return a kept element under the VR of the dictionary."""
    vr = row.vr.encode()
    if row.vr == "xs":
        vr = b"SS" if header.number(tags.PixelRepresentation) else b"US"
    return encode(row.tag, vr, raw, explicit=header.explicit)


def _values(raw: bytes) -> list[str]:
    return [part.strip(" \0") for part in ascii_text(raw).split("\\")]
