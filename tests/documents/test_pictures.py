"""The script that draws the pictures of README and docs."""

import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from tests.pictures import NAMES, main

pytestmark = [
    pytest.mark.sweep,
    pytest.mark.skipif(sys.platform == "win32", reason="ends servers as POSIX does"),
]


def test_the_pictures_are_drawn_anew_from_phantoms(tmp_path: Path) -> None:
    main(tmp_path, slices=12, size=64)

    drawn = {path.name for path in tmp_path.iterdir()}
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    assert drawn == set(NAMES) - (set() if browser else {"page.png"})
    status = (tmp_path / "status.svg").read_text(encoding="utf-8").replace("&#160;", " ")
    assert "held at segmented" in status
    assert "Prostate_OAR" in status
    assert "http" not in status.replace("http://www.w3.org", "").replace(
        "https://www.textualize", ""
    )
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert len(sheet.convert("RGB").getcolors(1 << 20) or ()) > 30
