"""Pictures in terminals: the streams are decoded and compared with the picture."""

import base64
import io
import re

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from drawcli.core.pictures.terminal import Protocol, detect_protocol, encode_picture


@pytest.fixture
def picture() -> Image.Image:
    """Return noise in grey with a coloured frame; its height is not a multiple of six."""
    dice = np.random.default_rng(3)
    grey = dice.integers(0, 12, (50, 70), np.uint8) * 20
    pixels = np.repeat(grey[..., None], 3, axis=2)
    pixels[:2], pixels[:, :2] = (255, 0, 0), (0, 255, 255)
    return Image.fromarray(pixels)


def sixels(stream: str) -> npt.NDArray[np.uint8]:
    """Decode a sixel image, by the manual."""
    found = re.fullmatch(r'\x1bP0;1q"1;1;(\d+);(\d+)(.*)\x1b\\\n', stream, re.DOTALL)
    assert found
    width, height = int(found[1]), int(found[2])
    image = np.zeros((height + 6, width, 3), np.uint8)
    palette: dict[int, tuple[int, ...]] = {}
    x = y = color = 0
    for token in re.finditer(r"#(\d+)(?:;2;(\d+);(\d+);(\d+))?|!(\d+)(.)|([?-~])|([$-])", found[3]):
        number, *rgb, count, repeated, single, control = token.groups()
        if number is not None and rgb[0] is not None:
            palette[int(number)] = tuple(round(int(one) * 2.55) for one in rgb)
        elif number is not None:
            color = int(number)
        elif control is not None:
            x, y = 0, y + 6 * (control == "-")
        else:
            bits, many = ord(repeated or single) - 63, int(count or 1)
            for row in range(6):
                if bits >> row & 1:
                    image[y + row, x : x + many] = palette[color]
            x += many
    return image[:height]


def test_sixels_decode_to_the_picture(picture: Image.Image) -> None:
    seen = sixels(encode_picture(picture, Protocol.SIXEL, 80))

    assert seen.shape == (50, 70, 3)
    assert np.abs(seen.astype(int) - np.asarray(picture)).max() <= 3  # colours in per cent


def test_the_stream_for_kitty_decodes_to_the_picture(picture: Image.Image) -> None:
    stream = encode_picture(picture.resize((400, 300)), Protocol.KITTY, 80)

    pieces = re.findall(r"\x1b_G([^;]*);([^\x1b]*)\x1b\\", stream)
    whole = base64.b64decode("".join(data for _, data in pieces))
    assert pieces[0][0] == "a=T,f=100,q=2,c=80,m=1"
    assert [keys for keys, _ in pieces[1:]] == ["m=1"] * (len(pieces) - 2) + ["m=0"]
    assert all(len(data) <= 4096 for _, data in pieces)
    with Image.open(io.BytesIO(whole)) as seen:
        assert seen.tobytes() == picture.resize((400, 300)).tobytes()


@pytest.mark.parametrize(
    ("env", "protocol"),
    [
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1"}, Protocol.KITTY),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, Protocol.SIXEL),
        ({"TERM": "foot"}, Protocol.SIXEL),
        ({"TERM": "xterm-256color"}, None),
        ({"TERM": "xterm-kitty", "KITTY_WINDOW_ID": "1", "TMUX": "s,1,0"}, None),
        ({}, None),
    ],
)
def test_a_terminal_is_recognised_by_its_environment(
    env: dict[str, str], protocol: Protocol | None
) -> None:
    assert detect_protocol(env) is protocol
