"""Install a wheel into empty environments and look whether it works: each Python, each extra.

    python packaging/everywhere.py dist/drawcli-*.whl [--python 3.11 3.12 3.13]

A Python that is not on this machine is told, and left out. In each environment, which has nothing
but the wheel and what it asks for, the installed `drawcli` says its version and its help, makes a
site, scans its empty datastore and looks at its own health; with the extra `web` it runs the demo.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path
from typing import Any

PYTHONS = ("3.11", "3.12", "3.13")
OURS = ("bench", "dev", "release")  # extras for who works on drawcli: not tried here
SMALL_DEMO = ("demo", "--slices", "8", "--size", "64")
SHARED = ("share/man/man1/drawcli.1", "share/bash-completion/completions/drawcli")


def main() -> int:
    """Try every pair; 1 where one does not work."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("wheel", type=Path)
    options.add_argument("--python", nargs="*", default=PYTHONS)
    options.add_argument("--lock", type=Path, help="Install these versions, and the wheel alone.")
    given = options.parse_args()
    failed = 0
    for python in given.python:
        if not _is_here(python):
            print(f"Python {python}  not on this machine: not tried")
            continue
        for extra in ("", *extras_of(given.wheel)):
            said = trial(python, given.wheel, extra)
            failed += bool(said)
            print(f"Python {python}  {extra or '(bare)':<12} {said or 'works'}", flush=True)
        if given.lock:
            said = trial(python, given.wheel, "web", lock=given.lock)
            failed += bool(said)
            print(f"Python {python}  {'(lock)':<12} {said or 'works'}", flush=True)
    return int(bool(failed))


def extras_of(wheel: Path) -> list[str]:
    """Return the extras that sites install."""
    with zipfile.ZipFile(wheel) as inside:
        (name,) = (one for one in inside.namelist() if one.endswith(".dist-info/METADATA"))
        about = Parser().parsestr(inside.read(name).decode())
    return [one for one in about.get_all("Provides-Extra", []) if one not in OURS]


def trial(python: str, wheel: Path, extra: str, lock: Path | None = None) -> str:
    """Return what went wrong in an environment of its own; "" where all works."""
    with tempfile.TemporaryDirectory(prefix="drawcli-install-") as name:
        home = Path(name)
        env = home / "env"
        try:
            _run(home, "uv", "venv", "--quiet", "--python", python, str(env))
            into = ("uv", "pip", "install", "--quiet", "--python", str(_bin(env) / "python"))
            if lock:
                _run(home, *into, "--require-hashes", "--requirement", str(lock.absolute()))
                _run(home, *into, "--no-deps", str(wheel.absolute()))
            else:
                _run(home, *into, f"{wheel.absolute()}{f'[{extra}]' if extra else ''}")
            for said in troubles(home, env, with_web=extra == "web"):
                return said
        except subprocess.CalledProcessError as err:
            return f"{Path(err.cmd[0]).name} {err.cmd[1]}: {(err.stderr or err.stdout)[-600:]}"
    return ""


def troubles(home: Path, env: Path, *, with_web: bool) -> Iterator[str]:
    """Use an installed drawcli as a new site would; yield what is wrong."""
    drawcli = str(_bin(env) / "drawcli")
    (home / "store").mkdir()
    _run(home, drawcli, "--help")
    if not _run(home, drawcli, "--version").startswith("drawcli "):
        yield "--version says something else"
    _run(home, drawcli, "init", "site", "--datastore", "store")
    config = ("--config", "site/drawcli.yaml")
    scanned: dict[str, Any] = json.loads(_run(home, drawcli, "scan", "--json", *config))
    if scanned["status"] != "success":
        yield f"scan: {scanned}"
    checks = json.loads(_run(home, drawcli, "doctor", "--json", *config, may_fail=True))
    if "(not there)" in json.dumps(checks):
        yield "doctor misses a package"
    if with_web:
        _run(home, drawcli, *SMALL_DEMO)
    for place in SHARED if os.name == "posix" else ():
        if not (env / place).is_file():
            yield f"{place} is not installed"


def _run(home: Path, *words: str, may_fail: bool = False) -> str:
    """Run a program with almost no environment; return what it prints."""
    kept = {
        name: text
        for name, text in os.environ.items()
        if name in ("PATH", "SYSTEMROOT") or name.startswith(("PIP_", "UV_", "PYENV", "SSL_"))
    }
    done = subprocess.run(
        words,
        cwd=home,
        env={**kept, "HOME": str(home), "UV_CACHE_DIR": str(_cache())},
        capture_output=True,
        text=True,
        check=not may_fail,
    )
    return done.stdout


def _cache() -> Path:
    return Path(tempfile.gettempdir()) / "drawcli-uv-cache"


def _bin(env: Path) -> Path:
    return env / ("Scripts" if os.name == "nt" else "bin")


def _is_here(python: str) -> bool:
    words = ("uv", "python", "find", "--offline", "--no-python-downloads", python)
    return not subprocess.run(words, capture_output=True, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
