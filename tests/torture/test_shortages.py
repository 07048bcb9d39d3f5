"""Memory, descriptors, threads or processes run short at any moment: one message, nothing lost.

Each run of a cycle that has the shortage ends with 0 or 12 and at most one message; it holds no
job, and the next runs deliver everything. Where one allocation fails inside code in C or Rust that
does not look for it, the run may end by a signal, a panic or a TypeError; nothing is lost then,
either. `shortages.py` says how each is made.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import accumulate, repeat, takewhile
from pathlib import Path
from typing import Any

import pytest

from tests.torture.conftest import Make, benched
from tests.torture.kit import PEOPLE, Bench, Forge, World, tell
from tests.torture.test_kills import LONG, RUNS, effects

ROOT = Path(__file__).parents[2]
SHORT = 12
MESSAGES = {
    "memory": "not enough memory",
    "files": "too many open files",
    "threads": "the system starts no further thread",
    "processes": "the system starts no further process",
}
CRASHES = (-signal.SIGSEGV, -signal.SIGABRT)
ALLOCATIONS = 2_000_000  # more than a run of this cycle makes
SPARE_BYTES = 450_000_000  # more than a run of this cycle needs, with the heaps of its threads
MOST_FILES = 20
MOST_THREADS = 40
COMMANDS = [
    *[("status",), ("show", "{job}"), ("explain", "{job}"), ("explain", "{store}"), ("verify",)],
    *[("doctor", "--offline"), ("ledger", "check"), ("ledger", "export"), ("report",)],
    *[("rules", "check"), ("templates", "list"), ("preview", "{job}", "--to", "copy.png")],
    *[("deidentify", "{store}", "--to", "copy"), ("ledger", "backup", "copy.zip"), ("qa", "scan")],
]
pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="forks, and sets limits of Linux"),
    pytest.mark.sweep,
]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Make worlds whose runs load packages when they need them, which may fail, too."""
    with benched(tmp_path_factory.mktemp("shortages"), Forge(load_all=False)) as made:
        yield made


def short_of(world: World, what: str, **order: Any) -> int:
    """Run a step of the cycle with a shortage; return the exit code."""
    code = world.run("run-once", **order)
    said = (world.site.folder / "last.err").read_text()
    unseen = code in CRASHES or "panicked at" in said or "bug: TypeError" in said
    if unseen and "no_memory" in order:  # in C or Rust: not looked for, or taken for a wrong type
        assert world.held() == []
        return code
    assert code in {0, SHORT}, said
    assert (code == SHORT) == said.startswith(messages(what)), said
    assert len(said.splitlines()) == (2 if code else 0), said
    assert world.held() == []
    logs = "".join(path.read_text() for path in world.site.state.rglob("*.log"))
    assert "Traceback" not in logs
    return code


def messages(what: str) -> tuple[str, ...]:
    """Return how the message of a shortage may begin: a thread needs memory, too."""
    names = (what, "threads") if what == "memory" else (what,)
    return tuple(f"drawcli: {MESSAGES[name]}" for name in names)


def sweep(make: Make, what: str, orders: Iterable[dict[str, Any]]) -> int:
    """Let each order go wrong in each run of a cycle; return how many runs ended for it."""
    ended = tried = 0
    for turn, order in enumerate(orders):
        for wrong in ((0, 1), (1,)) if LONG else ((0, 1), (1,))[turn % 2 :][:1]:
            one = make()
            for number, words in enumerate(RUNS):
                if number in wrong:
                    ended += short_of(one, what, **order) == SHORT
                    tried += 1
                else:
                    one.run(words)
            one.bring_home()
            one.check_home()
    tell(f"{what}: {ended} of {tried} runs were short")
    return ended


def spread(first: int, most: int, factor: float) -> list[int]:
    """Return numbers that grow by a factor.

    >>> spread(10, 50, 2)
    [10, 20, 40]
    """
    grown = accumulate(repeat(factor), lambda number, by: number * by, initial=float(first))
    return [int(number) for number in takewhile(lambda number: number < most, grown)]


@pytest.mark.parametrize("failing", [1, 3] if LONG else [1])
def test_an_allocation_of_any_number_fails(world: Make, failing: int) -> None:
    pytest.importorskip("_testcapi", reason="this Python cannot let allocations fail")
    numbers = spread(1 if LONG else 500, ALLOCATIONS, 1.05 if LONG else 5.3)

    ended = sweep(world, "memory", ({"no_memory": n, "for": failing} for n in numbers))

    assert ended >= len(numbers) // 2


def test_the_address_space_ends_anywhere(world: Make) -> None:
    step = 3_000_000 if LONG else 60_000_000

    ended = sweep(world, "memory", ({"memory": n} for n in range(0, SPARE_BYTES, step)))

    assert ended >= SPARE_BYTES // step // 4


def test_memory_ends_at_any_effect(world: Make) -> None:
    import errno

    counts = effects(world())
    numbers = range(1, max(counts) + 1, 1 if LONG else 67)
    orders = ({"fail_at": n, "errno": errno.ENOMEM} for n in numbers)

    assert sweep(world, "memory", orders) >= len(numbers) // 2


def test_the_system_opens_no_further_file_at_any_moment(world: Make) -> None:
    whole = world()
    assert whole.run("run-once") == 0
    numbers = range(1, whole.opened, 1 if LONG else 97)

    assert sweep(world, "files", ({"no_file": n} for n in numbers)) >= len(numbers) // 2


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_reports_no_shortage_as_a_fault_of_the_site(
    world: Make, words: tuple[str, ...]
) -> None:
    """Of files at any opening, of threads, and of memory: 12 and one message, or no difference."""
    one = world()
    one.bring_home()
    job = one.story().split()[0]
    called = [word.format(job=job, store=one.site.store / PEOPLE[0].file_name) for word in words]
    usual = one.run(*called)
    assert usual == 0
    step = 1 if LONG else one.opened // 9 + 1
    orders: list[dict[str, Any]] = [{"no_file": n} for n in range(1, one.opened + 1, step)]
    orders += [{"threads": 0}, {"files": 8}, *({"memory": n << 20} for n in range(0, 90, 30))]
    for number, order in enumerate(orders):
        done = [word.replace("copy", f"copy-{number}") for word in called]
        code = one.run(*done, **order)
        said = (one.site.folder / "last.err").read_text()
        assert code in {usual, SHORT}, (order, said)
        assert (code == SHORT) == bool(said), (order, said)
        assert not said or said.startswith(tuple(f"drawcli: {text}" for text in MESSAGES.values()))
        assert len(said.splitlines()) in {0, 2}, said


def test_a_process_may_open_few_files(world: Make) -> None:
    numbers = range(5, MOST_FILES, 1 if LONG else 3)

    assert sweep(world, "files", ({"files": n} for n in numbers)) >= 3


def test_no_thread_starts(world: Make) -> None:
    numbers = range(0, MOST_THREADS, 1 if LONG else 13)

    assert sweep(world, "threads", ({"threads": n} for n in numbers)) >= len(numbers) // 3


def test_the_process_table_is_full(world: Make) -> None:
    """A program of the site that prints the tokens cannot be started; then it can."""
    one = world()
    one.site.config.write_text(
        one.site.config.read_text().replace(
            "server: {", "server: {token_command: [/bin/cat, token.json], "
        )
    )
    assert short_of(one, "processes", processes=0) == SHORT
    one.run("retry", "--all")
    assert one.run("run-once") == 0
    assert short_of(one, "processes", processes=0) == SHORT
    one.bring_home()
    one.check_home()


@pytest.mark.parametrize(
    ("what", "least", "step", "count"),
    [("files", 5, 1, 24 if LONG else 4), ("memory", 20 << 20, 20 << 20, 40 if LONG else 4)],
)
def test_a_process_that_begins_with_little(
    world: Make, what: str, least: int, step: int, count: int
) -> None:
    """The modules are loaded with the limit, as where the shell that started it has one."""
    import resource

    limit = {"files": resource.RLIMIT_NOFILE, "memory": resource.RLIMIT_AS}[what]
    one, codes = world(), []
    for value in range(least, least + count * step, step):
        ended = subprocess.run(
            [sys.executable, "-m", "drawcli", "run-once"],
            preexec_fn=partial(resource.setrlimit, limit, (value, value)),
            cwd=one.site.folder,
            env={"HOME": str(one.site.folder), "PATH": os.defpath, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        codes.append(ended.returncode)
        assert (ended.returncode == SHORT) == ended.stderr.startswith(messages(what)), ended.stderr
        assert len(ended.stderr.splitlines()) == (2 if ended.returncode else 0)
        one.kills += 1
    assert SHORT in codes
    assert set(codes) <= {0, SHORT}
    one.bring_home()
    one.check_home()
