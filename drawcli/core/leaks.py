"""What sources say of a patient, and whether a de-identified slice still says it.

The eyes of the privacy gate. Nothing here is shared with the de-identifier: data sets are read by
pydicom, and what identifies is learnt from the sources alone. Every element at every depth is
looked at; a finding names the check and the place, never the value.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.elements import PIXEL_DATA, Piece, pieces, pixel_digest, texts_of, undecoded
from drawcli.core.traces import LONG_NUMBER, Traces, day_of, days, folded, foreign_parts, has_mail
from drawcli.core.traces import words as words_of

if TYPE_CHECKING:
    from pydicom import Dataset

_REGISTERED: Final = "1.2.840.10008."
_FIXED_DATE: Final = "20000101"  # of sites that let no interval leave
_LEAST_WEEKS: Final = 52  # that dates are moved back by
_MOST_WEEKS: Final = 520
_STAND_IN: Final = re.compile(r"2\.25\.[0-9]{1,39}")
_LONG_UID: Final = 12  # characters; real ones have 20 and more
_MAY_STAND: Final = re.compile(r"(1\.2\.840\.10008\.[0-9.]+|2\.25\.[0-9]{1,39})?")  # of UIDs
_NO_LETTERS: Final = re.compile(r"[0-9.:+\-eE\s]*")
_META_GROUP: Final = 0x0002
_FILE_META: Final = frozenset({0, 1, 2, 3, 0x10, 0x12, 0x13})  # what a new file meta consists of
_NO_GROUPS: Final = frozenset({0x0004, 0xFFFA, 0xFFFC})  # directories, signatures, padding
_CURVES_OVERLAYS: Final = frozenset({0x50, 0x60})  # first bytes of the groups 50xx and 60xx
_MUST_BE: Final = {
    "SOPClassUID": r"1\.2\.840\.10008\.5\.1\.4\.1\.1\.(2|4|128)",
    "SOPInstanceUID": r"2\.25\.[0-9]{1,39}",
    "StudyInstanceUID": r"2\.25\.[0-9]{1,39}",
    "SeriesInstanceUID": r"2\.25\.[0-9]{1,39}",
    "StudyDate": r"([0-9]{8})?",
    "StudyTime": r"[0-9.: ]*",
    "PatientName": r"DEID\^[A-Z2-7]{16}",
    "PatientID": r"DEID-[A-Z2-7]{16}",
    "StudyID": r"[A-Z2-7]{1,16}",
    "PatientBirthDate": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "PatientIdentityRemoved": "YES",
    "LongitudinalTemporalInformationModified": "MODIFIED|REMOVED",
    "BurnedInAnnotation": "(?i:no)|missing|",
    "DeidentificationMethod": r"drawcli [0-9a-z.]+\\DICOM PS3\.15 20\d\d[a-e] Annex E, "
    "keep-list, options as coded",
    "file meta/ImplementationVersionName": r"DRAWCLI_[0-9a-z.]+",
}
_STILL_SEARCHED: Final = frozenset({"StudyDate", "StudyTime"})
# The sequences that say how and by what it was done, and all that may stand in them.
_OWN: Final = {
    "DeidentificationMethodCodeSequence": re.compile(
        "DCM|113100|Basic Application Confidentiality Profile"
        "|113107|Retain Longitudinal Temporal Information Modified Dates Option"
        "|113108|Retain Patient Characteristics Option"
    ),
    "ContributingEquipmentSequence": re.compile(
        r"DCM|109104|De-identifying Equipment|DRAW|drawcli|[0-9]+\.[0-9a-z.+]+|", re.ASCII
    ),
}
_TEXT: Final = frozenset("AE AS CS LO LT PN SH ST UC UR UT".split())
_DATES: Final = frozenset({"DA", "DT"})
_NUMBERS: Final = frozenset("AT DS FD FL IS SL SS SV TM UL US UV".split())
_SHIFTED: Final = frozenset(
    """
    StudyDate SeriesDate AcquisitionDate ContentDate AcquisitionDateTime
    RadiopharmaceuticalStartDateTime
    """.split()
)
# Elements whose own words may go out: what a scanner is and does. Names and ids of the patient are
# looked for in them all the same.
_OPEN: Final = frozenset(
    """
    AngioFlag AttenuationCorrectionMethod BodyPartExamined CollimatorType ConvolutionKernel
    CorrectedImage CountsSource DecayCorrection ImageType ImagedNucleus
    InPlanePhaseEncodingDirection Laterality LossyImageCompression LossyImageCompressionMethod
    MRAcquisitionType Manufacturer ManufacturerModelName Modality PatientAge PatientPosition
    PatientSex PhotometricInterpretation RandomsCorrectionMethod RecognizableVisualFeatures
    RescaleType RotationDirection SUVType ScanningSequence ScatterCorrectionMethod
    SequenceVariant SeriesType SpecificCharacterSet Units
    """.split()
)
_DESCRIPTORS: Final = frozenset({"SeriesDescription", "StudyDescription", "ProtocolName"})
_PERSONAL: Final = frozenset(
    """
    AccessionNumber AdmissionID IssuerOfPatientID MedicalRecordLocator OtherPatientIDs
    PatientAddress PatientID PatientInstitutionResidence PatientReligiousPreference
    PatientTelecomInformation PatientTelephoneNumbers ReferringPhysicianAddress
    ReferringPhysicianTelephoneNumbers StudyID
    """.split()
)
# Words of scanners, of bodies and of the server's template. A patient may be called like one of
# them, or be a phantom; where such words belong they say nothing about anybody.
_COMMON: Final = frozenset(
    """
    canon elekta electric general healthineers hitachi imaging medical philips shimadzu siemens
    systems toshiba united varian
    abdomen bladder body brain breast chest extremity head headneck heart kidney liver lung neck
    pelvis phantom prostate rectum shoulder skull spine stomach thorax whole wholebody
    axial derived dynamic image original other primary reformatted secondary static volume
    config draw fullres models name null postprocess protocol template trainer
    """.split()
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that must not leave: which check, and where. Never the value."""

    check: str
    where: str  # a tag path, or the part of the package


@dataclass(slots=True)
class Known:
    """What identifies the patient of a series, taken from its sources."""

    open: frozenset[str] = _OPEN  # keywords of elements whose own words may go out
    personal: Traces = field(default_factory=Traces)  # names, ids, addresses
    labels: Traces = field(default_factory=Traces)  # other texts of one word: ids of machines
    words: set[str] = field(default_factory=set)  # of every other text, and of the paths
    open_words: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    shifted_days: set[str] = field(default_factory=set)  # as they are before the shift
    foreign: set[bytes] = field(default_factory=set)  # parts of names beyond ASCII, as encoded
    pixels: Counter[bytes] = field(default_factory=Counter)  # digests
    sop_classes: set[str] = field(default_factory=set)
    study_date: str = ""
    seen: set[Any] = field(default_factory=set)

    @classmethod
    def letting(cls, retained: Iterable[str]) -> "Known":
        """Return what is known of a patient before the first source, at a site that retains more.

        The patient is looked for in what is retained as in everything else.
        """
        return cls(_OPEN | frozenset(retained))

    def learn(self, path: str, source: "Dataset") -> None:
        """Take in everything that one source file says, its name included."""
        self.pixels[pixel_digest(source)] += 1
        self.words |= words_of(folded(path))
        meta = getattr(source, "file_meta", None)
        for part in (source, *([meta] if meta else [])):
            for piece in pieces(part, self.seen):
                self._learn_piece(piece)
        self.sop_classes.add(str(source.get("SOPClassUID", "")))
        self.study_date = self.study_date or str(source.get("StudyDate", ""))

    def _learn_piece(self, piece: Piece) -> None:
        is_personal = piece.vr == "PN" or piece.keyword in _PERSONAL
        if is_personal:
            self.foreign.update(foreign_parts(piece.raw))
        for text in piece.texts:
            plain = folded(text)
            if is_personal:
                self.personal.learn(text)
            elif piece.vr == "UI":
                self.uids.add(text)
            elif piece.vr in _DATES:
                into = self.shifted_days if piece.keyword in _SHIFTED else self.days
                into.update(days(plain))
            elif piece.keyword in self.open:
                self.open_words |= words_of(plain)
            elif piece.vr in _TEXT or not piece.vr:
                self._learn_text(plain)

    def _learn_text(self, plain: str) -> None:
        self.words |= words_of(plain)
        self.days.update(days(plain))
        if len(plain.split()) == 1:
            self.labels.learn(plain)

    def days_to_find(self, sent_date: str) -> set[str]:
        """Return the days that must not show; a day that the shift makes of another may."""
        before, after = day_of(self.study_date), day_of(sent_date)
        if before is None or after is None or not self.is_moved(sent_date):
            return self.days | self.shifted_days
        shifted = filter(None, map(day_of, self.shifted_days))
        made = {f"{day - (before - after):%Y%m%d}" for day in shifted}
        return (self.days | self.shifted_days) - made

    def is_moved(self, sent_date: str) -> bool:
        """Tell whether the study date was moved as far as the policy asks, or there is none."""
        before, after = day_of(self.study_date), day_of(sent_date)
        if before is None or after is None:
            return not sent_date
        weeks = (before - after) / timedelta(weeks=1)
        return sent_date == _FIXED_DATE or (weeks in range(_LEAST_WEEKS, _MOST_WEEKS + 1))

    def words_to_find(self) -> set[str]:
        """Return the words that are neither the scanner's own nor numbers found in any header."""
        chance = {word for word in self.words if word.isdigit() and len(word) < LONG_NUMBER}
        return self.words - self.open_words - _COMMON - chance


@dataclass(slots=True)
class Search:
    """Looks for what is known in the parts of a package."""

    known: Known
    words: set[str]
    days: set[str]
    found: set[Finding] = field(default_factory=set)
    pixels: Counter[bytes] = field(default_factory=Counter)
    uids: dict[str, set[str]] = field(default_factory=dict)  # of instances, series and studies
    seen: set[Any] = field(default_factory=set)

    def tell(self, check: str, where: str) -> None:
        """Note a finding."""
        self.found.add(Finding(check, where))

    def slice(self, dataset: "Dataset") -> None:
        """Look at every element of one slice, and at what has to be there."""
        self.pixels[pixel_digest(dataset)] += 1
        for part, above in ((dataset.file_meta, "file meta/"), (dataset, "")):
            for piece in pieces(part, self.seen, above):
                self._piece(piece)
        for keyword, pattern in _MUST_BE.items():
            part = dataset.file_meta if "/" in keyword else dataset
            self._must_be(keyword, pattern, part)
        for keyword in _OWN:
            if keyword not in dataset:
                self.tell("marker", keyword)
        if str(dataset.get("SOPClassUID", "")) not in self.known.sop_classes:
            self.tell("marker", "SOPClassUID")
        for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
            self.uids.setdefault(keyword, set()).add(str(dataset.get(keyword, "")))

    def _must_be(self, keyword: str, pattern: str, part: "Dataset") -> None:
        """Look at an element whose form is known."""
        from pydicom.datadict import tag_for_keyword

        name = keyword.rpartition("/")[2]
        mark = (keyword, undecoded(part, tag_for_keyword(name) or 0))
        if mark not in self.seen:
            self.seen.add(mark)
            text = "\\".join(texts_of(part.get(name, "missing")))
            if not re.fullmatch(pattern, text, re.ASCII):
                self.tell("marker", keyword)

    def site_text(self, text: str, where: str) -> None:
        """Look at a text of the site's own (template, form), which may speak of organs."""
        plain = _STAND_IN.sub("", folded(text))  # in so many digits any number may stand by chance
        personal = self.known.personal
        if personal.in_words(plain, but=_COMMON) or personal.in_ids(plain):
            self.tell("personal", where)
        long = (uid for uid in self.known.uids if len(uid) >= _LONG_UID)
        if any(uid in plain for uid in long if not uid.startswith(_REGISTERED)):
            self.tell("uid", where)
        if has_mail(plain):
            self.tell("mail", where)
        self._days(plain, where)

    def _piece(self, piece: Piece) -> None:
        """Look at one element: whether it may be there at all, then at what it says."""
        self._presence(piece)
        if piece.vr != "SQ" and any(part in piece.raw for part in self.known.foreign):
            self.tell("personal", piece.where)
        own = _OWN.get(piece.where.partition("/")[0])
        if own is not None:
            if not all(map(own.fullmatch, piece.texts)):
                self.tell("marker", piece.where)
        elif piece.where not in _MUST_BE or piece.where in _STILL_SEARCHED:
            for text in piece.texts:
                self._value(piece, text)

    def _presence(self, piece: Piece) -> None:
        group, element = piece.tag >> 16, piece.tag & 0xFFFF
        unwanted = group in _NO_GROUPS or group >> 8 in _CURVES_OVERLAYS
        length_of_group = element == 0 and group != _META_GROUP
        if group % 2:
            self.tell("private", piece.where)
        elif unwanted or length_of_group or piece.tag == PIXEL_DATA:  # of an icon, in an item
            self.tell("group", piece.where)
        elif group == _META_GROUP and element not in _FILE_META:
            self.tell("file-meta", piece.where)
        elif piece.tag > PIXEL_DATA:
            self.tell("behind-pixels", piece.where)
        if not piece.vr:
            self.tell("undecodable", piece.where)

    def _value(self, piece: Piece, text: str) -> None:
        if piece.vr == "UI":
            known = text in self.known.uids and text and not text.startswith(_REGISTERED)
            if known or not _MAY_STAND.fullmatch(text):
                self.tell("uid", piece.where)
        elif piece.vr in _NUMBERS | _DATES and _NO_LETTERS.fullmatch(text):
            if piece.vr not in _DATES and self.known.personal.in_number(text):
                self.tell("personal", piece.where)
            self._days(text, piece.where)
        elif piece.keyword in self.known.open | _DESCRIPTORS or piece.vr == "CS":
            self._open_text(folded(text), piece)
        else:
            self._closed_text(folded(text), piece)

    def _open_text(self, plain: str, piece: Piece) -> None:
        """Look at scanner's words, in which a short name counts as a whole word only."""
        personal = self.known.personal
        described = piece.keyword in _DESCRIPTORS
        named = personal.in_words(plain, but=_COMMON) or personal.inside(plain, but=_COMMON)
        if named or (described and personal.in_short(plain)):
            self.tell("personal", piece.where)
        self._any_text(plain, piece)

    def _closed_text(self, plain: str, piece: Piece) -> None:
        """Look at a text in which nothing of the source has any business."""
        if self.known.personal.in_text(plain):
            self.tell("personal", piece.where)
        if self.known.labels.in_ids(plain):
            self.tell("source-text", piece.where)
        self._any_text(plain, piece)

    def _any_text(self, plain: str, piece: Piece) -> None:
        if piece.where not in _DESCRIPTORS and words_of(plain) & self.words:
            self.tell("source-text", piece.where)  # descriptions go out cleaned, if at all
        if has_mail(plain):
            self.tell("mail", piece.where)
        self._days(plain, piece.where)

    def _days(self, text: str, where: str) -> None:
        if not self.days.isdisjoint(days(text)):
            self.tell("date", where)
