"""Each byte of a compressed frame either belongs to its picture or does not."""

import struct

import pytest

from drawcli.core.gate.compressed import has_content, split_picture

JPEG = "1.2.840.10008.1.2.4.50"
LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
START, END = b"\xff\xd8", b"\xff\xd9"
START_2000 = b"\xff\x4f"


def items(*fragments: bytes) -> bytes:
    """Return fragments as items, after an empty table of offsets."""
    return b"".join(
        b"\xfe\xff\0\xe0" + struct.pack("<I", len(one)) + one for one in (b"", *fragments)
    )


def segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def split(syntax: str, *fragments: bytes, pixels: int = 4) -> tuple[bytes, bytes]:
    """Return the bytes of the picture, and all others."""
    picture, rest = split_picture(items(*fragments), syntax, pixels)
    return b"".join(picture), b"".join(rest)


SIZE, SCAN = segment(0xC3, bytes(300)), segment(0xDA, b"s")  # a length of two bytes


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE])
def test_a_comment_of_jpeg_is_not_part_of_the_picture(marker: int) -> None:
    said = segment(marker, b"Kulkarnee")
    whole = START + said + SIZE + SCAN + b"\x15\x2a" + END + b"Ashok"

    picture, rest = split(JPEG, whole)

    assert rest == b"KulkarneeAshok"
    assert picture == said[:4] + SIZE + SCAN + b"\x15\x2a"


@pytest.mark.parametrize("marker", [0xC0, 0xC4, 0xDB, 0xDD, 0xDF, 0xF0, 0xFD])
def test_a_table_of_jpeg_is_picture(marker: int) -> None:
    table = segment(marker, b"table")

    for filling in (b"", b"\xff", b"\xff\xff"):
        assert split(JPEG, START + filling + table + SCAN + b"x" + END) == (
            table + SCAN + b"x",
            b"",
        )


@pytest.mark.parametrize(
    ("syntax", "inside", "ends"),
    [
        (JPEG, (0x00, *range(0xD0, 0xD8)), (0x01, 0x7F, 0x80, 0xCF, 0xD8, 0xFE)),
        *((one, (0x00, 0x01, 0x7F, *range(0xD0, 0xD8)), (0x80, 0xCF, 0xD8, 0xFE)) for one in LS),
    ],
)
def test_a_scan_ends_at_the_next_marker(
    syntax: str, inside: tuple[int, ...], ends: tuple[int, ...]
) -> None:
    scan = b"\n".join(bytes([0xFF, one]) for one in inside) + b"\n"
    for end in ends:
        after = segment(end, b"table" if end != 0xFE else b"said")
        whole = START + SCAN + scan + after + SCAN + b"y" + END

        picture, rest = split(syntax, whole)

        assert picture + rest == SCAN + scan + (
            after + SCAN + b"y" if end != 0xFE else after[:4] + SCAN + b"y" + b"said"
        )


def test_fragments_are_joined_up_to_the_next_start_of_a_frame() -> None:
    scan = SCAN + b"x" * 9
    whole = START + scan + END

    assert split(JPEG, whole[:6], whole[6:9], whole[9:], whole) == (scan + scan, b"")
    assert split(JPEG, whole + b"Ashok", whole) == (scan + scan, b"Ashok")


TILE = segment(0x90, struct.pack(">HIBB", 0, 12 + 2 + 4, 0, 1)) + b"\xff\x93" + b"\xff\x01bc"
OPEN_TILE = segment(0x90, struct.pack(">HIBB", 0, 0, 0, 1)) + b"\xff\x93" + b"abcd"


@pytest.mark.parametrize("tiles", [TILE, TILE + TILE, OPEN_TILE, TILE + OPEN_TILE])
def test_the_tiles_of_jpeg_2000_are_picture(tiles: bytes) -> None:
    size = segment(0x51, b"size")

    whole = START_2000 + size + tiles + END

    assert split(JPEG_2000, whole) == (size + tiles, b"")
    assert split(JPEG_2000, whole + b"Ashok", whole) == ((size + tiles) * 2, b"Ashok")


def tile(said: bytes, data: bytes) -> bytes:
    """Return a tile-part with a comment in its header."""
    inside = said + b"\xff\x93" + data
    return segment(0x90, struct.pack(">HIBB", 0, 12 + len(inside), 0, 1)) + inside


@pytest.mark.parametrize("length", [1, 0x1_00, 0x1_00_00, 0x1_00_00_00])
def test_a_comment_of_a_later_tile_is_not_part_of_the_picture(length: int) -> None:
    said, size, first = (
        segment(0x64, b"Kulkarnee"),
        segment(0x51, b"size"),
        tile(b"", bytes(length)),
    )

    found = split(JPEG_2000, START_2000 + size + first + tile(said, b"x") + END + b"Ashok")

    assert found == (size + first + tile(said, b"x").replace(said, b""), b"KulkarneeAshok")


def test_a_tile_without_a_length_ends_at_the_end_behind_it() -> None:
    said = segment(0x64, b"\xff\xd9 in a comment")

    whole = START_2000 + said + OPEN_TILE + END + b"Ashok"

    assert split(JPEG_2000, whole) == (OPEN_TILE, b"\xff\xd9 in a commentAshok")


@pytest.mark.parametrize("marker", [0x57, 0x58, 0x64])
def test_a_comment_of_jpeg_2000_is_not_part_of_the_picture(marker: int) -> None:
    said = segment(marker, b"Kulkarnee" + bytes(300))
    size = segment(0x51, b"size")

    found = split(JPEG_2000, START_2000 + size + said + TILE + END)

    assert found == (size + TILE, b"Kulkarnee" + bytes(300))


def rle(*segments: bytes, between: bytes = b"") -> bytes:
    """Return a frame (PS3.5 G.5), with other bytes after the offsets."""
    starts = [64 + sum(map(len, segments[:n])) for n in range(len(segments))]
    head = struct.pack(f"<{1 + len(segments)}I", len(segments), *starts) + between
    return head.ljust(64, b"\0") + b"".join(segments)


def test_the_runs_of_rle_are_decoded_and_bytes_after_them_are_not_part_of_the_picture() -> None:
    literal, repeated, nothing = b"\x02abc", b"\xfex", b"\x80"
    most, longest = b"\x7f" + bytes(range(128)), b"\x81z"

    picture, rest = split(RLE, rle(literal + nothing + repeated, literal), pixels=6)
    assert picture[12:] == b"abcxxx" + b"abc"
    assert rest == bytes(64 - 12)

    picture, rest = split(RLE, rle(most + longest), pixels=256)
    assert picture[8:] == bytes(range(128)) + b"z" * 128
    assert rest == bytes(64 - 8)

    beside = rle(literal + b"Ashok", literal, between=b"Kulkarnee")
    picture, rest = split(RLE, beside, beside, pixels=3)
    assert picture == (beside[:12] + b"abcabc") * 2
    assert rest == (b"Kulkarnee".ljust(64 - 12, b"\0") + b"Ashok") * 2


def test_runs_after_the_last_pixel_are_not_part_of_the_picture() -> None:
    single = b"\0a\0b\0c"
    for behind in (b"\0K", b"\x08Kulkarnee", b"\xffK\xffK", b"\x80\0K"):
        picture, rest = split(RLE, rle(single + behind, b"\x02abc" + behind), pixels=3)

        assert picture[12:] == b"abcabc"
        assert rest[64 - 12 :] == behind * 2


def test_a_truncated_run_is_not_part_of_the_picture() -> None:
    assert split(RLE, rle(b"\x02abc\x04xy"), pixels=9)[1].endswith(b"\x04xy")
    assert split(RLE, rle(b"\x02abc\xfe"), pixels=9)[1].endswith(b"\xfe")


def test_a_header_of_rle_has_room_for_15_segments() -> None:
    picture, rest = split(RLE, rle(*[b"\0a"] * 15), pixels=1)

    assert picture[64:] == b"a" * 15
    assert rest == b""


@pytest.mark.parametrize(
    ("syntax", "value", "said"),
    [
        (JPEG, items()[:4] + b"\x09\0\0\0" + b"x" * 8, "cut off"),
        (JPEG, items() + b"Ashok", "no item"),
        (JPEG, b"Ashok" + items(), "no item"),
        (JPEG, items(b"Ashok" + START + END), "no frame"),
        (JPEG, items(START + SIZE), "no marker"),
        (JPEG, items(START + SIZE + b"Ashok" + END), "no marker"),
        (JPEG, items(START + SCAN + b"without an end"), "no end"),
        (JPEG_2000, items(START_2000 + segment(0x51, b"size")), "no marker"),
        (JPEG_2000, items(START_2000 + TILE[:12] + TILE + END), "a tile without data"),
        (RLE, items(bytes(64)), "no RLE header"),
        (RLE, items(struct.pack("<I", 16).ljust(64, b"@")), "no RLE header"),
        (RLE, items(struct.pack("<17I", 16, *[64] * 16)), "no RLE header"),
        (RLE, items(struct.pack("<2I", 1, 60).ljust(64, b"\0")), "no RLE header"),
        (RLE, items(struct.pack("<2I", 1, 65).ljust(64, b"\0")), "no RLE header"),
        (RLE, items(struct.pack("<3I", 2, 64, 60).ljust(64, b"\0")), "no RLE header"),
    ],
)
def test_pixels_that_cannot_be_split_are_an_error(syntax: str, value: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=f"^.*{said}$"):
        split_picture(value, syntax, 4)


def test_bytes_behind_the_delimiter_are_not_read() -> None:
    delimiter = b"\xfe\xff\xdd\xe0" + bytes(4)
    whole = START + SCAN + b"x" + END

    assert split_picture(items(whole) + delimiter + b"?", JPEG, 4) == (
        [SCAN[:4], b"s", b"x"],
        [b""],
    )


@pytest.mark.parametrize(
    ("rest", "syntax", "expected"),
    [
        ([], JPEG, False),
        ([b"\0\0", b""], JPEG, False),
        ([b"", b"\0A"], JPEG, True),
        ([b"\x80"], JPEG, True),
        ([b"X"], JPEG, True),
        ([b"X"], RLE, True),
        ([b"\0\x80"], RLE, False),
        ([b"\x80", b"\0\x81"], RLE, True),
    ],
)
def test_padding_after_the_picture_is_no_content(
    rest: list[bytes], syntax: str, *, expected: bool
) -> None:
    assert has_content(rest, syntax) is expected
