import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.sandbox.phantom import PEOPLE
from tests.phantoms.mr_pt import write_mr, write_pt

Write = Callable[..., list[Path]]
both = pytest.mark.parametrize(("write", "modality"), [(write_mr, "MR"), (write_pt, "PT")])


@both
def test_it_is_one_series_of_its_modality(tmp_path: Path, write: Write, modality: str) -> None:
    headers = [dcmread(path) for path in write(tmp_path, PEOPLE[0], slices=5, size=32)]

    assert {header.Modality for header in headers} == {modality}
    assert len({header.SeriesInstanceUID for header in headers}) == 1
    assert len({header.SOPInstanceUID for header in headers}) == 5
    assert headers[0].PatientName == PEOPLE[0].name


@both
def test_the_body_is_brighter_than_the_air(tmp_path: Path, write: Write, modality: str) -> None:
    pixels = dcmread(write(tmp_path, PEOPLE[0], slices=5, size=64)[2]).pixel_array

    assert pixels[32, 32] > 5 * pixels[:4].mean(), modality


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@both
@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)
def test_an_independent_validator_finds_no_error(
    tmp_path: Path, write: Write, modality: str, person: object
) -> None:
    path = write(tmp_path, person, slices=3, size=32)[1]

    found = subprocess.run(
        ["dciodvfy", "-new", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Error" not in found.stderr + found.stdout, modality
