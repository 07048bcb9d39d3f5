"""The permitted contents of functional groups of multi-frame images: the privacy gate's own list.

Independent of the policy, with which the gate shares no code.
"""

import re
from functools import cache
from typing import Final

# Elements whose words may be sent: they describe the scanner.
OPEN: Final = frozenset(
    """
    AcquisitionContrast AcquisitionStartCondition AcquisitionTerminationCondition AcquisitionType
    ApplicableSafetyStandardAgency ArterialSpinLabelingContrast AttenuationCorrected
    AttenuationCorrectionSource AttenuationCorrectionTemporalRelationship BloodSignalNulling
    BurnedInAnnotation CardiacCyclePosition ComplexImageComponent ConstantVolumeFlag
    ContentQualification ConvolutionKernelGroup CountLossNormalizationCorrected CoverageOfKSpace
    DeadTimeCorrected DecayCorrected DetectorGeometry DetectorNormalizationCorrection
    DiffusionDirectionality DimensionOrganizationType EchoPlanarPulseSequence EchoPulseSequence
    ExposureModulationType FilterMaterial FlowCompensation FlowCompensationDirection
    FluoroscopyFlag FrameLaterality FrameType GantryMotionCorrected GeometryOfKSpaceTraversal
    GradientOutputType InversionRecovery IterativeReconstructionMethod KSpaceFiltering
    MagnetizationTransfer MultiPlanarExcitation MultipleSpinEcho NonUniformRadialSamplingCorrected
    OperatingMode OperatingModeType OversamplingPhase ParallelAcquisition
    ParallelAcquisitionTechnique PartialFourier PartialFourierDirection PatientMotionCorrected
    PhaseContrast PixelPresentation PresentationLUTShape QuadratureReceiveCoil RandomsCorrected
    ReceiveCoilType ReconstructionAlgorithm ReconstructionType RectilinearPhaseEncodeReordering
    ResonantNucleus RespiratoryCyclePosition SaturationRecovery ScatterCorrected
    SegmentedKSpaceTraversal SensitivityCalibrated SliceProgressionDirection SpatialPresaturation
    SpecificAbsorptionRateDefinition SpectrallySelectedExcitation SpectrallySelectedSuppression
    Spoiling StackID SteadyStatePulseSequence T2Preparation TableMotion Tagging
    TimeOfFlightContrast TimeOfFlightInformationUsed TransmitCoilType TypeOfDetectorMotion
    VOILUTFunction VolumeBasedCalculationTechnique VolumetricProperties
    """.split()
)
# Dates that are moved, as the date of the study is.
SHIFTED: Final = frozenset(
    """
    DecayCorrectionDateTime FrameAcquisitionDateTime FrameReferenceDateTime
    RadiopharmaceuticalStopDateTime
    """.split()
)
_FORMER: Final = frozenset({"51185008", "113345001", "12921003", "416949008"})  # of regions
_CODED: Final = re.compile(
    "(?:.*/)?(?:AnatomicRegion|(?:AdministrationRoute|CTDIPhantomType|MeasurementUnits|Radionuclide"
    "|Radiopharmaceutical|View)Code)Sequence/(?:CodeValue|CodingSchemeDesignator|CodeMeaning)"
)


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

    return _FORMER | {getattr(codes.SCT, name).value for name in codes.SCT.dir()}
