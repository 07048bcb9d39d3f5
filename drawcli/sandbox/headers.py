"""The headers of the phantom files, as scanners write them.

The order of attributes within a function follows the modules of PS3.3.
"""

from pathlib import Path
from typing import Final

from pydicom import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    SecondaryCaptureImageStorage,
)

from drawcli.sandbox import NOTICE
from drawcli.sandbox.anatomy import FIELD_MM
from drawcli.sandbox.patients import Person

_CT_ACQUISITION: Final[dict[str, object]] = {
    "AcquisitionNumber": 1,
    "ScanOptions": "HELICAL MODE",
    "KVP": 120,
    "DataCollectionDiameter": FIELD_MM,
    "ReconstructionDiameter": FIELD_MM,
    "DistanceSourceToDetector": 1085.6,
    "DistanceSourceToPatient": 595,
    "GantryDetectorTilt": 0,
    "TableHeight": 157,
    "RotationDirection": "CW",
    "ExposureTime": 500,
    "XRayTubeCurrent": 182,
    "Exposure": 91,
    "FilterType": "FLAT",
    "FocalSpots": 1.2,
    "RescaleIntercept": -1024,
    "RescaleSlope": 1,
    "RescaleType": "HU",
    "WindowCenter": 40,
    "WindowWidth": 400,
}


def write(header: Dataset, path: Path) -> Path:
    """Write a header with its pixels as a DICOM file, explicit VR little endian."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = header.SOPClassUID
    meta.MediaStorageSOPInstanceUID = header.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.SourceApplicationEntityTitle = header.StationName
    header.file_meta = meta
    path.parent.mkdir(parents=True, exist_ok=True)
    header.save_as(path, enforce_file_format=True, overwrite=True)
    return path


def person_header(person: Person) -> Dataset:
    """Return the header of every image of a visit: patient, study, hospital and scanner."""
    header = Dataset()
    header.SpecificCharacterSet = person.charset
    _patient(header, person)
    _study(header, person)
    _equipment(header, person)
    _procedure(header, person)
    _private(header, person)
    return header


def ct_header(person: Person, *, size: int, thickness_mm: float, seed: int) -> Dataset:
    """Return the common header of the slices of a CT series."""
    header = person_header(person)
    scanner = person.scanner
    header.SOPClassUID = CTImageStorage
    header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.Modality = "CT"
    header.SeriesInstanceUID = person.uid("CT", seed)
    header.SeriesNumber = 3 + seed
    header.FrameOfReferenceUID = person.uid("frame", seed)
    header.ReferencedImageSequence = one_item(
        ReferencedSOPClassUID=CTImageStorage, ReferencedSOPInstanceUID=person.uid("scout", seed, 1)
    )
    geometry(header, size=size, thickness_mm=thickness_mm)
    for keyword, value in _CT_ACQUISITION.items():
        setattr(header, keyword, value)
    header.ConvolutionKernel = scanner.kernel
    header.IrradiationEventUID = person.uid("irradiation", seed)
    pixels(header, size=size, signed=scanner.signed, bits=16 if scanner.signed else 12)
    if scanner.signed:
        header.add_new("PixelPaddingValue", "SS", scanner.outside)
    return header


def secondary_capture_header(person: Person, *, seed: int) -> Dataset:
    """Return the header of a dose report, a page of text."""
    header = person_header(person)
    header.SOPClassUID = SecondaryCaptureImageStorage
    header.SOPInstanceUID = person.uid("dose", seed, 1)
    header.ImageType = ["DERIVED", "SECONDARY", "DOSE_INFO"]
    header.Modality = "CT"
    header.SeriesInstanceUID = person.uid("dose", seed)
    header.SeriesNumber = 501
    header.SeriesDescription = "Dose report"
    header.InstanceNumber = 1
    header.ConversionType = "WSD"
    header.BurnedInAnnotation = "YES"
    header.PatientOrientation = None
    pixels(header, size=256, signed=False, bits=8)
    return header


def geometry(header: Dataset, *, size: int, thickness_mm: float) -> None:
    """Set the common geometry of the axial slices of a series."""
    header.PatientPosition = "HFS"
    header.PositionReferenceIndicator = "SN"
    header.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    header.PixelSpacing = [FIELD_MM / size] * 2
    header.SliceThickness = thickness_mm


def pixels(header: Dataset, *, size: int, signed: bool, bits: int) -> None:
    """Set the Image Pixel module of a square, monochrome image."""
    header.SamplesPerPixel = 1
    header.PhotometricInterpretation = "MONOCHROME2"
    header.Rows = header.Columns = size
    header.BitsAllocated = 8 if bits == 8 else 16  # noqa: PLR2004 - one byte
    header.BitsStored = bits
    header.HighBit = bits - 1
    header.PixelRepresentation = int(signed)


def _patient(header: Dataset, person: Person) -> None:
    header.PatientName = person.name
    header.PatientID = person.patient_id
    header.IssuerOfPatientID = person.issuer
    header.PatientBirthDate = person.birth_date
    header.PatientSex = person.sex
    header.OtherPatientIDsSequence = one_item(
        PatientID=person.other_id, IssuerOfPatientID=person.issuer, TypeOfPatientID="TEXT"
    )
    header.PatientBirthName = person.birth_name
    header.PatientMotherBirthName = person.mother
    header.PatientAge = person.age
    header.PatientSize = person.height_m
    header.PatientWeight = person.weight_kg
    header.PatientAddress = person.address
    header.PatientTelephoneNumbers = person.phone
    header.PatientComments = person.comment


def _study(header: Dataset, person: Person) -> None:
    header.StudyInstanceUID = person.uid("study")
    header.StudyDate = header.SeriesDate = person.study_date
    header.AcquisitionDate = header.ContentDate = person.study_date
    header.StudyTime = header.SeriesTime = person.study_time
    header.AcquisitionTime = header.ContentTime = person.study_time
    header.AcquisitionDateTime = person.study_date + person.study_time
    header.InstanceCreationDate = person.study_date
    header.InstanceCreationTime = person.study_time
    header.StudyID = person.study_id
    header.AccessionNumber = person.accession
    header.ReferringPhysicianName = person.referring
    header.PhysiciansOfRecord = person.referring
    header.NameOfPhysiciansReadingStudy = person.reading
    header.StudyDescription = person.study_description
    header.SeriesDescription = person.series_description
    header.ProtocolName = person.protocol
    header.BodyPartExamined = person.body_part
    header.ReferencedStudySequence = one_item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",  # Detached Study Management, retired
        ReferencedSOPInstanceUID=person.uid("study"),
    )


def _equipment(header: Dataset, person: Person) -> None:
    scanner = person.scanner
    header.Manufacturer = scanner.maker
    header.ManufacturerModelName = scanner.model
    header.SoftwareVersions = [scanner.software, "drawcli sandbox phantom"]
    header.InstitutionName = person.institution
    header.InstitutionAddress = person.institution_address
    header.InstitutionalDepartmentName = person.department
    header.StationName = person.station
    header.DeviceSerialNumber = person.serial
    header.DateOfLastCalibration = person.study_date
    header.TimeOfLastCalibration = "060000"
    header.PerformingPhysicianName = person.performing
    header.OperatorsName = person.operator
    header.ImageComments = f"{person.name.split('=')[0].replace('^', ' ')}. {NOTICE}"
    header.ContributingEquipmentSequence = one_item(
        PurposeOfReferenceCodeSequence=coded("109103", "DCM", "Modifying Equipment"),
        Manufacturer=scanner.maker,
        InstitutionName=person.institution,
        StationName=person.station,
        OperatorsName=person.operator,
        ContributionDescription=f"Prepared for {person.institution}",
    )


def _procedure(header: Dataset, person: Person) -> None:
    procedure = coded("RTSIM", "99LOCAL", person.study_description)
    header.RequestingPhysician = person.requesting
    header.RequestedProcedureDescription = person.study_description
    header.AdmissionID = person.admission_id
    header.CurrentPatientLocation = person.department
    header.PerformedProcedureStepStartDate = person.study_date
    header.PerformedProcedureStepStartTime = person.study_time
    header.PerformedProcedureStepID = person.procedure_id
    header.PerformedProcedureStepDescription = person.study_description
    header.RequestAttributesSequence = one_item(
        RequestedProcedureID=person.procedure_id,
        ScheduledProcedureStepID=person.procedure_id,
        ScheduledProcedureStepDescription=person.study_description,
        RequestedProcedureDescription=person.study_description,
        RequestedProcedureCodeSequence=procedure,
        AccessionNumber=person.accession,
        ReferencedStudySequence=one_item(
            ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.1",
            ReferencedSOPInstanceUID=person.uid("study"),
        ),
    )
    header.ProcedureCodeSequence = procedure
    header.ReferencedPerformedProcedureStepSequence = one_item(
        ReferencedSOPClassUID="1.2.840.10008.3.1.2.3.3",
        ReferencedSOPInstanceUID=person.uid("performed"),
    )


def _private(header: Dataset, person: Person) -> None:
    """Add private elements with the patient's name."""
    latin = person.name.split("=")[0]
    scanner = person.scanner
    block = header.private_block(scanner.private_group, scanner.private_creator, create=True)
    block.add_new(0x19, "LO", person.name)
    block.add_new(0x10, "OB", _even(f"\x00\x01PatientName\x00{latin}\x00".encode("latin-1")))
    inner = Dataset()
    nested = inner.private_block(scanner.private_group, scanner.private_creator, create=True)
    nested.add_new(0x51, "PN", person.name)
    nested.add_new(0x52, "LO", person.patient_id)
    block.add_new(0x40, "SQ", Sequence([inner]))


def _even(raw: bytes) -> bytes:
    return raw + b"\x00" * (len(raw) % 2)


def one_item(**values: object) -> Sequence:
    """Return a sequence with one item."""
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return Sequence([item])


def coded(value: str, scheme: str, meaning: str) -> Sequence:
    """Return a coded entry (PS3.3 section 8)."""
    return one_item(CodeValue=value, CodingSchemeDesignator=scheme, CodeMeaning=meaning)
