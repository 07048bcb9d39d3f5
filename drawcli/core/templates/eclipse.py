"""Structure templates of Varian Eclipse, in the XML that its template administration exports."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.etree import ElementTree as ET

from drawcli.core.templates.appearance import ROI_TYPES

Colour = tuple[int, int, int]
_LARGEST: Final = 10_000_000  # bytes; a template has a few thousand
_SEPARATED: Final = re.compile(r"RGB\s*(\d{1,3})\s+(\d{1,3})\s+(\d{1,3})\s*")
_FIXED_WIDTH: Final = re.compile(r"RGB([ \d]{2}\d)([ \d]{2}\d)([ \d]{2}\d)\s*")
_NAMED: Final[dict[str, Colour]] = {
    "black": (0, 0, 0),
    "blue": (0, 0, 255),
    "brown": (165, 42, 42),
    "cyan": (0, 255, 255),
    "dark blue": (0, 0, 139),
    "dark green": (0, 100, 0),
    "gray": (128, 128, 128),
    "green": (0, 128, 0),
    "lime": (0, 255, 0),
    "magenta": (255, 0, 255),
    "orange": (255, 165, 0),
    "pink": (255, 192, 203),
    "purple": (128, 0, 128),
    "red": (255, 0, 0),
    "teal": (0, 128, 128),
    "white": (255, 255, 255),
    "yellow": (255, 255, 0),
}
_TYPES: Final = {"BODY": "EXTERNAL", "OAR": "ORGAN"}


@dataclass(frozen=True, slots=True)
class EclipseStructure:
    """One structure of the template."""

    name: str
    type: str | None  # RTROIInterpretedType (3006,00A4); None if it is not a defined term
    color: Colour | None


@dataclass(frozen=True, slots=True)
class EclipseTemplate:
    """A structure template."""

    name: str
    structures: tuple[EclipseStructure, ...]


def read_eclipse(data: bytes) -> EclipseTemplate:
    """Return the template of an XML file; raise ValueError if it is invalid."""
    if len(data) > _LARGEST:
        raise ValueError(f"larger than {_LARGEST} bytes")
    if b"<!" in data.replace(b"\0", b"").replace(b"<!--", b""):
        raise ValueError("XML with declarations; an export of Eclipse has none")
    try:
        root = ET.fromstring(data)  # noqa: S314 - declarations, and so entities, were refused
    except (ET.ParseError, LookupError, ValueError) as err:
        raise ValueError(f"not XML: {err}") from None
    if root.tag != "StructureTemplate":
        raise ValueError(f"a {root.tag[:40]}, not a StructureTemplate of Eclipse")
    preview = root.find("Preview")
    name = "" if preview is None else preview.get("ID", "").strip()
    structures = tuple(_structures(root))
    if not structures:
        raise ValueError("a template without structures")
    return EclipseTemplate(name, structures)


def _structures(root: ET.Element) -> Iterator[EclipseStructure]:
    for element in root.iterfind("Structures/Structure"):
        name = element.get("ID", "").strip()
        if name:
            volume_type = element.findtext("Identification/VolumeType", "")
            colour = element.findtext("ColorAndStyle", "")
            yield EclipseStructure(name, parse_type(volume_type), parse_colour(colour))


def parse_type(volume_type: str) -> str | None:
    """Return the RTROIInterpretedType of a volume type.

    >>> parse_type("Organ"), parse_type("Body"), parse_type("Dose Region"), parse_type("Undefined")
    ('ORGAN', 'EXTERNAL', 'DOSE_REGION', None)
    """
    term = volume_type.strip().upper().replace(" ", "_")
    term = _TYPES.get(term, term)
    return term if term and term in ROI_TYPES else None


def parse_colour(text: str) -> Colour | None:
    """Return red, green and blue of an element ColorAndStyle, or None.

    >>> parse_colour("Segment - Yellow"), parse_colour("RGB 255 0 64"), parse_colour("RGB255  0128")
    ((255, 255, 0), (255, 0, 64), (255, 0, 128))
    """
    plain = text.strip()
    if match := _SEPARATED.fullmatch(plain) or _FIXED_WIDTH.fullmatch(plain):
        red, green, blue = map(int, match.groups())
        return (red, green, blue) if max(red, green, blue) < 256 else None  # noqa: PLR2004 - a byte
    return _NAMED.get(plain.rpartition(" - ")[2].casefold())
