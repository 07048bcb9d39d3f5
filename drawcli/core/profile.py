"""What becomes of each element of a planning image before it leaves: the de-identification policy.

A keep-list: what is not named here is removed, at every depth. One row an element, grouped by the
module of the standard it comes from, so that a data protection officer can read it from top to
bottom. The engine in `deidentify.py` does what the rows say and knows no element itself.

References
----------
PS3.15 Annex E, edition 2026c: Basic Application Level Confidentiality Profile (113100) with the
options *Retain Patient Characteristics* (113108) and *Retain Longitudinal Temporal Information with
Modified Dates* (113107).
"""

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

CT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.2"
MR_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.4"
PT_IMAGE: Final = "1.2.840.10008.5.1.4.1.1.128"
IMAGE_CLASSES: Final = {CT_IMAGE: "CT", MR_IMAGE: "MR", PT_IMAGE: "PT"}

EDITION: Final = "2026c"


class Action(StrEnum):
    """What the engine does with an element."""

    KEEP = "keep"  # the bytes as they are; empty where they are not what the VR says
    UID = "stand-in UID"  # replaced consistently; registered UIDs stay
    DATE = "shift"  # moved back by the patient's offset
    TIME = "kept with shifted dates"  # midnight where dates are fixed
    EMPTY = "empty"  # present, without a value
    NAME = "pseudonym as a name"  # DEID^ and the patient's pseudonym
    PATIENT = "pseudonym as an id"  # DEID- and the patient's pseudonym
    STUDY = "stand-in of the study"  # derived from Study Instance UID
    CLEAN = "cleaned"  # only the words of a fixed vocabulary are kept
    ITEMS = "items"  # the sequence is rebuilt from the elements named for its items


# Removed where dates are fixed: table E.1-1 has X for them, and the option is not claimed then.
ONLY_SHIFTED: Final = frozenset(
    {"RadiopharmaceuticalStartTime", "RadiopharmaceuticalStartDateTime"}
)

# What a value of each kept VR looks like (PS3.5 table 6.2-1, with the small liberties that scanners
# take). One that looks otherwise is not what its VR says it is, and does not stay.
_DECIMAL: Final = rb" *+(?:[+-]?(?:[0-9]++\.?[0-9]*+|\.[0-9]++)(?:[eE][+-]?[0-9]++)?)? *+"
_INTEGER: Final = rb" *+(?:[+-]?[0-9]{1,12}+)? *+"
# PS3.16 Annex L, those of planning scans: a word that is none of them may be anything.
_BODY_PARTS: Final = b"""
    ABDOMEN ABDOMENPELVIS ANKLE ARM AXILLA BACK BLADDER BODY BRAIN BREAST CERVIX CHEST CHESTABDOMEN
    CHESTABDPELVIS CLAVICLE COLON CSPINE EAR ELBOW ESOPHAGUS EXTREMITY EYE FEMUR FOOT HAND HEAD
    HEADNECK HEART HIP HUMERUS JAW KIDNEY KNEE LEG LIVER LSPINE LUNG MAXILLA MEDIASTINUM MOUTH NECK
    NECKCHEST NECKCHESTABDOMEN NECKCHESTABDPELV NOSE ORBIT PANCREAS PAROTID PELVIS PHARYNX PROSTATE
    RECTUM RIB SHOULDER SKULL SPINE SPLEEN SSPINE STERNUM STOMACH TESTIS THIGH THORAX THYROID
    TLSPINE TONGUE TSPINE UTERUS VAGINA VULVA WHOLEBODY WRIST
""".split()
_SHAPES: Final = {
    name: re.compile(rb"(?:%b)?[ \0]*+" % shape, re.DOTALL)
    for name, shape in {
        "AS": rb" *+[0-9]{1,3}+[DWMY]",
        "AT": rb"[\x18\x20\x28\x54]\0..",  # an attribute of an acquisition, an image, a PET series
        "CS": rb"[A-Za-z0-9 _./+\\-]*+",
        "DS": rb"%b(?:\\%b)*+" % (_DECIMAL, _DECIMAL),
        "IS": rb"%b(?:\\%b)*+" % (_INTEGER, _INTEGER),
        "LO": rb"[^\x00-\x1a\x1c-\x1f\x7f]*+",  # text, and the escapes of ISO 2022
        "SH": rb"[^\x00-\x1a\x1c-\x1f\x7f]*+",
        "TM": rb"[0-9]{2}(?::?[0-9]{2}(?::?[0-9]{2}(?:\.[0-9]{1,6}+)?)?)?",
        "UI": rb"[0-9.]++",
        "US": rb"..",
        "xs": rb"..",
        "PatientSex": rb"[MFO]",
        "AttenuationCorrectionMethod": rb"(?i:none|measured|calculated|ctac|mrac)",
        "RescaleType": rb"[A-Z0-9_]{1,16}",
        "BodyPartExamined": b"|".join(_BODY_PARTS),
        "AcquisitionMatrix": rb"(?:.[\0-\x1f]){4}",  # four numbers below 8192
    }.items()
}


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the policy."""

    tag: int
    vr: str  # of PS3.6; "xs" stands for US or SS
    keyword: str
    action: Action
    source: str  # where the standard defines the attribute
    within: tuple[str, ...] = ()  # for ITEMS: keywords that an item may hold

    def fits(self, raw: bytes) -> bool:
        """Tell whether a value looks as its VR asks, and so may stay."""
        shape = _SHAPES.get(self.keyword) or _SHAPES[self.vr]
        return shape.fullmatch(raw) is not None


_ROW: Final = """
# PS3.3 C.12.1 SOP Common
00080005 CS SpecificCharacterSet              keep
00080016 UI SOPClassUID                       keep
00080018 UI SOPInstanceUID                    uid
# PS3.3 C.7.1.1 Patient
00100010 PN PatientName                       name
00100020 LO PatientID                         patient
00100030 DA PatientBirthDate                  empty
00100040 CS PatientSex                        keep
# PS3.3 C.7.2.1 General Study
0020000D UI StudyInstanceUID                  uid
00080020 DA StudyDate                         date
00080030 TM StudyTime                         time
00080050 SH AccessionNumber                   empty
00080090 PN ReferringPhysicianName            empty
00200010 SH StudyID                           study
# PS3.3 C.7.2.2 Patient Study
00101010 AS PatientAge                        keep
00101020 DS PatientSize                       keep
00101030 DS PatientWeight                     keep
# PS3.3 C.7.3.1 General Series
00080021 DA SeriesDate                        date
00080031 TM SeriesTime                        time
00080060 CS Modality                          keep
00180015 CS BodyPartExamined                  keep
00185100 CS PatientPosition                   keep
0020000E UI SeriesInstanceUID                 uid
00200011 IS SeriesNumber                      keep
00200060 CS Laterality                        keep
# PS3.3 C.7.4.1 Frame of Reference, C.7.4.2 Synchronization
00200052 UI FrameOfReferenceUID               uid
00200200 UI SynchronizationFrameOfReferenceUID uid
00201040 LO PositionReferenceIndicator        empty
# PS3.3 C.7.5.1 General Equipment
00080070 LO Manufacturer                      keep
00081090 LO ManufacturerModelName             keep
# PS3.3 C.7.6.1 General Image
00080008 CS ImageType                         keep
00080022 DA AcquisitionDate                   date
00080023 DA ContentDate                       date
0008002A DT AcquisitionDateTime               date
00080032 TM AcquisitionTime                   time
00080033 TM ContentTime                       time
00200012 IS AcquisitionNumber                 keep
00200013 IS InstanceNumber                    keep
00280301 CS BurnedInAnnotation                keep
00280302 CS RecognizableVisualFeatures        keep
00282110 CS LossyImageCompression             keep
00282112 DS LossyImageCompressionRatio        keep
00282114 CS LossyImageCompressionMethod       keep
00081140 SQ ReferencedImageSequence           items
  of ReferencedSOPClassUID ReferencedSOPInstanceUID ReferencedFrameNumber
00082112 SQ SourceImageSequence               items
  of ReferencedSOPClassUID ReferencedSOPInstanceUID ReferencedFrameNumber
00081150 UI ReferencedSOPClassUID             uid
00081155 UI ReferencedSOPInstanceUID          uid
00081160 IS ReferencedFrameNumber             keep
# PS3.3 C.7.6.2 Image Plane
00180050 DS SliceThickness                    keep
00180088 DS SpacingBetweenSlices              keep
00200032 DS ImagePositionPatient              keep
00200037 DS ImageOrientationPatient           keep
00201041 DS SliceLocation                     keep
00280030 DS PixelSpacing                      keep
# PS3.3 C.7.6.3 Image Pixel, C.7.6.6 Multi-frame
00280002 US SamplesPerPixel                   keep
00280004 CS PhotometricInterpretation         keep
00280006 US PlanarConfiguration               keep
00280008 IS NumberOfFrames                    keep
00280009 AT FrameIncrementPointer             keep
00280010 US Rows                              keep
00280011 US Columns                           keep
00280034 IS PixelAspectRatio                  keep
00280100 US BitsAllocated                     keep
00280101 US BitsStored                        keep
00280102 US HighBit                           keep
00280103 US PixelRepresentation               keep
00280106 xs SmallestImagePixelValue           keep
00280107 xs LargestImagePixelValue            keep
00280120 xs PixelPaddingValue                 keep
00280121 xs PixelPaddingRangeLimit            keep
# PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT (numbers only; explanations are removed)
00281050 DS WindowCenter                      keep
00281051 DS WindowWidth                       keep
00281052 DS RescaleIntercept                  keep
00281053 DS RescaleSlope                      keep
00281054 LO RescaleType                       keep
# PS3.3 C.8.2.1 CT Image
00180060 DS KVP                               keep
00180090 DS DataCollectionDiameter            keep
00181100 DS ReconstructionDiameter            keep
00181120 DS GantryDetectorTilt                keep
00181130 DS TableHeight                       keep
00181140 CS RotationDirection                 keep
00181150 IS ExposureTime                      keep
00181151 IS XRayTubeCurrent                   keep
00181152 IS Exposure                          keep
00181210 SH ConvolutionKernel                 keep
# PS3.3 C.8.3.1 MR Image
00180020 CS ScanningSequence                  keep
00180021 CS SequenceVariant                   keep
00180022 CS ScanOptions                       empty
00180023 CS MRAcquisitionType                 keep
00180025 CS AngioFlag                         keep
00180080 DS RepetitionTime                    keep
00180081 DS EchoTime                          keep
00180082 DS InversionTime                     keep
00180083 DS NumberOfAverages                  keep
00180084 DS ImagingFrequency                  keep
00180085 SH ImagedNucleus                     keep
00180086 IS EchoNumbers                       keep
00180087 DS MagneticFieldStrength             keep
00180091 IS EchoTrainLength                   keep
00180093 DS PercentSampling                   keep
00180094 DS PercentPhaseFieldOfView           keep
00180095 DS PixelBandwidth                    keep
00181060 DS TriggerTime                       keep
00181310 US AcquisitionMatrix                 keep
00181312 CS InPlanePhaseEncodingDirection     keep
00181314 DS FlipAngle                         keep
00181316 DS SAR                               keep
00200100 IS TemporalPositionIdentifier        keep
# PS3.3 C.8.9.1 PET Series, C.8.9.2 PET Isotope, C.8.9.4 PET Image
00181181 CS CollimatorType                    keep
00181242 IS ActualFrameDuration               keep
00280051 CS CorrectedImage                    keep
00540016 SQ RadiopharmaceuticalInformationSequence items
  of RadionuclideCodeSequence RadiopharmaceuticalVolume RadiopharmaceuticalStartTime
  of RadiopharmaceuticalStartDateTime RadionuclideTotalDose RadionuclideHalfLife
  of RadionuclidePositronFraction
00540300 SQ RadionuclideCodeSequence          empty
00181071 DS RadiopharmaceuticalVolume         keep
00181072 TM RadiopharmaceuticalStartTime      time
00181074 DS RadionuclideTotalDose             keep
00181075 DS RadionuclideHalfLife              keep
00181076 DS RadionuclidePositronFraction      keep
00181078 DT RadiopharmaceuticalStartDateTime  date
00540061 US NumberOfRRIntervals               keep
00540071 US NumberOfTimeSlots                 keep
00540081 US NumberOfSlices                    keep
00540101 US NumberOfTimeSlices                keep
00540410 SQ PatientOrientationCodeSequence    empty
00540414 SQ PatientGantryRelationshipCodeSequence empty
00541000 CS SeriesType                        keep
00541001 CS Units                             keep
00541002 CS CountsSource                      keep
00541006 CS SUVType                           keep
00541100 CS RandomsCorrectionMethod           keep
00541101 LO AttenuationCorrectionMethod       keep
00541102 CS DecayCorrection                   keep
00541105 LO ScatterCorrectionMethod           keep
00541300 DS FrameReferenceTime                keep
00541321 DS DecayFactor                       keep
00541322 DS DoseCalibrationFactor             keep
00541323 DS ScatterFractionFactor             keep
00541330 US ImageIndex                        keep
"""

# Descriptions that a site may let out (deidentify.keep_descriptors), word by word.
DESCRIPTORS: Final[dict[int, Row]] = {
    tag: Row(tag, "LO", keyword, Action.CLEAN, "PS3.15 E.3.5")
    for tag, keyword in (
        (0x00081030, "StudyDescription"),
        (0x0008103E, "SeriesDescription"),
        (0x00181030, "ProtocolName"),
    )
}
_VOCABULARY: Final = frozenset(
    """
    abdomen adult angio arterial axial bladder bone brain breast chest child contrast coronal ct
    delayed dose dynamic ear extremity eye face fast flair foot gating hand head heart helical hip
    kernel kidney knee leg liver low lung mar mediastinum mr mri native neck oblique orbit pancreas
    pelvis pet phase planning post pre prone prostate rectum recon resp routine rt sagittal scan
    series shoulder sinus soft spin spine spiral standard static stir supine t1 t2 thin thorax
    tissue trunk vein venous whole with without wrist body in inspiration expiration and of the
    """.split()
)
_UNIT: Final = "mm"
_LONGEST_NUMBER: Final = 2  # digits, as in "3 mm"


def cleaned(description: str) -> str:
    """Return the words of a description that say nothing about a person.

    A number stays only where it is a length: "14 03 64" may be a birthday.

    >>> cleaned("CT Pelvis planning for John Smith 3 mm, 19640312")
    'CT Pelvis planning 3 mm'
    """
    words = [word.strip(",;:()[]") for word in description.replace("_", " ").split()]
    following = [*words, ""][1:]
    return " ".join(
        word for word, after in zip(words, following, strict=True) if _says_nothing(word, after)
    )


def _says_nothing(word: str, after: str) -> bool:
    if not word.isascii():
        return False
    if word.isdigit():
        return len(word) <= _LONGEST_NUMBER and after == _UNIT
    return word.casefold() in _VOCABULARY or word == _UNIT


# Present in every slice even if the source lacks them: Type 2, and the server's GPU job reads them.
ALWAYS_PRESENT: Final = (
    "StudyDate",
    "StudyTime",
    "StudyID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "PatientName",
    "PatientID",
    "PatientBirthDate",
    "PatientSex",
)

_NAMES: Final = {
    "keep": Action.KEEP,
    "uid": Action.UID,
    "date": Action.DATE,
    "time": Action.TIME,
    "empty": Action.EMPTY,
    "name": Action.NAME,
    "patient": Action.PATIENT,
    "study": Action.STUDY,
    "items": Action.ITEMS,
}


def _rows() -> list[Row]:
    source = ""
    rows: list[Row] = []
    within: dict[int, tuple[str, ...]] = {}
    for line in _ROW.strip().splitlines():
        if line.startswith("#"):
            source = line.removeprefix("# ")
            continue
        first, *words = line.split()
        if first == "of":  # what an item of the sequence above may hold
            within[max(within)] += tuple(words)
            continue
        vr, keyword, action = words
        within[len(rows)] = ()
        rows.append(Row(int(first, 16), vr, keyword, _NAMES[action], source))
    return [replace(row, within=within[index]) for index, row in enumerate(rows)]


POLICY: Final[dict[int, Row]] = {row.tag: row for row in _rows()}
BY_KEYWORD: Final[dict[str, Row]] = {row.keyword: row for row in POLICY.values()}
