"""The crosswalk of a job: original UIDs, dates and identity, to re-identify its structure set.

It holds everything that must not leave the hospital and must not be in the ledger. It is stored
encrypted (see `adapters/state/vault.py`) from the moment that the series is found.
"""

import base64
import hashlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import readable_text

if TYPE_CHECKING:
    from drawcli.core.dicom.geometry import Triple
    from drawcli.core.dicom.header import Header
    from drawcli.core.dicom.instance import Slice

# Elements of patient and study (PS3.3 C.7.1.1, C.7.2.1) that are restored from the images, with
# their VR (PS3.6). UIDs are restored by `Crosswalk.uids`.
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


class SourceFile(NamedTuple):
    """A file of a series at the time of the scan."""

    path: str
    size: int  # bytes
    mtime_ns: int
    sop_uid: str
    header_sha256: str = ""  # of the header when it was packaged; "" before
    pixels_crc32: int = 0  # of the pixel data then
    ctime_ns: int = 0  # change time of the file then; 0 before
    frames: int = 1
    positions: "tuple[Triple, ...]" = ()  # ImagePositionPatient of each slice in it, mm


class Crosswalk(NamedTuple):
    """All data of a job that identify the patient."""

    series_uid: str
    study_uid: str
    patient_id: str  # ASCII with surrogates; `patient` has both as text
    patient_name: str
    files: tuple[SourceFile, ...]
    frame_uid: str = ""  # FrameOfReferenceUID (0020,0052)
    pseudonym: str = ""  # PatientID (0010,0020) as it was sent
    uids: Mapping[str, str] = {}  # stand-in -> original
    frame_numbers: Mapping[str, int] = {}  # stand-in of a frame -> number
    dates: Mapping[str, str] = {}  # DA or DT as sent -> as it was
    identity: Mapping[int, bytes] = {}  # tag -> value as in the source
    study_id: str = ""  # StudyID (0020,0010) as it was sent; the name of the package
    sop_class: str = ""  # of the images: SOPClassUID (0008,0016)
    policy: str = ""  # fingerprint of the de-identification policy
    character_set: bytes = b""  # SpecificCharacterSet (0008,0005) of `identity` and `patient`
    orientation: tuple[float, ...] = ()  # of all slices: six direction cosines
    spacing: tuple[float, ...] = ()  # of all slices: between rows, between columns, mm
    shape: tuple[int, int] = (0, 0)  # of all slices: rows, columns
    deliver_to: str = ""  # a folder for the structure set given with --to; "": as in the settings

    @classmethod
    def of(cls, slices: "Iterable[Slice]") -> Self:
        """Return the crosswalk of a series from its headers."""
        files = sorted(slices, key=lambda slice_: slice_.path)
        plane = files[0].planes[0] if files[0].planes else None
        return cls(
            series_uid=files[0].series_uid,
            study_uid=files[0].study_uid,
            patient_id=files[0].patient_id,
            patient_name=files[0].patient_name,
            character_set=files[0].character_set.encode("ascii", "surrogateescape"),
            files=tuple(
                SourceFile(
                    *(f.path, f.size, f.mtime_ns, f.sop_uid),
                    frames=f.count,
                    positions=tuple(p.position for p in f.planes if p.position),
                )
                for f in files
            ),
            orientation=(plane and plane.orientation) or (),
            spacing=(plane and plane.spacing) or (),
            shape=files[0].shape,
            frame_uid=next((f.frame_of_reference for f in files if f.frame_of_reference), ""),
        )

    def moved_to(self, slices: "Iterable[Slice]") -> Self:
        """Return the crosswalk with the present paths of its files, without missing ones."""
        present = {slice_.sop_uid: slice_ for slice_ in slices}
        files = tuple(
            file._replace(path=slice_.path, size=slice_.size, mtime_ns=slice_.mtime_ns)
            for file in self.files
            if (slice_ := present.get(file.sop_uid))
        )
        return self._replace(files=files)

    def with_paths(self, paths: Mapping[str, str]) -> Self:
        """Return the crosswalk with some paths replaced."""
        files = tuple(file._replace(path=paths.get(file.path, file.path)) for file in self.files)
        return self._replace(files=files)

    def images_sent(self) -> dict[str, int]:
        """Return SOPInstanceUID and number of frames of each image as it was sent."""
        if self.frame_numbers:  # each frame was an image
            return dict.fromkeys(self.frame_numbers, 1)
        stand_ins = {original: stand_in for stand_in, original in self.uids.items()}
        return {stand_ins.get(file.sop_uid, ""): file.frames for file in self.files}

    def as_plain(self) -> dict[str, Any]:
        """Return the crosswalk as JSON values."""
        plain = self._asdict()
        plain["files"] = [file._asdict() for file in self.files]
        plain["identity"] = {f"{tag:08X}": _text(raw) for tag, raw in self.identity.items()}
        plain["character_set"] = _text(self.character_set)
        return plain

    def readable(self) -> dict[str, str]:
        """Return the identity by DICOM keyword, decoded with the character set of the source."""
        from drawcli.core.dicom.dictionary import keyword_for_tag

        return {
            keyword_for_tag(tag): readable_text(raw, self.character_set)
            for tag, raw in self.identity.items()
        }

    @property
    def patient(self) -> tuple[str, str]:
        """Name and ID of the patient as text."""
        name, id_ = (
            readable_text(text.encode("ascii", "surrogateescape"), self.character_set)
            for text in (self.patient_name, self.patient_id)
        )
        return name, id_

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
            frame_numbers=plain.get("frame_numbers", {}),
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


def header_digest(header: "Header") -> str:
    """Return the SHA-256 of the bytes before the pixel data, 64 hex digits."""
    end = len(header.data) if header.pixels is None else header.pixels.value
    return hashlib.sha256(header.data[:end]).hexdigest()


def read_identity(header: "Header") -> dict[int, bytes]:
    """Return the patient and study values that a header has, as bytes by tag."""
    values = ((tag, header.raw(tag)) for tag in RESTORED)
    return {tag: raw for tag, raw in values if raw is not None}


def _file(plain: Mapping[str, Any]) -> SourceFile:
    return SourceFile(**{**plain, "positions": tuple(map(tuple, plain.get("positions", ())))})


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")
