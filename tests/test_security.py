"""The threat model is tied to tests, and the repository holds no secret and no patient."""

import ast
import re
import subprocess
import tarfile
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from drawcli.sandbox.patients import PEOPLE

ROOT = Path(__file__).parents[1]
MODEL = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
DEPENDENCIES = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
PREAMBLE = 128  # bytes before the "DICM" of a DICOM file
SMALLEST_SCAN = 8_000  # bytes: an image of 64 x 64 has as many
LARGEST = 300_000  # bytes of a file in the repository: larger ones are hardly written by hand

# What no file of the repository may hold, in pieces: else this one would.
SECRETS = {
    "private key": rb"-----BEGIN (?:[A-Z]+ )*PRIVATE" + rb" KEY-----",
    "bearer token": rb"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{20,}",
    "token of a service": rb"\b(?:gh[pousr]_|github_pat_|glpat-|AKIA|xox[bp]-)[A-Za-z0-9_]{16,}",
    "password in an address": rb"://[^/\s:@'\"{}<>]+:[^/\s:@'\"{}<>]{3,}@",
}
INVENTED = {"password in an address"}  # in tests and documents, of machines that are not there


def tracked() -> list[Path]:
    """Return the files that git has, or those of the sdist where there is no git."""
    try:
        done = subprocess.run(
            ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs git and a checkout")
    return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]


def contents(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the content of a file, and of what is packed in it."""
    name = path.relative_to(ROOT).as_posix()
    yield name, path.read_bytes()
    if name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            for member in archive:
                stream = archive.extractfile(member)
                yield f"{name}/{member.name}", stream.read() if stream else b""


def findings(name: str, content: bytes) -> Iterator[str]:
    """Yield what a file holds that none may."""
    for kind, pattern in SECRETS.items():
        if re.search(pattern, content) and not (kind in INVENTED and is_told(name)):
            yield f"{name}: a {kind}"
    if content[PREAMBLE : PREAMBLE + 4] == b"DICM" and not (
        is_invented(content) or is_made_for_fuzzing(name, content)
    ):
        yield f"{name}: a DICOM file of an unknown patient"


def is_told(name: str) -> bool:
    """Tell whether a file is there to show something."""
    return name.startswith("tests/") or name.endswith(".md")


def is_invented(content: bytes) -> bool:
    """Tell whether a DICOM file is of a person of the sandbox, or of a pseudonym."""
    names = [b"DEID-", *(person.patient_id.encode() for person in PEOPLE)]
    return any(name in content for name in names)


def is_made_for_fuzzing(name: str, content: bytes) -> bool:
    """Tell whether a file is an input of `tests/fuzz/seeds.py`: it is too small for a scan."""
    return name.startswith("tests/fuzz/corpus/") and len(content) < SMALLEST_SCAN


def test_no_tracked_file_holds_a_secret_or_a_scan() -> None:
    found = [
        finding
        for path in tracked()
        for name, content in contents(path)
        for finding in findings(name, content)
    ]

    assert found == []


def test_no_tracked_file_is_larger_than_a_person_writes() -> None:
    large = [path for path in tracked() if path.stat().st_size > LARGEST]

    assert large == []


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("private key", b"-----BEGIN OPENSSH PRIVATE" + b" KEY-----\n"),
        ("private key", b"-----BEGIN PRIVATE" + b" KEY-----\n"),
        ("bearer token", b"eyJhbGciOiJIUzI1NiJ9" + b".eyJzdWIiOiIxMjM0NTY3OCJ9." + b"a" * 43),
        ("token of a service", b"ghp_" + b"a1B2" * 9),
        ("password in an address", b"http://me" + b":secret@host/"),
        ("DICOM", bytes(PREAMBLE) + b"DICM" + b"\x10\x00\x10\x00PN\x04\x00ROE^"),
    ],
)
def test_the_search_finds_what_is_planted(kind: str, content: bytes) -> None:
    (found,) = findings("planted", content)

    assert kind in found


@cache
def functions_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_each_threat_is_tied_to_tests_that_exist() -> None:
    rows = re.findall(r"^\| (.+?) \| .+ \| (.*`.*::.*`.*) \|$", MODEL, re.MULTILINE)
    named = {tuple(name.split("::")) for _, cell in rows for name in re.findall(r"`(.+?)`", cell)}

    assert len(rows) > 20
    for file, test in sorted(named):
        assert test in functions_of(ROOT / "tests" / file), f"{file}::{test}"


def test_no_threat_stands_without_a_test() -> None:
    _, _, behind = MODEL.partition("## Threats")
    table = [line for line in behind.partition("\n## ")[0].splitlines() if line.startswith("| ")]

    assert all("::" in line for line in table[1:])


def test_every_dependency_is_accounted_for() -> None:
    told = set(re.findall(r"^\| `(.+?)` \|", DEPENDENCIES, re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    ours = {"bench", "dev", "docs", "fuzz", "mutation", "release"}
    asked = [
        *project["dependencies"],
        *(one for name in extras.keys() - ours for one in extras[name]),
    ]

    names = {re.split(r"[\[<>=~! ;]", one)[0].lower() for one in asked}
    assert len(names) > 20
    assert names == told


def test_every_extra_that_the_pages_name_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    there = project["optional-dependencies"].keys()
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), *(ROOT / "drawcli").rglob("*.py")]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    _, _, table = (
        (ROOT / "docs" / "installing.md").read_text(encoding="utf-8").partition("| extra |")
    )

    named = set(re.findall(r"(?:'\.\[|whl\[|extra [`'])([a-z,-]+)[\]`']", text))
    told = set(re.findall(r"^\| `([a-z-]+)` \|", table.partition("\n\n")[0], re.MULTILINE))

    assert len(named) > 5
    assert {extra for one in named for extra in one.split(",")} <= there
    assert told == there - {"bench", "dev", "docs", "fuzz", "mutation", "release"}
