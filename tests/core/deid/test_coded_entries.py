"""Coded entries that are kept: rebuilt from code and scheme, in each encoding of their sequence."""

import pytest

from drawcli.core.deid.coded_entries import clean_coded_entries, meaning_of
from drawcli.core.dicom.header import read_header
from tests.deidentification.writing import Cell, Tree, text, written

VIEW = 0x00540220


def entry(value: str | None, scheme: str | None, meaning: str = "Muster") -> Tree:
    """Return a coded entry whose meaning is another, with a private element."""
    parts = {0x00080100: value, 0x00080102: scheme, 0x00080104: meaning, 0x00090010: "MUSTER"}
    return {tag: text("LO", said) for tag, said in parts.items() if said is not None}


ENTRIES = [
    entry("T-D4000", "SRT "),
    entry("T-D4000", "99LOCAL"),
    entry("BLADDER-7", "SRT"),
    entry(None, "SRT"),
    entry("T-D4000", None),
    entry("51185008", "SCT"),
]
LEFT = [("T-D4000", "SRT", "Abdomen"), ("51185008", "SCT", "Chest")]


def cleaned(*, explicit: bool, vr: str = "SQ", undefined: bool = False) -> bytes:
    tree = {0x00080060: text("CS", "PT"), VIEW: Cell(vr, ENTRIES, undefined=undefined)}
    header = read_header(written(tree, explicit=explicit), complete=True)
    return clean_coded_entries(VIEW, header.elements[VIEW], header, explicit=header.explicit)


@pytest.mark.parametrize("undefined", [False, True])
@pytest.mark.parametrize(("explicit", "vr"), [(True, "SQ"), (True, "UN"), (False, "SQ")])
def test_known_codes_are_rebuilt_in_the_encoding_of_the_header(
    explicit: bool,  # noqa: FBT001 - a parameter
    vr: str,
    undefined: bool,  # noqa: FBT001 - a parameter
) -> None:
    left = [
        {0x00080100: text("SH", code), 0x00080102: text("SH", scheme), 0x00080104: text("LO", said)}
        for code, scheme, said in LEFT
    ]

    expected = written({VIEW: Cell("SQ", left)}, explicit=explicit)
    assert cleaned(explicit=explicit, vr=vr, undefined=undefined) == expected


@pytest.mark.parametrize(
    ("value", "scheme", "meaning"),
    [
        ("129504001", "SCT", "^15^Oxygen"),  # the shorter of two in PS3.16
        ("113345001", "SCT", "Abdomen"),
        ("T-D4000", "SNM3", "Abdomen"),
        ("T-D4000", "99SDM", "Abdomen"),
        ("T-D4000", "SCT", ""),
    ],
)
def test_a_code_has_one_meaning(value: str, scheme: str, meaning: str) -> None:
    assert meaning_of(value, scheme) == meaning
