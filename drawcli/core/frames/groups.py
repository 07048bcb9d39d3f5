"""The values of each frame of a multi-frame image, from its functional groups.

References
----------
PS3.3 C.7.6.16 (Multi-frame Functional Groups).
"""

import struct
from collections.abc import Iterator, Mapping, Sequence
from math import isclose
from typing import Final

from drawcli.core.dicom.header import Element, Header, NotDicom
from drawcli.core.dicom.multiframe import Groups, functional_groups, items_in
from drawcli.core.frames import attributes

_UNITS: Final = 0x004008EA  # MeasurementUnitsCodeSequence, in RealWorldValueMappingSequence
_CODE: Final = 0x00080100
_LINEAR: Final = (0x00409225, 0x00409224)  # RealWorldValueSlope, RealWorldValueIntercept
_RESCALE: Final = (0x00281053, 0x00281052)  # RescaleSlope, RescaleIntercept
_RESCALED_BY: Final = (attributes.VALUE_TRANSFORMATION, *attributes.UNASSIGNED)
_SCALE: Final = struct.Struct("<2d")
_ROUNDING: Final = 1e-5  # of a DS against an FD, relative
_READ: Final = frozenset(
    {
        *(*attributes.SAME, *attributes.UNASSIGNED, *attributes.FRAME_TYPES),
        *(attributes.FRAME_CONTENT, attributes.MR_ECHO, attributes.MR_MODIFIER),
        *(attributes.MR_DIFFUSION, attributes.REAL_WORLD_VALUES),
    }
)
_MOST_SHARED: Final = 2_000  # values; each frame has them, and images have some 200
_ONE_ITEM: Final = frozenset(attributes.SAME)  # several items would be several values of a frame

Values = Mapping[tuple[int, int], bytes]  # (group, tag) -> value


class FrameValues:
    """The values of each frame; shared values are added when a frame is accessed."""

    def __init__(self, common: Values, own: Sequence[Values]) -> None:
        self._common, self._own = common, own

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self._own)

    def __getitem__(self, index: int) -> Values:
        """Return the values of a frame."""
        return {**self._common, **self._own[index]}

    def __iter__(self) -> Iterator[Values]:
        """Yield the values of each frame."""
        return ({**self._common, **own} for own in self._own)


class FrameGroups:
    """The groups of an image: for each frame its own values and the shared ones.

    Raises
    ------
    NotDicom
        If a group ends within an item, or the shared groups have too many values.
    """

    def __init__(self, header: Header) -> None:
        self._header = header
        self.ambiguous = False  # a group of a frame has several items
        shared, frames = functional_groups(header)
        common = dict(self._values_in(shared))
        if len(common) > _MOST_SHARED:
            raise NotDicom("more shared values than any image has")
        self.frames = FrameValues(common, [dict(self._values_in(one)) for one in frames])

    def _values_in(self, groups: Groups) -> Iterator[tuple[tuple[int, int], bytes]]:
        for group, sequence in groups.items():
            if group not in _READ:
                continue
            items = items_in(self._header, sequence)
            if group == attributes.REAL_WORLD_VALUES:
                yield from self._units_in(items)
                continue
            self.ambiguous |= len(items) > 1 and group in _ONE_ITEM
            for element in items[0] if items else ():
                if not element.undefined and element.vr != b"SQ":
                    yield (group, element.tag), self._value(element)

    def _units_in(
        self, mappings: Sequence[list[Element]]
    ) -> Iterator[tuple[tuple[int, int], bytes]]:
        """Yield slope, intercept and units of each linear mapping, numbered instead of a tag."""
        for number, mapping in enumerate(mappings):
            inside = {element.tag: element for element in mapping}
            scale = b"".join(self._value(inside[tag]) for tag in _LINEAR if tag in inside)
            for unit in next(iter(items_in(self._header, inside.get(_UNITS))), ()):
                if unit.tag == _CODE and len(scale) == _SCALE.size:
                    yield (_UNITS, number), scale + self._value(unit)

    def _value(self, element: Element) -> bytes:
        return self._header.data[element.value : element.end]


def first_of(values: Values, groups: tuple[int, ...], tag: int) -> bytes:
    """Return a value of the first of some groups that has it, without padding; else b""."""
    return next((values[g, tag].strip(b" \0") for g in groups if (g, tag) in values), b"")


def units_of(values: Values) -> bytes:
    """Return the UCUM code of the units of rescaled pixels; b"" if none are known.

    They are those of the real world value mapping with the same slope and intercept: others are
    for other units.
    """
    try:
        rescale = [float(first_of(values, _RESCALED_BY, tag)) for tag in _RESCALE]
    except ValueError:
        return b""
    for (group, _), value in values.items():
        scale = _SCALE.unpack(value[: _SCALE.size]) if group == _UNITS else ()
        if scale and all(
            isclose(*pair, rel_tol=_ROUNDING) for pair in zip(scale, rescale, strict=True)
        ):
            return value[_SCALE.size :].strip(b" \0")
    return b""
