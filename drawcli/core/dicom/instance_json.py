"""The facts of an image file as JSON: those shared by a series, and those of one file.

The scan index stores both encrypted. Most facts are equal for all slices of a series, and are
stored once.
"""

import json
from dataclasses import fields
from typing import Any, Final, NamedTuple

from drawcli.core.dicom.instance import Slice
from drawcli.core.dicom.multiframe import Frames, ImagePlane

# Known from the folder listing, and kept in a table of its own.
_PLACE: Final = frozenset({"path", "size", "mtime_ns", "references"})
_OWN: Final = ("sop_uid", "position", "pixels_missing", "number", "frames")
_SHARED: Final = tuple(
    field.name for field in fields(Slice) if field.name not in _OWN and field.name not in _PLACE
)
_TUPLES: Final = frozenset({"image_type", "shape", "orientation", "spacing", "person"})


class Packed(NamedTuple):
    """The facts of one file in two parts."""

    series_uid: str
    shared: str  # JSON; equal for most files of a series
    own: str  # JSON
    references: tuple[str, ...] = ()  # UIDs that an RT object names


def pack_slice(slice_: Slice) -> Packed:
    """Return the facts of a file, without path, size and time."""
    shared = [getattr(slice_, name) for name in _SHARED]
    plain = _plain_frames(slice_.frames)
    own = [slice_.sop_uid, slice_.position, slice_.pixels_missing, slice_.number, plain]
    return Packed(slice_.series_uid, json.dumps(shared), json.dumps(own), slice_.references)


def unpack_slice(shared: str, own: str, *, path: str, size: int, mtime_ns: int) -> Slice:
    """Return a slice from its packed facts."""
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


def unpack_study_date(shared: str) -> str:
    """Return the study date of a series from the facts that its slices share."""
    return str(json.loads(shared)[_SHARED.index("study_date")])


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
    position, orientation, spacing = (None if part is None else tuple(part) for part in where)
    return ImagePlane(position, orientation, spacing, thickness)
