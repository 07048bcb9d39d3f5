"""Fuzz with atheris, a process for each target: python -m tests.fuzz [TARGET ...] [--seconds 600]

With `--planted`, each fault of `planted.py`, or those named, must be found from the valid inputs.

What breaks a target is written into build/fuzz/TARGET/; copy it into tests/fuzz/corpus/TARGET/
under a name that says what it is, and fix the fault: then it is a test.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.fuzz.image_files import RAM, SCRATCH
from tests.fuzz.planted import FAULTS
from tests.fuzz.targets import CORPUS, targets

FOLDER = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST_INPUT = 8192
SECONDS_OF_ONE = 10  # after which an input hangs
MEMORY_MIB = 2048


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target; return whether nothing was found."""
    return not run(name, FOLDER / name, CORPUS / name, seconds, name, {})


def find(name: str, seconds: int) -> bool:
    """Fuzz a target with a planted fault, from its valid inputs; return whether it was found."""
    target = FAULTS[name].target
    own = FOLDER / "planted" / name.replace(" ", "-").replace("/", "-")
    shutil.rmtree(own, ignore_errors=True)
    seeds = own / "seeds"
    seeds.mkdir(parents=True)
    for path in (CORPUS / target).glob("valid-*"):
        shutil.copy(path, seeds)
    return run(target, own, seeds, seconds, f"{target}, {name}", {"PLANTED": name})


def run(  # noqa: PLR0913, PLR0917 - places of one run
    target: str, own: Path, seeds: Path, seconds: int, title: str, more: dict[str, str]
) -> bool:
    """Fuzz a target in a process; print its result, and return whether something was found."""
    found = own / "corpus"  # inputs that reach something new, for the next time
    found.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with TemporaryDirectory(prefix="fuzz-", dir=RAM if RAM.is_dir() else None) as scratch:
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "tests.fuzz.instrumented", target),
                *(str(found), str(seeds), f"-artifact_prefix={own}/"),
                *(f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}"),
                *(f"-timeout={SECONDS_OF_ONE}", f"-rss_limit_mb={MEMORY_MIB}"),
                "-print_final_stats=1",
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **more, SCRATCH: scratch},
        )
    (own / "log").write_text(ended.stdout + ended.stderr)
    what = "nothing found"
    if ended.returncode:
        what = f"FOUND (exit status {ended.returncode}): see {own / 'log'}"
    stated = ended.stderr.rpartition("stat::number_of_executed_units:")
    runs = stated[2].split("\n")[0].strip() if stated[1] else "?"
    sys.stdout.write(f"{title}: {runs} inputs, {time.monotonic() - began:.0f} s: {what}\n")
    sys.stdout.flush()
    return ended.returncode != 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--planted", nargs="*", metavar="FAULT")
    wanted = parser.parse_args()
    if wanted.planted is None:
        outcomes = [fuzz(name, wanted.seconds) for name in wanted.targets or targets()]
    else:
        outcomes = [find(name, wanted.seconds) for name in wanted.planted or FAULTS]
    sys.exit(not all(outcomes))
