"""Valid inputs of the targets that read images, structure sets and zips; all are made here."""

import io
from hashlib import sha256
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.pixels.encoders.native import _encode_frame
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
)

from drawcli.core.dicom.codestream import RLE
from tests.adapters.packages import packaged
from tests.core.dicom.test_codestream import jpeg, jpeg_2000, rle, tile_lengths, wrapped
from tests.core.files import as_bytes, ct_slice, item
from tests.fuzz import structure_set_files, zip_files

BASE = "1.2.840.10008.1.2.4."
RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"


def file_messages() -> dict[str, list[bytes]]:
    """Return the valid inputs of each target."""
    return {
        "image_header": [*slices(), written(enhanced("CT"))],
        "header_difference": [*slices()[:1], as_bytes(changed_slice())],
        "rule_header": [as_bytes(changed_slice()), slices()[1]],
        **code_streams(),
        "functional_groups": [
            written(enhanced("CT")),
            written(enhanced("CT", spacing=3)),
            written(enhanced("MR"), undefined=True),
            written(enhanced("PT"), implicit=True),
        ],
        "structure_set": [structures(), structures(undefined=True), structures(implicit=False)],
        "acceptance_gate": [structures(), structures(undefined=True), structures(implicit=False)],
        "one_off_zip": zips(),
        "package_gate": packages(),
    }


# --- images


def changed_slice() -> Dataset:
    return ct_slice(SOPInstanceUID="1.2.9", InstanceNumber="2", ProtocolName="RT Pelvis", KVP="80")


def slices() -> list[bytes]:
    """Return a slice in several encodings."""
    one = ct_slice(RequestAttributesSequence=[item(ScheduledProcedureStepID="7")])
    one.private_block(0x0009, "ACME", create=True).add_new(1, "LO", "x")
    made = [as_bytes(one), as_bytes(one, "implicit")]
    one["RequestAttributesSequence"].is_undefined_length = True
    one.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    made.append(as_bytes(one))
    for syntax in (ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian):
        one = ct_slice()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = syntax
        out = io.BytesIO()
        one.save_as(out, enforce_file_format=True)
        made.append(out.getvalue())
    compressed = as_bytes(ct_slice(), "explicit")
    at = compressed.rindex(b"\xe0\x7f\x10\x00")
    head = compressed[: at + 8] + b"\xff" * 4
    return [*made, head + wrapped(b"\xff\xd8\xff\xd9")]


def enhanced(modality: str, spacing: int = 0) -> Dataset:
    """Return a multi-frame image of two frames of 2 x 2 pixels; `spacing`: of each frame, mm."""
    sop_class = {"CT": "2.1", "MR": "4.1", "PT": "130"}[modality]
    one = ct_slice(
        SOPClassUID=f"1.2.840.10008.5.1.4.1.1.{sop_class}",
        Modality=modality,
        NumberOfFrames="2",
        PixelData=bytes(16),
    )
    for (
        keyword
    ) in "ImagePositionPatient ImageOrientationPatient PixelSpacing SliceThickness".split():
        delattr(one, keyword)
    for keyword in "RescaleIntercept RescaleSlope KVP AcquisitionNumber InstanceNumber".split():
        delattr(one, keyword)
    shared = item(
        PlaneOrientationSequence=[item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])],
        PixelMeasuresSequence=[item(PixelSpacing=[2, 2], SliceThickness="3")],
        PixelValueTransformationSequence=[
            item(RescaleIntercept="-1024", RescaleSlope="1", RescaleType="HU")
        ],
    )
    if modality == "MR":
        shared.MREchoSequence = [item(EffectiveEchoTime=12.5)]
        shared.MRImageFrameTypeSequence = [item(FrameType=["ORIGINAL", "PRIMARY", "A", "NONE"])]
    if modality == "PT":
        shared.PixelValueTransformationSequence[0].RescaleType = "BQML"
    one.SharedFunctionalGroupsSequence = [shared]
    one.PerFrameFunctionalGroupsSequence = [
        item(
            FrameContentSequence=[
                item(StackID="1", InStackPositionNumber=n, FrameAcquisitionNumber=1)
            ],
            PlanePositionSequence=[item(ImagePositionPatient=[0, 0, 3 * n])],
        )
        for n in (1, 2)
    ]
    for frame in one.PerFrameFunctionalGroupsSequence if spacing else ():
        frame.PixelMeasuresSequence = [item(PixelSpacing=[spacing] * 2, SliceThickness="3")]
    return one


def written(one: Dataset, *, implicit: bool = False, undefined: bool = False) -> bytes:
    """Return a data set as a file; `undefined`: with delimiters in place of lengths."""
    for element in one.iterall() if undefined else ():
        if element.VR == "SQ":
            element.is_undefined_length = True
            for inside in element.value:
                inside.is_undefined_length_sequence_item = True
    return as_bytes(one, "implicit" if implicit else "explicit")


def code_streams() -> dict[str, list[bytes]]:
    """Return pixel data of each coding; the first byte says how many frames there are."""
    name = b"\xff\xfe\0\x06Mary"
    pixels = bytes(range(16))
    made = {
        "jpeg_stream": [jpeg(f"{BASE}50"), jpeg(f"{BASE}50", extra=name, tail=b"\0\0")],
        "jpeg_lossless_stream": [jpeg(f"{BASE}70")],
        "jpeg_ls_stream": [jpeg(f"{BASE}80"), jpeg_ls_frame()],
        "jpeg_2000_stream": [
            jpeg_2000(extra=tile_lengths(19)),
            jpeg_2000(whole=False, extra=b"\xff\x64\0\x08\0\1Mary"),
        ],
        "rle_stream": [rle(slack=b"\0"), _encode_frame(pixels, item_runner(8))],
    }
    found = {}
    for coding, frames in made.items():
        table = pack("<2I", 0, 8 + len(frames[0]))
        pair = [frames[0], frames[0]]
        found[coding] = [
            *(b"\0" + wrapped(one) for one in frames),
            b"\1" + wrapped(*pair, table=table),
            b"\1" + wrapped(*pair),
            b"\0" + wrapped(frames[0][:9], frames[0][9:]),
        ]
    wide = _encode_frame(pixels * 2, item_runner(16))
    found["rle_stream"].append(b"\x10" + wrapped(wide))
    found["rle_stream"].append(b"\0" + wrapped(_encode_frame(b"\7" * 16, item_runner(8))))
    return found


def item_runner(bits: int) -> Any:
    """Return the description of a frame that pydicom's encoder of RLE asks for."""
    from pydicom.pixels import get_encoder  # type: ignore[attr-defined] # documented there
    from pydicom.pixels.encoders.base import EncodeRunner

    assert get_encoder(RLE).is_available
    options: dict[str, Any] = {
        "rows": 4,
        "columns": 4,
        "samples_per_pixel": 1,
        "number_of_frames": 1,
        "bits_allocated": bits,
        "bits_stored": bits,
        "pixel_representation": 0,
        "photometric_interpretation": "MONOCHROME2",
    }
    runner = EncodeRunner(UID(RLE))
    runner.set_options(**options)
    return runner


def jpeg_ls_frame() -> bytes:
    """Return a frame as an encoder makes it."""
    import jpeg_ls  # type: ignore[import-untyped]
    import numpy as np

    return bytes(jpeg_ls.encode(np.full((4, 4), 7, np.uint8)))


# --- structure sets


def structures(*, implicit: bool = True, undefined: bool = False) -> bytes:
    """Return what a server sends for the crosswalk of the target."""
    square = [(10, 10), (30, 10), (30, 30), (10, 30)]
    names = structure_set_files.WANTED
    one = item(
        SpecificCharacterSet="ISO_IR 100",
        SOPClassUID=RTSTRUCT,
        SOPInstanceUID="2.25.801",
        StudyDate="20250101",
        StudyTime="083000",
        Modality="RTSTRUCT",
        Manufacturer="Qurit",
        PatientName="DEID^AAAA",
        PatientID="DEID-AAAA",
        StudyInstanceUID="2.25.2",
        SeriesInstanceUID="2.25.802",
        StudyID="PACKAGE1",
        StructureSetLabel="RTstruct",
        StructureSetDate="20261114",
        StructureSetTime="120000",
        ApprovalStatus="UNAPPROVED",
    )
    images = [
        item(
            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2", ReferencedSOPInstanceUID=f"2.25.5{n}"
        )
        for n in (1, 2, 3)
    ]
    series = item(SeriesInstanceUID="2.25.1", ContourImageSequence=images)
    study = item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
        ReferencedSOPInstanceUID="2.25.2",
        RTReferencedSeriesSequence=[series],
    )
    one.ReferencedFrameOfReferenceSequence = [
        item(FrameOfReferenceUID="2.25.3", RTReferencedStudySequence=[study])
    ]
    one.StructureSetROISequence = [
        item(
            ROINumber=str(number),
            ReferencedFrameOfReferenceUID="2.25.3",
            ROIName=name,
            ROIGenerationAlgorithm="AUTOMATIC",
        )
        for number, name in enumerate(names, 1)
    ]
    one.ROIContourSequence = [
        item(
            ROIDisplayColor=["255", "0", "0"],
            ReferencedROINumber=str(number),
            ContourSequence=[
                item(
                    ContourImageSequence=[
                        item(
                            ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
                            ReferencedSOPInstanceUID=f"2.25.5{n}",
                        )
                    ],
                    ContourGeometricType="CLOSED_PLANAR",
                    NumberOfContourPoints="4",
                    ContourData=[v for x, y in square for v in (x + number, y, 3 * n)],
                )
                for n in (1, 2, 3)
            ],
        )
        for number in (1, 2)
    ]
    one.RTROIObservationsSequence = [
        item(
            ObservationNumber=str(number),
            ReferencedROINumber=str(number),
            RTROIInterpretedType="ORGAN",
            ROIInterpreter="",
        )
        for number in (1, 2)
    ]
    return written(one, implicit=implicit, undefined=undefined)


# --- zips


def zips() -> list[bytes]:
    """Return zips of cases, plain and hostile."""
    one, other = list(zip_files.slices().values())
    new = zip_files.NEW
    return [
        zip_files.zipped([new + b"CT/1.dcm", one[:400], new + b"CT/2.dcm", other[:300]]),
        zip_files.zipped([new + b"a/b/Muster^Maria.dcm", bytes(3000)]),
        *(zip_files.zipped([new + b"1.dcm", sized(size)]) for size in (99_990, 100_008)),
        zip_files.zipped([new + b"../up.dcm", b"x", new + b"/etc/x", b"y", new + b"C:z", b"z"]),
    ]


def sized(size: int) -> bytes:
    """Return bytes of which enough cannot be compressed for the bound of the ratio."""
    return b"".join(sha256(bytes([n])).digest() for n in range(200)).ljust(size, b"\0")


def packages() -> list[bytes]:
    """Return the package of the slices of the target, and one of the slices as they are."""
    paths = [Path(path) for path in zip_files.slices()]
    with TemporaryDirectory() as folder:
        clean = packaged(paths, Path(folder, "package.zip")).read_bytes()
    raw: list[bytes] = []
    for number, content in enumerate(zip_files.slices().values()):
        raw += [zip_files.NEW + b"2.25.%d.dcm" % number, content]
    return [clean, zip_files.zipped(raw)]
