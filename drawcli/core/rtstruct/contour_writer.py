"""Write the contours of a delivered structure set: received coordinates, images of the series."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from drawcli.core.dicom import tags
from drawcli.core.dicom.decimal_strings import shorten_many_decimals
from drawcli.core.dicom.header import Element, Header
from drawcli.core.gate.acceptance import FileContour
from drawcli.core.rtstruct.contours import Images, KnownImages, contours_in, in_frames
from drawcli.core.rtstruct.items import contour_item, image_references, item_of
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.errors import BadStructureSet

_TOGETHER: Final = 32_000  # bytes of coordinates that are shortened at once
_MOST_TOGETHER: Final = 1_000  # contours
_MOST_KNOWN: Final = 10_000  # references that are remembered


class ContourWriter:
    """Writes contours, and references to the images of a series."""

    def __init__(self, header: Header, crosswalk: Crosswalk) -> None:
        self._header = header
        self._crosswalk = crosswalk
        self._frames = {file.sop_uid: file.frames for file in crosswalk.files}
        self._known_images: KnownImages = {}
        self._references: dict[Images, bytes] = {}  # encoded, by the images of a contour

    def items(self, number: int, lists: Iterable[list[Element]]) -> Iterator[bytes]:
        """Yield the items of ContourSequence of a structure."""
        group, length, frames = list[FileContour](), 0, self._crosswalk.frame_numbers
        for roi in lists:
            for received in contours_in(self._header, number, roi, self._known_images):
                group.append(in_frames(received, frames))
                length += len(received.data)
                if length >= _TOGETHER or len(group) >= _MOST_TOGETHER:
                    yield from self._encoded(group)
                    group, length = [], 0
        yield from self._encoded(group)

    def image_item(self, uid: str, frame: int) -> bytes:
        """Return an item that references an image of the series, or one of its frames."""
        values = {
            tags.ReferencedSOPClassUID: self._crosswalk.sop_class.encode("ascii"),
            tags.ReferencedSOPInstanceUID: uid.encode("ascii"),
        }
        if frame and self._frames[uid] > 1:
            values[tags.ReferencedFrameNumber] = b"%d" % frame
        return item_of(values)

    def _encoded(self, contours: Sequence[FileContour]) -> Iterator[bytes]:
        """Yield items of ContourSequence with the received coordinates."""
        references = [self._referenced(contour.images) for contour in contours]
        values = shorten_many_decimals([contour.data for contour in contours])
        for contour, images, data in zip(contours, references, values, strict=True):
            count = contour.count
            if not count.isdecimal():
                count = str((data.count(b"\\") + 1) // 3)
            yield contour_item(images, contour.kind, count, data)

    def _referenced(self, images: Images) -> bytes:
        """Return the encoded references of a contour to images of the series."""
        known = self._references.get(images)
        if known is not None:
            return known
        encoded = []
        for stand_in, frame in images:
            uid = self._crosswalk.uids.get(stand_in, "")
            if uid not in self._frames:
                raise BadStructureSet("a reference is not of this job", code="foreign-reference")
            encoded.append(self.image_item(uid, frame))
        references = image_references(encoded)
        if len(self._references) < _MOST_KNOWN:
            self._references[images] = references
        return references
