"""What is not installed is named, with the command of the Python that runs."""

import sys
from importlib import metadata

import pytest

from drawcli.system.packages import missing_packages, not_installed

WANTED = [
    "typer>=0.16",
    "pynetdicom>=3; extra == 'dicom-net'",
    "no-such-web>=1; extra == 'web'",
    "starlette>=0.40; extra == 'web'",
    'none-such; extra == "web"',
]


@pytest.fixture(autouse=True)
def _requirements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "requires", lambda _name: WANTED)
    there = {"pynetdicom", "starlette"}

    def version(name: str) -> str:
        if name not in there:
            raise metadata.PackageNotFoundError(name)
        return "9"

    monkeypatch.setattr(metadata, "version", version)


def test_the_missing_packages_of_an_extra_are_named_with_the_running_python() -> None:
    err = not_installed("the sandbox", "web", or_else="Or do without.")

    assert str(err) == "the sandbox needs no-such-web, none-such, which are not installed"
    assert err.hint == (
        f"Install it: {sys.executable} -m pip install 'no-such-web>=1' none-such, "
        "the extra 'web' of drawcli. Or do without."
    )


def test_an_extra_whose_packages_are_there_but_broken_names_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert missing_packages("dicom-net") == ["pynetdicom>=3"]
    monkeypatch.setattr(metadata, "requires", lambda _name: None)
    assert missing_packages("dicom-net") == ["dicom-net"]
