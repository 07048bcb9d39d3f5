"""Run every bench; write a table and a plot; hold the ratios against a reference run.

Ratios carry over from machine to machine, times do not: only ratios are judged. One that is more
than half as much worse than in the reference is a regression, and so is what a bench itself asks
for and does not get.

    python bench/all.py [--small] [--only NAME ...] [--out build/bench] [--keep]

With --keep the run becomes the reference, `docs/bench-reference.json`, and its table and plot go
beside it. --small takes seconds for a look whether all benches run; its figures mean nothing.
"""

import argparse
import json
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import escape
from math import log10
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
REFERENCE = ROOT / "docs" / "bench-reference.json"
STYLE = (
    "text{font:12px sans-serif;fill:#444}line{stroke:#999}.less{fill:#3b7ea1}.more{fill:#5a9e4b}"
)
WORSE = 1.5  # times the ratio of the reference
PARTS = {"all", "stores"}  # of benches, and none themselves
BENCHES = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - PARTS)
SMALL = {  # what makes each bench take seconds
    "deidentify": "--slices 8 --size 64 --repeat 1 --only plain package gate step zip",
    "reidentify": "--slices 4 --structures 2 --points 12 --repeat 1",
    "ledger": "--jobs 30 60 --open 10 --repeat 3",
    "rules": "--rules 100 --headers 100",
    "scan": "--files 300 --growth 200 400 --repeat 1",
    "status": "--jobs 50 --repeat 1",
    "upload": "--megabytes 8 --repeat 1",
    "cycle": "--slices 6 --size 64 --repeat 1",
}


@dataclass(frozen=True)
class Figure:
    """One comparison: ours beside its floor, or beside another tool."""

    bench: str
    name: str
    ratio: float
    lower_is_better: bool
    asked: str = ""
    met: bool | None = None
    ours: float | None = None
    theirs: float | None = None

    @property
    def key(self) -> str:
        """What names it in a reference."""
        return f"{self.bench}: {self.name}"

    def times_worse(self, before: float) -> float:
        """Return how many times worse it is than a ratio of before; below 1 is better."""
        worse, better = (self.ratio, before) if self.lower_is_better else (before, self.ratio)
        return worse / better if better > 0 else 1.0


def run(bench: str, *, small: bool) -> list[Figure]:
    """Run one bench; what it asks for and does not get is told in its figures.

    One that gives no JSON prints its table as it is; only whether it is content is judged.
    """
    script = Path(__file__).with_name(f"{bench}.py")
    if "--json" not in script.read_text(encoding="utf-8"):
        code = subprocess.run([sys.executable, str(script)], cwd=ROOT, check=False).returncode
        return [Figure(bench, "all that it asks", 1.0 + code, lower_is_better=True, met=not code)]
    words = SMALL.get(bench, "--repeat 1").split() if small else []
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
    rows = json.loads(done.stdout)
    return list(figures(bench, rows if isinstance(rows, list) else [rows]))


def figures(bench: str, rows: list[dict[str, Any]]) -> Iterator[Figure]:
    """Yield the figures of a bench, whatever it calls its columns."""
    for row in rows:
        if row["ratio"] is None:  # a tool that is not installed, a figure that only Linux tells
            continue
        ours, theirs = row.get("ours"), row.get("theirs")
        yield Figure(
            bench,
            row.get("name") or _name(row),
            row["ratio"],
            _lower_is_better(row["ratio"], ours, theirs),
            row.get("target") or row.get("asked") or "",
            row.get("met"),
            ours,
            theirs,
        )


def _name(row: dict[str, Any]) -> str:
    """Return what is measured, of a bench that has no names: its sizes."""
    sizes = [f"{row[key]:,} {key}" for key in ("rules", "headers", "jobs") if key in row]
    return ", ".join(sizes)


def _lower_is_better(ratio: float, ours: float | None, theirs: float | None) -> bool:
    """Tell whether a ratio is ours over theirs, or the other way round: how much faster we are."""
    if not ours or not theirs:
        return True
    return abs(ratio - ours / theirs) <= abs(ratio - theirs / ours)


def regressions(found: list[Figure], reference: dict[str, float]) -> Iterator[str]:
    """Yield what is worse than it was, or than its bench asks."""
    for one in found:
        before = reference.get(one.key)
        if before is not None and one.times_worse(before) > WORSE:
            yield f"{one.key}: {one.ratio:.2f}, was {before:.2f}"
        if one.met is False:
            yield f"{one.key}: {one.ratio:.2f}, asked: {one.asked}"


def machine() -> str:
    """Return what a reader has to know of the machine; not its name."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists():
        lines = info.read_text().splitlines()
        named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        model = f"{len(named)} x {named[0]}" if named else model
    return f"{model}; {platform.system()}; Python {platform.python_version()}"


def table(found: list[Figure], about: str) -> str:
    """Return the figures as a page for the documents."""
    lines = ["# A run of every bench", "", about, ""]
    lines += ["| bench | comparison | ratio | better is | asked |", "|---|---|---|---|---|"]
    for one in found:
        better = "less" if one.lower_is_better else "more"
        asked = f"{one.asked}{' **not met**' if one.met is False else ''}"
        lines.append(f"| {one.bench} | {one.name} | {one.ratio:.2f} | {better} | {asked} |")
    return "\n".join([*lines, "", "![ratios](bench-reference.svg)", ""])


def plot(found: list[Figure], about: str) -> str:
    """Return the ratios as a picture: bars from 1 on a scale of powers of ten."""
    each, left, width = 20, 430, 960
    low = min(-1.0, *(log10(one.ratio) for one in found))
    high = max(1.0, *(log10(one.ratio) for one in found))

    def x(power: float) -> float:
        return left + (power - low) / (high - low) * (width - left - 60)

    height = each * len(found) + 50
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(about)}</title>",
        f"<style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    for power in range(round(low), round(high) + 1):
        at = x(power)
        parts.append(f'<line x1="{at:.0f}" x2="{at:.0f}" y1="0" y2="{height - 44}" opacity=".4"/>')
        parts.append(
            f'<text x="{at:.0f}" y="{height - 30}" text-anchor="middle">{10**power:g}</text>'
        )
    for number, one in enumerate(found):
        y, end, kind = number * each, x(log10(one.ratio)), ("less", "more")[not one.lower_is_better]
        begin, length = min(x(0), end), max(abs(end - x(0)), 1.5)
        parts.append(
            f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{escape(one.key)}</text>'
        )
        parts.append(
            f'<rect class="{kind}" x="{begin:.1f}" y="{y + 3}" width="{length:.1f}" height="14">'
            f"<title>{one.ratio:.2f}</title></rect>"
        )
    legend = "ratio; blue: less is better; green: how many times faster than another tool"
    parts.append(f'<text x="{left}" y="{height - 10}">{legend}</text></svg>')
    return "\n".join(parts)


def main() -> int:
    """Run them; 1 where one is worse than in the reference, or than it asks."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--small", action="store_true")
    options.add_argument("--only", nargs="*", choices=BENCHES, default=BENCHES)
    options.add_argument("--out", type=Path, default=ROOT / "build" / "bench")
    options.add_argument("--keep", action="store_true")
    given = options.parse_args()
    found: list[Figure] = []
    for bench in given.only:
        begun = time.monotonic()
        found += run(bench, small=given.small)
        print(f"{bench:<12} {time.monotonic() - begun:6.0f} s", flush=True)
    about = f"{machine()}; drawcli of {time.strftime('%Y-%m-%d', time.gmtime())}"
    out = REFERENCE.parent if given.keep else given.out
    out.mkdir(parents=True, exist_ok=True)
    plain = {"about": about, "figures": [asdict(one) for one in found]}
    (out / REFERENCE.name).write_text(json.dumps(plain, indent=1) + "\n")
    (out / "bench-reference.md").write_text(table(found, about))
    (out / "bench-reference.svg").write_text(plot(found, about))
    for one in found:
        verdict = "  NOT MET" if one.met is False else ""
        print(f"{one.key:<66} {one.ratio:9.2f}  {one.asked}{verdict}")
    print(f"table, plot and figures: {out}")
    reference = {} if given.keep or given.small else reference_of(REFERENCE)
    worse = list(regressions(found, reference))
    for line in worse:
        print(f"WORSE  {line}")
    return int(bool(worse) and not given.small)


def reference_of(path: Path) -> dict[str, float]:
    """Return the ratios of the reference run; none where there is none yet."""
    if not path.exists():
        return {}
    plain = json.loads(path.read_text(encoding="utf-8"))
    return {f"{one['bench']}: {one['name']}": one["ratio"] for one in plain["figures"]}


if __name__ == "__main__":
    sys.exit(main())
