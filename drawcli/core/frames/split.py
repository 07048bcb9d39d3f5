"""Split a multi-frame image into headers of single slices: same geometry, scaling and dates.

A header is the one that a single-frame image of the modality would have; the de-identification
policy of that class is applied to it afterwards, as to any other slice. An image whose frames are
not the slices of one volume is refused.

References
----------
PS3.3 C.7.6.16 (Multi-frame Functional Groups), A.3, A.4, A.21 (CT, MR and PET images).
"""

from collections.abc import Iterator
from typing import Final

from drawcli.core.deid.profile import Rows
from drawcli.core.dicom import tags
from drawcli.core.dicom.encoding import encode
from drawcli.core.dicom.header import PIXEL_DATA, Header, NotDicom, walk
from drawcli.core.dicom.instance import image_bytes
from drawcli.core.dicom.multiframe import frames_of, number_of_frames
from drawcli.core.frames import attributes
from drawcli.core.frames.derived_values import UNITS, derived_values
from drawcli.core.frames.groups import FrameGroups, Values, first_of
from drawcli.errors import SeriesRefused

_INSTANCE_NUMBER: Final = 0x00200013
_BITS: Final = frozenset({8, 16, 32})  # allocated for a pixel
_HINT: Final = "Export the volume as a series of its own, or as single-frame images."
_SCALING: Final = "frames without rescale slope and intercept"
_UNKNOWN_UNITS: Final = "a single-frame PET image has no term for the units of its rescaled pixels"


class SplitImage:
    """The frames of a multi-frame image as single slices.

    Parameters
    ----------
    header
        Of an image of a multi-frame SOP class.
    rows
        The policy of the single-frame class; other elements are left out.

    Raises
    ------
    SeriesRefused
        If the frames are not the slices of one volume.
    """

    def __init__(self, header: Header, rows: Rows) -> None:
        self._header, self._rows = header, rows
        self.sop_class = header.text(tags.SOPClassUID)
        self.modality = attributes.modality_of(self.sop_class)
        self.count = number_of_frames(header)
        try:
            groups = FrameGroups(header)
        except NotDicom:
            raise _not_split("its functional groups are damaged") from None
        self._frames = groups.frames
        if reason := _reason_against(header, groups):
            raise _not_split(reason)
        self._top = dict(self._top_elements())
        self._known: dict[tuple[int, bytes], bytes] = {}
        if reason := next(self._lacking(), ""):
            raise _not_split(reason)

    @property
    def frame_bytes(self) -> int:
        """The length of an uncompressed frame."""
        return image_bytes(self._header) // self.count

    def header_of(self, number: int, pixel_head: bytes, transfer_syntax: str) -> Header:
        """Return the header of a frame.

        Parameters
        ----------
        number
            Of the frame, from 1.
        pixel_head
            Tag, VR and length of its pixel data, in the encoding of the source.
        transfer_syntax
            Of its pixel data.
        """
        encoded = self._top | self._elements_of(number)
        data = b"".join([encoded[tag] for tag in sorted(encoded)]) + pixel_head
        explicit = self._header.explicit
        found = {e.tag: e for e in walk(data, 0, len(data), explicit=explicit, stop_at=PIXEL_DATA)}
        return Header(data, transfer_syntax, explicit, found, found.pop(PIXEL_DATA))

    def _top_elements(self) -> Iterator[tuple[int, bytes]]:
        """Yield the elements that all frames have, from the top level of the image."""
        header = self._header
        for tag in attributes.TYPE_2[self.modality]:
            yield tag, self._encode(tag, b"")
        for tag in (self._rows.keys() & header.elements.keys()) - attributes.NOT_OF_A_FRAME:
            element = header.elements[tag]
            yield tag, header.data[element.start : element.end]
        sop_class = attributes.sent_class(self.sop_class)
        yield tags.SOPClassUID, self._encode(tags.SOPClassUID, sop_class.encode("ascii"))

    def _elements_of(self, number: int) -> dict[int, bytes]:
        """Return the elements of one frame; most values are those of other frames, too."""
        elements = {}
        for tag, value in self._values_of(number).items():
            known = self._known.get((tag, value))
            if known is None:
                known = self._known[tag, value] = self._encode(tag, value)
            elements[tag] = known
        return elements

    def _values_of(self, number: int) -> dict[int, bytes]:
        """Return the values of one frame: derived, copied from groups, numbered."""
        values = self._frames[number - 1]
        derived = derived_values(self.modality, self._header, values, number)
        return derived | dict(self._copied(values)) | {_INSTANCE_NUMBER: b"%d" % number}

    def _copied(self, values: Values) -> Iterator[tuple[int, bytes]]:
        """Yield the attributes that a slice has, too; unassigned ones where nothing else is."""
        for of_groups in (attributes.UNASSIGNED, attributes.SAME):
            for (group, tag), value in values.items():
                row = self._rows.get(tag)
                if group not in of_groups or row is None or row.action not in attributes.COPIED:
                    continue
                if tag in attributes.OF_ALL_PIXELS:
                    continue
                if group in attributes.SAME or tag not in self._header.elements:
                    yield tag, value

    def _lacking(self) -> Iterator[str]:
        """Yield what single slices need and a frame does not have."""
        for number in range(1, self.count + 1):
            values = self._values_of(number)
            if not all(values.get(tag) for tag in attributes.NEEDED[self.modality]):
                yield _SCALING
            if self.modality == "PT" and not (values.get(UNITS) or self._header.raw(UNITS)):
                yield _UNKNOWN_UNITS

    def _encode(self, tag: int, value: bytes) -> bytes:
        row = self._rows.get(tag)
        vr = "UN" if row is None else row.vr
        if vr == "xs":
            vr = "SS" if self._header.number(tags.PixelRepresentation) else "US"
        return encode(tag, vr.encode("ascii"), value, explicit=self._header.explicit)


def _reason_against(header: Header, groups: FrameGroups) -> str:
    """Return why the frames are not the slices of one volume; "" if they are."""
    count, frames = number_of_frames(header), groups.frames
    if count != len(frames):
        return f"it declares {count} frames and describes {len(frames)}"
    described = (tags.BitsAllocated, tags.SamplesPerPixel, tags.PixelRepresentation)
    bits, samples, sign = map(header.number, described)
    if bits not in _BITS or samples != 1 or sign not in (0, 1) or not image_bytes(header):
        return "its pixels are not of 8, 16 or 32 bits and one sample"
    facts = frames_of(header)
    planes = () if facts is None else facts.planes
    lacking = sum(None in (one.position, one.orientation, one.spacing) for one in planes)
    if lacking or not planes:
        return f"{lacking or count} frames have no position, orientation or pixel spacing"
    if groups.ambiguous:
        return "a frame has several positions, spacings or scalings"
    for of_groups, tag, name in attributes.ALIKE:
        values = {first_of(one, of_groups, tag) for one in frames}
        if len(values) > 1:
            return f"its frames have {len(values)} {name}"
    return ""


def _not_split(reason: str) -> SeriesRefused:
    text = f"the multi-frame image cannot be split into slices: {reason}"
    return SeriesRefused(text, code="not-split", hint=_HINT)
