"""Fuzz with atheris, a process for each target: python -m tests.fuzz [TARGET ...] [--seconds 600]

What breaks a target is written into build/fuzz/TARGET/; copy it into tests/fuzz/corpus/TARGET/
under a name that says what it is, and fix the fault: then it is a test.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from tests.fuzz.targets import CORPUS, targets

FOLDER = Path(__file__).parents[2] / "build" / "fuzz"
LONGEST_INPUT = 8192
SECONDS_OF_ONE = 10  # after which an input hangs
MEMORY_MIB = 2048


def fuzz(name: str, seconds: int) -> bool:
    """Fuzz one target; return whether nothing was found."""
    own = FOLDER / name
    found = own / "corpus"  # inputs that reach something new, for the next time
    found.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.fuzz.instrumented", name),
            *(str(found), str(CORPUS / name), f"-artifact_prefix={own}/"),
            *(f"-max_total_time={seconds}", f"-max_len={LONGEST_INPUT}"),
            *(f"-timeout={SECONDS_OF_ONE}", f"-rss_limit_mb={MEMORY_MIB}", "-print_final_stats=1"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    (own / "log").write_text(ended.stdout + ended.stderr)
    what = "nothing found" if ended.returncode == 0 else f"FOUND: see {own / 'log'}"
    runs = ended.stderr.rpartition("stat::number_of_executed_units:")[2].split("\n")[0].strip()
    sys.stdout.write(f"{name}: {runs} inputs, {time.monotonic() - began:.0f} s: {what}\n")
    sys.stdout.flush()
    return ended.returncode == 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    parser.add_argument("--seconds", type=int, default=600)
    wanted = parser.parse_args()
    names = wanted.targets or list(targets())
    outcomes = [fuzz(name, wanted.seconds) for name in names]
    sys.exit(not all(outcomes))
