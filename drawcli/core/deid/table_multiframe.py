"""The tables of the policy for multi-frame images: Enhanced CT, MR, PET, and converted ones.

The format is that of `table_single_frame.py`. Multi-frame images hold most attributes in functional
groups, shared or per frame; a group may occur in both. Groups and attributes that no line names are
removed: physiology, references to other images, comments.

code     codes of known schemes (see `coded_entries.py`), with the meaning of the scheme
dummy    a placeholder
"""

from typing import Final

from drawcli.core.deid import table_single_frame

# Top-level elements of every multi-frame image.
IMAGE: Final = """
# PS3.3 C.7.5.2 Enhanced General Equipment
00080070 LO Manufacturer keep 1
00181000 LO DeviceSerialNumber dummy 1
00181020 LO SoftwareVersions dummy 1
# PS3.3 C.7.6.14 Acquisition Context
00400555 SQ AcquisitionContextSequence empty 2
# PS3.3 C.7.6.16 Multi-frame Functional Groups
00200013 IS InstanceNumber keep 1
00080023 DA ContentDate date 1 113107
00080033 TM ContentTime time 1 113107
00286010 US RepresentativeFrameNumber keep 3
00209161 UI ConcatenationUID uid 1
00200242 UI SOPInstanceUIDOfConcatenationSource uid 1
00209162 US InConcatenationNumber keep 1
00209163 US InConcatenationTotalNumber keep 3
00209228 UL ConcatenationFrameOffsetNumber keep 1
# PS3.3 C.7.6.17 Multi-frame Dimension
00209311 CS DimensionOrganizationType keep 3
00209221 SQ DimensionOrganizationSequence items 2
  00209164 UI DimensionOrganizationUID uid 1
00209222 SQ DimensionIndexSequence items 2
  00209164 UI DimensionOrganizationUID uid 1
  00209165 AT DimensionIndexPointer keep 1
  00209167 AT FunctionalGroupPointer keep 1
# PS3.3 C.8.16.1 Common CT, MR and Photoacoustic, C.8.16.2 its Image Description
00189004 CS ContentQualification keep 1
00189073 FD AcquisitionDuration keep 1
00089205 CS PixelPresentation keep 1
00089206 CS VolumetricProperties keep 1
00089207 CS VolumeBasedCalculationTechnique keep 1
20500020 CS PresentationLUTShape keep 1
"""

# The functional groups of every multi-frame image, shared or per frame.
GROUPS: Final = """
# PS3.3 C.7.6.16.2.1 Pixel Measures
00289110 SQ PixelMeasuresSequence items 1
  00180050 DS SliceThickness keep 1
  00180088 DS SpacingBetweenSlices keep 3
  00280030 DS PixelSpacing keep 1
# PS3.3 C.7.6.16.2.2 Frame Content
00209111 SQ FrameContentSequence items 1
  00209156 US FrameAcquisitionNumber keep 3
  00189151 DT FrameReferenceDateTime date 1 113107
  00189074 DT FrameAcquisitionDateTime date 1 113107
  00189220 FD FrameAcquisitionDuration keep 1
  00189236 CS CardiacCyclePosition keep 3
  00189214 CS RespiratoryCyclePosition keep 3
  00209157 UL DimensionIndexValues keep 1
  00209128 UL TemporalPositionIndex keep 1
  00209056 SH StackID keep 1
  00209057 UL InStackPositionNumber keep 1
# PS3.3 C.7.6.16.2.3 Plane Position (Patient)
00209113 SQ PlanePositionSequence items 1
  00200032 DS ImagePositionPatient keep 1
# PS3.3 C.7.6.16.2.4 Plane Orientation (Patient)
00209116 SQ PlaneOrientationSequence items 1
  00200037 DS ImageOrientationPatient keep 1
# PS3.3 C.7.6.16.2.8 Frame Anatomy
00209071 SQ FrameAnatomySequence items 1
  00209072 CS FrameLaterality keep 1
  00082218 SQ AnatomicRegionSequence code 1
# PS3.3 C.7.6.16.2.9 Pixel Value Transformation
00289145 SQ PixelValueTransformationSequence items 1
  00281052 DS RescaleIntercept keep 1
  00281053 DS RescaleSlope keep 1
  00281054 LO RescaleType keep 1
# PS3.3 C.7.6.16.2.10 Frame VOI LUT (numbers only; explanations are removed)
00289132 SQ FrameVOILUTSequence items 1
  00281050 DS WindowCenter keep 1
  00281051 DS WindowWidth keep 1
  00281056 CS VOILUTFunction keep 3
# PS3.3 C.7.6.16.2.11 Real World Value Mapping
00409096 SQ RealWorldValueMappingSequence items 1
  00409216 xs RealWorldValueFirstValueMapped keep 1
  00409211 xs RealWorldValueLastValueMapped keep 1
  00409224 FD RealWorldValueIntercept keep 1
  00409225 FD RealWorldValueSlope keep 1
  00283003 LO LUTExplanation dummy 1
  00409210 SH LUTLabel dummy 1
  004008EA SQ MeasurementUnitsCodeSequence code 1
"""

# Left over from a conversion of single slices.
CONVERTED: Final = """
# PS3.3 C.7.6.16 Multi-frame Functional Groups, of the Legacy Converted Enhanced Images
00209172 SQ ConversionSourceAttributesSequence items 1
  00081150 UI ReferencedSOPClassUID registered 1
  00081155 UI ReferencedSOPInstanceUID uid 1
  00081160 IS ReferencedFrameNumber keep 1
"""

_SHARED: Final = "52009229 SQ SharedFunctionalGroupsSequence items 1"
_PER_FRAME: Final = "52009230 SQ PerFrameFunctionalGroupsSequence items 1"
_UNASSIGNED: Final = (
    "00209170 SQ UnassignedSharedConvertedAttributesSequence items 1",
    "00209171 SQ UnassignedPerFrameConvertedAttributesSequence items 1",
)


def enhanced_table(top: str, groups: str) -> str:
    """Return the table of an enhanced image: top-level attributes and functional groups."""
    inside = _indented(GROUPS + groups)
    source = "# PS3.3 C.7.6.16 Multi-frame Functional Groups"
    both = f"{source}\n{_SHARED}\n{inside}\n{_PER_FRAME}\n{inside}\n"
    return table_single_frame.COMMON + IMAGE + top + both


def converted_table(top: str, groups: str, single_slice: str) -> str:
    """Return the table of a legacy converted enhanced image.

    Its unassigned attributes are those that a single slice of the modality may have.
    """
    inside = _indented(table_single_frame.SINGLE_SLICE + single_slice)
    unassigned = "\n".join(f"{line}\n{inside}" for line in _UNASSIGNED)
    return enhanced_table(top, f"{groups}{CONVERTED}{unassigned}\n")


def _indented(table: str) -> str:
    return "\n".join(f"  {line}" for line in table.splitlines() if line)
