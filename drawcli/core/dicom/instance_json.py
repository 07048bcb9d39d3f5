"""What the scan knows of a file, as text: what a whole series shares, and what one file has alone.

The scan index keeps both sealed. A series of 500 slices shares all but names, UIDs and places, so
what is shared is kept once.
"""

import json
from dataclasses import fields
from typing import Any, Final, NamedTuple

from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.multiframe import Frames, ImagePlane

_PLACE: Final = frozenset({"path", "size", "mtime_ns"})  # known from the listing of the folder
_OWN: Final = ("sop_uid", "position", "pixels_missing", "number", "frames")
_SHARED: Final = tuple(
    one.name for one in fields(Slice) if one.name not in _OWN and one.name not in _PLACE
)
_TUPLES: Final = frozenset({"image_type", "shape", "orientation", "spacing", "person"})


class Packed(NamedTuple):
    """One file, taken apart."""

    series_uid: str
    shared: str  # JSON; equal for most files of a series
    own: str  # JSON


def pack_slice(one: Slice) -> Packed:
    """Return what is known of a file, but for its place, size and time."""
    shared = [getattr(one, name) for name in _SHARED]
    plain = _plain_frames(one.frames)
    own = [one.sop_uid, one.position, one.pixels_missing, one.number, plain]
    return Packed(one.series_uid, json.dumps(shared), json.dumps(own))


def unpack_slice(shared: str, own: str, *, path: str, size: int, mtime_ns: int) -> Slice:
    """Return the slice that was packed."""
    facts: dict[str, Any] = dict(zip(_SHARED, json.loads(shared), strict=True))
    facts |= {name: tuple(facts[name]) for name in _TUPLES if facts[name] is not None}
    sop_uid, position, pixels_missing, number, frames = json.loads(own)
    return Slice(
        **facts,
        path=path,
        size=size,
        mtime_ns=mtime_ns,
        sop_uid=sop_uid,
        position=None if position is None else (position[0], position[1], position[2]),
        pixels_missing=pixels_missing,
        number=number,
        frames=None if frames is None else _frames(frames),
    )


def _plain_frames(frames: Frames | None) -> list[Any] | None:
    if frames is None:
        return None
    planes = [[p.position, p.orientation, p.spacing, p.thickness] for p in frames.planes]
    return [frames.count, planes, sorted(frames.kinds), frames.coloured, frames.concatenated]


def _frames(plain: list[Any]) -> Frames:
    count, planes, kinds, coloured, concatenated = plain
    return Frames(
        count=count,
        planes=tuple(_plane(*plain) for plain in planes),
        kinds=frozenset(kinds),
        coloured=coloured,
        concatenated=concatenated,
    )


def _plane(*plain: Any) -> ImagePlane:
    *where, thickness = plain
    position, orientation, spacing = (None if one is None else tuple(one) for one in where)
    return ImagePlane(position, orientation, spacing, thickness)
