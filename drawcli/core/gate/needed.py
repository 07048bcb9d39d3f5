"""The elements that an image needs: a package must have as many of each as its sources.

References
----------
PS3.3, Types 1 and 2 of the image modules.
"""

from collections.abc import Set as AbstractSet
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pydicom import Dataset

_NEEDED: Final = {
    "": """
        BitsAllocated BitsStored Columns FrameOfReferenceUID HighBit ImageOrientationPatient
        ImagePositionPatient ImageType InstanceNumber Modality NumberOfFrames PatientPosition
        PatientSex PerFrameFunctionalGroupsSequence PhotometricInterpretation PixelRepresentation
        PixelSpacing RescaleIntercept RescaleSlope Rows SamplesPerPixel SeriesDate SeriesNumber
        SharedFunctionalGroupsSequence SliceThickness
    """.split(),
    "CT": ["KVP"],
    "MR": ["EchoTime", "RepetitionTime"],
    "PT": """
        CorrectedImage DecayCorrection DecayFactor FrameReferenceTime
        RadiopharmaceuticalInformationSequence Units
    """.split(),
}


def needed_keywords(dataset: "Dataset") -> list[str]:
    """Return the keywords of needed elements that an image has."""
    present = set(dataset.keys())  # asking pydicom for each keyword is much slower
    return needed_among(present, str(dataset.get("Modality", "")))


def needed_among(present: AbstractSet[int], modality: str) -> list[str]:
    """Return the keywords of the needed elements among some tags."""
    return [keyword for tag, keyword in _needed_tags(modality).items() if tag in present]


@cache
def _needed_tags(modality: str) -> dict[int, str]:
    from pydicom.datadict import tag_for_keyword

    keywords = (*_NEEDED[""], *_NEEDED.get(modality, ()))
    return {tag_for_keyword(keyword) or 0: keyword for keyword in keywords}
