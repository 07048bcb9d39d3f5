"""Segments of JPEG and JPEG 2000: FF, a marker, most often a length and so many bytes.

References
----------
ITU-T T.81 B.1.1, T.800 A.1.
"""

from drawcli.core.dicom.header import NotDicom


def marker_at(frame: bytearray, at: int) -> tuple[int, int]:
    """Return the place behind the next marker, and which it is."""
    if frame[at] != 0xFF:  # noqa: PLR2004 - the byte that begins a marker
        raise NotDicom("a compressed frame holds bytes between its segments")
    while frame[at] == 0xFF:  # noqa: PLR2004 - fill bytes
        at += 1
    return at + 1, frame[at]


def body_of(frame: bytearray, start: int, end: int) -> bytes:
    """Return the bytes of a segment."""
    if end < start or end > len(frame):
        raise NotDicom("a segment of a compressed frame is longer than the frame")
    return bytes(frame[start:end])


def overwrite(frame: bytearray, start: int, end: int) -> None:
    """Overwrite bytes of a frame in their place."""
    frame[start:end] = bytes(end - start)
