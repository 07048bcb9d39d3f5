"""Small images made with pydicom alone, and the bytes of any data set."""

import io
from collections.abc import Iterator

from pydicom import Dataset, Sequence, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from drawcli.core.dicom.header import Header, read_header

CT = "1.2.840.10008.5.1.4.1.1.2"
SYNTAXES = {"explicit": ExplicitVRLittleEndian, "implicit": ImplicitVRLittleEndian}
ROOT = "1.3.6.1.4.1.9590"  # of the UIDs that are invented here


def item(**values: object) -> Dataset:
    made = Dataset()
    for keyword, value in values.items():
        setattr(made, keyword, value)
    return made


def ct_slice(**values: object) -> Dataset:
    """Return a complete CT slice of 2 x 2 pixels; `values` replace or add elements."""
    one = item(
        SpecificCharacterSet="ISO_IR 100",
        ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
        SOPClassUID=CT,
        SOPInstanceUID=f"{ROOT}.1.1",
        StudyDate="20260314",
        SeriesDate="20260314",
        AcquisitionDate="20260314",
        ContentDate="20260315",
        StudyTime="083000.5",
        SeriesTime="084500",
        Modality="CT",
        Manufacturer="ACME",
        AccessionNumber="ACC4711",
        ReferringPhysicianName="Hausarzt^Hanna",
        PatientName="Muster^Maria",
        PatientID="PID-0815",
        PatientBirthDate="19640229",
        PatientSex="F",
        StudyInstanceUID=f"{ROOT}.2",
        SeriesInstanceUID=f"{ROOT}.3",
        FrameOfReferenceUID=f"{ROOT}.4",
        StudyID="S77",
        SeriesNumber="3",
        AcquisitionNumber="1",
        InstanceNumber="1",
        ImagePositionPatient=["-250", "-250", "0.50"],
        ImageOrientationPatient=["1", "0", "0", "0", "1", "0"],
        PixelSpacing=["0.9765625", "0.9765625"],
        SliceThickness="3.000",
        KVP="120",
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=2,
        Columns=2,
        BitsAllocated=16,
        BitsStored=12,
        HighBit=11,
        PixelRepresentation=0,
        RescaleIntercept="-1024",
        RescaleSlope="1",
        PixelData=bytes(8),
    )
    for keyword, value in values.items():
        setattr(one, keyword, value)
    return one


def as_bytes(dataset: Dataset, syntax: str = "explicit") -> bytes:
    """Return a data set as a file with preamble and file meta."""
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = SYNTAXES[syntax]
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def header_of(dataset: Dataset, syntax: str = "explicit") -> Header:
    """Return what our reader makes of a data set."""
    return read_header(as_bytes(dataset, syntax), complete=True)


def parsed(raw: bytes) -> Dataset:
    return dcmread(io.BytesIO(raw))


def every_element(dataset: Dataset) -> Iterator[tuple[tuple[int, ...], object]]:
    """Yield the path of tags and the value of every element at every depth, but for sequences."""
    for element in dataset:
        if element.VR == "SQ":
            yield (int(element.tag),), Sequence
            for inner in element.value:
                for path, value in every_element(inner):
                    yield (int(element.tag), *path), value
        else:
            yield (int(element.tag),), element.value
