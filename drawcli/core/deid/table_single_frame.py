"""The tables of the de-identification policy: the elements sent with a planning image.

One table per SOP class: `COMMON` and the part of the modality. Elements that no line names are
removed, at every depth. A line holds tag, VR, keyword, action, Type of the attribute, and the
option of PS3.15 under which it is kept. An indented line is an element in the items of the sequence
above. Types with a condition (1C, 2C) are written without it. A line of the modality replaces the
line of the same tag in `COMMON`.

keep     unchanged if the format fits the attribute; otherwise emptied
uid      a stand-in derived with the site key
registered   a UID that PS3.6 registers for such an element is kept; others become stand-ins
date     shifted back by the patient's number of weeks, or a fixed date
time     kept with shifted dates; midnight with fixed dates
empty    present, without a value
name, patient, study   pseudonyms derived with the site key
items    the sequence is rebuilt from the lines below it
set      written by drawcli
"""

from typing import Final

COMMON: Final = """
# PS3.3 C.12.1 SOP Common
00080005 CS SpecificCharacterSet keep 1
00080016 UI SOPClassUID registered 1
00080018 UI SOPInstanceUID uid 1
# PS3.3 C.7.1.1 Patient
00100010 PN PatientName name 2
00100020 LO PatientID patient 2
00100030 DA PatientBirthDate empty 2
00100040 CS PatientSex keep 2 113108
00120062 CS PatientIdentityRemoved set 1
00120063 LO DeidentificationMethod set 1
00120064 SQ DeidentificationMethodCodeSequence set 1
# PS3.3 C.7.2.1 General Study
0020000D UI StudyInstanceUID uid 1
00080020 DA StudyDate date 2 113107
00080030 TM StudyTime time 2 113107
00080050 SH AccessionNumber empty 2
00080090 PN ReferringPhysicianName empty 2
00200010 SH StudyID study 2
# PS3.3 C.7.2.2 Patient Study
00101010 AS PatientAge keep 3 113108
00101020 DS PatientSize keep 3 113108
00101030 DS PatientWeight keep 3 113108
# PS3.3 C.7.3.1 General Series
00080021 DA SeriesDate date 3 113107
00080031 TM SeriesTime time 3 113107
00080060 CS Modality keep 1
00180015 CS BodyPartExamined keep 3
00185100 CS PatientPosition keep 2
0020000E UI SeriesInstanceUID uid 1
00200011 IS SeriesNumber keep 2
00200060 CS Laterality keep 2
# PS3.3 C.7.4.1 Frame of Reference, C.7.4.2 Synchronization
00200052 UI FrameOfReferenceUID uid 1
00200200 UI SynchronizationFrameOfReferenceUID registered 3
00201040 LO PositionReferenceIndicator empty 2
# PS3.3 C.7.5.1 General Equipment
00080070 LO Manufacturer keep 2
00081090 LO ManufacturerModelName keep 3
# PS3.3 C.7.6.1 General Image
00080008 CS ImageType keep 1
00080022 DA AcquisitionDate date 3 113107
00080023 DA ContentDate date 2 113107
0008002A DT AcquisitionDateTime date 3 113107
00080032 TM AcquisitionTime time 3 113107
00080033 TM ContentTime time 2 113107
00200012 IS AcquisitionNumber keep 2
00200013 IS InstanceNumber keep 2
00280301 CS BurnedInAnnotation keep 3
00280302 CS RecognizableVisualFeatures keep 3
00280303 CS LongitudinalTemporalInformationModified set 3
00282110 CS LossyImageCompression keep 3
00282112 DS LossyImageCompressionRatio keep 1
00282114 CS LossyImageCompressionMethod keep 1
00081140 SQ ReferencedImageSequence items 3
  00081150 UI ReferencedSOPClassUID registered 1
  00081155 UI ReferencedSOPInstanceUID uid 1
  00081160 IS ReferencedFrameNumber keep 1
00082112 SQ SourceImageSequence items 3
  00081150 UI ReferencedSOPClassUID registered 1
  00081155 UI ReferencedSOPInstanceUID uid 1
  00081160 IS ReferencedFrameNumber keep 1
# PS3.3 C.12.1.1.5 Contributing Equipment (our own item alone)
0018A001 SQ ContributingEquipmentSequence set 3
# PS3.3 C.7.6.3 Image Pixel, C.7.6.6 Multi-frame
00280002 US SamplesPerPixel keep 1
00280004 CS PhotometricInterpretation keep 1
00280006 US PlanarConfiguration keep 1
00280008 IS NumberOfFrames keep 1
00280009 AT FrameIncrementPointer keep 1
00280010 US Rows keep 1
00280011 US Columns keep 1
00280034 IS PixelAspectRatio keep 1
00280100 US BitsAllocated keep 1
00280101 US BitsStored keep 1
00280102 US HighBit keep 1
00280103 US PixelRepresentation keep 1
00280106 xs SmallestImagePixelValue keep 3
00280107 xs LargestImagePixelValue keep 3
00280120 xs PixelPaddingValue keep 1
00280121 xs PixelPaddingRangeLimit keep 1
"""

# Further elements of a single slice.
SINGLE_SLICE: Final = """
# PS3.3 C.7.6.2 Image Plane
00180050 DS SliceThickness keep 2
00180088 DS SpacingBetweenSlices keep 3
00200032 DS ImagePositionPatient keep 1
00200037 DS ImageOrientationPatient keep 1
00201041 DS SliceLocation keep 3
00280030 DS PixelSpacing keep 1
# PS3.3 C.11.1 Modality LUT, C.11.2 VOI LUT (numbers only; explanations are removed)
00281050 DS WindowCenter keep 3
00281051 DS WindowWidth keep 1
00281052 DS RescaleIntercept keep 1
00281053 DS RescaleSlope keep 1
00281054 LO RescaleType keep 1
"""

CT: Final = """
# PS3.3 C.8.2.1 CT Image
00180060 DS KVP keep 2
00180090 DS DataCollectionDiameter keep 3
00181100 DS ReconstructionDiameter keep 3
00181120 DS GantryDetectorTilt keep 3
00181130 DS TableHeight keep 3
00181140 CS RotationDirection keep 3
00181150 IS ExposureTime keep 3
00181151 IS XRayTubeCurrent keep 3
00181152 IS Exposure keep 3
00181210 SH ConvolutionKernel keep 3
"""

MR: Final = """
# PS3.3 C.8.3.1 MR Image
00180020 CS ScanningSequence keep 1
00180021 CS SequenceVariant keep 1
00180022 CS ScanOptions empty 2
00180023 CS MRAcquisitionType keep 2
00180025 CS AngioFlag keep 3
00180080 DS RepetitionTime keep 2
00180081 DS EchoTime keep 2
00180082 DS InversionTime keep 2
00180083 DS NumberOfAverages keep 3
00180084 DS ImagingFrequency keep 3
00180085 SH ImagedNucleus keep 3
00180086 IS EchoNumbers keep 3
00180087 DS MagneticFieldStrength keep 3
00180091 IS EchoTrainLength keep 2
00180093 DS PercentSampling keep 3
00180094 DS PercentPhaseFieldOfView keep 3
00180095 DS PixelBandwidth keep 3
00181060 DS TriggerTime keep 2
00181100 DS ReconstructionDiameter keep 3
00181310 US AcquisitionMatrix keep 3
00181312 CS InPlanePhaseEncodingDirection keep 3
00181314 DS FlipAngle keep 3
00181316 DS SAR keep 3
00200100 IS TemporalPositionIdentifier keep 3
"""

PT: Final = """
# PS3.3 C.7.3.1 General Series, as C.8.9.1 asks it of PET
00080021 DA SeriesDate date 1 113107
00080031 TM SeriesTime time 1 113107
# PS3.3 C.7.6.1 General Image, as C.8.9.4 asks it of PET
00080022 DA AcquisitionDate date 2 113107
00080032 TM AcquisitionTime time 2 113107
# PS3.3 C.8.9.1 PET Series
00181181 CS CollimatorType keep 2
00280051 CS CorrectedImage keep 2
00540061 US NumberOfRRIntervals keep 1
00540071 US NumberOfTimeSlots keep 1
00540081 US NumberOfSlices keep 1
00540101 US NumberOfTimeSlices keep 1
00540410 SQ PatientOrientationCodeSequence empty 2
00540414 SQ PatientGantryRelationshipCodeSequence empty 2
00541000 CS SeriesType keep 1
00541001 CS Units keep 1
00541002 CS CountsSource keep 1
00541006 CS SUVType keep 3
00541100 CS RandomsCorrectionMethod keep 3
00541101 LO AttenuationCorrectionMethod keep 3
00541102 CS DecayCorrection keep 1
00541105 LO ScatterCorrectionMethod keep 3
# PS3.3 C.8.9.2 PET Isotope
00540016 SQ RadiopharmaceuticalInformationSequence items 2
  00540300 SQ RadionuclideCodeSequence empty 2
  00181071 DS RadiopharmaceuticalVolume keep 3
  00181072 TM RadiopharmaceuticalStartTime time 3 113107
  00181074 DS RadionuclideTotalDose keep 3
  00181075 DS RadionuclideHalfLife keep 3
  00181076 DS RadionuclidePositronFraction keep 3
  00181078 DT RadiopharmaceuticalStartDateTime date 3 113107
# PS3.3 C.8.9.4 PET Image
00181060 DS TriggerTime keep 1
00181100 DS ReconstructionDiameter keep 3
00181242 IS ActualFrameDuration keep 2
00541300 DS FrameReferenceTime keep 1
00541321 DS DecayFactor keep 1
00541322 DS DoseCalibrationFactor keep 1
00541323 DS ScatterFractionFactor keep 3
00541330 US ImageIndex keep 1
"""

# Descriptions that a site may keep, word by word (deidentify.keep_descriptors).
DESCRIPTORS: Final = """
# PS3.15 E.3.5 Clean Descriptors (not claimed)
00081030 LO StudyDescription clean 3
0008103E LO SeriesDescription clean 3
00181030 LO ProtocolName clean 3
"""

# The accepted transfer syntaxes: images are sent in the one that they have.
SYNTAXES: Final = {
    "1.2.840.10008.1.2": "Implicit VR Little Endian",
    "1.2.840.10008.1.2.1": "Explicit VR Little Endian",
    "1.2.840.10008.1.2.5": "RLE Lossless",
    "1.2.840.10008.1.2.4.50": "JPEG Baseline (Process 1)",
    "1.2.840.10008.1.2.4.51": "JPEG Extended (Process 2 and 4)",
    "1.2.840.10008.1.2.4.57": "JPEG Lossless (Process 14)",
    "1.2.840.10008.1.2.4.70": "JPEG Lossless SV1",
    "1.2.840.10008.1.2.4.80": "JPEG-LS Lossless",
    "1.2.840.10008.1.2.4.81": "JPEG-LS Near-Lossless",
    "1.2.840.10008.1.2.4.90": "JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.91": "JPEG 2000",
    "1.2.840.10008.1.2.4.201": "High-Throughput JPEG 2000 Lossless",
    "1.2.840.10008.1.2.4.202": "High-Throughput JPEG 2000 with RPCL Lossless",
    "1.2.840.10008.1.2.4.203": "High-Throughput JPEG 2000",
}
