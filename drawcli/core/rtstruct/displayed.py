"""Names and display colours of the structures of an RTSTRUCT, by ROI number."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.elements import decode_text, item_value
from drawcli.core.dicom.header import Header, NotDicom, ascii_text
from drawcli.core.rtstruct.contours import items_of, unreadable

Color = tuple[int, int, int]  # red, green, blue: 0 to 255

_MOST: Final = 255
# For structures without a colour, in turn: bright, and easy to distinguish on grey.
_COLORS: Final[tuple[Color, ...]] = (
    (255, 90, 90),
    (90, 210, 90),
    (90, 160, 255),
    (255, 215, 70),
    (230, 110, 255),
    (80, 225, 225),
    (255, 150, 50),
    (190, 190, 255),
)


@dataclass(frozen=True, slots=True)
class Displayed:
    """Name and colour of a structure."""

    name: str  # ROIName, on one line
    color: Color  # ROIDisplayColor, or a default colour if the file has none


def default_color(rank: int) -> Color:
    """Return the colour for a structure that has none in the file."""
    return _COLORS[rank % len(_COLORS)]


def read_display(header: Header) -> dict[int, Displayed]:
    """Return name and colour of each structure by ROI number, in the order of the file.

    Raises
    ------
    BadStructureSet
        If the file cannot be read completely.
    """
    try:
        colors = dict(_colors(header))
        named = list(_names(header))
    except (NotDicom, ValueError) as err:
        raise unreadable(err) from None
    return {
        number: Displayed(name, colors.get(number) or default_color(rank))
        for rank, (number, name) in enumerate(named)
    }


def _names(header: Header) -> Iterator[tuple[int, str]]:
    character_set = header.raw(tags.SpecificCharacterSet) or b""
    for item in items_of(header, tags.StructureSetROISequence):
        name = decode_text(item_value(header, item, tags.ROIName) or b"", character_set).strip(
            " \0"
        )
        line = "".join(char if char.isprintable() else " " for char in name)
        yield int(ascii_text(item_value(header, item, tags.ROINumber) or b"-1")), line


def _colors(header: Header) -> Iterator[tuple[int, Color]]:
    for item in items_of(header, tags.ROIContourSequence):
        raw = ascii_text(item_value(header, item, tags.ROIDisplayColor) or b"").split("\\")
        color = tuple(min(int(one), _MOST) for one in raw if one.strip().isdigit())
        if len(color) == len(raw) == 3:  # noqa: PLR2004 - red, green, blue
            number = int(ascii_text(item_value(header, item, tags.ReferencedROINumber) or b"-1"))
            yield number, (color[0], color[1], color[2])
