"""The tags that drawcli names in its own code, by their keywords of PS3.6."""

from typing import Final

SpecificCharacterSet: Final = 0x00080005
ImageType: Final = 0x00080008
SOPClassUID: Final = 0x00080016
SOPInstanceUID: Final = 0x00080018
StudyDate: Final = 0x00080020
StudyTime: Final = 0x00080030
AccessionNumber: Final = 0x00080050
Modality: Final = 0x00080060
ReferringPhysicianName: Final = 0x00080090
StudyDescription: Final = 0x00081030
PatientName: Final = 0x00100010
PatientID: Final = 0x00100020
IssuerOfPatientID: Final = 0x00100021
PatientBirthDate: Final = 0x00100030
PatientBirthTime: Final = 0x00100032
PatientSex: Final = 0x00100040
PatientIdentityRemoved: Final = 0x00120062
DeidentificationMethod: Final = 0x00120063
DeidentificationMethodCodeSequence: Final = 0x00120064
StudyInstanceUID: Final = 0x0020000D
SeriesInstanceUID: Final = 0x0020000E
StudyID: Final = 0x00200010
ImagePositionPatient: Final = 0x00200032
ImageOrientationPatient: Final = 0x00200037
FrameOfReferenceUID: Final = 0x00200052
SamplesPerPixel: Final = 0x00280002
NumberOfFrames: Final = 0x00280008
Rows: Final = 0x00280010
Columns: Final = 0x00280011
PixelSpacing: Final = 0x00280030
BitsAllocated: Final = 0x00280100
PixelRepresentation: Final = 0x00280103
BurnedInAnnotation: Final = 0x00280301
LongitudinalTemporalInformationModified: Final = 0x00280303
