"""The folder that mutmut works in: build/mutation/PACKAGE, with the project as links."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
BUILD: Final = ROOT / "build" / "mutation"
_SECTION: Final = "\n[tool.mutmut]\n"
_NOT_LINKED: Final = frozenset({"build", "dist", "mutants", "pyproject.toml", "site", "state"})


def prepare(package: str, tests: list[str], root: Path = ROOT) -> Path:
    """Make or renew the folder for a package, such as drawcli/core/jobs, and return it."""
    folder = BUILD / Path(package).name
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(
        folder / "mutants" / "tests", ignore_errors=True
    )  # mutmut copies, but never removes
    for entry in root.iterdir():
        link = folder / entry.name
        if entry.name not in _NOT_LINKED and entry.name[0] != "." and not link.exists():
            link.symlink_to(entry)
    (folder / "pyproject.toml").write_text(
        settings((root / "pyproject.toml").read_text(), package, tests)
    )
    return folder


def settings(project: str, package: str, tests: list[str]) -> str:
    """Return the project's pyproject.toml with the settings of mutmut for one package."""
    if _SECTION not in project:
        raise ValueError(f"no {_SECTION.strip()} in pyproject.toml")
    types = "mypy --config-file tests/mutation/mypy.ini --output json".split()
    own = {
        "only_mutate": [f"{package}/*.py"],
        "pytest_add_cli_args_test_selection": tests,
        "type_check_command": [sys.executable, "-m", *types, package],
    }
    lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in own.items())
    return project.replace(_SECTION, _SECTION + lines)


def run(folder: Path, processes: int) -> bool:
    """Run mutmut on all that has no verdict; return whether it came to its end."""
    log = folder / "mutmut.log"
    with log.open("w") as output:
        ended = subprocess.run(
            [str(Path(sys.executable).with_name("mutmut")), "run", f"--max-children={processes}"],
            cwd=folder,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    return ended.returncode == 0
