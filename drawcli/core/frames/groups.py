"""The values of each frame of a multi-frame image, from its functional groups.

References
----------
PS3.3 C.7.6.16 (Multi-frame Functional Groups).
"""

from collections.abc import Iterator, Mapping
from typing import Final

from drawcli.core.dicom.header import Header
from drawcli.core.dicom.multiframe import Groups, functional_groups, items_in
from drawcli.core.frames import attributes

_UNITS: Final = 0x004008EA  # MeasurementUnitsCodeSequence, in RealWorldValueMappingSequence
_CODE: Final = 0x00080100
_READ: Final = frozenset(
    {
        *(*attributes.SAME, *attributes.UNASSIGNED, *attributes.FRAME_TYPES),
        *(attributes.FRAME_CONTENT, attributes.MR_ECHO, attributes.MR_MODIFIER),
        *(attributes.MR_DIFFUSION, attributes.REAL_WORLD_VALUES),
    }
)
_ONE_ITEM: Final = frozenset(attributes.SAME)  # several items would be several values of a frame

Values = Mapping[tuple[int, int], bytes]  # (group, tag) -> value


class FrameGroups:
    """The groups of an image: for each frame its own values and the shared ones.

    Raises
    ------
    NotDicom
        If a group ends within an item.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.ambiguous = False  # a group of a frame has several items
        shared, frames = functional_groups(header)
        common = dict(self._values_in(shared))
        self.frames: list[Values] = [{**common, **dict(self._values_in(one))} for one in frames]

    def _values_in(self, groups: Groups) -> Iterator[tuple[tuple[int, int], bytes]]:
        data = self._header.data
        for group, sequence in groups.items():
            if group not in _READ:
                continue
            items = items_in(self._header, sequence)
            self.ambiguous |= len(items) > 1 and group in _ONE_ITEM
            for element in items[0] if items else ():
                if element.tag == _UNITS:
                    for unit in next(iter(items_in(self._header, element)), ()):
                        if unit.tag == _CODE:
                            yield (_UNITS, _CODE), data[unit.value : unit.end]
                elif not element.undefined and element.vr != b"SQ":
                    yield (group, element.tag), data[element.value : element.end]


def first_of(values: Values, groups: tuple[int, ...], tag: int) -> bytes:
    """Return a value of the first of some groups that has it, without padding; else b""."""
    return next((values[g, tag].strip(b" \0") for g in groups if (g, tag) in values), b"")


def units_of(values: Values) -> bytes:
    """Return the UCUM code of the units of a frame (MeasurementUnitsCodeSequence); else b""."""
    return values.get((_UNITS, _CODE), b"").strip(b" \0")
