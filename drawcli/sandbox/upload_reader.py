"""Reading and checking an upload, as the server's segmentation job does.

Nothing is unpacked to disk, so names in the zip cannot escape a folder.
"""

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final
from zipfile import BadZipFile, ZipFile, ZipInfo

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from drawcli.sandbox.catalogue import CATALOGUE, Catalogue
from drawcli.sandbox.template import RequestedTemplate, read_template

MOST_BYTES: Final = 4 << 30  # of all members together, unpacked
MOST_MEMBERS: Final = 5000
_MOST_TEMPLATE_BYTES: Final = 1 << 20
_FILLED: Final = (
    "PatientID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SOPClassUID",
    "SOPInstanceUID",
)
_PRESENT: Final = ("StudyDate", "StudyTime", "StudyID")
_DECODED: Final = frozenset(  # by the real job, whose pydicom has Pillow only
    {
        ImplicitVRLittleEndian,
        ExplicitVRLittleEndian,
        ExplicitVRBigEndian,
        DeflatedExplicitVRLittleEndian,
        RLELossless,
        JPEGBaseline8Bit,
        JPEG2000Lossless,
        JPEG2000,
    }
)


class BadUpload(Exception):
    """An upload that the server could not process; the text says why, without dataset values."""


@dataclass(frozen=True, slots=True)
class Upload:
    """The template and the slices of a zip."""

    template: RequestedTemplate
    slices: list[Dataset]


def read_upload(path: Path, catalogue: Catalogue = CATALOGUE) -> Upload:
    """Return template and slices of a zip; the models are those of a catalogue.

    Raises
    ------
    BadUpload
        If the zip is invalid.
    BadTemplate
        If its template file is invalid.
    """
    try:
        with ZipFile(path) as archive:
            slices, template = _members(archive)
            with archive.open(template) as stream:
                wanted = read_template(stream.read(_MOST_TEMPLATE_BYTES), catalogue)
            return Upload(wanted, _one_series([_slice(archive, member) for member in slices]))
    except (BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as err:
        raise BadUpload(f"the zip cannot be read ({type(err).__name__})") from err


def check_as_real_job(slices: Iterable[Dataset]) -> None:
    """Raise BadUpload for images that the real job dies on, although the sandbox can draw them."""
    for each in slices:
        if int(each.get("NumberOfFrames") or 1) > 1 or "PerFrameFunctionalGroupsSequence" in each:
            raise BadUpload("a multi-frame image: the job expects one slice a file")
        if (syntax := each.file_meta.TransferSyntaxUID) not in _DECODED:
            raise BadUpload(f"the job has no decoder for {syntax.name}")


def _members(archive: ZipFile) -> tuple[list[ZipInfo], ZipInfo]:
    """Return the slices and the template of a zip, from its directory alone."""
    members = archive.infolist()
    if len(members) > MOST_MEMBERS or sum(each.file_size for each in members) > MOST_BYTES:
        raise BadUpload("the zip is too large when unpacked")
    if any("/" in each.orig_filename or "\\" in each.orig_filename for each in members):
        raise BadUpload("the zip is not flat: it has folders")
    slices = [each for each in members if each.filename.endswith(".dcm")]
    templates = [each for each in members if each.filename.endswith(".yml")]
    others = len(members) - len(slices) - len(templates)
    if len(templates) != 1:
        raise BadUpload(f"the zip has {len(templates)} files ending .yml, not one")
    if others:
        raise BadUpload(f"the zip has {others} files ending neither .dcm nor .yml")
    if not slices:
        raise BadUpload("the zip has no file ending .dcm")
    return slices, templates[0]


def _slice(archive: ZipFile, member: ZipInfo) -> Dataset:
    try:
        dataset = dcmread(BytesIO(archive.read(member)))
    except InvalidDicomError as err:
        raise BadUpload("a file ending .dcm is not DICOM") from err
    for keyword in _FILLED:
        if not str(dataset.get(keyword) or ""):
            raise BadUpload(f"a slice has no {keyword}")
    for keyword in _PRESENT:
        if keyword not in dataset:
            raise BadUpload(f"a slice lacks {keyword}; it may be empty, but not missing")
    return dataset


def _one_series(slices: list[Dataset]) -> list[Dataset]:
    for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        if len({str(each.get(keyword) or "") for each in slices}) > 1:
            raise BadUpload(f"the slices have more than one {keyword}")
    if len({str(each.SOPInstanceUID) for each in slices}) < len(slices):
        raise BadUpload("two slices have one SOPInstanceUID")
    return slices
