"""The privacy gate: reads the finished zip as a stranger would, and looks for the patient in it.

It shares no code with the de-identifier: the zip is opened by zipfile, its members and the sources
by pydicom, and what identifies is taken from the sources themselves. A finding names the check and
the tag path, never the value.
"""

import hashlib
import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.errors import SourceUnsettled

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement

_PIXEL_DATA: Final = 0x7FE00010
_REGISTERED: Final = "1.2.840.10008."
_MEMBER: Final = re.compile(r"2\.25\.[0-9]{1,39}\.dcm")
_WORD: Final = re.compile(r"[^\W_]{4,}")
_DAY: Final = re.compile(r"(?<!\d)(?:19|20)\d{6}")
_MAIL: Final = re.compile(r"[^\s@]+@[^\s@]+\.[a-z]{2,}", re.IGNORECASE)
_LONG_NUMBER: Final = 6  # digits; shorter ones stand in every header by chance
_FILE_META: Final = frozenset({0, 1, 2, 3, 0x10, 0x12, 0x13})
_MUST_BE: Final = {
    "PatientName": r"DEID\^[A-Z2-7]{16}",
    "PatientID": r"DEID-[A-Z2-7]{16}",
    "StudyID": r"[A-Z2-7]{1,16}",
    "PatientBirthDate": "",
    "AccessionNumber": "",
    "ReferringPhysicianName": "",
    "PatientIdentityRemoved": "YES",
    "DeidentificationMethod": r"drawcli [0-9.]+\\DICOM PS3\.15 \w+ Annex E, [a-z, -]+",
}
_MARKERS: Final = frozenset({"DeidentificationMethod", "DeidentificationMethodCodeSequence"})
_TEXT: Final = frozenset("AE AS CS LO LT PN SH ST UC UR UT".split())
_READ_AS_TEXT: Final = _TEXT | {"DS", "IS", "UN", "OB"}
_DATES: Final = frozenset({"DA", "DT"})
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
    AttenuationCorrectionMethod BodyPartExamined CollimatorType ConvolutionKernel CorrectedImage
    CountsSource DecayCorrection ImageType ImagedNucleus Laterality MRAcquisitionType Manufacturer
    ManufacturerModelName Modality PatientAge PatientPosition PatientSex PhotometricInterpretation
    RandomsCorrectionMethod RescaleType RotationDirection ScanningSequence ScatterCorrectionMethod
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
# A patient may be called like a maker of scanners, whose name is in every header.
_MAKERS: Final = frozenset(
    """
    canon elekta electric healthineers hitachi imaging medical philips shimadzu siemens systems
    toshiba united varian
    """.split()
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that must not leave: which check, and where. Never the value."""

    check: str
    where: str  # a tag path, or the part of the package


@dataclass(slots=True)
class _Known:
    """What identifies the patient of a series, taken from its sources."""

    personal: set[str] = field(default_factory=set)  # words of names, ids, addresses
    words: set[str] = field(default_factory=set)  # words of every other text
    open_words: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    shifted_days: set[str] = field(default_factory=set)  # as they are before the shift
    pixels: set[bytes] = field(default_factory=set)  # digests
    seen: set[tuple[Any, ...]] = field(default_factory=set)

    def learn(self, source: "Dataset") -> None:
        """Take in everything that one source file says."""
        for _, element in _elements(source):
            mark = (element.tag, element.VR, str(element.value))
            if mark not in self.seen:
                self.seen.add(mark)
                self._learn_one(element)

    def _learn_one(self, element: "DataElement") -> None:
        keyword = element.keyword
        for text in _texts(element):
            if element.VR == "UI":
                if text and not text.startswith(_REGISTERED):
                    self.uids.add(text)
            elif element.VR in _DATES:
                into = self.shifted_days if keyword in _SHIFTED else self.days
                into.update(_DAY.findall(text.replace(".", "")))
            elif element.VR == "PN" or keyword in _PERSONAL:
                self.personal |= _words(text)
            elif keyword in _OPEN:
                self.open_words |= _words(text)
            elif element.VR in _TEXT:
                self.words |= _words(text)
                self.days.update(_DAY.findall(text))


@dataclass(slots=True)
class _Search:
    """Looks at everything that is in a package."""

    known: _Known
    personal: set[str]
    words: set[str]
    days: set[str]
    found: set[Finding] = field(default_factory=set)
    seen: set[tuple[Any, ...]] = field(default_factory=set)
    pixels: set[bytes] = field(default_factory=set)
    sop_uids: set[str] = field(default_factory=set)

    def member(self, name: str, raw: bytes) -> None:
        """Look at one slice: its name, its parts, every element at every depth."""
        dataset = _parsed(raw)
        self._outside(name, raw, dataset)
        for keyword, pattern in _MUST_BE.items():
            text = "\\".join(_texts(dataset[keyword])) if keyword in dataset else "missing"
            if not re.fullmatch(pattern, text):
                self.found.add(Finding("marker", keyword))
        self.sop_uids.add(str(dataset.get("SOPInstanceUID", "")))
        self.pixels.add(_pixel_digest(dataset))
        for path, element in _elements(dataset):
            self._element(path, element)

    def _outside(self, name: str, raw: bytes, dataset: "Dataset") -> None:
        """Look at what surrounds the data set, and what lies behind the pixels."""
        sop_uid = str(dataset.get("SOPInstanceUID", ""))
        if not _MEMBER.fullmatch(name) or name != f"{sop_uid}.dcm":
            self.found.add(Finding("member-name", "zip"))
        if any(raw[:128]):
            self.found.add(Finding("preamble", "preamble"))
        if {tag & 0xFFFF for tag in dataset.file_meta.keys()} - _FILE_META:  # noqa: SIM118
            self.found.add(Finding("file-meta", "file meta"))
        for tag in dataset.keys():  # noqa: SIM118 - iterating would decode the elements
            if tag > _PIXEL_DATA:
                self.found.add(Finding("behind-pixels", _path(tag)))

    def _element(self, path: str, element: "DataElement") -> None:
        mark = (path, str(element.value))
        if mark in self.seen:
            return
        self.seen.add(mark)
        if element.tag.is_private:
            self.found.add(Finding("private", path))
        for text in _texts(element):
            if element.VR == "UI":
                if text in self.known.uids:
                    self.found.add(Finding("uid", path))
            elif element.VR in _DATES:
                self._days(text, path)
            elif element.VR in _READ_AS_TEXT and not path.startswith(tuple(_MARKERS)):
                self.text(text, path, whole_words=element.keyword in _OPEN or element.VR == "CS")

    def text(self, text: str, path: str, *, whole_words: bool = False) -> None:
        """Look at a text; in elements of scanner's words a name counts as a whole word only."""
        folded, inside = text.casefold(), _words(text)
        named = inside & self.personal if whole_words else {w for w in self.personal if w in folded}
        if named:
            self.found.add(Finding("personal", path))
        if inside & self.words and path not in _DESCRIPTORS:  # these go out cleaned, if at all
            self.found.add(Finding("source-text", path))
        if _MAIL.search(text):
            self.found.add(Finding("mail", path))
        self._days(text, path)

    def names_only(self, text: str, part: str) -> None:
        """Look at a text of the site's own (template, form), which may speak of organs."""
        if _words(text) & self.personal:
            self.found.add(Finding("personal", part))

    def _days(self, text: str, path: str) -> None:
        if not self.days.isdisjoint(_DAY.findall(text)):
            self.found.add(Finding("date", path))


def findings(package: Path, sources: Iterable[str], *, form: str = "") -> list[Finding]:
    """Look for the patient in a finished zip.

    Parameters
    ----------
    package
        The zip.
    sources
        The files it was made from.
    form
        What is sent beside it: the zip's name and the form fields.

    Returns
    -------
    list
        Sorted, each once; empty where the package may leave.
    """
    paths = list(sources)
    known, study_date = _Known(), ""
    for path in paths:
        source = _source(path)
        known.learn(source)
        known.pixels.add(_pixel_digest(source))
        study_date = study_date or str(source.get("StudyDate", ""))
    with zipfile.ZipFile(package) as archive:
        slices = [name for name in archive.namelist() if name.endswith(".dcm")]
        others = [name for name in archive.namelist() if not name.endswith(".dcm")]
        first = _parsed(archive.read(slices[0])) if slices else None
        sent_date = "" if first is None else str(first.get("StudyDate", ""))
        search = _search(known, study_date, sent_date)
        for name in slices:
            search.member(name, archive.read(name))
        for name in others:
            search.names_only(archive.read(name).decode("utf-8", "replace"), "template")
    search.names_only(form, "form")
    if others != ["template.yml"] or archive.comment:
        search.found.add(Finding("members", "zip"))
    if not len(slices) == len(search.sop_uids) == len(paths) or search.pixels != known.pixels:
        search.found.add(Finding("pixels", "(7FE0,0010)"))
    return sorted(search.found)


def _search(known: _Known, study_date: str, sent_date: str) -> _Search:
    """Return the search, with the days that the shift makes taken from those that identify."""
    allowed: set[str] = set()
    if (before := _day(study_date)) and (after := _day(sent_date)):
        allowed = {_moved(day, before - after) for day in known.shifted_days}
    words = {word for word in known.words if not _short_number(word)}
    return _Search(
        known=known,
        personal={word for word in known.personal if not _short_number(word)} - _MAKERS,
        words=words - known.open_words - _MAKERS,
        days=(known.days | known.shifted_days) - allowed,
    )


def _elements(dataset: "Dataset", above: str = "") -> "Iterator[tuple[str, DataElement]]":
    """Yield every element at every depth with its path, but for the pixels."""
    for tag in dataset.keys():  # noqa: SIM118 - iterating a Dataset would decode the elements
        if tag == _PIXEL_DATA:
            continue
        try:
            element = dataset[tag]
        except (ValueError, TypeError, NotImplementedError, KeyError):
            continue  # a source's value that its own VR does not allow
        path = f"{above}{element.keyword or _path(tag)}"
        if element.VR == "SQ":
            for item in element.value:
                yield from _elements(item, f"{path}/")
        else:
            yield path, element


def _texts(element: "DataElement") -> list[str]:
    value = element.value
    if isinstance(value, bytes):
        return [value.decode("latin-1")]
    if value is None:
        return [""]
    many = value if element.VM > 1 else [value]
    return [str(one).strip(" \0") for one in many]


def _words(text: str) -> set[str]:
    return {word.casefold() for word in _WORD.findall(text)}


def _short_number(word: str) -> bool:
    return word.isdigit() and len(word) < _LONG_NUMBER


def _pixel_digest(dataset: "Dataset") -> bytes:
    raw = dataset.get_item(_PIXEL_DATA).value if _PIXEL_DATA in dataset else b""
    return hashlib.sha256(raw or b"").digest()


def _source(path: str) -> "Dataset":
    from pydicom import dcmread

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the text of a warning quotes the value
            return dcmread(path, force=True)
    except OSError as err:
        raise SourceUnsettled(f"a file of the series cannot be read: {err.strerror}") from None


def _parsed(raw: bytes) -> "Dataset":
    from pydicom import dcmread

    return dcmread(BytesIO(raw))


def _path(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _day(text: str) -> date | None:
    digits = text.replace(".", "")[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None


def _moved(day: str, back: timedelta) -> str:
    moment = _day(day)
    return "" if moment is None else f"{moment - back:%Y%m%d}"
