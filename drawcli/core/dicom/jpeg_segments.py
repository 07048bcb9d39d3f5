"""Segments of JPEG and JPEG 2000: FF, a marker, usually a length and a body.

References
----------
ITU-T T.81 B.1.1, T.800 A.1.
"""

from drawcli.core.dicom.header import NotDicom


def marker_at(frame: bytearray, at: int) -> tuple[int, int]:
    """Return the offset after the next marker, and the marker."""
    if frame[at] != 0xFF:  # noqa: PLR2004 - the first byte of a marker
        raise NotDicom("a compressed frame has bytes between its segments")
    while frame[at] == 0xFF:  # noqa: PLR2004 - fill bytes
        at += 1
    return at + 1, frame[at]


def body_of(frame: bytearray, start: int, end: int) -> bytes:
    """Return the bytes of a segment."""
    if end < start or end > len(frame):
        raise NotDicom("a segment of a compressed frame is longer than the frame")
    return bytes(frame[start:end])


def overwrite(frame: bytearray, start: int, end: int) -> None:
    """Overwrite bytes of a frame with zeros."""
    frame[start:end] = bytes(end - start)
