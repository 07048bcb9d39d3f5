"""Writing in the corners of a slice is noticed; scans without any are not."""

import random
import struct

import pytest

from drawcli.core.series.burned_in import PixelLayout, has_burned_in_text

SIZE = 256
GLYPHS = {  # five rows of five pixels, as many screens draw them
    "D": "11110 10001 10001 10001 11110",
    "O": "01110 10001 10001 10001 01110",
    "E": "11111 10000 11110 10000 11111",
    "J": "00111 00010 00010 10010 01100",
}
FORMS = {(8, False): "B", (8, True): "b", (16, False): "H", (16, True): "h"}

Picture = list[list[int]]


def noise(low: int, high: int, seed: int = 1) -> Picture:
    """Return a slice of nothing but noise."""
    chance = random.Random(seed)  # noqa: S311 - noise
    return [[chance.randint(low, high) for _ in range(SIZE)] for _ in range(SIZE)]


def body(low: int = 0, high: int = 100) -> Picture:
    """Return a slice with noise and a bright disc in the middle."""
    picture = noise(low, low + (high - low) // 10)
    for row in range(SIZE):
        for column in range(SIZE):
            if (row - SIZE // 2) ** 2 + (column - SIZE // 2) ** 2 < (SIZE // 4) ** 2:
                picture[row][column] = high - 1 - (row + column) % 7
    return picture


def write(picture: Picture, text: str, *, at: tuple[int, int], value: int, scale: int = 1) -> None:
    """Burn a text into a picture."""
    top, left = at
    for place, letter in enumerate(text):
        for y, line in enumerate(GLYPHS[letter].split()):
            for x, dot in enumerate(line):
                if dot == "1":
                    row, column = top + y * scale, left + (place * 6 + x) * scale
                    for dy in range(scale):
                        picture[row + dy][column : column + scale] = [value] * scale


def judged(picture: Picture, bits: int = 16, *, signed: bool = False) -> bool:
    form = FORMS[bits, signed]
    raw = b"".join(struct.pack(f"<{len(row)}{form}", *row) for row in picture)
    return has_burned_in_text(raw, PixelLayout(len(picture), len(picture[0]), bits, signed))


@pytest.mark.parametrize("at", [(4, 4), (4, 200), (230, 4), (230, 200)], ids=str)
@pytest.mark.parametrize("scale", [1, 2])
def test_a_name_in_a_corner_is_noticed(at: tuple[int, int], scale: int) -> None:
    picture = body()
    write(picture, "DOEJO" if scale == 1 else "DOE", at=at, value=4095, scale=scale)

    assert judged(picture)


@pytest.mark.parametrize(("bits", "signed"), FORMS, ids=str)
def test_a_name_is_noticed_however_pixels_are_stored(bits: int, *, signed: bool) -> None:
    picture = body(-100 if signed else 0, 100)
    write(picture, "DOEJO", at=(6, 6), value=127)

    assert judged(picture, bits, signed=signed)


def test_a_scan_shows_no_writing() -> None:
    assert not judged(body())


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 3), (0, 20), (0, 4095)])
def test_noise_around_a_body_is_no_writing(low: int, high: int) -> None:
    picture = noise(low, high)
    for row in range(100, 150):
        picture[row][100:150] = [high * 4] * 50

    assert not judged(picture)


def test_a_plate_of_metal_and_the_edge_of_a_table_are_no_writing() -> None:
    picture = body()
    for row in range(5, 30):
        picture[row][5:60] = [4095] * 55
    for row in range(SIZE):
        picture[row][3] = 4095

    assert not judged(picture)


def test_writing_that_nobody_could_read_is_no_writing() -> None:
    picture = body(0, 1000)
    write(picture, "DOEJO", at=(6, 6), value=120)

    assert not judged(picture)


@pytest.mark.parametrize("value", [0, 7])
def test_an_empty_slice_shows_nothing(value: int) -> None:
    assert not judged([[value] * 40 for _ in range(40)])


@pytest.mark.parametrize(
    "raster",
    [
        PixelLayout(0, 0, 16, is_signed=False),
        PixelLayout(2, 2, 16, is_signed=False),
        PixelLayout(64, 64, 16, is_signed=False),  # more than there is
        PixelLayout(16, 16, 32, is_signed=False),
        PixelLayout(16, 16, 1, is_signed=False),
    ],
    ids=str,
)
def test_what_cannot_be_judged_is_not_judged(raster: PixelLayout) -> None:
    assert not has_burned_in_text(bytes(range(256)) * 4, raster)
