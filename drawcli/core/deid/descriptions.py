"""Descriptions that a site keeps: only words of a fixed vocabulary stay."""

from itertools import pairwise
from typing import Final

VOCABULARY: Final = frozenset(
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


def clean_description(description: str) -> str:
    """Return the words of a description that are in the vocabulary.

    A number stays only where it is a length: "14 03 64" may be a birthday.

    >>> clean_description("CT Pelvis planning for John Smith 3 mm, 19640312")
    'CT Pelvis planning 3 mm'
    """
    words = [word.strip(",;:()[]") for word in description.replace("_", " ").split()]
    return " ".join(word for word, after in pairwise([*words, ""]) if _is_allowed(word, after))


def _is_allowed(word: str, after: str) -> bool:
    if not word.isascii():
        return False
    if word.isdigit():
        return len(word) <= _LONGEST_NUMBER and after == _UNIT
    return word.casefold() in VOCABULARY or word == _UNIT
