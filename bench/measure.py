"""What the benches share: two things measured in turn, told as medians, with their spread.

A ratio is that of two medians of one run; beside it stand the least and the largest ratio of the
pairs. Where a thing is held against a bound and not against another one, the bound is the second.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Final

Pairs = Sequence[tuple[float, float]]
MIB: Final = 1 << 20
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # or each start would compile every module again
_UNITS: Final = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (0.0, 1e6, "us"))
_PEAK: Final = (
    "import resource, subprocess, sys;"
    "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
    "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One comparison: ours, and beside it a floor, another tool, a smaller size or a bound."""

    name: str
    ours: float | None = None  # the median, in the unit
    theirs: float | None = None
    ratio: float | None = None  # None: not measured here; `asked` says why
    least: float | None = None  # of the ratios of the pairs
    most: float | None = None
    unit: str = "s"
    asked: str = ""
    met: bool | None = None
    faster: bool = False  # the ratio is theirs over ours: how many times faster ours is
    curve: str = ""  # of a thing that is measured at several sizes
    size: float | None = None


def beside(  # noqa: PLR0913 - what was measured, what is asked, where it belongs
    name: str,
    pairs: Pairs,
    *,
    target: float | None = None,
    faster: bool = False,
    unit: str = "s",
    curve: str = "",
    size: float | None = None,
) -> Row:
    """Return what pairs of ours and theirs say; at most `target` is asked, at least if `faster`."""
    ours, theirs = (median(side) for side in zip(*pairs, strict=True))
    ratios = [b / a if faster else a / b for a, b in pairs]
    ratio = theirs / ours if faster else ours / theirs
    asked, met = "", None
    if target is not None:
        asked = f"at {'least' if faster else 'most'} {target:g}"
        met = ratio >= target if faster else ratio <= target
    return Row(
        name=name,
        ours=ours,
        theirs=theirs,
        ratio=ratio,
        least=min(ratios) if len(pairs) > 1 else None,
        most=max(ratios) if len(pairs) > 1 else None,
        unit=unit,
        asked=asked,
        met=met,
        faster=faster,
        curve=curve,
        size=size,
    )


def below(name: str, ours: float, bound: float, unit: str) -> Row:
    """Return a figure held against a bound."""
    asked, met = f"at most {bound:g} {unit}", ours <= bound
    return Row(
        name=name, ours=ours, theirs=bound, ratio=ours / bound, unit=unit, asked=asked, met=met
    )


def unmeasured(name: str, why: str) -> Row:
    """Return a line that says why there is no figure."""
    return Row(name=name, asked=why)


def taken(work: Callable[[], object], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return how long something takes by a clock, s."""
    begun = clock()
    work()
    return clock() - begun


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children, in the kernel and outside."""
    spans = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(span.ru_utime + span.ru_stime for span in spans)


def cpu_of_children() -> float:
    """Return the CPU time of the processes that this one has started and that have ended, s."""
    span = resource.getrusage(resource.RUSAGE_CHILDREN)
    return span.ru_utime + span.ru_stime


def compared(  # noqa: PLR0913 - what is compared, how, and what is asked
    name: str,
    ours: Callable[[], object],
    theirs: Callable[[], object],
    *,
    repeat: int,
    target: float | None = None,
    clock: Callable[[], float] = cpu_seconds,
    faster: bool = False,
) -> Row:
    """Measure two things in turn, after each was done once."""
    try:
        ours(), theirs()
    except ImportError as err:
        return unmeasured(name, f"not installed: {err.name}")
    pairs = [(taken(ours, clock), taken(theirs, clock)) for _ in range(repeat)]
    return beside(name, pairs, target=target, faster=faster)


def started(words: Sequence[str]) -> float:
    """Run Python with these words; return how long it takes, s. Trouble ends the bench."""
    return taken(_run(words))


def started_cpu(words: Sequence[str]) -> float:
    """Run Python with these words; return the CPU time that it takes, s. Trouble ends the bench."""
    return taken(_run(words), cpu_of_children)


def _run(words: Sequence[str]) -> Callable[[], object]:
    command = [sys.executable, *words]
    return lambda: subprocess.run(command, check=True, capture_output=True)


def peak_mib(words: Sequence[str]) -> float:
    """Run Python with these words; return the most memory it holds, MiB."""
    done = subprocess.run(
        [sys.executable, "-c", _PEAK, sys.executable, *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) / 1024


def amount(value: float | None, unit: str) -> str:
    """Return a figure for people: 12.3 ms, 4.5 MiB."""
    if value is None:
        return ""
    if unit == "s":
        _, times, unit = next(one for one in _UNITS if abs(value) >= one[0])
        value *= times
    return f"{value:.3g} {unit}" if abs(value) < 1000 else f"{value:,.0f} {unit}"  # noqa: PLR2004


def spread(row: Row) -> str:
    """Return the least and the largest ratio, for people."""
    return "" if row.least is None or row.most is None else f"{row.least:.2f} - {row.most:.2f}"


def table(found: Iterable[Row]) -> str:
    """Return rows as text in columns."""
    lines = [f"{'':<54}{'ours':>10}{'beside':>10}{'ratio':>8}{'from - to':>16}  asked"]
    for row in found:
        ours, theirs = (amount(one, row.unit) for one in (row.ours, row.theirs))
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        verdict = "  NOT MET" if row.met is False else ""
        lines.append(
            f"{row.name:<54}{ours:>10}{theirs:>10}{ratio:>8}{spread(row):>16}"
            f"  {row.asked}{verdict}".rstrip()
        )
    return "\n".join(lines)


def options(about: str | None, *, repeat: int, **sizes: int) -> argparse.ArgumentParser:
    """Return the options of a bench: its sizes, --repeat and --json."""
    parser = argparse.ArgumentParser(description=about)
    for name, usual in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=usual)
    parser.add_argument("--repeat", type=int, default=repeat)
    parser.add_argument("--json", action="store_true")
    return parser


def tell(found: Sequence[Row], *, as_json: bool) -> int:
    """Print rows; return 1 where something that is asked for is not met."""
    print(json.dumps([asdict(row) for row in found]) if as_json else table(found))
    return int(any(row.met is False for row in found))
