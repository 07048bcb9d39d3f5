"""The way home: an RTSTRUCT gets its patient back, byte range by byte range.

All but a few bytes of the file stay as they are.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from drawcli.core import tags
from drawcli.core.crosswalk import RESTORED, Crosswalk
from drawcli.core.decimal_strings import mended
from drawcli.core.deidentify import file_meta
from drawcli.core.dicom import Element, Header, NotDicom, ascii_text, encoded, encoded_item, items
from drawcli.core.profile import ALWAYS_PRESENT
from drawcli.core.pseudonym import is_registered
from drawcli.core.walk import (
    ESCAPE,
    check_depth,
    dictionary_vr,
    every_element,
    recoded,
    uids_in,
    vr_of,
)
from drawcli.errors import BadStructureSet

_APPROVAL: Final = 0x300E0002  # ApprovalStatus
_REVIEW: Final = frozenset({0x300E0004, 0x300E0005, 0x300E0008})  # ReviewDate, -Time, ReviewerName
LABELS: Final = MappingProxyType(  # what a site may call a structure set: VR, most characters
    {
        tags.SeriesDescription: ("LO", 64),
        tags.StructureSetLabel: ("SH", 16),
        tags.StructureSetName: ("LO", 64),
        tags.StructureSetDescription: ("ST", 1024),
    }
)
_PATIENT_GROUP: Final = 0x0010
_MARKERS: Final = frozenset(
    {
        tags.DeidentificationMethod,
        tags.DeidentificationMethodCodeSequence,
        tags.LongitudinalTemporalInformationModified,
    }
)
_TEXT: Final = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
_UTF_8: Final = b"ISO_IR 192"
_TYPE_2: Final = frozenset(ALWAYS_PRESENT)
_LONGEST_SHORT: Final = 0xFFFE  # bytes: explicit VR has 16 bits for the length of a DS


def reidentified(
    header: Header,
    crosswalk: Crosswalk,
    own: Mapping[str, str],
    labels: Mapping[int, str] = MappingProxyType({}),
) -> bytes:
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
    labels
        Tags of `LABELS` and their ASCII texts, in place of what the server wrote.

    Raises
    ------
    BadStructureSet
        Where one UID is neither the file's own nor one of the job's.
    """
    try:
        return _Restoration(header, crosswalk, own).whole_file(labels)
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

    def whole_file(self, labels: Mapping[int, str]) -> bytes:
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
                value = recoded(value, self._crosswalk.character_set)
            kept[tag] = self._encoded(tag, vr, value)
        kept[tags.SpecificCharacterSet] = self._encoded(
            tags.SpecificCharacterSet, "CS", self._character_set
        )
        for tag in [tag for tag in kept if self._is_not_the_servers_to_say(tag)]:
            del kept[tag]
        for tag, (vr, text) in self._missing_of_the_iod().items():
            kept.setdefault(tag, self._encoded(tag, vr, text.encode("ascii")))
        for tag, text in labels.items():
            vr, longest = LABELS[tag]
            kept[tag] = self._encoded(tag, vr, text[:longest].strip().encode("ascii"))
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

    def _missing_of_the_iod(self) -> dict[int, tuple[str, str]]:
        """Return what PS3.3 A.19.3 asks for and rt-utils, the server's writer, leaves out."""
        frame = self._crosswalk.frame_uid
        return {
            tags.OperatorsName: ("PN", ""),
            **({tags.FrameOfReferenceUID: ("UI", frame)} if frame else {}),
            **({tags.PositionReferenceIndicator: ("LO", "")} if frame else {}),
        }

    @staticmethod
    def _is_not_the_servers_to_say(tag: int) -> bool:
        """Tell whether an element speaks of the patient, of persons, or of a review.

        What the source says of the patient is restored; nothing else of that kind goes home.
        """
        person = dictionary_vr(tag) == "PN" or tag >> 16 == _PATIENT_GROUP
        return tag in _MARKERS | _REVIEW or (person and tag not in RESTORED)

    def _rewritten(
        self, elements: Sequence[Element], *, explicit: bool, depth: int = 0
    ) -> dict[int, bytes]:
        kept: dict[int, bytes] = {}
        for element in elements:
            if (element.tag >> 16) % 2 or not element.tag & 0xFFFF:
                continue  # private, or a group length
            vr = vr_of(element)
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
            return "\\".join(self._original(uid) for uid in uids_in(raw)).encode("ascii")
        if vr in ("DA", "DT"):
            original = self._crosswalk.dates.get(ascii_text(raw))
            return raw if original is None else original.encode("ascii")
        if vr == "DS":
            return mended(raw)
        if vr in _TEXT and self._recode_from is not None:
            return recoded(raw, self._recode_from)
        return raw

    def _sequence(self, element: Element, *, explicit: bool, depth: int) -> bytes:
        check_depth(depth)
        inner = explicit and element.vr != b"UN"
        content = []
        for item in items(self._header.data, element, explicit=inner):
            kept = self._rewritten(item, explicit=inner, depth=depth + 1)
            content.append(encoded_item(b"".join(kept[tag] for tag in sorted(kept))))
        return b"".join(content)

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
        texts = (one.raw for one in every_element(self._header) if one.vr in _TEXT)
        return any(not raw.isascii() or ESCAPE in raw for raw in texts)
