"""The modality-specific parts of the tables for multi-frame images.

`table_multiframe.py` describes the format and combines them.
"""

from typing import Final

# The functional groups of CT.
CT_GROUPS: Final = """
# PS3.3 C.8.15.3.1 CT Image Frame Type
00189329 SQ CTImageFrameTypeSequence items 1
  00089007 CS FrameType keep 1
  00089205 CS PixelPresentation keep 1
  00089206 CS VolumetricProperties keep 1
  00089207 CS VolumeBasedCalculationTechnique keep 1
# PS3.3 C.8.15.3.2 CT Acquisition Type
00189301 SQ CTAcquisitionTypeSequence items 1
  00189302 CS AcquisitionType keep 1
  00189303 FD TubeAngle keep 1
  00189333 CS ConstantVolumeFlag keep 1
  00189334 CS FluoroscopyFlag keep 1
# PS3.3 C.8.15.3.3 CT Acquisition Details
00189304 SQ CTAcquisitionDetailsSequence items 1
  00181140 CS RotationDirection keep 1
  00189305 FD RevolutionTime keep 1
  00189306 FD SingleCollimationWidth keep 1
  00189307 FD TotalCollimationWidth keep 1
  00181130 DS TableHeight keep 1
  00181120 DS GantryDetectorTilt keep 1
  00180090 DS DataCollectionDiameter keep 1
# PS3.3 C.8.15.3.4 CT Table Dynamics
00189308 SQ CTTableDynamicsSequence items 1
  00189309 FD TableSpeed keep 1
  00189310 FD TableFeedPerRotation keep 1
  00189311 FD SpiralPitchFactor keep 1
# PS3.3 C.8.15.3.5 CT Position
00189326 SQ CTPositionSequence items 1
  00189327 FD TablePosition keep 1
  00189313 FD DataCollectionCenterPatient keep 1
  00189318 FD ReconstructionTargetCenterPatient keep 1
# PS3.3 C.8.15.3.6 CT Geometry
00189312 SQ CTGeometrySequence items 1
  00181110 DS DistanceSourceToDetector keep 1
  00189335 FD DistanceSourceToDataCollectionCenter keep 1
# PS3.3 C.8.15.3.7 CT Reconstruction
00189314 SQ CTReconstructionSequence items 1
  00189315 CS ReconstructionAlgorithm keep 1
  00181210 SH ConvolutionKernel keep 1
  00189316 CS ConvolutionKernelGroup keep 1
  00181100 DS ReconstructionDiameter keep 1
  00189317 FD ReconstructionFieldOfView keep 1
  00189322 FD ReconstructionPixelSpacing keep 1
  00189319 FD ReconstructionAngle keep 1
  00189320 SH ImageFilter dummy 1
# PS3.3 C.8.15.3.8 CT Exposure
00189321 SQ CTExposureSequence items 1
  00189328 FD ExposureTimeInms keep 1
  00189330 FD XRayTubeCurrentInmA keep 1
  00189332 FD ExposureInmAs keep 1
  00189323 CS ExposureModulationType keep 1
  00189324 FD EstimatedDoseSaving keep 2
  00189345 FD CTDIvol keep 2
  00189346 SQ CTDIPhantomTypeCodeSequence code 3
  00181271 FD WaterEquivalentDiameter keep 3
# PS3.3 C.8.15.3.9 CT X-Ray Details
00189325 SQ CTXRayDetailsSequence items 1
  00180060 DS KVP keep 1
  00181190 DS FocalSpots keep 1
  00181160 SH FilterType dummy 1
  00187050 CS FilterMaterial keep 1
  00189351 FL CalciumScoringMassFactorPatient keep 3
  00189352 FL CalciumScoringMassFactorDevice keep 3
  00189353 FL EnergyWeightingFactor keep 1
# PS3.3 C.7.6.16.2.14 Irradiation Event Identification
00189477 SQ IrradiationEventIdentificationSequence items 1
  00083010 UI IrradiationEventUID uid 1
"""

# Further top-level elements of MR.
MR: Final = """
# PS3.3 C.8.13.1 Enhanced MR Image
00189100 CS ResonantNucleus keep 1
00189064 CS KSpaceFiltering keep 1
00180087 DS MagneticFieldStrength keep 1
00189174 CS ApplicableSafetyStandardAgency keep 1
00089208 CS ComplexImageComponent keep 1
00089209 CS AcquisitionContrast keep 1
# PS3.3 C.8.13.4 MR Pulse Sequence
00189005 SH PulseSequenceName dummy 1
00180023 CS MRAcquisitionType keep 1
00189008 CS EchoPulseSequence keep 1
00189011 CS MultipleSpinEcho keep 1
00189012 CS MultiPlanarExcitation keep 1
00189014 CS PhaseContrast keep 1
00189015 CS TimeOfFlightContrast keep 1
00189250 CS ArterialSpinLabelingContrast keep 1
00189017 CS SteadyStatePulseSequence keep 1
00189018 CS EchoPlanarPulseSequence keep 1
00189024 CS SaturationRecovery keep 1
00189025 CS SpectrallySelectedSuppression keep 1
00189029 CS OversamplingPhase keep 1
00189033 CS SegmentedKSpaceTraversal keep 1
00189093 US NumberOfKSpaceTrajectories keep 1
00189094 CS CoverageOfKSpace keep 1
00189032 CS GeometryOfKSpaceTraversal keep 1
00189034 CS RectilinearPhaseEncodeReordering keep 1
"""

# The functional groups of MR.
MR_GROUPS: Final = """
# PS3.3 C.8.13.5.1 MR Image Frame Type
00189226 SQ MRImageFrameTypeSequence items 1
  00089007 CS FrameType keep 1
  00089205 CS PixelPresentation keep 1
  00089206 CS VolumetricProperties keep 1
  00089207 CS VolumeBasedCalculationTechnique keep 1
  00089208 CS ComplexImageComponent keep 1
  00089209 CS AcquisitionContrast keep 1
# PS3.3 C.8.13.5.2 MR Timing and Related Parameters
00189112 SQ MRTimingAndRelatedParametersSequence items 1
  00180080 DS RepetitionTime keep 1
  00181314 DS FlipAngle keep 1
  00180091 IS EchoTrainLength keep 1
  00189240 US RFEchoTrainLength keep 1
  00189241 US GradientEchoTrainLength keep 1
  00189239 SQ SpecificAbsorptionRateSequence items 1
    00189179 CS SpecificAbsorptionRateDefinition keep 1
    00189181 FD SpecificAbsorptionRateValue keep 1
  00189180 CS GradientOutputType keep 1
  00189182 FD GradientOutput keep 1
  00189176 SQ OperatingModeSequence items 1
    00189177 CS OperatingModeType keep 1
    00189178 CS OperatingMode keep 1
# PS3.3 C.8.13.5.3 MR FOV/Geometry
00189125 SQ MRFOVGeometrySequence items 1
  00181312 CS InPlanePhaseEncodingDirection keep 1
  00189058 US MRAcquisitionFrequencyEncodingSteps keep 1
  00189231 US MRAcquisitionPhaseEncodingStepsInPlane keep 1
  00189232 US MRAcquisitionPhaseEncodingStepsOutOfPlane keep 1
  00180093 DS PercentSampling keep 1
  00180094 DS PercentPhaseFieldOfView keep 1
# PS3.3 C.8.13.5.4 MR Echo
00189114 SQ MREchoSequence items 1
  00189082 FD EffectiveEchoTime keep 1
# PS3.3 C.8.13.5.5 MR Modifier
00189115 SQ MRModifierSequence items 1
  00189009 CS InversionRecovery keep 1
  00189079 FD InversionTimes keep 1
  00189010 CS FlowCompensation keep 1
  00189183 CS FlowCompensationDirection keep 1
  00189016 CS Spoiling keep 1
  00189021 CS T2Preparation keep 1
  00189026 CS SpectrallySelectedExcitation keep 1
  00189027 CS SpatialPresaturation keep 1
  00189081 CS PartialFourier keep 1
  00189036 CS PartialFourierDirection keep 1
  00189077 CS ParallelAcquisition keep 1
  00189078 CS ParallelAcquisitionTechnique keep 1
  00189069 FD ParallelReductionFactorInPlane keep 1
  00189155 FD ParallelReductionFactorOutOfPlane keep 1
  00189168 FD ParallelReductionFactorSecondInPlane keep 1
# PS3.3 C.8.13.5.6 MR Imaging Modifier
00189006 SQ MRImagingModifierSequence items 1
  00189020 CS MagnetizationTransfer keep 1
  00189022 CS BloodSignalNulling keep 1
  00189028 CS Tagging keep 1
  00189098 FD TransmitterFrequency keep 1
  00180095 DS PixelBandwidth keep 1
# PS3.3 C.8.13.5.7 MR Receive Coil
00189042 SQ MRReceiveCoilSequence items 1
  00181250 SH ReceiveCoilName dummy 1
  00189041 LO ReceiveCoilManufacturerName empty 2
  00189043 CS ReceiveCoilType keep 1
  00189044 CS QuadratureReceiveCoil keep 1
# PS3.3 C.8.13.5.8 MR Transmit Coil
00189049 SQ MRTransmitCoilSequence items 1
  00181251 SH TransmitCoilName dummy 1
  00189050 LO TransmitCoilManufacturerName empty 2
  00189051 CS TransmitCoilType keep 1
# PS3.3 C.8.13.5.9 MR Diffusion
00189117 SQ MRDiffusionSequence items 1
  00189087 FD DiffusionBValue keep 1
  00189075 CS DiffusionDirectionality keep 1
  00189076 SQ DiffusionGradientDirectionSequence items 1
    00189089 FD DiffusionGradientOrientation keep 1
# PS3.3 C.8.13.5.10 MR Averages
00189119 SQ MRAveragesSequence items 1
  00180083 DS NumberOfAverages keep 1
"""

# Further top-level elements of PET.
PT: Final = """
# PS3.3 C.8.22.2 Enhanced PET Isotope
00540016 SQ RadiopharmaceuticalInformationSequence items 2
  00189729 US RadiopharmaceuticalAgentNumber keep 1
  00540300 SQ RadionuclideCodeSequence code 1
  00540304 SQ RadiopharmaceuticalCodeSequence code 1
  00540302 SQ AdministrationRouteCodeSequence code 1
  00181071 DS RadiopharmaceuticalVolume keep 3
  00181078 DT RadiopharmaceuticalStartDateTime date 1 113107
  00181079 DT RadiopharmaceuticalStopDateTime date 2 113107
  00181074 DS RadionuclideTotalDose keep 2
  00181075 DS RadionuclideHalfLife keep 1
  00181076 DS RadionuclidePositronFraction keep 1
# PS3.3 C.8.22.3 Enhanced PET Acquisition
00180073 CS AcquisitionStartCondition keep 1
00180071 CS AcquisitionTerminationCondition keep 1
00540202 CS TypeOfDetectorMotion keep 1
00181134 CS TableMotion keep 1
00189722 FD TerminationTimeThreshold keep 1
00541210 DS CoincidenceWindowWidth keep 1
00540220 SQ ViewCodeSequence code 1
00540013 SQ EnergyWindowRangeSequence items 1
  00540014 DS EnergyWindowLowerLimit keep 1
  00540015 DS EnergyWindowUpperLimit keep 1
00180090 DS DataCollectionDiameter keep 1
00181181 CS CollimatorType keep 1
00189725 CS DetectorGeometry keep 1
00189726 FD TransverseDetectorSeparation keep 1
00189727 FD AxialDetectorDimension keep 1
# PS3.3 C.8.22.4 Enhanced PET Image
00541002 CS CountsSource keep 1
00189758 CS DecayCorrected keep 1
00189701 DT DecayCorrectionDateTime date 1 113107
00189759 CS AttenuationCorrected keep 1
00189738 CS AttenuationCorrectionSource keep 1
00189770 CS AttenuationCorrectionTemporalRelationship keep 1
00189760 CS ScatterCorrected keep 1
00541105 LO ScatterCorrectionMethod keep 1
00189761 CS DeadTimeCorrected keep 1
00189762 CS GantryMotionCorrected keep 1
00189763 CS PatientMotionCorrected keep 1
00189764 CS CountLossNormalizationCorrected keep 1
00189765 CS RandomsCorrected keep 1
00541100 CS RandomsCorrectionMethod keep 1
00189766 CS NonUniformRadialSamplingCorrected keep 1
00189767 CS SensitivityCalibrated keep 1
00189768 CS DetectorNormalizationCorrection keep 1
00189755 CS TimeOfFlightInformationUsed keep 1
00540500 CS SliceProgressionDirection keep 1
"""

# The functional groups of PET.
PT_GROUPS: Final = """
# PS3.3 C.8.22.5.1 PET Frame Type
00189751 SQ PETFrameTypeSequence items 1
  00089007 CS FrameType keep 1
  00089205 CS PixelPresentation keep 1
  00089206 CS VolumetricProperties keep 1
  00089207 CS VolumeBasedCalculationTechnique keep 1
# PS3.3 C.8.22.5.2 PET Frame Acquisition
00189732 SQ PETFrameAcquisitionSequence items 1
  00181130 DS TableHeight keep 1
  00181120 DS GantryDetectorTilt keep 1
  00181121 DS GantryDetectorSlew keep 1
  00180090 DS DataCollectionDiameter keep 1
# PS3.3 C.8.22.5.3 PET Detector Motion Details
00189733 SQ PETDetectorMotionDetailsSequence items 1
  00181140 CS RotationDirection keep 1
  00189305 FD RevolutionTime keep 1
# PS3.3 C.8.22.5.4 PET Position
00189735 SQ PETPositionSequence items 1
  00189327 FD TablePosition keep 1
  00189313 FD DataCollectionCenterPatient keep 1
  00189318 FD ReconstructionTargetCenterPatient keep 1
# PS3.3 C.8.22.5.5 PET Frame Correction Factors
00189736 SQ PETFrameCorrectionFactorsSequence items 1
  00541310 IS PrimaryPromptsCountsAccumulated keep 3
  00541320 DS SliceSensitivityFactor keep 1
  00541321 DS DecayFactor keep 1
  00541323 DS ScatterFractionFactor keep 1
  00541324 DS DeadTimeFactor keep 1
# PS3.3 C.8.22.5.6 PET Reconstruction
00189749 SQ PETReconstructionSequence items 1
  00189756 CS ReconstructionType keep 1
  00189315 CS ReconstructionAlgorithm keep 1
  00189769 CS IterativeReconstructionMethod keep 1
  00189739 US NumberOfIterations keep 1
  00189740 US NumberOfSubsets keep 1
  00181100 DS ReconstructionDiameter keep 1
  00189317 FD ReconstructionFieldOfView keep 1
  00189322 FD ReconstructionPixelSpacing keep 1
  00189319 FD ReconstructionAngle keep 1
# PS3.3 C.8.22.5.7 PET Table Dynamics
00189734 SQ PETTableDynamicsSequence items 1
  00189309 FD TableSpeed keep 1
  00189310 FD TableFeedPerRotation keep 1
# PS3.3 C.7.6.16.2.19 Radiopharmaceutical Usage
00189737 SQ RadiopharmaceuticalUsageSequence items 1
  00189729 US RadiopharmaceuticalAgentNumber keep 1
"""
