"""The tags used in several modules, by their keywords of PS3.6."""

from typing import Final

SpecificCharacterSet: Final = 0x00080005
ImageType: Final = 0x00080008
InstanceCreationDate: Final = 0x00080012
InstanceCreationTime: Final = 0x00080013
SOPClassUID: Final = 0x00080016
SOPInstanceUID: Final = 0x00080018
StudyDate: Final = 0x00080020
StudyTime: Final = 0x00080030
AccessionNumber: Final = 0x00080050
Modality: Final = 0x00080060
ReferringPhysicianName: Final = 0x00080090
TimezoneOffsetFromUTC: Final = 0x00080201
StudyDescription: Final = 0x00081030
SeriesDescription: Final = 0x0008103E
OperatorsName: Final = 0x00081070
ReferencedSOPClassUID: Final = 0x00081150
ReferencedSOPInstanceUID: Final = 0x00081155
ReferencedFrameNumber: Final = 0x00081160
PatientName: Final = 0x00100010
PatientID: Final = 0x00100020
IssuerOfPatientID: Final = 0x00100021
PatientBirthDate: Final = 0x00100030
PatientBirthTime: Final = 0x00100032
PatientSex: Final = 0x00100040
PatientIdentityRemoved: Final = 0x00120062
DeidentificationMethod: Final = 0x00120063
DeidentificationMethodCodeSequence: Final = 0x00120064
ContributingEquipmentSequence: Final = 0x0018A001
StudyInstanceUID: Final = 0x0020000D
SeriesInstanceUID: Final = 0x0020000E
StudyID: Final = 0x00200010
ImagePositionPatient: Final = 0x00200032
ImageOrientationPatient: Final = 0x00200037
FrameOfReferenceUID: Final = 0x00200052
PositionReferenceIndicator: Final = 0x00201040
SamplesPerPixel: Final = 0x00280002
NumberOfFrames: Final = 0x00280008
Rows: Final = 0x00280010
Columns: Final = 0x00280011
PixelSpacing: Final = 0x00280030
BitsAllocated: Final = 0x00280100
PixelRepresentation: Final = 0x00280103
BurnedInAnnotation: Final = 0x00280301
LongitudinalTemporalInformationModified: Final = 0x00280303
StructureSetLabel: Final = 0x30060002
StructureSetName: Final = 0x30060004
StructureSetDescription: Final = 0x30060006
StructureSetDate: Final = 0x30060008
StructureSetTime: Final = 0x30060009
ReferencedFrameOfReferenceSequence: Final = 0x30060010
RTReferencedStudySequence: Final = 0x30060012
RTReferencedSeriesSequence: Final = 0x30060014
ContourImageSequence: Final = 0x30060016
PredecessorStructureSetSequence: Final = 0x30060018
StructureSetROISequence: Final = 0x30060020
ROINumber: Final = 0x30060022
ReferencedFrameOfReferenceUID: Final = 0x30060024
ROIName: Final = 0x30060026
ROIDisplayColor: Final = 0x3006002A
ROIGenerationAlgorithm: Final = 0x30060036
ROIGenerationDescription: Final = 0x30060038
ROIContourSequence: Final = 0x30060039
ContourSequence: Final = 0x30060040
ContourGeometricType: Final = 0x30060042
NumberOfContourPoints: Final = 0x30060046
ContourData: Final = 0x30060050
RTROIObservationsSequence: Final = 0x30060080
ObservationNumber: Final = 0x30060082
ReferencedROINumber: Final = 0x30060084
RTROIInterpretedType: Final = 0x300600A4
ROIInterpreter: Final = 0x300600A6
ReferencedStructureSetSequence: Final = 0x300C0060
ApprovalStatus: Final = 0x300E0002
ReviewDate: Final = 0x300E0004
ReviewTime: Final = 0x300E0005


def tag_text(tag: int) -> str:
    """Return a tag as (gggg,eeee).

    >>> tag_text(0x00100020)
    '(0010,0020)'
    """
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
