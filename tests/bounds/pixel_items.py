"""Encapsulated pixels of empty fragments."""

import struct
from io import BytesIO


class Items(BytesIO):
    """An offset table, empty fragments up to so many items in all, and the delimiter."""

    def __init__(self, count: int) -> None:
        item = struct.pack("<HHI", 0xFFFE, 0xE000, 0)
        super().__init__(item * count + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))
