"""Pictures as PNG: every reader must see the same pixels."""

import io

import numpy as np
import pytest
from PIL import Image

from drawcli.core.pictures.png import encode_png


@pytest.mark.parametrize("size", [(1, 1), (3, 1), (1, 5), (257, 131)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_a_picture_is_read_back_as_it_was(size: tuple[int, int], mode: str) -> None:
    dice = np.random.default_rng(5)
    shape = (*size[::-1], 3) if mode == "RGB" else size[::-1]
    image = Image.fromarray(dice.integers(0, 256, shape, np.uint8))

    with Image.open(io.BytesIO(encode_png(image))) as read:
        read.load()

        assert read.format == "PNG"
        assert read.info == {}
        assert (read.mode, read.size) == ("RGB", size)
        assert read.tobytes() == image.convert("RGB").tobytes()


def test_flat_areas_take_few_bytes() -> None:
    assert len(encode_png(Image.new("RGB", (800, 600), (18, 21, 26)))) < 20_000
