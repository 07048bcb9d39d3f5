"""The elements in which the header of a slice differs from that of another slice.

Most bytes of two slices of a series are the same, so runs of elements are compared as bytes, and
only an element that differs is looked at.
"""

from typing import Final

from drawcli.core.dicom.header import (
    PIXEL_DATA,
    Element,
    Header,
    Incomplete,
    NotDicom,
    data_set_start,
    walk,
)

_TAG_BYTES: Final = 4


class HeaderModel:
    """A header with which those of other slices are compared.

    Parameters
    ----------
    header
        The header; with pixel data.

    Raises
    ------
    NotDicom
        If it has no pixel data.
    """

    def __init__(self, header: Header) -> None:
        if header.pixels is None:
            raise NotDicom("no pixel data")
        self.header = header
        self._tags = [*header.elements, PIXEL_DATA]
        elements = header.elements.values()
        self._bounds = [*(element.start for element in elements), header.pixels.start]
        self._bounds.append(header.pixels.start + _TAG_BYTES)
        self.end = header.pixels.value  # bytes of the file up to its pixels

    def differing(self, data: bytes) -> dict[int, bytes | None]:
        """Return the elements of a file that are not byte for byte those of this header.

        Parameters
        ----------
        data
            The first bytes of the file, at least up to the value of its pixel data.

        Returns
        -------
        dict
            By tag the whole element, with tag, VR and length; None if the file lacks it.

        Raises
        ------
        Incomplete
            If the bytes end before the value of the pixel data.
        NotDicom
            If the bytes are no header with pixel data in the encoding of this one.
        """
        syntax, explicit, offset = data_set_start(data)
        if (syntax, explicit) != (self.header.transfer_syntax, self.header.explicit):
            raise NotDicom("another encoding")
        tags, bounds, found = self._tags, self._bounds, dict[int, bytes | None]()
        at, latest = 0, -1
        while (equal := self._equal_until(at, data, offset)) < len(tags):
            offset += bounds[equal] - bounds[at]
            at, latest = equal, max(latest, tags[equal - 1] if equal else -1)
            element = _element_at(data, offset, explicit=explicit)
            if element.tag <= latest or element.tag > PIXEL_DATA:
                raise NotDicom("elements out of order, or no pixel data")
            if element.tag <= tags[at]:
                found[element.tag] = data[element.start : element.end]
                offset, latest = element.end, element.tag
            else:
                found[tags[at]] = None
            at += element.tag >= tags[at]
        _element_at(data, offset + bounds[-2] - bounds[at], explicit=explicit)  # the pixel data
        return found

    def _equal_until(self, at: int, data: bytes, offset: int) -> int:
        """Return the last bound up to which both headers agree, from one that both have.

        It looks ahead twice as far each time, so that the work is proportional to what agrees.
        """
        first, bounds = self.header.data, self._bounds
        shift, last, ahead = offset - bounds[at], len(bounds) - 1, 1
        while at < last:
            to = min(at + ahead, last)
            if data.startswith(first[bounds[at] : bounds[to]], bounds[at] + shift):
                at, ahead = to, ahead * 2
            elif ahead == 1:
                break
            else:
                ahead = max(1, (to - at) // 2)
        return at


def _element_at(data: bytes, offset: int, *, explicit: bool) -> Element:
    element = next(walk(data, offset, len(data), explicit=explicit, stop_at=PIXEL_DATA), None)
    if element is None:
        raise Incomplete
    return element
