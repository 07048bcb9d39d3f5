"""Elements that pydicom would not keep are detected."""

import pytest

from drawcli.core.gate.whole_elements import are_items_whole, is_whole
from tests.core.files import as_bytes, ct_slice

ONE = b"\x08\0\x60\0CS\2\0CT"
OTHER = b"\x08\0\x70\0LO\2\0AB"
IMPLICIT = b"\x08\0\x60\0\2\0\0\0CT"
LONG = b"\x09\0\1\x10OB\0\0\2\0\0\0AB"


def item(content: bytes) -> bytes:
    return b"\xfe\xff\0\xe0" + len(content).to_bytes(4, "little") + content


@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_a_file_is_whole_until_an_element_is_in_it_twice(syntax: str) -> None:
    raw, implicit = as_bytes(ct_slice(), syntax), syntax == "implicit"
    one = IMPLICIT if implicit else ONE
    at = raw.index(one)

    assert is_whole(raw, implicit=implicit)
    assert not is_whole(raw[:at] + one + raw[at:], implicit=implicit)
    assert not is_whole(raw[:-20] + b"\0\0" + raw[-20:], implicit=implicit)
    assert not is_whole(raw[:132] + raw[132:144] + raw[132:], implicit=implicit)  # of file meta


@pytest.mark.parametrize(
    ("value", "whole"),
    [
        (b"", True),
        (item(ONE + OTHER) + item(b"") + item(ONE + LONG), True),
        (item(ONE + ONE), False),
        (item(OTHER + ONE), False),
        (item(ONE + b"\0\0"), False),
        (item(ONE)[:-1], False),
        (item(ONE) + b"\0", False),
    ],
)
def test_a_sequence_is_its_items(value: bytes, *, whole: bool) -> None:
    assert are_items_whole(value, implicit=False) is whole


def test_an_implicit_sequence_is_its_items() -> None:
    assert are_items_whole(item(IMPLICIT), implicit=True)
    assert not are_items_whole(item(IMPLICIT * 2), implicit=True)
