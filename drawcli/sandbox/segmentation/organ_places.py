"""The positions of the sandbox's structures: a table, and a rule for other names.

They are fractions of the body that fit the phantoms, not the anatomy of a real patient.
"""

import hashlib
import re
from dataclasses import dataclass, replace
from typing import Final, Literal

Kind = Literal["body", "bone", "lung"]
Side = Literal["left", "right", "both"]

_KINDS: Final[dict[str, Kind]] = {
    "body": "body",
    "external": "body",
    "skin": "body",
    "bone": "bone",
    "bones": "bone",
    "skeleton": "bone",
    "lung": "lung",
    "lungs": "lung",
}


@dataclass(frozen=True, slots=True)
class OrganPlace:
    """An ellipsoid in a body.

    Fractions of half the body's width (to the patient's left), of half its depth (to the back) and
    of half the length of the scan (to the head); width and depth at the level of the centre.
    """

    centre: tuple[float, float, float]
    semi: tuple[float, float, float]

    def mirrored(self) -> "OrganPlace":
        """Return the place mirrored to the other side of the body."""
        x, y, z = self.centre
        return replace(self, centre=(-x, y, z))


# Paired organs are given on the patient's left.
_PLACES: Final[dict[str, OrganPlace]] = {
    "bladder": OrganPlace((0, -0.24, 0.0), (0.2, 0.25, 0.2)),
    "rectum": OrganPlace((0, 0.37, -0.12), (0.1, 0.15, 0.4)),
    "anorectum": OrganPlace((0, 0.37, -0.2), (0.1, 0.15, 0.45)),
    "prostate": OrganPlace((0, 0.02, -0.28), (0.13, 0.16, 0.13)),
    "seminalves": OrganPlace((0, 0.18, -0.1), (0.15, 0.06, 0.06)),
    "penilebulb": OrganPlace((0, 0.12, -0.55), (0.06, 0.09, 0.07)),
    "femoralhead": OrganPlace((0.5, 0.02, -0.167), (0.13, 0.2, 0.16)),
    "femur": OrganPlace((0.61, 0.09, -0.83), (0.09, 0.15, 0.45)),
    "bowel": OrganPlace((0, -0.34, 0.57), (0.5, 0.34, 0.34)),
    "uterus": OrganPlace((0, 0.05, 0.12), (0.2, 0.2, 0.2)),
    "brain": OrganPlace((0, 0, 0.42), (0.86, 0.88, 0.52)),
    "brainstem": OrganPlace((0, 0.25, 0.05), (0.18, 0.16, 0.16)),
    "eye": OrganPlace((0.4, -0.7, 0.2), (0.17, 0.13, 0.09)),
    "lens": OrganPlace((0.4, -0.82, 0.2), (0.06, 0.03, 0.03)),
    "opticnrv": OrganPlace((0.22, -0.5, 0.2), (0.12, 0.16, 0.03)),
    "opticchiasm": OrganPlace((0, -0.3, 0.22), (0.1, 0.05, 0.03)),
    "parotid": OrganPlace((0.76, 0.08, -0.14), (0.17, 0.22, 0.14)),
    "glndsubmand": OrganPlace((0.4, -0.35, -0.3), (0.14, 0.14, 0.1)),
    "mandible": OrganPlace((0, -0.68, -0.27), (0.6, 0.16, 0.09)),
    "cavityoral": OrganPlace((0, -0.31, -0.21), (0.4, 0.38, 0.13)),
    "larynx": OrganPlace((0, -0.3, -0.5), (0.25, 0.25, 0.12)),
    "pharynx": OrganPlace((0, -0.05, -0.32), (0.16, 0.12, 0.25)),
    "thyroid": OrganPlace((0.25, -0.25, -0.6), (0.12, 0.15, 0.1)),
    "spinalcord": OrganPlace((0, 0.6, 0), (0.06, 0.08, 3.0)),
    "spinalcanal": OrganPlace((0, 0.6, 0), (0.09, 0.11, 3.0)),
    "esophagus": OrganPlace((0, 0.25, 0.2), (0.06, 0.08, 1.5)),
    "trachea": OrganPlace((0, 0.03, 0.7), (0.06, 0.09, 0.4)),
    "heart": OrganPlace((0.15, -0.25, -0.28), (0.31, 0.38, 0.34)),
    "aorta": OrganPlace((0.1, 0.25, 0), (0.07, 0.11, 2.0)),
    "breast": OrganPlace((0.5, -0.75, 0.1), (0.3, 0.18, 0.35)),
    "liver": OrganPlace((-0.36, -0.05, -0.85), (0.45, 0.65, 0.33)),
    "stomach": OrganPlace((0.35, -0.2, -0.9), (0.25, 0.35, 0.22)),
    "spleen": OrganPlace((0.6, 0.35, -0.9), (0.18, 0.25, 0.2)),
    "kidney": OrganPlace((0.4, 0.45, -0.6), (0.15, 0.22, 0.35)),
}
_OTHER_NAMES: Final = {
    "femurhead": "femoralhead",
    "headfemoral": "femoralhead",
    "bowelbag": "bowel",
    "bagbowel": "bowel",
    "eyeball": "eye",
    "opticnerve": "opticnrv",
    "oralcavity": "cavityoral",
    "cord": "spinalcord",
    "oesophagus": "esophagus",
    "seminalvesicles": "seminalves",
    "seminalvesicle": "seminalves",
}


# Semi-axes of the second version of a model, minus those of the first, mm.
GROWN_MM: Final = {"bladder": 2.0}


def grown_mm_of(name: str) -> float:
    """Return how much larger the second version of a model draws a structure, mm.

    >>> grown_mm_of("Bladder"), grown_mm_of("Rectum")
    (2.0, 0.0)
    """
    return GROWN_MM.get(_stem(name), 0.0)


def kind_of(name: str) -> Kind | None:
    """Return the kind of a structure that is drawn from the pixels, or None."""
    return _KINDS.get(_stem(name))


def side_of(name: str) -> Side:
    """Return the side in a name, as in TG-263 and similar nomenclatures.

    >>> side_of("Femur_Head_L"), side_of("Right Lung"), side_of("Liver")
    ('left', 'right', 'both')
    """
    words = _words(name)
    if {"l", "left", "lt"} & set(words):
        return "left"
    return "right" if {"r", "right", "rt"} & set(words) else "both"


def place_of(name: str) -> OrganPlace:
    """Return the place of a structure: from the table, or derived from its name.

    >>> place_of("Parotid_R").centre
    (-0.76, 0.08, -0.14)
    >>> place_of("Left Femur Head") == place_of("Femur_Head_L")
    True
    """
    stem = _stem(name)
    place = _PLACES.get(_OTHER_NAMES.get(stem, stem)) or _spot(stem, sided=side_of(name) != "both")
    return place.mirrored() if side_of(name) == "right" else place


def _spot(stem: str, *, sided: bool) -> OrganPlace:
    """Return a small ellipsoid well inside the body, the same for the same name."""
    a, b, c, d = (byte / 255 for byte in hashlib.sha256(stem.encode()).digest()[:4])
    x = 0.15 + 0.35 * a if sided else 0.8 * a - 0.4
    size = 0.08 + 0.08 * d
    return OrganPlace((x, 0.8 * b - 0.4, 1.2 * c - 0.6), (size, size * 1.3, size))


def _words(name: str) -> list[str]:
    """Return the words of a name in lower case, split at capitals, blanks and underscores."""
    return [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", name)]


def _stem(name: str) -> str:
    """Return a name in lower case without its side and blanks."""
    sides = {"l", "r", "left", "right", "lt", "rt"}
    return "".join(word for word in _words(name) if word not in sides)
