"""The way home: an RTSTRUCT gets its patient back, byte range by byte range.

All but a few bytes of the file stay as they are.
"""

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Final

from drawcli.core import tags
from drawcli.core.crosswalk import RESTORED, Crosswalk
from drawcli.core.decimal_strings import mended
from drawcli.core.deidentify import file_meta
from drawcli.core.dicom import Element, Header, NotDicom, ascii_text, encoded, encoded_item, items
from drawcli.core.dressing import LABELS, NUMBERED_BY, PLAIN, Dressing
from drawcli.core.profile import ALWAYS_PRESENT
from drawcli.core.pseudonym import is_registered
from drawcli.core.walk import (
    ESCAPE,
    NAME_NO_INSTANCE,
    check_depth,
    dictionary_vr,
    every_element,
    item_value,
    recoded,
    uids_in,
    vr_of,
)
from drawcli.errors import BadStructureSet

_APPROVAL: Final = 0x300E0002  # ApprovalStatus
_REVIEW: Final = frozenset({0x300E0004, 0x300E0005, 0x300E0008})  # ReviewDate, -Time, ReviewerName
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
    dressing: Dressing = PLAIN,
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
    dressing
        What else the file says: labels, looks of structures, those that are added.

    Raises
    ------
    BadStructureSet
        Where one UID is neither the file's own nor one of the job's.
    """
    try:
        return _Restoration(header, crosswalk, own, dressing).whole_file()
    except (NotDicom, ValueError) as err:
        raise BadStructureSet(f"the RTSTRUCT cannot be read ({type(err).__name__})") from None


class _Restoration:
    """Rewrites one file."""

    def __init__(
        self,
        header: Header,
        crosswalk: Crosswalk,
        own: Mapping[str, str],
        dressing: Dressing,
    ) -> None:
        self._header = header
        self._crosswalk = crosswalk
        self._known = {**crosswalk.uids, **own}
        self._dressing = dressing
        server_text = header.raw(tags.SpecificCharacterSet) or b""
        self._recode_from: bytes | None = None
        self._character_set = crosswalk.character_set.strip(b" \0") or server_text
        differ = self._character_set != server_text.strip(b" \0") and self._beyond_ascii()
        if dressing.utf_8 or differ:
            self._recode_from, self._character_set = server_text, _UTF_8

    def whole_file(self) -> bytes:
        """Return preamble, file meta and data set."""
        header = self._header
        kept = self._rewritten(list(header.elements.values()), explicit=header.explicit)
        self._give_back(kept)
        for tag in [tag for tag in kept if self._is_not_the_servers_to_say(tag)]:
            del kept[tag]
        for tag, (vr, text) in self._missing_of_the_iod().items():
            kept.setdefault(tag, self._encoded(tag, vr, text.encode("ascii")))
        for tag, (vr, text) in self._said_of_the_file().items():
            kept[tag] = self._encoded(tag, vr, text.encode("ascii"))
        equipment = tags.ContributingEquipmentSequence
        if equipment not in kept and self._dressing.equipment:
            ours = b"".join(self._dressing.added(equipment, explicit=header.explicit))
            kept[equipment] = self._encoded(equipment, "SQ", ours)
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

    def _give_back(self, kept: dict[int, bytes]) -> None:
        """Put the patient's and the study's values in place of the stand-ins."""
        for tag, vr in RESTORED.items():
            value = self._crosswalk.identity.get(tag)
            if value is None and tag not in _TYPE_2:
                kept.pop(tag, None)
                continue
            value = value or b""  # what the source lacks is empty where it must be present
            if self._recode_from is not None and vr in _TEXT:
                value = recoded(value, self._crosswalk.character_set)
            kept[tag] = self._encoded(tag, vr, value)
        kept.pop(tags.SpecificCharacterSet, None)
        if self._character_set:
            kept[tags.SpecificCharacterSet] = self._encoded(
                tags.SpecificCharacterSet, "CS", self._character_set
            )

    def _said_of_the_file(self) -> dict[int, tuple[str, str]]:
        labels = self._dressing.labels.items()
        texts = {tag: (LABELS[tag][0], text[: LABELS[tag][1]].strip()) for tag, text in labels}
        return texts | {_APPROVAL: ("CS", "UNAPPROVED")}

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
                if depth == 0:
                    raw = b"".join([raw, *self._dressing.added(element.tag, explicit=explicit)])
            else:
                raw = self._value(element, vr)
            kept[element.tag] = self._encoded(element.tag, vr, raw)
        return kept

    def _value(self, element: Element, vr: str) -> bytes:
        """Return a value as it goes home."""
        raw = self._header.data[element.value : element.end]
        if vr == "UN" or element.undefined:
            raise BadStructureSet("an element of unknown kind cannot be checked")
        if vr == "UI" and element.tag in NAME_NO_INSTANCE:
            return "\\".join(self._known.get(uid, uid) for uid in uids_in(raw)).encode("ascii")
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
            rank = 0
            if depth == 0 and element.tag in NUMBERED_BY:
                rank = self._dressed(element.tag, item, kept)
            content.append((rank, encoded_item(b"".join(kept[tag] for tag in sorted(kept)))))
        return b"".join(item for _, item in sorted(content, key=itemgetter(0)))

    def _dressed(self, sequence: int, item: Sequence[Element], kept: dict[int, bytes]) -> int:
        """Give an item of a list of structures its look; return its place in the list."""
        number = int(ascii_text(item_value(self._header, item, NUMBERED_BY[sequence]) or b"-1"))
        forced, usual = self._dressing.item(sequence, number)
        for tag, (vr, text) in forced.items():
            kept[tag] = self._encoded(tag, vr, text.encode("ascii"))
        for tag, (vr, text) in usual.items():
            kept.setdefault(tag, self._encoded(tag, vr, text.encode("ascii")))
        return self._dressing.ranks.get(number, 0)

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
