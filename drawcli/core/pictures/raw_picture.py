"""A picture of a plane as data: pixel values and outlines, for a viewer that draws them itself.

Values and outlines are those that `painting` draws, at the same coordinates.
"""

import json
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.outlines import CutLine
from drawcli.core.pictures.scene import Scene
from drawcli.core.pictures.stack import Grey, Stack

_LEVELS: Final = 0xFFFF  # of a pixel: 16 bits
_ALIGNED: Final = 4  # bytes: a browser reads numbers where their size divides the position


def raw_picture(scenes: Sequence[Scene], plane: Plane, index: int) -> bytes:
    """Return the picture of a plane with the outlines of each scene.

    Parameters
    ----------
    scenes
        Structure sets on the same images.
    plane, index
        Of the picture: see `Stack.positions`.

    Returns
    -------
    bytes
        Little-endian. Length of a JSON text (uint32); the text, with blanks at its end; pixels
        (uint16, row by row); coordinates of all outlines (float32, mm: right, down). The text has
        `size` (columns, rows), `start` and `step` of the pixels (right, down, mm), `scale` and
        `offset` (value = pixel x scale + offset), and `lines`: place of the scene, ROI number,
        and the number of points of each outline.
    """
    stack = scenes[0].stack
    section = stack.section(plane, float(stack.positions(plane)[index]))
    pixels, scale, offset = _in_16_bits(section.values)
    found = [
        (place, structure.number, lines)
        for place, scene in enumerate(scenes)
        for structure, lines in scene.outlines(plane, index)
    ]
    text: dict[str, Any] = {
        "size": pixels.shape[::-1],
        "start": section.start,
        "step": section.step,
        "scale": scale,
        "offset": offset,
        "lines": [(place, number, _counts(lines)) for place, number, lines in found],
    }
    head = _padded(json.dumps(text).encode("ascii"), b" ")
    points = [line.points for _, _, lines in found for line in lines]
    coordinates = np.concatenate(points) if points else np.empty((0, 2))
    return b"".join(
        (
            struct.pack("<I", len(head)),
            head,
            _padded(pixels.astype("<u2").tobytes(), b"\0"),
            coordinates.astype("<f4").tobytes(),
        )
    )


def plane_facts(scene: Scene, plane: Plane) -> dict[str, Any]:
    """Return where the pictures of a plane are: positions, region, axes and letters of sides."""
    stack, frame = scene.stack, scene.stack.frame
    (right, right_sign), (down, down_sign) = plane.right, plane.down
    return {
        "positions": np.round(stack.positions(plane), 4).tolist(),
        "region": list(scene.whole_region(plane)),
        "normal": plane.normal,
        "right": [right, right_sign],
        "down": [down, down_sign],
        "letters": {
            "left": frame.letters(right, -right_sign),
            "right": frame.letters(right, right_sign),
            "top": frame.letters(down, -down_sign),
            "bottom": frame.letters(down, down_sign),
        },
        "along": [frame.letters(plane.normal, -1), frame.letters(plane.normal, 1)],
        "native": plane.normal == stack.across,
        "step": _step(stack, plane),
    }


def _step(stack: Stack, plane: Plane) -> float:
    """Return the usual distance of two pictures of a plane, mm."""
    if plane.normal == stack.across:
        return stack.gap
    return stack.steps[stack.along.index(plane.normal)]


def _counts(lines: Sequence[CutLine]) -> list[int]:
    return [len(line.points) for line in lines]


def _in_16_bits(values: Grey) -> tuple[npt.NDArray[np.uint16], float, float]:
    """Return values as 16 bits with scale and offset: exactly where they are whole numbers."""
    low, high = float(values.min()), float(values.max())
    whole = np.rint(values)
    if high - low <= _LEVELS and np.array_equal(whole, values):
        return (values - low).astype(np.uint16), 1.0, low
    scale = (high - low or 1.0) / _LEVELS
    return np.rint((values.astype(np.float64) - low) / scale).astype(np.uint16), scale, low


def _padded(data: bytes, blank: bytes) -> bytes:
    return data + blank * (-len(data) % _ALIGNED)
