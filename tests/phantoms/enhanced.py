"""The phantom scans as multi-frame images: enhanced, as new scanners write them, or converted.

Made from the slices of a classic phantom, so that anatomy, patient and hospital are the same. What
identifies the patient stands in the groups as well, where comments, codes and private elements of
real files hold it.
"""

from collections.abc import Sequence as Several
from itertools import pairwise
from pathlib import Path
from typing import Final

from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from drawcli.sandbox.headers import coded, one_item
from drawcli.sandbox.patients import Person
from tests.phantoms.groups import GROUPS, ORIGIN, fill, frame_type, mr_top, pt_top

ENHANCED: Final = {
    "CT": UID("1.2.840.10008.5.1.4.1.1.2.1"),
    "MR": UID("1.2.840.10008.5.1.4.1.1.4.1"),
    "PT": UID("1.2.840.10008.5.1.4.1.1.130"),
}
CONVERTED: Final = {
    "CT": UID("1.2.840.10008.5.1.4.1.1.2.2"),
    "MR": UID("1.2.840.10008.5.1.4.1.1.4.4"),
    "PT": UID("1.2.840.10008.5.1.4.1.1.128.1"),
}
# Of a classic image, what an enhanced one says in its groups, or not at all.
_MOVED: Final = """
    AcquisitionDate AcquisitionNumber AcquisitionTime ActualFrameDuration
    AttenuationCorrectionMethod CollimatorType ConvolutionKernel CorrectedImage CountsSource
    DataCollectionDiameter DecayCorrection DecayFactor DistanceSourceToDetector
    DistanceSourceToPatient EchoTime EchoTrainLength Exposure ExposureTime FilterType FlipAngle
    FocalSpots FrameReferenceTime GantryDetectorTilt ImageIndex ImageOrientationPatient
    ImagePositionPatient InstanceNumber IrradiationEventUID KVP MagneticFieldStrength
    MRAcquisitionType NumberOfSlices PatientGantryRelationshipCodeSequence
    PatientOrientationCodeSequence PixelPaddingValue PixelSpacing
    RadiopharmaceuticalInformationSequence RandomsCorrectionMethod ReconstructionDiameter
    ReconstructionMethod ReferencedImageSequence RepetitionTime RescaleIntercept RescaleSlope
    RescaleType RotationDirection ScanningSequence ScanOptions SequenceVariant SeriesType
    SliceLocation SliceThickness TableHeight Units WindowCenter WindowWidth XRayTubeCurrent
""".split()
_FRAME_SECONDS: Final = 0.5


def write_enhanced(
    path: Path,
    person: Person,
    slices: Several[Path],
    *,
    converted: bool = False,
    implicit: bool = False,
) -> Path:
    """Write one multi-frame image from the slices of a classic series, and return its path.

    Parameters
    ----------
    path
        Where to write.
    person
        Whose scan it is.
    slices
        The classic files, in the order of the frames.
    converted
        Write a Legacy Converted Enhanced image, as archives make them.
    implicit
        Write implicit VR little endian; explicit otherwise.
    """
    classic = [dcmread(one) for one in slices]
    image = _top(classic, person, converted=converted)
    shared, frames = _shared(classic, person), _frames(classic, person)
    if converted:
        _leave_over(shared, frames, classic)
    image.SharedFunctionalGroupsSequence = Sequence([shared])
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    image.PixelData = b"".join(one.PixelData for one in classic)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = image.SOPClassUID
    meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    image.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save_as(path, enforce_file_format=True, overwrite=True)
    return path


def _top(classic: Several[Dataset], person: Person, *, converted: bool) -> Dataset:
    """Return what stands before the functional groups."""
    image = Dataset()
    image.update({e.tag: e for e in classic[0] if e.keyword not in {*_MOVED, "PixelData"}})
    modality = image.Modality
    image.SOPClassUID = (CONVERTED if converted else ENHANCED)[modality]
    image.SOPInstanceUID = person.uid("enhanced", modality, converted, classic[0].SeriesNumber)
    image.SeriesInstanceUID = person.uid("enhanced", modality, classic[0].SeriesNumber)
    image.ImageType = frame_type(classic[0])
    fill(image, ORIGIN, VolumeBasedCalculationTechnique="NONE")
    image.ContentQualification = "PRODUCT"
    image.InstanceNumber = 1
    image.NumberOfFrames = len(classic)
    image.BurnedInAnnotation = "NO"
    image.LossyImageCompression = "00"
    image.PresentationLUTShape = "IDENTITY"
    image.AcquisitionContextSequence = Sequence()
    image.AcquisitionDuration = _FRAME_SECONDS * len(classic)
    organization = person.uid("dimensions", modality)
    image.DimensionOrganizationSequence = one_item(DimensionOrganizationUID=organization)
    image.DimensionIndexSequence = Sequence(
        [
            one_item(
                DimensionOrganizationUID=organization,
                DimensionIndexPointer=pointer,
                FunctionalGroupPointer=0x00209111,
            )[0]
            for pointer in (0x00209056, 0x00209057)  # stack, position in it
        ]
    )
    if modality == "MR":
        mr_top(image, classic[0])
    elif modality == "PT":
        pt_top(image, person)
    return image


def _shared(classic: Several[Dataset], person: Person) -> Dataset:
    """Return the groups that are the same for all frames."""
    first = classic[0]
    steps = [b.SliceLocation - a.SliceLocation for a, b in pairwise(classic)]
    groups = Dataset()
    groups.PixelMeasuresSequence = one_item(
        PixelSpacing=first.PixelSpacing,
        SliceThickness=first.SliceThickness,
        SpacingBetweenSlices=f"{abs(steps[0]):.4f}" if steps else first.SliceThickness,
    )
    groups.PlaneOrientationSequence = one_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    groups.FrameVOILUTSequence = one_item(
        WindowCenter=first.WindowCenter,
        WindowWidth=first.WindowWidth,
        WindowCenterWidthExplanation=f"for {person.referring}"[:64],
    )
    groups.PixelValueTransformationSequence = one_item(
        RescaleIntercept=first.get("RescaleIntercept", 0),
        RescaleSlope=first.get("RescaleSlope", 1),
        RescaleType={"CT": "HU", "PT": "BQML"}.get(first.Modality, "US"),
    )
    groups.FrameAnatomySequence = one_item(
        FrameLaterality="U",
        AnatomicRegionSequence=coded("T-D3000", "SRT", f"Chest of {person.file_name}"),
    )
    _private(groups, person)
    GROUPS[first.Modality](groups, first, person)
    return groups


def _frames(classic: Several[Dataset], person: Person) -> list[Dataset]:
    """Return the groups of each frame: when and where it was taken."""
    frames = []
    for number, one in enumerate(classic, start=1):
        groups = Dataset()
        taken = f"{person.study_date}{person.study_time}"
        groups.FrameContentSequence = one_item(
            FrameAcquisitionNumber=1,
            FrameReferenceDateTime=taken,
            FrameAcquisitionDateTime=taken,
            FrameAcquisitionDuration=1000 * _FRAME_SECONDS,
            FrameComments=f"frame {number} of {person.file_name}",
            StackID="1",
            InStackPositionNumber=number,
            DimensionIndexValues=[1, number],
        )
        if one.Modality == "PT":
            groups.FrameContentSequence[0].TemporalPositionIndex = 1
        groups.PlanePositionSequence = one_item(ImagePositionPatient=one.ImagePositionPatient)
        frames.append(groups)
    return frames


def _leave_over(shared: Dataset, frames: Several[Dataset], classic: Several[Dataset]) -> None:
    """Add what a converter finds no other place for, and which file each frame was."""
    rest = Dataset()
    rest.update({e.tag: e for e in classic[0] if e.keyword in ("KVP", "EchoTime", "Units")})
    rest.StudyComments = str(classic[0].ImageComments)
    rest.ProtocolName = classic[0].ProtocolName
    shared.UnassignedSharedConvertedAttributesSequence = Sequence([rest])
    for groups, one in zip(frames, classic, strict=True):
        groups.UnassignedPerFrameConvertedAttributesSequence = one_item(
            InstanceNumber=one.InstanceNumber,
            SliceLocation=one.SliceLocation,
            AcquisitionDate=one.AcquisitionDate,
        )
        groups.ConversionSourceAttributesSequence = one_item(
            ReferencedSOPClassUID=one.SOPClassUID, ReferencedSOPInstanceUID=one.SOPInstanceUID
        )


def _private(groups: Dataset, person: Person) -> None:
    group, creator = person.scanner.private_group, f"GROUPS OF {person.station}"
    block = groups.private_block(group, creator, create=True)
    block.add_new(0x01, "LO", person.file_name)
