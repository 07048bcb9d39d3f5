"""What is in the wheel: the package with its data, the manual, completion; nothing of a site."""

import zipfile
from email.parser import Parser
from pathlib import Path

import pytest

from drawcli import __version__
from drawcli.cli.manual import shared_files

hatchling = pytest.importorskip("hatchling.build")
ROOT = Path(__file__).parents[1]
NAME = f"drawcli-{__version__}"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        folder = tmp_path_factory.mktemp("dist")
        return zipfile.ZipFile(folder / hatchling.build_wheel(str(folder)))


def test_the_wheel_has_every_file_of_the_package(wheel: zipfile.ZipFile) -> None:
    ours = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / "drawcli").rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }

    inside = {name for name in wheel.namelist() if name.startswith("drawcli/")}

    assert {"drawcli/data/drawcli.yaml", "drawcli/data/schedule/drawcli.service"} <= inside
    assert inside == ours


def test_the_wheel_has_the_manual_and_the_completion_as_they_are_now(
    wheel: zipfile.ZipFile,
) -> None:
    inside = {
        name.removeprefix(f"{NAME}.data/data/"): wheel.read(name).decode()
        for name in wheel.namelist()
        if ".data/" in name
    }

    assert inside == shared_files()


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    about = Parser().parsestr(wheel.read(f"{NAME}.dist-info/METADATA").decode())
    points = wheel.read(f"{NAME}.dist-info/entry_points.txt").decode()

    assert (about["Name"], about["Version"]) == ("drawcli", __version__)
    assert about["Requires-Python"] == ">=3.11"
    assert {"web", "follow", "keyring"} <= set(about.get_all("Provides-Extra", []))
    assert "drawcli = drawcli.cli:main" in points
