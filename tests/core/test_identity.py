"""De-identify, let a server draw, re-identify: the identity on everything that should come back."""

import io
from collections.abc import Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import DataElement, Dataset, dcmread

from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import read_header
from drawcli.core.dicom.instance import slice_of
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import RESTORED, Crosswalk
from drawcli.pipeline.steps.deidentify import complete_crosswalk
from tests.core.files import as_bytes, ct_slice
from tests.deidentification.patients import Patient, patients
from tests.structure_sets import structure_set

OWN = OwnUids("2.25.1001", "2.25.1002")
TIMES = st.sampled_from(["", "0815", "081500", "235959.123456"])


@st.composite
def series(draw: st.DrawFn) -> list[bytes]:
    """Draw a small series of some patient: names in any script, fields missing or empty."""
    patient: Patient = draw(patients())
    values: dict[str, Any] = {
        "SpecificCharacterSet": patient.charset.split("\\"),
        "PatientID": patient.patient_id,
        "PatientBirthDate": draw(st.sampled_from(["", f"{patient.born:%Y%m%d}"])),
        "PatientBirthTime": draw(TIMES),
        "StudyTime": draw(TIMES),
        "AccessionNumber": draw(st.sampled_from(["", patient.accession[:16]])),
        "StudyID": draw(st.sampled_from(["", "1", patient.accession[:8]])),
        "StudyInstanceUID": patient.uid("1"),
        "SeriesInstanceUID": patient.uid("2"),
        "FrameOfReferenceUID": patient.uid("3"),
        "PatientSex": draw(st.sampled_from(["", "F", "M", "O"])),
    }
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        values[keyword] = f"{patient.studied:%Y%m%d}"
    slices = draw(st.integers(2, 5))
    tags = {0x00100010: patient.encoded(patient.name), 0x00080090: patient.encoded(patient.doctor)}
    return [
        with_raw(
            ct_slice(
                **values,
                SOPInstanceUID=patient.uid(f"4.{number}"),
                ImagePositionPatient=["-250", "-250", str(3 * number)],
            ),
            tags,
        )
        for number in range(slices)
    ]


def with_raw(dataset: Dataset, tags: dict[int, bytes]) -> bytes:
    """Return a slice with some values as the bytes that a scanner wrote."""
    for tag, raw in tags.items():
        dataset[tag] = DataElement(tag, "OB", raw + b" " * (len(raw) % 2))  # byte for byte
    data = as_bytes(dataset)
    for tag in tags:  # and under the VR that it has
        head = tag.to_bytes(4, "big")[1::-1] + tag.to_bytes(4, "big")[:1:-1]
        data = renamed(data, head)
    return data


def renamed(data: bytes, head: bytes) -> bytes:
    """Turn one explicit OB of a long length into a PN of a short one."""
    at = data.index(head + b"OB")
    length = int.from_bytes(data[at + 8 : at + 12], "little")
    return data[:at] + head + b"PN" + length.to_bytes(2, "little") + data[at + 12 :]


def there(sources: Sequence[bytes], key: bytes) -> tuple[list[Dataset], Crosswalk]:
    """Return what is sent of a series, and the way back."""
    stand_ins, headers = StandIns(key), [read_header(data, complete=True) for data in sources]
    known = Replacements.of(headers[0], stand_ins, Choices())
    sent = [deidentify_header(header, known) + bytes(8) for header in headers]
    files = [slice_of(header, path=f"/{n}", size=1, mtime_ns=1) for n, header in enumerate(headers)]
    crosswalk = Crosswalk.of(files)
    crosswalk = complete_crosswalk(
        crosswalk, known, headers[0], {one.path: one for one in crosswalk.files}
    )
    return [dcmread(io.BytesIO(data)) for data in sent], crosswalk


@settings(max_examples=150, deadline=None)
@given(series(), st.binary(min_size=32, max_size=32))
def test_what_goes_out_and_comes_home_is_what_it_was(sources: list[bytes], key: bytes) -> None:
    sent, crosswalk = there(sources, key)
    crosswalk = Crosswalk.from_plain(crosswalk.as_plain())  # as the vault keeps it
    received = read_header(structure_set(sent, ["Bladder", "Rectum"]), complete=True)

    home = reidentify_file(received, crosswalk, OWN)

    now, was = read_header(home, complete=True), read_header(sources[0], complete=True)
    for tag in RESTORED:
        assert (now.raw(tag) or b"").strip(b" \0") == (was.raw(tag) or b"").strip(b" \0"), hex(tag)
    if was.raw(0x00080005):  # else the values are ASCII, or bytes that nobody can name
        assert now.raw(0x00080005) == was.raw(0x00080005)
    images = [dcmread(io.BytesIO(data)) for data in sources]
    drawn = dcmread(io.BytesIO(home))
    assert drawn.SeriesDate == images[0].StudyDate
    assert drawn.StudyInstanceUID == images[0].StudyInstanceUID
    for roi in drawn.ROIContourSequence:
        for contour, image in zip(roi.ContourSequence, images, strict=True):
            (named,) = contour.ContourImageSequence
            assert named.ReferencedSOPInstanceUID == image.SOPInstanceUID
            assert contour.ContourData[2] == image.ImagePositionPatient[2]
    for stand_in in crosswalk.uids:
        assert stand_in.encode() not in home
    assert crosswalk.pseudonym.encode() not in home
