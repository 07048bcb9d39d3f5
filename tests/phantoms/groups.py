"""What the multi-frame phantoms say of their modality: at their top, and in functional groups."""

from collections.abc import Callable
from typing import Final

from pydicom import Dataset
from pydicom.sequence import Sequence

from drawcli.sandbox.headers import coded, one_item
from drawcli.sandbox.patients import Person

ORIGIN: Final = {"PixelPresentation": "MONOCHROME", "VolumetricProperties": "VOLUME"}


def frame_type(classic: Dataset) -> list[str]:
    """Return the Image Type (0008,0008) that an enhanced image of the modality has."""
    third = {"CT": "AXIAL", "MR": "T2", "PT": "STATIC"}[classic.Modality]
    return ["ORIGINAL", "PRIMARY", third, "NONE"]


def fill(dataset: Dataset, many: dict[str, str] | None = None, **values: object) -> None:
    """Set many attributes at once."""
    for keyword, value in {**(many or {}), **values}.items():
        setattr(dataset, keyword, value)


def mr_top(image: Dataset, classic: Dataset) -> None:
    """Fill the Enhanced MR Image and MR Pulse Sequence modules (PS3.3 C.8.13.1, C.8.13.4)."""
    fill(image, ComplexImageComponent="MAGNITUDE", AcquisitionContrast="T2", ResonantNucleus="1H")
    fill(image, KSpaceFiltering="NONE", ApplicableSafetyStandardAgency="IEC")
    fill(image, PulseSequenceName=f"t2_tse_{classic.StationName}"[:16], MRAcquisitionType="2D")
    fill(image, EchoPulseSequence="SPIN", MultipleSpinEcho="YES", MultiPlanarExcitation="NO")
    fill(image, PhaseContrast="NO", TimeOfFlightContrast="NO", SteadyStatePulseSequence="NONE")
    fill(image, EchoPlanarPulseSequence="NO")
    fill(image, SaturationRecovery="NO", SpectrallySelectedSuppression="NONE")
    fill(image, OversamplingPhase="NONE", SegmentedKSpaceTraversal="SINGLE")
    fill(image, NumberOfKSpaceTrajectories=1)
    fill(image, GeometryOfKSpaceTraversal="RECTILINEAR", RectilinearPhaseEncodeReordering="LINEAR")
    image.MagneticFieldStrength = classic.MagneticFieldStrength


def pt_top(image: Dataset, person: Person) -> None:
    """Fill the Enhanced PET Isotope, Acquisition and Image modules (PS3.3 C.8.22)."""
    for step in ("Decay", "Attenuation", "Scatter", "DeadTime", "Randoms"):
        setattr(image, f"{step}Corrected", "YES")
    for step in ("GantryMotion", "PatientMotion", "NonUniformRadialSampling"):
        setattr(image, f"{step}Corrected", "NO")
    fill(image, CountLossNormalizationCorrected="YES", DetectorNormalizationCorrection="YES")
    fill(image, SensitivityCalibrated="YES", TimeOfFlightInformationUsed="FALSE")
    fill(image, AttenuationCorrectionSource="CT", ScatterCorrectionMethod="model-based")
    fill(image, AttenuationCorrectionTemporalRelationship="SIMULTANEOUS")
    fill(image, DecayCorrectionDateTime=f"{person.study_date}080500", CountsSource="EMISSION")
    fill(
        image,
        RandomsCorrectionMethod="DLYD",
        TypeOfDetectorMotion="STATIONARY",
        CollimatorType="NONE",
    )
    fill(image, AcquisitionStartCondition="MANUAL", AcquisitionTerminationCondition="TIME")
    fill(image, DetectorGeometry="CYLINDRICAL_RING", AxialDetectorDimension=200.0)
    fill(image, TransverseDetectorSeparation=800.0, TableMotion="STATIC")
    fill(image, TerminationTimeThreshold=120.0, CoincidenceWindowWidth=4.0)
    image.EnergyWindowRangeSequence = one_item(
        EnergyWindowLowerLimit=435, EnergyWindowUpperLimit=650
    )
    image.ViewCodeSequence = coded("24422004", "SCT", "Axial")
    image.RadiopharmaceuticalInformationSequence = one_item(
        RadiopharmaceuticalAgentNumber=1,
        RadionuclideCodeSequence=coded("C-111A1", "SRT", "^18^Fluorine"),
        RadiopharmaceuticalCodeSequence=coded("C-B1031", "SRT", "Fluorodeoxyglucose F^18^"),
        AdministrationRouteCodeSequence=coded("G-D101", "SRT", f"Vein of {person.file_name}"),
        RadiopharmaceuticalStartDateTime=f"{person.study_date}080500.00",
        RadiopharmaceuticalStopDateTime=f"{person.study_date}080510.00",
        RadionuclideTotalDose=3.7e8,
        RadionuclideHalfLife=6586.2,
        RadionuclidePositronFraction=0.967,
    )


def _ct_groups(groups: Dataset, classic: Dataset, person: Person) -> None:
    groups.CTImageFrameTypeSequence = _typed(classic)
    groups.CTAcquisitionTypeSequence = one_item(
        AcquisitionType="SPIRAL", ConstantVolumeFlag="NO", FluoroscopyFlag="NO"
    )
    details = "RotationDirection TableHeight GantryDetectorTilt DataCollectionDiameter".split()
    groups.CTAcquisitionDetailsSequence = one_item(
        **{keyword: classic[keyword].value for keyword in details},
        RevolutionTime=0.5,
        SingleCollimationWidth=0.6,
        TotalCollimationWidth=19.2,
    )
    groups.CTTableDynamicsSequence = one_item(
        TableSpeed=38.4, TableFeedPerRotation=19.2, SpiralPitchFactor=1.0
    )
    centre = [0.0, 0.0, 0.0]
    groups.CTPositionSequence = one_item(
        TablePosition=0.0,
        DataCollectionCenterPatient=centre,
        ReconstructionTargetCenterPatient=centre,
    )
    _ct_image(groups, classic, person)


def _ct_image(groups: Dataset, classic: Dataset, person: Person) -> None:
    """Add how the frames were reconstructed and exposed."""
    groups.CTGeometrySequence = one_item(
        DistanceSourceToDetector=classic.DistanceSourceToDetector,
        DistanceSourceToDataCollectionCenter=595.0,
    )
    groups.CTReconstructionSequence = one_item(
        ReconstructionAlgorithm="FILTER_BACK_PROJ",
        ConvolutionKernel=classic.ConvolutionKernel,
        ConvolutionKernelGroup="SOFT_TISSUE",
        ReconstructionDiameter=classic.ReconstructionDiameter,
        ReconstructionPixelSpacing=[float(value) for value in classic.PixelSpacing],
        ReconstructionAngle=360.0,
        ImageFilter="NONE",
    )
    groups.CTExposureSequence = one_item(
        ExposureTimeInms=500.0,
        XRayTubeCurrentInmA=182.0,
        ExposureInmAs=91.0,
        ExposureModulationType="NONE",
        CTDIvol=12.5,
        CTDIPhantomTypeCodeSequence=coded("113691", "DCM", "IEC Body Dosimetry Phantom"),
    )
    groups.CTXRayDetailsSequence = one_item(
        KVP=classic.KVP, FocalSpots=1.2, FilterType="FLAT", FilterMaterial="ALUMINUM"
    )
    groups.IrradiationEventIdentificationSequence = one_item(
        IrradiationEventUID=person.uid("irradiation")
    )


def _mr_groups(groups: Dataset, classic: Dataset, person: Person) -> None:
    groups.MRImageFrameTypeSequence = _typed(classic)
    fill(groups.MRImageFrameTypeSequence[0], ComplexImageComponent="MAGNITUDE")
    fill(groups.MRImageFrameTypeSequence[0], AcquisitionContrast="T2")
    groups.MRTimingAndRelatedParametersSequence = one_item(
        RepetitionTime=classic.RepetitionTime,
        FlipAngle=classic.FlipAngle,
        EchoTrainLength=classic.EchoTrainLength,
        RFEchoTrainLength=17,
        GradientEchoTrainLength=0,
        SpecificAbsorptionRateSequence=one_item(
            SpecificAbsorptionRateDefinition="IEC_WHOLE_BODY", SpecificAbsorptionRateValue=1.2
        ),
        GradientOutputType="DB_DT",
        GradientOutput=20.0,
        OperatingModeSequence=one_item(OperatingModeType="GRADIENT", OperatingMode="IEC_NORMAL"),
    )
    groups.MRFOVGeometrySequence = one_item(
        InPlanePhaseEncodingDirection="ROW",
        MRAcquisitionFrequencyEncodingSteps=256,
        MRAcquisitionPhaseEncodingStepsInPlane=256,
        PercentSampling=100,
        PercentPhaseFieldOfView=100,
    )
    _mr_modifiers(groups)
    _mr_coils(groups, person)
    groups.MREchoSequence = one_item(EffectiveEchoTime=float(classic.EchoTime))
    groups.MRAveragesSequence = one_item(NumberOfAverages=2)


def _mr_modifiers(groups: Dataset) -> None:
    groups.MRModifierSequence = one_item(
        InversionRecovery="NO",
        FlowCompensation="NONE",
        Spoiling="NONE",
        T2Preparation="NO",
        SpectrallySelectedExcitation="NONE",
        SpatialPresaturation="NONE",
        PartialFourier="NO",
        ParallelAcquisition="NO",
    )
    groups.MRImagingModifierSequence = one_item(
        MagnetizationTransfer="NONE",
        BloodSignalNulling="NO",
        Tagging="NONE",
        TransmitterFrequency=63.6,
        PixelBandwidth=150,
    )


def _mr_coils(groups: Dataset, person: Person) -> None:
    groups.MRReceiveCoilSequence = one_item(
        ReceiveCoilName=f"Body {person.serial}"[:16],
        ReceiveCoilManufacturerName=person.institution,
        ReceiveCoilType="BODY",
        QuadratureReceiveCoil="YES",
    )
    groups.MRTransmitCoilSequence = one_item(
        TransmitCoilName="Body", TransmitCoilManufacturerName="", TransmitCoilType="BODY"
    )


def _pt_groups(groups: Dataset, classic: Dataset, _person: Person) -> None:
    groups.PETFrameTypeSequence = _typed(classic)
    groups.PETFrameAcquisitionSequence = one_item(
        TableHeight=150, GantryDetectorTilt=0, GantryDetectorSlew=0, DataCollectionDiameter=700
    )
    groups.PETPositionSequence = one_item(
        TablePosition=0.0,
        DataCollectionCenterPatient=[0.0, 0.0, 0.0],
        ReconstructionTargetCenterPatient=[0.0, 0.0, 0.0],
    )
    groups.PETFrameCorrectionFactorsSequence = one_item(
        PrimaryPromptsCountsAccumulated=4_000_000,
        SliceSensitivityFactor=1,
        DecayFactor=1.01,
        ScatterFractionFactor=0.3,
        DeadTimeFactor=1,
    )
    groups.PETReconstructionSequence = one_item(
        ReconstructionType="3D",
        ReconstructionAlgorithm="ITERATIVE",
        IterativeReconstructionMethod="YES",
        NumberOfIterations=3,
        NumberOfSubsets=21,
        ReconstructionDiameter=500,
        ReconstructionAngle=360.0,
    )
    groups.RadiopharmaceuticalUsageSequence = one_item(RadiopharmaceuticalAgentNumber=1)
    groups.RealWorldValueMappingSequence = one_item(
        RealWorldValueIntercept=0.0,
        RealWorldValueSlope=float(classic.RescaleSlope),
        LUTExplanation="Activity concentration",
        LUTLabel="BQML",
        MeasurementUnitsCodeSequence=coded("Bq/ml", "UCUM", "Becquerels/milliliter"),
    )
    mapping = groups.RealWorldValueMappingSequence[0]
    mapping.add_new("RealWorldValueFirstValueMapped", "US", 0)
    mapping.add_new("RealWorldValueLastValueMapped", "US", 32767)


def _typed(classic: Dataset) -> Sequence:
    return one_item(FrameType=frame_type(classic), **ORIGIN, VolumeBasedCalculationTechnique="NONE")


GROUPS: Final[dict[str, Callable[[Dataset, Dataset, Person], None]]] = {
    "CT": _ct_groups,
    "MR": _mr_groups,
    "PT": _pt_groups,
}
