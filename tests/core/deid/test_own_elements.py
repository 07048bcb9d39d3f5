"""The elements that drawcli writes itself, byte for byte."""

import struct

import pytest

from drawcli import __version__
from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS, file_meta, own_elements
from drawcli.core.deid.profile import Choices
from tests.deidentification.writing import Cell, Tree, text, written

SHIFTED = {
    "113100": "Basic Application Confidentiality Profile",
    "113108": "Retain Patient Characteristics Option",
    "113107": "Retain Longitudinal Temporal Information Modified Dates Option",
}


def code(value: str, meaning: str) -> Tree:
    return {
        0x00080100: text("SH", value),
        0x00080102: text("SH", "DCM"),
        0x00080104: text("LO", meaning),
    }


@pytest.mark.parametrize("explicit", [True, False])
@pytest.mark.parametrize(
    ("choices", "claims", "dates"),
    [
        (Choices(), ["113100", "113108", "113107"], "MODIFIED"),
        (Choices(characteristics=False), ["113100", "113107"], "MODIFIED"),
        (Choices(fixed_dates=True), ["113100", "113108"], "REMOVED"),
    ],
)
def test_profile_options_and_equipment_are_written(
    choices: Choices,
    claims: list[str],
    dates: str,
    explicit: bool,  # noqa: FBT001 - a parameter
) -> None:
    method = f"drawcli {__version__}\\DICOM PS3.15 2026c Annex E, keep-list, options as coded"
    equipment = {
        0x00080070: text("LO", "DRAW"),
        0x00081090: text("LO", "drawcli"),
        0x00181020: text("LO", __version__),
        0x0040A170: Cell("SQ", [code("109104", "De-identifying Equipment")]),
    }
    expected = {
        0x00120062: text("CS", "YES"),
        0x00120063: text("LO", method),
        0x00120064: Cell("SQ", [code(claim, SHIFTED[claim]) for claim in claims]),
        0x0018A001: Cell("SQ", [equipment]),
        0x00280303: text("CS", dates),
    }

    assert own_elements(choices, explicit=explicit) == {
        tag: written({tag: cell}, explicit=explicit) for tag, cell in expected.items()
    }


def test_the_file_meta_names_class_instance_syntax_and_drawcli() -> None:
    body = {
        0x00020001: Cell("OB", b"\0\1"),
        0x00020002: text("UI", "1.2.3"),
        0x00020003: text("UI", "1.2.3.4"),
        0x00020010: text("UI", "1.2.840.10008.1.2.1"),
        0x00020012: text("UI", IMPLEMENTATION_CLASS),
        0x00020013: text("SH", f"DRAWCLI_{__version__}"[:16]),
    }
    length = struct.pack("<I", len(written(body, explicit=True)))

    assert file_meta("1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1") == (
        bytes(128) + b"DICM" + written({0x00020000: Cell("UL", length)} | body, explicit=True)
    )


def test_a_long_version_is_cut_to_16_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.core.deid.own_elements.__version__", "10.20.30.dev4")
    name = written({0x00020013: text("SH", "DRAWCLI_10.20.30")}, explicit=True)

    assert file_meta("1.2.3", "1.2.3.4", "1.2.840.10008.1.2.1").endswith(name)
