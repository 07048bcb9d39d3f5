"""Run every bench; write a table and plots; hold the ratios against a reference run.

Ratios carry over from machine to machine, times do not: only ratios are judged. One that is more
than half as much worse than in the reference is a regression, and so is what a bench itself asks
for and does not get.

    python bench/all.py [--small] [--only NAME ...] [--out build/bench] [--keep]

With --keep the run becomes the reference, `docs/bench-reference.json`, and its table and plots go
beside it; with --only, what was not run stays. --small takes seconds, for a look whether all run;
its figures mean nothing.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from html import escape
from math import log10
from pathlib import Path
from typing import Any

from measure import Row, amount, spread, table

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "bench-reference.json"
STYLE = (
    "text{font:12px sans-serif;fill:#444}line{stroke:#999}.less{fill:#3b7ea1}.more{fill:#5a9e4b}"
    ".spread{stroke:#222;stroke-width:1.5}.curve{fill:none;stroke:#3b7ea1;stroke-width:1.5}"
)
READING = (
    "Ours and what stands beside it were measured in turn; both are medians, the ratio is that of "
    "the medians, and its spread is that of the pairs. A figure without a spread was taken once."
)
_CROWDED = 8.0  # the largest ratio of a curve beside which 0 and 1 are two lines
WORSE = 1.5  # times the ratio of the reference
PARTS = {"all", "measure", "qa_judges", "scale_model", "stores"}  # of benches, or not of time
BENCHES = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - PARTS)
SMALL = {  # what makes each bench take seconds
    "deidentify": "--slices 8 --size 64 --grown 4 8 --repeat 1"
    " --only plain package gate step zip growth",
    "reidentify": "--slices 4 --structures 2 --points 12 --large 1 --repeat 1",
    "ledger": "--jobs 30 60 --open 10 --repeat 3",
    "dashboard": "--jobs 100 --repeat 3",
    "preview": "--slices 30 --size 128 --structures 2 --repeat 1",
    "qa": "--structures 2 --slices 12 --size 64 --pairs 2",
    "rules": "--rules 300 --headers 300 --repeat 1",
    "scale": "--jobs 2 --heavy 1 --slices 4 --workers 1 2",
    "scan": "--files 300 --growth 200 400 --repeat 1",
    "status": "--jobs 50 --repeat 1",
    "network": "--slices 6 --size 64 --repeat 1",
    "viewer": "--slices 12 --size 64 --structures 2 --repeat 1",
    "claims": "--jobs 20 --repeat 1",
    "upload": "--megabytes 8 --repeat 1",
    "cycle": "--slices 6 --size 64 --repeat 1",
}


@dataclass(frozen=True)
class Figure:
    """One comparison of a bench."""

    bench: str
    row: Row

    @property
    def key(self) -> str:
        """What names it in a reference."""
        return f"{self.bench}: {self.row.name}"

    @property
    def ratio(self) -> float:
        """Ours over theirs; or, of what is told as faster, theirs over ours."""
        return self.row.ratio or 0.0

    def times_worse(self, before: float) -> float:
        """Return how many times worse it is than a ratio of before; below 1 is better."""
        worse, better = (before, self.ratio) if self.row.faster else (self.ratio, before)
        return worse / better if better > 0 else 1.0


def run(bench: str, *, small: bool) -> list[Figure]:
    """Run one bench; what it asks for and does not get is told in its figures."""
    script = Path(__file__).with_name(f"{bench}.py")
    words = SMALL[bench].split() if small else []
    done = subprocess.run(
        [sys.executable, str(script), "--json", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout:
        sys.stderr.write(done.stderr)
        raise SystemExit(f"bench/{bench}.py told nothing")
    return figures(bench, json.loads(done.stdout))


def figures(bench: str, rows: list[dict[str, Any]]) -> list[Figure]:
    """Return the figures of a bench; what could not be measured here is left out."""
    return [Figure(bench, Row(**row)) for row in rows if row["ratio"] is not None]


def regressions(found: list[Figure], reference: dict[str, float]) -> Iterator[str]:
    """Yield what is worse than it was, or than its bench asks."""
    for one in found:
        before = reference.get(one.key)
        if before is not None and one.times_worse(before) > WORSE:
            yield f"{one.key}: {one.ratio:.2f}, was {before:.2f}"
        if one.row.met is False:
            yield f"{one.key}: {one.ratio:.2f}, asked: {one.row.asked}"


def machine() -> str:
    """Return what a reader has to know of the machine; not its name."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = f"{len(named)} x {named[0]}" if named else model
    return f"{model}; {platform.system()}; Python {platform.python_version()}"


def page(found: list[Figure], about: str) -> str:
    """Return the figures as a page for the documents."""
    lines = ["# A run of every bench", "", f"{about}.", "", READING, ""]
    lines += ["| bench | comparison | ours | beside | ratio | from - to | asked |"]
    lines += ["|---|---|---|---|---|---|---|"]
    for one in found:
        row = one.row
        ratio = f"{one.ratio:.2f}{' times faster' if row.faster else ''}"
        ours, theirs = (amount(value, row.unit) for value in (row.ours, row.theirs))
        asked = f"{row.asked}{' **not met**' if row.met is False else ''}"
        lines.append(
            f"| {one.bench} | {row.name} | {ours} | {theirs} | {ratio} | {spread(row)} | {asked} |"
        )
    pictures = ["![ratios](bench-reference.svg)", "", "![growth](bench-growth.svg)"]
    return "\n".join([*lines, "", *pictures, ""])


def bars(found: list[Figure], about: str) -> str:
    """Return the ratios as a picture: bars from 1 in powers of ten, with their spread."""
    each, left, width = 20, 470, 1000
    low = min(-1.0, *(log10(one.ratio) for one in found if one.ratio > 0))
    high = max(1.0, *(log10(one.ratio) for one in found if one.ratio > 0))

    def x(ratio: float) -> float:
        power = min(max(log10(ratio), low), high) if ratio > 0 else low
        return left + (power - low) / (high - low) * (width - left - 60)

    height = each * len(found) + 50
    parts = [*_opened(width, height, about)]
    for power in range(round(low), round(high) + 1):
        at = x(10**power)
        parts.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="0" y2="{height - 44}" opacity=".4"/>')
        parts.append(_text(at, height - 30, f"{10**power:g}", "middle"))
    for number, one in enumerate(found):
        y, end, kind = number * each, x(one.ratio), "more" if one.row.faster else "less"
        begin, length = min(x(1), end), max(abs(end - x(1)), 1.5)
        parts.append(_text(left - 8, y + 14, one.key, "end"))
        parts.append(
            f'<rect class="{kind}" x="{begin:.1f}" y="{y + 3}" width="{length:.1f}" height="14">'
            f"<title>{one.ratio:.2f}</title></rect>"
        )
        if one.row.least is not None and one.row.most is not None:
            ends = f'x1="{x(one.row.least):.1f}" x2="{x(one.row.most):.1f}"'
            parts.append(f'<line class="spread" {ends} y1="{y + 10}" y2="{y + 10}"/>')
    legend = (
        "ratio, with its spread; blue: less is better; green: how many times faster than another"
    )
    return "\n".join([*parts, _text(left, height - 10, legend), "</svg>"])


def growth(found: list[Figure], about: str) -> str:
    """Return how each thing that is measured at several sizes grows: a small plot for each."""
    curves: dict[str, list[Row]] = {}
    for one in found:
        if one.row.curve:
            curves.setdefault(one.row.curve, []).append(one.row)
    wide, high, edge = 480, 150, 60
    parts = [*_opened(wide, high * max(len(curves), 1), about)]
    for number, (name, rows) in enumerate(curves.items()):
        bottom = number * high + high - 40
        top = max(2.0, *(1.2 * (row.ratio or 0.0) for row in rows))
        parts.append(_text(edge, number * high + 16, name))
        for ratio in (0.0, 1.0, top) if top < _CROWDED else (0.0, top):
            y = bottom - ratio / top * (high - 70)
            parts.append(f'<line x1="{edge}" x2="{wide - 20}" y1="{y:.0f}" y2="{y:.0f}"/>')
            parts.append(_text(edge - 6, y + 4, f"{ratio:.3g}", "end"))
        places = []
        for at, row in enumerate(rows):
            x = edge + (at + 0.5) * (wide - 20 - edge) / len(rows)
            y = bottom - (row.ratio or 0.0) / top * (high - 70)
            places.append(f"{x:.0f},{y:.1f}")
            parts.append(f'<circle class="less" cx="{x:.0f}" cy="{y:.1f}" r="3.5"/>')
            parts.append(_text(x, bottom + 16, f"{row.size:,.0f}", "middle"))
        parts.append(f'<polyline class="curve" points="{" ".join(places)}"/>')
    return "\n".join([*parts, "</svg>"])


def _opened(width: int, height: int, about: str) -> Iterator[str]:
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">'
    yield f"<title>{escape(about)}</title>"
    yield f"<style>{STYLE}</style>"
    yield f'<rect width="{width}" height="{height}" fill="#fff"/>'


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">{escape(text)}</text>'


def main() -> int:
    """Run them; 1 where one is worse than in the reference, or than it asks."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true")
    options.add_argument("--only", nargs="*", choices=BENCHES, default=BENCHES)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    found: list[Figure] = []
    before = {one.key: one.ratio for one in kept(REFERENCE)}
    for bench in given.only:
        begun = time.monotonic()
        found += run(bench, small=given.small)
        print(f"{bench:<12} {time.monotonic() - begun:6.0f} s", flush=True)
    about = f"{machine()}; drawcli of {time.strftime('%Y-%m-%d', time.gmtime())}"
    if given.keep:
        found = [*found, *(one for one in kept(REFERENCE) if one.bench not in given.only)]
    found.sort(key=lambda one: one.bench)
    out = REFERENCE.parent if given.keep else given.out
    out.mkdir(parents=True, exist_ok=True)
    plain = {"about": about, "figures": [{"bench": one.bench, **asdict(one.row)} for one in found]}
    (out / REFERENCE.name).write_text(json.dumps(plain, indent=1) + "\n")
    (out / "bench-reference.md").write_text(page(found, about))
    (out / "bench-reference.svg").write_text(bars(found, about))
    (out / "bench-growth.svg").write_text(growth(found, about))
    print(table(replace(one.row, name=one.key) for one in found))
    print(f"table, plots and figures: {out}")
    reference = {} if given.small or given.keep else before
    worse = list(regressions(found, reference))
    for line in worse:
        print(f"WORSE  {line}")
    return int(bool(worse) and not given.small)


def kept(path: Path) -> list[Figure]:
    """Return the figures of the reference run; none where there is none yet."""
    if not path.exists():
        return []
    plain = json.loads(path.read_text(encoding="utf-8"))
    return [Figure(one.pop("bench"), Row(**one)) for one in plain["figures"]]


if __name__ == "__main__":
    sys.exit(main())
