"""The way back of one job: which stand-in was which UID, and whose series it is.

A crosswalk holds everything that must not leave the hospital and must not lie in the ledger. It is
kept sealed (see `adapters/vault.py`) from the moment the series is found.
"""

import base64
import hashlib
import warnings
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Self

from drawcli.core.dicom import tags
from drawcli.core.dicom.geometry import Triple
from drawcli.core.dicom.header import Header
from drawcli.core.dicom.instance import Slice

# What a structure set takes over from the images it was drawn on: patient and study (PS3.3 C.7.1.1,
# C.7.2.1), with the VR of PS3.6 for the way back. UIDs go by the map instead.
RESTORED: Final[dict[int, str]] = {
    tags.StudyDate: "DA",
    tags.StudyTime: "TM",
    tags.AccessionNumber: "SH",
    tags.ReferringPhysicianName: "PN",
    tags.StudyDescription: "LO",
    tags.PatientName: "PN",
    tags.PatientID: "LO",
    tags.IssuerOfPatientID: "LO",
    tags.PatientBirthDate: "DA",
    tags.PatientBirthTime: "TM",
    tags.PatientSex: "CS",
    tags.PatientIdentityRemoved: "CS",
    tags.DeidentificationMethod: "LO",
    tags.StudyID: "SH",
}


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file of a series, as the scan saw it."""

    path: str
    size: int  # bytes
    mtime_ns: int
    sop_uid: str
    header_sha256: str = ""  # of the header as it was sent from; "" before
    pixels_crc32: int = 0  # of the pixel data, likewise
    ctime_ns: int = 0  # change time of the file when these were read; 0: they were not
    frames: int = 1  # more in a multi-frame image
    positions: tuple[Triple, ...] = ()  # ImagePositionPatient of each slice in it, mm


@dataclass(frozen=True, slots=True, kw_only=True)
class Crosswalk:
    """Everything about one job that identifies a patient."""

    series_uid: str
    study_uid: str
    patient_id: str  # as text, for a person who asks with --identify
    patient_name: str
    files: tuple[SourceFile, ...]
    frame_uid: str = ""  # FrameOfReferenceUID (0020,0052)
    pseudonym: str = ""  # PatientID (0010,0020) as it was sent
    uids: Mapping[str, str] = field(default_factory=dict)  # stand-in -> original
    dates: Mapping[str, str] = field(default_factory=dict)  # DA or DT as sent -> as it was
    identity: Mapping[int, bytes] = field(default_factory=dict)  # tag -> value as in the source
    study_id: str = ""  # StudyID (0020,0010) as it was sent: names the package
    sop_class: str = ""  # of the images: SOPClassUID (0008,0016)
    policy: str = ""  # by which it was sent: the fingerprint in the conformance statement
    character_set: bytes = b""  # SpecificCharacterSet (0008,0005) of those values
    orientation: tuple[float, ...] = ()  # of all slices: six direction cosines
    spacing: tuple[float, ...] = ()  # of all slices: between rows, between columns, mm
    shape: tuple[int, int] = (0, 0)  # of all slices: rows, columns
    deliver_to: str = ""  # the folder that a person named for the structure set; "": the settings'

    @classmethod
    def of(cls, slices: Iterable[Slice]) -> Self:
        """Return what the headers of a series say: whose it is, and its files."""
        files = sorted(slices, key=lambda one: one.path)
        plane = files[0].planes[0] if files[0].planes else None
        return cls(
            series_uid=files[0].series_uid,
            study_uid=files[0].study_uid,
            patient_id=files[0].patient_id,
            patient_name=files[0].patient_name,
            files=tuple(
                SourceFile(
                    *(f.path, f.size, f.mtime_ns, f.sop_uid),
                    frames=f.count,
                    positions=tuple(one.position for one in f.planes if one.position),
                )
                for f in files
            ),
            orientation=(plane and plane.orientation) or (),
            spacing=(plane and plane.spacing) or (),
            shape=files[0].shape,
            frame_uid=next((f.frame_of_reference for f in files if f.frame_of_reference), ""),
        )

    def moved_to(self, slices: Iterable[Slice]) -> Self:
        """Return the crosswalk with its files where they lie now; those gone are left out."""
        now = {one.sop_uid: one for one in slices}
        files = tuple(
            replace(file, path=one.path, size=one.size, mtime_ns=one.mtime_ns)
            for file in self.files
            if (one := now.get(file.sop_uid))
        )
        return replace(self, files=files)

    def placed(self, places: Mapping[str, str]) -> Self:
        """Return the crosswalk with some files at other paths."""
        files = tuple(replace(file, path=places.get(file.path, file.path)) for file in self.files)
        return replace(self, files=files)

    def as_plain(self) -> dict[str, Any]:
        """Return the crosswalk as JSON can hold it."""
        plain = asdict(self)
        plain["identity"] = {f"{tag:08X}": _text(raw) for tag, raw in self.identity.items()}
        plain["character_set"] = _text(self.character_set)
        return plain

    def readable(self) -> dict[str, str]:
        """Return whose series it is, by keyword, decoded as the source says."""
        from pydicom.charset import convert_encodings, decode_bytes
        from pydicom.valuerep import PN_DELIMS

        from drawcli.core.dicom.dictionary import keyword_for_tag

        charsets = self.character_set.decode("ascii", "replace").strip(" \0").split("\\")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                encodings = convert_encodings(charsets)
            except LookupError:
                encodings = ["utf-8"]
            return {
                keyword_for_tag(tag): decode_bytes(raw.rstrip(b" \0"), encodings, PN_DELIMS)
                for tag, raw in self.identity.items()
            }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Self:
        """Return the crosswalk that `as_plain` wrote."""
        identity = {int(tag, 16): base64.b64decode(raw) for tag, raw in plain["identity"].items()}
        return cls(
            series_uid=plain["series_uid"],
            study_uid=plain["study_uid"],
            patient_id=plain["patient_id"],
            patient_name=plain["patient_name"],
            files=tuple(map(_file, plain["files"])),
            frame_uid=plain["frame_uid"],
            pseudonym=plain["pseudonym"],
            uids=plain["uids"],
            dates=plain["dates"],
            identity=identity,
            study_id=plain.get("study_id", ""),
            sop_class=plain.get("sop_class", ""),
            policy=plain.get("policy", ""),
            character_set=base64.b64decode(plain["character_set"]),
            orientation=tuple(plain.get("orientation", ())),
            spacing=tuple(plain.get("spacing", ())),
            shape=tuple(plain.get("shape", (0, 0))),
            deliver_to=plain.get("deliver_to", ""),
        )


def header_digest(header: Header) -> str:
    """Return a digest over all that a file says before its pixels: SHA-256, 64 hex digits."""
    end = len(header.data) if header.pixels is None else header.pixels.value
    return hashlib.sha256(header.data[:end]).hexdigest()


def identity_of(header: Header) -> dict[int, bytes]:
    """Return the patient and study values of a header, byte for byte, those that it has."""
    values = ((tag, header.raw(tag)) for tag in RESTORED)
    return {tag: raw for tag, raw in values if raw is not None}


def _file(plain: Mapping[str, Any]) -> SourceFile:
    return SourceFile(**{**plain, "positions": tuple(map(tuple, plain.get("positions", ())))})


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
