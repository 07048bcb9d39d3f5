"""The header of one slice, rewritten by the policy: bytes in, bytes out.

Kept elements are copied as they are, so no number is ever reformatted. Replaced ones are looked up
or computed from the site key. The pixels are not looked at; the caller streams them behind.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Final

from drawcli import __version__
from drawcli.core import tags
from drawcli.core.dicom import (
    PREAMBLE_LENGTH,
    Element,
    Header,
    ascii_text,
    encoded,
    encoded_item,
    items,
)
from drawcli.core.profile import (
    ALWAYS_PRESENT,
    BY_KEYWORD,
    DESCRIPTORS,
    EDITION,
    ONLY_SHIFTED,
    POLICY,
    Action,
    Row,
    cleaned,
)
from drawcli.core.pseudonym import StandIns, is_registered, shifted_date, shifted_datetime

FIXED_DATE: Final = "20000101"  # for sites that let no interval leave
FIXED_TIME: Final = "000000"
IMPLEMENTATION_CLASS: Final = "2.25.311886914404290474935046405817604716498"
_METHOD: Final = (
    f"drawcli {__version__}\\DICOM PS3.15 {EDITION} Annex E, keep-list, options as coded"
)
_BASIC: Final = ("113100", "Basic Application Confidentiality Profile")
_CHARACTERISTICS: Final = ("113108", "Retain Patient Characteristics Option")
_MODIFIED_DATES: Final = (
    "113107",
    "Retain Longitudinal Temporal Information Modified Dates Option",
)

# The VRs under which an element may be copied as it lies; b"" is implicit VR.
_SAME: Final = {vr: (vr.encode(), b"") for vr in {row.vr for row in POLICY.values()}} | {
    "xs": (b"US", b"SS", b"")
}

Encoded = dict[int, bytes]  # tag -> element as bytes


@dataclass(slots=True)
class Replacements:
    """What stands in for the identifiers of one patient, and a note of every UID replaced.

    `shift` is None where the site sends fixed dates.
    """

    stand_ins: StandIns
    pseudonym: str  # 16 base32 characters
    shift: timedelta | None
    descriptors: frozenset[str] = frozenset()  # keywords that the site lets out, cleaned
    uids: dict[str, str] = field(default_factory=dict)  # stand-in -> original, for the crosswalk
    dates: dict[str, str] = field(default_factory=dict)  # moved -> original, likewise

    @classmethod
    def of(
        cls,
        header: Header,
        stand_ins: StandIns,
        *,
        fixed_dates: bool,
        descriptors: frozenset[str] = frozenset(),
    ) -> "Replacements":
        """Return the replacements for the patient of a header.

        A series without Patient ID is its study's own patient: two unknown patients must not share
        a pseudonym.
        """
        patient = header.text(tags.PatientID) or header.text(tags.StudyInstanceUID)
        issuer = header.text(tags.IssuerOfPatientID)
        shift = None if fixed_dates else stand_ins.shift(patient, issuer)
        return cls(stand_ins, stand_ins.pseudonym(patient, issuer), shift, descriptors)

    def uid(self, original: str) -> str:
        """Return the stand-in of a UID and remember the pair."""
        stand_in = self.stand_ins.uid(original)
        if not is_registered(original):
            self.uids[stand_in] = original
        return stand_in

    def keeps(self, row: Row) -> bool:
        """Tell whether the value of an element stays; times stay where dates are moved."""
        return row.action is Action.KEEP or (row.action is Action.TIME and self.shift is not None)

    def descriptor(self, tag: int) -> Row | None:
        """Return the row of a description that the site keeps, or None."""
        row = DESCRIPTORS.get(tag)
        return row if row is not None and row.keyword in self.descriptors else None

    def date(self, value: str, vr: str) -> str:
        """Return a DA or DT value moved by the patient's offset, or "" where it is no date."""
        if self.shift is None:
            moved = FIXED_DATE if shifted_date(value[:8], timedelta()) else ""
        else:
            moved = (shifted_date if vr == "DA" else shifted_datetime)(value, self.shift)
            if moved:
                self.dates[moved] = value
        return moved


def deidentified(header: Header, replacements: Replacements) -> bytes:
    """Return preamble, file meta and data set of a slice, up to the value of its pixel data.

    Raises
    ------
    NotDicom
        Where an element that has to be rebuilt cannot be read.
    """
    kept = _rewritten(header.elements.values(), header, replacements)
    for keyword in ALWAYS_PRESENT:
        row = BY_KEYWORD[keyword]
        kept.setdefault(row.tag, _replaced(row, b"", header, replacements))
    kept.update(_markers(shifted=replacements.shift is not None, explicit=header.explicit))
    assert header.pixels is not None  # noqa: S101 - a slice without pixels is refused before
    pixel_head = header.data[header.pixels.start : header.pixels.value]
    data_set = b"".join(kept[tag] for tag in sorted(kept))
    meta = file_meta(
        header.text(tags.SOPClassUID),
        replacements.uid(header.text(tags.SOPInstanceUID)),
        header.transfer_syntax,
    )
    return meta + data_set + pixel_head


def _rewritten(
    elements: Iterable[Element],
    header: Header,
    replacements: Replacements,
    *,
    allowed: frozenset[str] | None = None,
    explicit: bool | None = None,
) -> Encoded:
    """Return the elements that stay, by tag."""
    inner = header.explicit if explicit is None else explicit
    kept: Encoded = {}
    for element in elements:
        row = POLICY.get(element.tag) or replacements.descriptor(element.tag)
        if row is None or (allowed is not None and row.keyword not in allowed):
            continue
        if replacements.shift is None and row.keyword in ONLY_SHIFTED:
            continue
        if row.action is Action.ITEMS:
            kept[row.tag] = _rebuilt(row, element, header, replacements, explicit=inner)
            continue
        raw = b"" if element.undefined else header.data[element.value : element.end]
        if not replacements.keeps(row):
            kept[row.tag] = _replaced(row, raw, header, replacements)
        elif not row.fits(raw):
            kept[row.tag] = _recoded(row, b"", header)
        elif inner == header.explicit and element.vr in _SAME[row.vr]:
            kept[row.tag] = header.data[element.start : element.end]
        else:
            kept[row.tag] = _recoded(row, raw, header)
    return kept


def _rebuilt(
    row: Row, element: Element, header: Header, replacements: Replacements, *, explicit: bool
) -> bytes:
    """Return a sequence with defined lengths, of what its items may hold."""
    inner = explicit and element.vr != b"UN"  # PS3.5 6.2.2: what UN hides is implicit VR
    allowed = frozenset(row.within)
    content = b""
    for inside in items(header.data, element, explicit=inner):
        kept = _rewritten(inside, header, replacements, allowed=allowed, explicit=inner)
        content += encoded_item(b"".join(kept[tag] for tag in sorted(kept)))
    return encoded(row.tag, b"SQ", content, explicit=header.explicit)


def _replaced(row: Row, raw: bytes, header: Header, replacements: Replacements) -> bytes:
    """Return an element with the value that stands in for its own."""
    match row.action:
        case Action.UID:
            value = "\\".join(replacements.uid(uid) if uid else "" for uid in _values(raw))
        case Action.DATE:
            value = "\\".join(replacements.date(day, row.vr) for day in _values(raw))
        case Action.TIME:
            value = FIXED_TIME if raw else ""
        case Action.NAME:
            value = f"DEID^{replacements.pseudonym}"
        case Action.PATIENT:
            value = f"DEID-{replacements.pseudonym}"
        case Action.CLEAN:
            value = cleaned(ascii_text(raw))
        case Action.STUDY:
            value = replacements.stand_ins.study_id(header.text(tags.StudyInstanceUID))
        case _:
            value = ""
    return encoded(row.tag, row.vr.encode(), value.encode("ascii"), explicit=header.explicit)


def _recoded(row: Row, raw: bytes, header: Header) -> bytes:
    """Return a kept element under the VR of the dictionary, where the source had another."""
    vr = row.vr.encode()
    if row.vr == "xs":
        vr = b"SS" if header.number(tags.PixelRepresentation) else b"US"
    return encoded(row.tag, vr, raw, explicit=header.explicit)


def _values(raw: bytes) -> list[str]:
    return [part.strip(" \0") for part in ascii_text(raw).split("\\")]


@cache
def _markers(*, shifted: bool, explicit: bool) -> Encoded:
    """Return what says that, and how, the slice was de-identified (PS3.3 C.12.1, C.7.1.1)."""
    codes = (_BASIC, _CHARACTERISTICS, *((_MODIFIED_DATES,) if shifted else ()))
    content = b"".join(encoded_item(_code(*code, explicit=explicit)) for code in codes)
    return {
        tag: encoded(tag, vr, value, explicit=explicit)
        for tag, vr, value in (
            (tags.PatientIdentityRemoved, b"CS", b"YES"),
            (tags.DeidentificationMethod, b"LO", _METHOD.encode("ascii")),
            (tags.DeidentificationMethodCodeSequence, b"SQ", content),
            (
                tags.LongitudinalTemporalInformationModified,
                b"CS",
                b"MODIFIED" if shifted else b"REMOVED",
            ),
        )
    }


def _code(value: str, meaning: str, *, explicit: bool) -> bytes:
    """Return the three attributes of a coded entry (PS3.3 table 8.8-1)."""
    parts = ((0x00080100, value), (0x00080102, "DCM"), (0x00080104, meaning))
    vrs = (b"SH", b"SH", b"LO")
    return b"".join(
        encoded(tag, vr, text.encode("ascii"), explicit=explicit)
        for (tag, text), vr in zip(parts, vrs, strict=True)
    )


def file_meta(sop_class: str, sop_uid: str, transfer_syntax: str) -> bytes:
    """Return a zeroed preamble, the prefix, and file meta made anew (PS3.10 7.1)."""
    body = b"".join(
        encoded(tag, vr, value, explicit=True)
        for tag, vr, value in (
            (0x00020001, b"OB", b"\0\1"),
            (0x00020002, b"UI", sop_class.encode("ascii")),
            (0x00020003, b"UI", sop_uid.encode("ascii")),
            (0x00020010, b"UI", transfer_syntax.encode("ascii")),
            (0x00020012, b"UI", IMPLEMENTATION_CLASS.encode("ascii")),
            (0x00020013, b"SH", f"DRAWCLI_{__version__}"[:16].encode("ascii")),
        )
    )
    length = encoded(0x00020000, b"UL", len(body).to_bytes(4, "little"), explicit=True)
    return bytes(PREAMBLE_LENGTH) + b"DICM" + length + body
