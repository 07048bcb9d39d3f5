"""Check that the tests detect small changes of the code: python -m tests.mutation [PACKAGE ...]

mutmut changes one expression at a time in core/deid, core/gate, core/rtstruct and core/jobs. A
mutant that the tests or mypy refuse is killed. Each survivor has its line in
tests/mutation/survivors/, with the word of a reason that the head of the file explains. The status
is 1 if less than 85 % of the mutants of a package are killed, or if a survivor has no reason.
mutmut changes neither tables of a module nor functions with a decorator, such as properties.

    --keep     keep the verdicts of the last run, and try again what survived it
    --no-run   only read the last run
    --write    write the lists: new survivors with ?, and without those that are killed now
"""

import argparse
import os
import shutil
import sys

from tests.mutation.survivor_list import FOLDER, SurvivorList
from tests.mutation.verdicts import Mutant, Verdict, counts, forget_survivors, mutants, score
from tests.mutation.workplace import BUILD, prepare, run

LEAST = 85.0  # percent
PACKAGES = ("deid", "gate", "jobs", "rtstruct")


def judged(package: str, found: list[Mutant], known: SurvivorList) -> list[str]:
    """Return what is wrong with a package, a line each."""
    wrong = [f"{package}: {change}" for change in known.compared(found).unexplained()]
    if score(found) < LEAST:
        wrong.append(f"{package}: {score(found):.1f} % killed, less than {LEAST:.0f} %")
    if untried := counts(found)[Verdict.OPEN]:
        wrong.append(f"{package}: {untried} mutants not tried")
    return wrong


def table(results: dict[str, list[Mutant]]) -> str:
    """Return the figures of all packages."""
    lines = [" ".join(("package   mutants", *(f"{word:>18}" for word in Verdict), "  killed"))]
    for package, found in results.items():
        figures = (f"{counts(found)[word]:18}" for word in Verdict)
        lines.append(" ".join((f"{package:9} {len(found):7}", *figures, f"{score(found):6.1f} %")))
    return "\n".join(lines)


def tried(name: str, known: SurvivorList, wanted: argparse.Namespace) -> list[Mutant]:
    """Run mutmut on a package and return its mutants."""
    package, folder = f"drawcli/core/{name}", BUILD / name
    if not wanted.no_run:
        if not wanted.keep:
            shutil.rmtree(folder / "mutants", ignore_errors=True)
        folder = prepare(package, known.tests)
        forget_survivors(folder, package)
        sys.stdout.write(f"{name}: mutmut runs; see {folder / 'mutmut.log'}\n")
        sys.stdout.flush()
        if not run(folder, wanted.processes):
            sys.exit(f"{name}: mutmut did not come to its end: see {folder / 'mutmut.log'}")
    return mutants(folder, package)


def main() -> int:
    """Run, print, and return the exit status."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="*", metavar="PACKAGE", help=" ".join(PACKAGES))
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1)
    for flag in ("--keep", "--no-run", "--write"):
        parser.add_argument(flag, action="store_true")
    wanted = parser.parse_args()
    if unknown := sorted(set(wanted.packages) - set(PACKAGES)):
        parser.error(f"no package {unknown[0]}; there are {', '.join(PACKAGES)}")
    results: dict[str, list[Mutant]] = {}
    wrong: list[str] = []
    for name in wanted.packages or PACKAGES:
        path = FOLDER / f"{name}.txt"
        known = SurvivorList.read(path)
        results[name] = tried(name, known, wanted)
        wrong += judged(name, results[name], known)
        now = known.compared(results[name])
        if wanted.write:
            path.write_text(now.text())
        elif gone := len(known.reasons.keys() - now.reasons.keys()):
            sys.stdout.write(f"{name}: {gone} of the list survive no more: --write removes them\n")
    sys.stdout.write("\n".join([table(results), *wrong, ""]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
