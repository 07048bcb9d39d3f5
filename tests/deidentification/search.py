"""Search de-identified files for a patient, independent of engine and gate.

Plain bytes of everything but the pixels, the text of every element at every depth as pydicom
decodes it, file meta, preamble, and the names of the members.
"""

import io
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.multival import MultiValue

from tests.deidentification.patients import Patient

_PIXEL_DATA: Final = 0x7FE00010
_PREAMBLE: Final = 128
_LEAST_ASCII: Final = 4  # characters: shorter words stand everywhere by chance
_LEAST_OTHER: Final = 2
_LEAST_BYTES: Final = 4
_LEAST_DIGITS: Final = 8
_ENCODINGS: Final = "utf-8 utf-16-le utf-16-be latin-1".split()


def folded(text: str) -> str:
    """Return a text without case, accents and marks."""
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(char for char in apart if unicodedata.category(char) != "Mn")


class Judge:
    """The identifiers of one patient."""

    def __init__(self, patient: Patient) -> None:
        words = list(_words(patient))
        self.words = {folded(word) for word in words}
        self.ids = {
            _joined(one)
            for one in (patient.patient_id, patient.other_id, patient.accession, patient.phone[3:])
        }
        self.exact = {one.casefold() for one in (*patient.days, patient.mail, patient.root)}
        self.raw = {
            raw
            for word in (*words, *self.exact)
            for raw in (*_bytes_of(word), patient.encoded(word).lower())
            if len(raw) >= _LEAST_BYTES
        }

    def leaks(self, raw: bytes, pixels: bytes = b"") -> set[str]:
        """Return identifiers found in a file that ends with these pixels."""
        assert raw.endswith(pixels)
        head = raw[: len(raw) - len(pixels)]
        found = {f"bytes: {one!r}" for one in self.raw if one in head.lower()}
        if any(head[:_PREAMBLE]):
            found.add("preamble")
        for where, said in texts(raw):
            found |= {f"{where}: {one}" for one in self.said(said)}
        return found

    def said(self, text: str) -> set[str]:
        """Return identifiers found in a text."""
        plain, joined = folded(text), _joined(text)
        said = {word for word in self.words if word in plain}
        said |= {one for one in self.exact if one in text.casefold()}
        is_stand_in = text.startswith("2.25.")  # 39 random digits
        return said | {one for one in self.ids if one in joined and not is_stand_in}

    def zipped(self, package: Path) -> set[str]:
        """Return identifiers found anywhere in a package."""
        found = set()
        with zipfile.ZipFile(package) as archive:
            found |= self.said(archive.comment.decode("latin-1"))
            for member in archive.infolist():
                beside = f"{member.filename} {member.comment!r} {member.extra!r}"
                found |= {f"zip: {one}" for one in self.said(beside.removeprefix("2.25."))}
                raw = archive.read(member)
                if member.filename.endswith(".dcm"):
                    found |= self.leaks(raw, pixels_of(raw))
                else:
                    found |= self.said(raw.decode("utf-8"))
        return found


def texts(raw: bytes) -> Iterator[tuple[str, str]]:
    """Yield place and text of every element of a file, at every depth."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(io.BytesIO(raw), force=True)
        yield from _texts(dataset.file_meta, "meta ")
        yield from _texts(dataset, "")


def pixels_of(raw: bytes) -> bytes:
    """Return the bytes of the pixel data at the end of a de-identified file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = dcmread(io.BytesIO(raw)).get_item(_PIXEL_DATA)
    start = getattr(held, "value_tell", None)
    assert isinstance(start, int)
    return raw[start:]


def _texts(dataset: Dataset, above: str) -> Iterator[tuple[str, str]]:
    for tag in dataset.keys():  # noqa: SIM118 - a data set yields elements, and decodes them all
        where = f"{above}{tag}"
        raw = dataset.get_item(tag).value
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 - damaged: then its bytes say all that can be said
            yield where, raw.decode("latin-1") if isinstance(raw, bytes) else str(type(raw))
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from _texts(item, f"{where}/")
        elif int(tag) != _PIXEL_DATA or above:
            value = element.value
            for one in value if isinstance(value, MultiValue | list) else [value]:
                yield where, one.decode("latin-1") if isinstance(one, bytes) else str(one)


def _words(patient: Patient) -> Iterator[str]:
    """Yield the words of names and places that are long enough to search for."""
    for text in (patient.name, patient.doctor, patient.street, patient.hospital):
        for word in text.replace("^", " ").replace("=", " ").split():
            if len(word) >= (_LEAST_ASCII if word.isascii() else _LEAST_OTHER):
                yield word


def _bytes_of(word: str) -> Iterator[bytes]:
    for encoding in _ENCODINGS:
        try:
            yield word.encode(encoding).lower()
            yield folded(word).encode(encoding)
        except UnicodeEncodeError:
            continue


def _joined(text: str) -> str:
    return "".join(char for char in folded(text) if char.isalnum())
