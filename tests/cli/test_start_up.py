"""Starts cost few starts of a bare interpreter, in CPU time: TAB and status are asked all day."""

import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest

from tests.cli.conftest import Run
from tests.conftest import Site

CYCLES = 5
# The most a start may cost, in starts of `python -I -c pass`: what a busy machine measures, which
# is a fifth more than an idle one (7.6, 7.6, 6.7, 8.8, 10.3 and 15.6; typer alone costs 5.5).
MOST = {
    "--help": 10,
    "TAB sta": 10,
    "TAB show ": 9,
    "status": 11,
    "show {job}": 13,
    "run-once": 20,
}


def cpu_seconds(command: list[str], env: dict[str, str], folder: Path) -> float:
    """Return the CPU time of a process and its children; what else the machine does counts not."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, cwd=folder, env=env, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


@pytest.mark.usefixtures("pelvis")
def test_starts_are_quick(drawcli: Run, site: Site) -> None:
    for step in ("scan", "match"):
        drawcli(step)
    job = str(drawcli("status", "--json").answer["data"]["jobs"][0]["id"])
    drawcli("cancel", job)
    starts: dict[str, tuple[list[str], dict[str, str]]] = {
        "": ([sys.executable, "-I", "-c", "pass"], {"PATH": os.environ["PATH"]})
    }
    for name in MOST:
        words = name.format(job=job)
        env = {"PATH": os.environ["PATH"]}
        if words.startswith("TAB "):
            words = words.replace("TAB", "drawcli", 1)
            env |= {"_DRAWCLI_COMPLETE": "complete_bash", "COMP_WORDS": words}
            env |= {"COMP_CWORD": str(words.count(" "))}
            words = ""
        run = "import sys; sys.argv[0] = 'drawcli'; from drawcli.cli import main; main()"
        starts[name] = ([sys.executable, "-c", run, *words.split()], env)

    spent: dict[str, list[float]] = {name: [] for name in starts}
    for _ in range(CYCLES):
        for name, (command, env) in starts.items():
            spent[name].append(cpu_seconds(command, env, site.folder))

    bare = median(spent[""])
    cost = {name: median(spent[name]) / bare for name in MOST}
    assert {name: round(times, 1) for name, times in cost.items() if times > MOST[name]} == {}
