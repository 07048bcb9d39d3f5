"""Starts cost few starts of a bare interpreter, in CPU time: TAB and status are asked all day."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.conftest import Site

CYCLES = 5
ROUNDS = 5  # until a start is believed to cost too much
# The most a start may cost, in starts of `python -I -c pass`: what a busy machine measures, which
# is a fifth more than an idle one (7.6, 7.6, 6.7, 8.8, 10.3 and 15.6; typer alone costs 5.5).
MOST: dict[str, float] = {
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

    too_much: dict[str, float] = MOST
    for _ in range(ROUNDS):  # what else the machine does costs the starts more, but not alike
        spent: dict[str, list[float]] = {name: [] for name in ("", *too_much)}
        for _ in range(CYCLES):
            for name, seconds in spent.items():
                seconds.append(cpu_seconds(*starts[name], site.folder))
        cost = {name: round(min(spent[name]) / min(spent[""]), 1) for name in too_much}
        too_much = {name: times for name, times in cost.items() if times > MOST[name]}
        if not too_much:
            break
    assert too_much == {}
