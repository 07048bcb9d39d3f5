"""Collect what identifies the patient in the sources of a series.

For the privacy gate, which shares no code with the de-identifier: data sets are read by pydicom,
and identifiers are taken from the sources only.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cache
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli.core.gate.figures import Figures
from drawcli.core.gate.needed import needed_among, needed_keywords
from drawcli.core.gate.pydicom_elements import Piece, pieces, pixel_digest, pixel_key
from drawcli.core.gate.similar_headers import Similar
from drawcli.core.gate.slices import OF_FRAMES, Opener, PackageForm, slices_of
from drawcli.core.gate.text_traces import LONG_NUMBER, Traces, day_of, days, fold, foreign_parts
from drawcli.core.gate.text_traces import words as words_of

if TYPE_CHECKING:
    from pydicom import Dataset

_FIXED_DATE: Final = "20000101"  # of sites that send no intervals
_LEAST_WEEKS: Final = 52  # least shift of dates
_MOST_WEEKS: Final = 520
_NEAR_DAYS: Final = 14  # around the study: no such date may be sent
_TEXT: Final = frozenset("AE AS CS LO LT PN SH ST UC UR UT".split())
DATES: Final = frozenset({"DA", "DT"})
_SHIFTED: Final = frozenset(
    """
    AcquisitionDate AcquisitionDateTime ContentDate DecayCorrectionDateTime FrameAcquisitionDateTime
    FrameReferenceDateTime RadiopharmaceuticalStartDateTime RadiopharmaceuticalStopDateTime
    SeriesDate StudyDate
    """.split()
)
# Implementation Class UID of drawcli: in files that it has received, and in those that it sends.
_OWN_SOFTWARE: Final = "2.25.311886914404290474935046405817604716498"
# Elements whose words may be sent: they describe the scanner. Names and ids of the patient are
# searched in them, too.
_OPEN: Final = frozenset(
    """
    AcquisitionContrast AcquisitionStartCondition AcquisitionTerminationCondition AcquisitionType
    AngioFlag ApplicableSafetyStandardAgency ArterialSpinLabelingContrast AttenuationCorrected
    AttenuationCorrectionMethod AttenuationCorrectionSource
    AttenuationCorrectionTemporalRelationship BloodSignalNulling BodyPartExamined BurnedInAnnotation
    CardiacCyclePosition CollimatorType ComplexImageComponent ConstantVolumeFlag
    ContentQualification ConvolutionKernel ConvolutionKernelGroup CorrectedImage
    CountLossNormalizationCorrected CountsSource CoverageOfKSpace DeadTimeCorrected DecayCorrected
    DecayCorrection DetectorGeometry DetectorNormalizationCorrection DiffusionDirectionality
    DimensionOrganizationType EchoPlanarPulseSequence EchoPulseSequence ExposureModulationType
    FilterMaterial FlowCompensation FlowCompensationDirection FluoroscopyFlag FrameLaterality
    FrameType GantryMotionCorrected GeometryOfKSpaceTraversal GradientOutputType ImageType
    ImagedNucleus InPlanePhaseEncodingDirection InversionRecovery IterativeReconstructionMethod
    KSpaceFiltering Laterality LossyImageCompression LossyImageCompressionMethod MRAcquisitionType
    MagnetizationTransfer Manufacturer ManufacturerModelName Modality MultiPlanarExcitation
    MultipleSpinEcho NonUniformRadialSamplingCorrected OperatingMode OperatingModeType
    OversamplingPhase ParallelAcquisition ParallelAcquisitionTechnique PartialFourier
    PartialFourierDirection PatientAge PatientMotionCorrected PatientPosition PatientSex
    PhaseContrast PhotometricInterpretation PixelPresentation PresentationLUTShape
    QuadratureReceiveCoil RandomsCorrected RandomsCorrectionMethod ReceiveCoilType
    RecognizableVisualFeatures ReconstructionAlgorithm ReconstructionType
    RectilinearPhaseEncodeReordering RescaleType ResonantNucleus RespiratoryCyclePosition
    RotationDirection SUVType SaturationRecovery ScanningSequence ScatterCorrected
    ScatterCorrectionMethod SegmentedKSpaceTraversal SensitivityCalibrated SequenceVariant
    SeriesType SliceProgressionDirection SpatialPresaturation SpecificAbsorptionRateDefinition
    SpecificCharacterSet SpectrallySelectedExcitation SpectrallySelectedSuppression Spoiling StackID
    SteadyStatePulseSequence T2Preparation TableMotion Tagging TimeOfFlightContrast
    TimeOfFlightInformationUsed TransmitCoilType TypeOfDetectorMotion Units VOILUTFunction
    VolumeBasedCalculationTechnique VolumetricProperties
    """.split()
)
_PERSONAL: Final = frozenset(
    """
    AccessionNumber AdmissionID IssuerOfPatientID MedicalRecordLocator OtherPatientIDs
    PatientAddress PatientID PatientInstitutionResidence PatientReligiousPreference
    PatientTelecomInformation PatientTelephoneNumbers ReferringPhysicianAddress
    ReferringPhysicianTelephoneNumbers StudyID
    """.split()
)
_PLACES: Final = frozenset({"InstitutionAddress", "InstitutionName", "InstitutionalDepartmentName"})
_FORMER_CODES: Final = frozenset({"51185008", "113345001", "12921003", "416949008"})  # of regions
_CODED: Final = re.compile(
    "(?:.*/)?(?:AnatomicRegion|(?:AdministrationRoute|CTDIPhantomType|MeasurementUnits|Radionuclide"
    "|Radiopharmaceutical|View)Code)Sequence/(?:CodeValue|CodingSchemeDesignator|CodeMeaning)"
)

# Words of scanners, of body parts and of the server's template. They may also be a patient's name,
# or a phantom's; in elements where they belong they are not counted.
COMMON: Final = frozenset(
    """
    canon elekta electric general healthineers hitachi imaging medical philips shimadzu siemens
    systems toshiba united varian
    abdomen bladder body brain breast chest extremity head headneck heart kidney liver lung neck
    pelvis phantom prostate rectum shoulder skull spine stomach thorax whole wholebody
    axial derived dynamic image original other primary reformatted secondary static volume
    config draw fullres models name null postprocess protocol template trainer
    """.split()
)


class StoredPixels(NamedTuple):
    """The place of the pixels of a source, which are compared with those of a slice."""

    path: str
    start: int
    length: int  # bytes


@dataclass(slots=True)
class KnownIdentifiers:
    """The identifiers of the patient of a series, taken from its sources."""

    open: frozenset[str] = _OPEN  # keywords of elements whose words may be sent
    personal: Traces = field(default_factory=Traces)  # names, ids, addresses
    labels: Traces = field(default_factory=Traces)  # other texts of one word: device ids
    words: set[str] = field(default_factory=set)  # of every other text, and of paths
    places: set[str] = field(default_factory=set)  # words of hospitals
    open_words: set[str] = field(default_factory=set)
    uids: set[str] = field(default_factory=set)
    days: set[str] = field(default_factory=set)
    dates: set[str] = field(default_factory=set)  # of date elements
    shifted_days: set[str] = field(default_factory=set)  # before the shift
    foreign: set[bytes] = field(default_factory=set)  # encoded parts of names that are not ASCII
    pixels: Counter[bytes] = field(default_factory=Counter)  # digests
    stored: dict[Any, list[StoredPixels]] = field(default_factory=dict)  # by `pixel_key`: others
    sop_classes: set[str] = field(default_factory=set)
    needed: Counter[str] = field(default_factory=Counter)  # keyword -> slices that have it
    study_date: str = ""
    seen: set[Any] = field(default_factory=set)
    form: PackageForm = field(default_factory=PackageForm)  # of the package that is searched
    by_slice: bool = False  # slices are compared, because they are not those of the sources' files
    split: bool = False  # they were frames
    of_frames: set[int] = field(default_factory=lambda: {*OF_FRAMES})  # tags that none may have
    facts: dict[bytes, tuple[bytes, ...]] = field(default_factory=dict)  # of frames, by digest

    @classmethod
    def for_site(cls, retained: Iterable[str], form: PackageForm) -> "KnownIdentifiers":
        """Return an empty record for a package of a site that retains further elements.

        These are searched for the patient like all others.
        """
        return cls(_OPEN | frozenset(retained), form=form)

    def learn(
        self,
        path: str,
        source: "Dataset",
        open_source: Opener = BytesIO,
        stored: StoredPixels | None = None,
    ) -> None:
        """Add the identifiers of one source file, its path included.

        `open_source` opens the file; large pixel data are read from it then. `stored` is the place
        of the pixels, if they need no digest.
        """
        self._learn_slices(source, open_source, stored)
        self.words |= words_of(fold(path))
        meta = getattr(source, "file_meta", None)
        for part in (source, *([meta] if meta else [])):
            for piece in pieces(part, self.seen):
                self._learn_piece(piece)
        self.study_date = self.study_date or str(source.get("StudyDate", ""))

    def learn_similar(self, path: str, similar: Similar) -> None:
        """Add the identifiers of a source file that differs in few values from one before."""
        self.words |= words_of(fold(path))
        place = StoredPixels(path, similar.start, similar.end - similar.start)
        self.stored.setdefault(similar.key, []).append(place)
        self.needed.update(similar.needed)
        for piece in similar.pieces(self.seen):
            self._learn_piece(piece)

    def _learn_slices(
        self, source: "Dataset", open_source: Opener, stored: StoredPixels | None
    ) -> None:
        """Add what the slices of a source must be in the package."""
        key = None if stored is None else pixel_key(source)  # before anything is decoded
        modality = str(source.get("Modality", ""))
        if self.form.differs_from(source):
            self.by_slice = True
            splits = self.form.splits(source)
            self.split |= splits
            for one in slices_of(source, open_source, self.form):
                self.pixels[one.digest] += 1
                if splits:
                    self.facts[one.digest] = one.facts
                    self.of_frames |= one.others
                self.needed.update(needed_among(one.tags - OF_FRAMES, modality))
        else:
            if stored is None:
                self.pixels[pixel_digest(source)] += 1
            else:
                self.stored.setdefault(key, []).append(stored)
            self.needed.update(needed_keywords(source))
        self.sop_classes.add(self.form.class_of(source))

    def _learn_piece(self, piece: Piece) -> None:
        is_personal = piece.vr == "PN" or piece.keyword in _PERSONAL
        if is_personal:
            self.foreign.update(foreign_parts(piece.raw))
        for text in piece.texts:
            plain = fold(text)
            if is_personal:
                self.personal.learn(text)
            elif piece.vr == "UI":
                self.uids |= {text} - {_OWN_SOFTWARE}
            elif piece.vr in DATES:
                into = self.shifted_days if piece.keyword in _SHIFTED else self.days
                into.update(days(plain))
                self.dates.update(days(plain))
            elif piece.keyword in self.open or is_coded(piece.where):
                self.open_words |= words_of(plain)
            elif piece.vr in _TEXT or not piece.vr:
                self._learn_text(piece, plain)

    def _learn_text(self, piece: Piece, plain: str) -> None:
        self.words |= words_of(plain)
        if piece.keyword in _PLACES:
            self.places |= words_of(plain)
        self.days.update(days(plain))
        if len(plain.split()) == 1:
            self.labels.learn(plain)

    def days_to_find(self, sent_date: str) -> set[str]:
        """Return the dates that must not occur, except those that the shift produces."""
        before, after = day_of(self.study_date), day_of(sent_date)
        if before is None or after is None or not self.is_moved(sent_date):
            return self.days | self.shifted_days
        shifted = filter(None, map(day_of, self.shifted_days))
        produced = {f"{day - (before - after):%Y%m%d}" for day in shifted}
        return (self.days | self.shifted_days | _days_around(before)) - produced

    def is_moved(self, sent_date: str) -> bool:
        """Return whether the study date was shifted by the policy, or is missing."""
        before, after = day_of(self.study_date), day_of(sent_date)
        if before is None or after is None:
            return not sent_date
        weeks = (before - after) / timedelta(weeks=1)
        return sent_date == _FIXED_DATE or (weeks in range(_LEAST_WEEKS, _MOST_WEEKS + 1))

    def figures(self) -> Figures:
        """Return the numbers that must not occur as a number or a time."""
        return Figures.of(self.personal.figures, self.dates)

    def words_to_find(self) -> set[str]:
        """Return the words to search for: not those of scanners, nor short numbers."""
        chance = {word for word in self.words if word.isdigit() and len(word) < LONG_NUMBER}
        return self.words - self.open_words - self.places - COMMON - chance


def _days_around(day: date) -> set[str]:
    """Return the dates close to a date, as yyyymmdd."""
    return {f"{day + timedelta(days=n):%Y%m%d}" for n in range(-_NEAR_DAYS, _NEAR_DAYS + 1)}


def is_coded(where: str) -> bool:
    """Return whether an element is part of a coded entry that may be sent.

    >>> is_coded("FrameAnatomySequence/AnatomicRegionSequence/CodeMeaning")
    True
    >>> is_coded("RequestAttributesSequence/RequestedProcedureCodeSequence/CodeMeaning")
    False
    """
    return _CODED.fullmatch(where) is not None


def is_numbered(where: str, text: str) -> bool:
    """Return whether a text is a SNOMED CT number of PS3.16 in a code value."""
    return where.endswith("/CodeValue") and is_coded(where) and text in _numbers()


@cache
def _numbers() -> frozenset[str]:
    from pydicom.sr.codedict import codes

    return _FORMER_CODES | {getattr(codes.SCT, name).value for name in codes.SCT.dir()}
