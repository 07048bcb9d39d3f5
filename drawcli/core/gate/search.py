"""The privacy gate's search: find identifiers of the patient in a de-identified package.

Nothing here is shared with the de-identifier: data sets are read by pydicom, and identifiers are
taken from the sources only. Every element at every depth is checked; a finding names the check and
the place, never the value.
"""

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.gate.figures import Figures
from drawcli.core.gate.identifiers import (
    COMMON,
    DATES,
    KnownIdentifiers,
    is_coded,
    is_numbered,
)
from drawcli.core.gate.known_terms import ordinary_words
from drawcli.core.gate.markers import MUST_BE, OWN, STILL_SEARCHED
from drawcli.core.gate.needed import needed_keywords
from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    Piece,
    pieces,
    pixels_of,
    registered_as,
    texts_of,
    undecoded_value,
)
from drawcli.core.gate.similar_headers import Similar
from drawcli.core.gate.slices import contradicts, digest_of_slice
from drawcli.core.gate.text_traces import days, fold, has_long_number, has_mail
from drawcli.core.gate.text_traces import words as words_of

if TYPE_CHECKING:
    from pydicom import Dataset

# The registered UIDs that an element of VR UI may name (PS3.6).
_SOP_CLASSES: Final = frozenset({"SOP Class", "Meta SOP Class"})
_ROLES: Final = {
    "SOPClassUID": _SOP_CLASSES,
    "ReferencedSOPClassUID": _SOP_CLASSES,
    "MediaStorageSOPClassUID": _SOP_CLASSES,
    "TransferSyntaxUID": frozenset({"Transfer Syntax"}),
    "SynchronizationFrameOfReferenceUID": frozenset({"Synchronization Frame of Reference"}),
}
_STAND_IN: Final = re.compile(r"2\.25\.[0-9]{1,39}")
_LONG_UID: Final = 12  # characters; real ones have 20 and more
_NO_LETTERS: Final = re.compile(r"[0-9.:+\-eE\s]*")
_META_GROUP: Final = 0x0002
_ABOVE_META: Final = "file meta/"
_UIDS: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID")
_FILE_META: Final = frozenset({0, 1, 2, 3, 0x10, 0x12, 0x13})  # elements of a new file meta
_NO_GROUPS: Final = frozenset({0x0004, 0xFFFA, 0xFFFC})  # directories, signatures, padding
_CURVES_OVERLAYS: Final = frozenset({0x50, 0x60})  # first bytes of the groups 50xx and 60xx
_NUMBERS: Final = frozenset("AT DS FD FL IS SL SS SV TM UL US UV".split())
_DESCRIPTORS: Final = frozenset({"SeriesDescription", "StudyDescription", "ProtocolName"})


@dataclass(frozen=True, slots=True, order=True)
class Leak:
    """One finding: the check and the place, never the value."""

    check: str
    where: str  # a tag path, or the part of the package


@dataclass(slots=True)
class Search:
    """Searches the parts of a package for known identifiers."""

    known: KnownIdentifiers
    words: set[str]
    days: set[str]
    found: set[Leak] = field(default_factory=set)
    pixels: Counter[bytes] = field(default_factory=Counter)  # digests
    paired: int = 0  # slices whose pixels were compared with those of a source
    needed: Counter[str] = field(default_factory=Counter)
    uids: dict[str, set[str]] = field(default_factory=dict)  # of instances, series and studies
    seen: set[Any] = field(default_factory=set)
    figures: Figures = field(init=False)

    def __post_init__(self) -> None:
        """Collect the patient's numbers: all sources are known now."""
        self.figures = self.known.figures()

    def add(self, check: str, where: str) -> None:
        """Record a finding."""
        self.found.add(Leak(check, where))

    def search_slice(self, dataset: "Dataset") -> None:
        """Check the pixels and every element of one slice."""
        self._check_pixels(dataset)
        self.search_elements(dataset)

    def search_elements(self, dataset: "Dataset") -> None:
        """Check every element of one slice, and the elements that must be present."""
        for part, above in ((dataset.file_meta, _ABOVE_META), (dataset, "")):
            for piece in pieces(part, self.seen, above):
                self._piece(piece)
        self.needed.update(needed_keywords(dataset))
        for keyword in MUST_BE:
            part = dataset.file_meta if "/" in keyword else dataset
            self._must_be(keyword, part)
        for keyword in OWN:
            if keyword not in dataset:
                self.add("marker", keyword)
        if str(dataset.get("SOPClassUID", "")) not in self.known.sop_classes:
            self.add("marker", "SOPClassUID")
        for keyword in _UIDS:
            self.uids.setdefault(keyword, set()).add(str(dataset.get(keyword, "")))

    def search_similar(self, similar: Similar) -> None:
        """Check the elements of a slice that differ from one before, as `search_elements`.

        All others were checked there. Those of `Similar.plain` must be known.
        """
        for piece in similar.pieces(self.seen, _ABOVE_META):
            self._piece(piece)
        self.needed.update(similar.needed)
        for where, text in similar.plain(MUST_BE.keys(), _ABOVE_META).items():
            self._must_match(where, text)
            if where in _UIDS:
                self.uids.setdefault(where, set()).add(text)

    def _check_pixels(self, dataset: "Dataset") -> None:
        digest, beside = pixels_of(dataset)
        if self.known.by_slice:
            digest = digest_of_slice(dataset)
        if self.known.split and not self.known.of_frames.isdisjoint(dataset.keys()):
            self.add("marker", "NumberOfFrames")
        if contradicts(dataset, self.known.facts.get(digest, ())):
            self.add("pixels", "(7FE0,0010)")
        self.pixels[digest] += 1
        if beside:
            self.add("beside-pixels", "(7FE0,0010)")

    def check_whole(self) -> None:
        """Check the package as a whole: each slice once, with all needed elements."""
        if self.pixels != self.known.pixels:
            self.add("pixels", "(7FE0,0010)")
        else:
            for keyword in self.known.needed - self.needed:
                self.add("missing", keyword)
        slices = self.known.pixels.total() + self.paired
        for keyword, uids in self.uids.items():
            if len(uids) != (slices if keyword == "SOPInstanceUID" else 1):
                self.add("uids", keyword)

    def _must_be(self, keyword: str, part: "Dataset") -> None:
        """Check an element of known format."""
        from pydicom.datadict import tag_for_keyword

        name = keyword.rpartition("/")[2]
        mark = (keyword, undecoded_value(part, tag_for_keyword(name) or 0))
        if mark not in self.seen:
            self.seen.add(mark)
            self._must_match(keyword, "\\".join(texts_of(part.get(name, "missing"))))

    def _must_match(self, keyword: str, text: str) -> None:
        if not re.fullmatch(MUST_BE[keyword], text, re.ASCII):
            self.add("marker", keyword)

    def search_site_text(self, text: str, where: str) -> None:
        """Check a text written by the site (template, form), which may name organs."""
        plain = _STAND_IN.sub("", fold(text))  # its many digits may hold any number by chance
        personal = self.known.personal
        if personal.in_words(plain, but=COMMON) or personal.in_ids(plain):
            self.add("personal", where)
        self._uids(plain, where)
        if has_mail(plain):
            self.add("mail", where)
        self._days(plain, where)

    def _piece(self, piece: Piece) -> None:
        """Check whether an element may be present, then its values."""
        self._presence(piece)
        if piece.vr != "SQ" and any(part in piece.raw for part in self.known.foreign):
            self.add("personal", piece.where)
        own = OWN.get(piece.where.partition("/")[0])
        if own is not None:
            if not all(map(own.fullmatch, piece.texts)):
                self.add("marker", piece.where)
        elif piece.where not in MUST_BE or piece.where in STILL_SEARCHED:
            for text in piece.texts:
                self._value(piece, text)
            if len(piece.texts) > 1:
                self._joined_values(piece)

    def _joined_values(self, piece: Piece) -> None:
        """Check the values of an element joined: a name may be split over them."""
        if piece.vr in _NUMBERS:
            is_found = self.figures.in_parts(piece.keyword, piece.texts)
        else:
            plain = fold("".join(piece.texts))
            ordinary = ordinary_words(piece.keyword, piece.vr, plain)
            is_found = self.known.personal.in_longer_words(plain, but=ordinary)
        if is_found:
            self.add("personal", piece.where)

    def _presence(self, piece: Piece) -> None:
        group, element = piece.tag >> 16, piece.tag & 0xFFFF
        unwanted = group in _NO_GROUPS or group >> 8 in _CURVES_OVERLAYS
        length_of_group = element == 0 and group != _META_GROUP
        if group % 2:
            self.add("private", piece.where)
        elif unwanted or length_of_group or piece.tag == PIXEL_DATA:  # of an icon, in an item
            self.add("group", piece.where)
        elif group == _META_GROUP and element not in _FILE_META:
            self.add("file-meta", piece.where)
        elif piece.tag > PIXEL_DATA:
            self.add("behind-pixels", piece.where)
        if not piece.vr:
            self.add("undecodable", piece.where)

    def _value(self, piece: Piece, text: str) -> None:
        if piece.vr == "UI":
            if not self._is_allowed_uid(piece.keyword, text):
                self.add("uid", piece.where)
        elif piece.vr in _NUMBERS | DATES and _NO_LETTERS.fullmatch(text):
            if self._is_figure(piece, text):
                self.add("personal", piece.where)
            self._days(text, piece.where)
        elif self._is_open(piece):
            self._open_text(fold(text), piece)
        else:
            self._closed_text(fold(text), piece)

    def _is_allowed_uid(self, keyword: str, uid: str) -> bool:
        """Return whether a UID is a stand-in, or registered for such an element in PS3.6."""
        if registered_as(uid) in _ROLES.get(keyword, ()):
            return True
        return not uid or (_STAND_IN.fullmatch(uid) is not None and uid not in self.known.uids)

    def _is_figure(self, piece: Piece, text: str) -> bool:
        """Return whether a number or a time equals a number of the patient."""
        if piece.vr in ("DT", "TM"):
            return self.figures.in_clock(text[8:] if piece.vr == "DT" else text)
        return piece.vr != "DA" and self.figures.in_number(piece.keyword, text)

    def _is_open(self, piece: Piece) -> bool:
        """Return whether the words of an element may be those of a scanner."""
        named = piece.keyword in self.known.open or piece.keyword in _DESCRIPTORS
        return named or piece.vr == "CS" or is_coded(piece.where)

    def _open_text(self, plain: str, piece: Piece) -> None:
        """Check words of a scanner: short names count only as whole words, allowed words never."""
        personal, ordinary = self.known.personal, ordinary_words(piece.keyword, piece.vr, plain)
        named = personal.in_words(plain, ordinary) or personal.in_longer_words(plain, ordinary)
        if not is_coded(piece.where):  # its words are the scheme's
            short = piece.keyword in _DESCRIPTORS and personal.in_short(plain)
            named = named or short or personal.in_short(plain, ordinary) or personal.in_ids(plain)
        if named:
            self.add("personal", piece.where)
        self._any_text(plain, piece, ordinary)
        self._places(plain, piece.where, ordinary)

    def _closed_text(self, plain: str, piece: Piece) -> None:
        """Check a text that must hold nothing of the source."""
        if self.known.personal.in_text(plain):
            self.add("personal", piece.where)
        if self.known.labels.in_ids(plain):
            self.add("source-text", piece.where)
        self._any_text(plain, piece, COMMON)
        self._places(plain, piece.where, COMMON)

    def _any_text(self, plain: str, piece: Piece, ordinary: frozenset[str]) -> None:
        self._uids(plain, piece.where)
        if piece.where not in _DESCRIPTORS and words_of(plain) & self.words - ordinary:
            self.add("source-text", piece.where)  # descriptions are sent cleaned, if at all
        if has_mail(plain):
            self.add("mail", piece.where)
        if has_long_number(plain) and not is_numbered(piece.where, plain):
            self.add("number", piece.where)
        self._days(plain, piece.where)

    def _places(self, plain: str, where: str, ordinary: frozenset[str]) -> None:
        """Search for words of the hospital, except common ones."""
        if words_of(plain) & self.known.places - ordinary:
            self.add("institution", where)

    def _uids(self, text: str, where: str) -> None:
        long = (uid for uid in self.known.uids if len(uid) >= _LONG_UID and uid in text)
        if not all(map(registered_as, long)):
            self.add("uid", where)

    def _days(self, text: str, where: str) -> None:
        if not self.days.isdisjoint(days(text)):
            self.add("date", where)
