"""Where the frames of compressed pixel data begin: by an offset table, or by their fragments."""

from io import BytesIO

import pytest
from pydicom.encaps import encapsulate, encapsulate_extended

from drawcli.core.dicom.header import NotDicom
from drawcli.core.frames.fragments import index_frames

JPEG_LS = "1.2.840.10008.1.2.4.80"
FRAMES = [b"\xff\xd8" + bytes([number]) * (60 + 2 * number) for number in range(1, 5)]
END = bytes.fromhex("FEFFDDE000000000")
EXTENDED = encapsulate_extended(FRAMES)[1]


@pytest.mark.parametrize("per_frame", [1, 3])
@pytest.mark.parametrize("table", ["none", "basic", "extended"])
def test_each_frame_is_found(per_frame: int, table: str) -> None:
    if table == "extended":
        value, extended, _ = encapsulate_extended(FRAMES)
    else:
        value = encapsulate(FRAMES, fragments_per_frame=per_frame, has_bot=table == "basic")
        extended = b""

    ranges = index_frames(BytesIO(value + END), 0, len(FRAMES), JPEG_LS, extended)

    for (start, end), frame in zip(ranges, FRAMES, strict=True):
        assert value[start + 8 : start + 11] == frame[:3]
        assert value[end - 1] == frame[-1]


@pytest.mark.parametrize(
    "extended",
    [
        EXTENDED[8:16] + EXTENDED[:8] + EXTENDED[16:],
        EXTENDED[:16] + EXTENDED[8:16] + EXTENDED[24:],
        EXTENDED[:-8],
        EXTENDED[:-1] + b"\1",
        EXTENDED + bytes(3),
    ],
    ids=["swapped", "repeated", "short", "beyond the end", "of odd length"],
)
def test_an_extended_table_that_contradicts_the_fragments_is_refused(extended: bytes) -> None:
    value = encapsulate(FRAMES, has_bot=False)

    with pytest.raises(NotDicom, match="pixel data"):
        index_frames(BytesIO(value + END), 0, len(FRAMES), JPEG_LS, extended)
