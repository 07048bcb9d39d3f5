"""How fast a scan is: beside a bare walk, beside pydicom, and as the datastore grows.

Every figure is a ratio of two things measured in the same run, in turn; medians are told.

    python bench/scan.py [--files 20000 200000] [--growth 2500 20000 200000] [--repeat 5]
                         [--million 1000000] [--json]

"Start" is an interpreter that imports what `drawcli scan` imports and ends. The first line is of a
walk an hour after the last change, when unchanged folders need not be listed (the index is aged for
it); the second of a walk that lists every folder. For `run-once` every series is known and no rule
takes it.
"""

import argparse
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from stores import fill, template

WALK = 1.5  # times find and the start
FIRST_READ = 1.3  # times pydicom
GROWS = 1.5  # the time per file, largest over smallest
OLD_RUN_S, OLD_RUN_MB = 1.3, 229.0  # of the client that drawcli replaces, at 20,000 files
MILLION_MIB = 300.0
START = "import drawcli.cli, drawcli.config, drawcli.pipeline"
PYDICOM = """
import os, sys
from pydicom import dcmread
TAGS = [0x00080008, 0x00080016, 0x00080018, 0x00080020, 0x00080060, 0x0008103E, 0x00100010,
        0x00100020, 0x00100021, 0x00100030, 0x00181030, 0x0020000D, 0x0020000E, 0x00200032,
        0x00200037, 0x00200052, 0x00280002, 0x00280008, 0x00280010, 0x00280011, 0x00280030,
        0x00280100, 0x00280301]
for folder, _, names in os.walk(sys.argv[1]):
    for name in names:
        one = dcmread(os.path.join(folder, name), stop_before_pixels=True, specific_tags=TAGS)
        for element in one:
            element.value
"""


@dataclass
class Row:
    """One comparison."""

    name: str
    ours: float
    theirs: float
    ratio: float
    asked: str


class Site:
    """A site over a datastore, in a folder of its own."""

    def __init__(self, folder: Path, store: Path, *, full: bool = False) -> None:
        self.folder = folder
        run("-m", "drawcli", "init", str(folder), "--datastore", str(store))
        (folder / "rules.yaml").write_text("rules: []\n")
        if full:
            with (folder / "drawcli.yaml").open("a") as stream:
                stream.write("scan: {full_walk_hours: 0}\n")
        token = folder / "token.json"
        token.write_text('{"access_token": "a", "refresh_token": "b"}')
        token.chmod(0o600)

    def drawcli(self, *words: str) -> float:
        """Run a command as cron does; return how long it takes, s."""
        return run("-m", "drawcli", "-c", str(self.folder / "drawcli.yaml"), *words)

    def forget(self) -> None:
        """Remove what scans have left: index, ledger and work folders."""
        for path in (self.folder / "state").iterdir():
            if path.name.startswith(("scan-index", "ledger", "archive")):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        shutil.rmtree(self.folder / "state" / "work", ignore_errors=True)

    def age(self) -> None:
        """Let everything have been as it is for long."""
        with sqlite3.connect(self.folder / "state" / "scan-index.sqlite") as database:
            database.execute("UPDATE folder SET calm = 1")
            database.execute("UPDATE series SET since = 1, first = 1")
        database.close()


def run(*words: str) -> float:
    """Run Python; return how long it takes, s."""
    return timed([sys.executable, *words])


def timed(words: list[str]) -> float:
    """Run a program; return how long it takes, s."""
    begun = time.perf_counter()
    subprocess.run(words, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - begun


def peak_mb(words: list[str]) -> float:
    """Run Python; return the most memory it holds, MB."""
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL);"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return int(done.stdout) * 1024 / 1e6


def in_turn(repeat: int, *each: Callable[[], float]) -> list[float]:
    """Return the median of each, measured in turn."""
    times = [[one() for one in each] for _ in range(repeat)]
    return [median(column) for column in zip(*times, strict=True)]


def nothing_new(folder: Path, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare scans that find nothing with `find` and the start of the interpreter."""
    calm = Site(folder / f"calm{files}", store)
    full = Site(folder / f"full{files}", store, full=True)
    for site in (calm, full):
        site.drawcli("scan")
        site.age()
        site.drawcli("scan")  # what waited is found now
    find = ["find", str(store), "-type", "f", "-printf", "%s %T@ %p\\n"]
    ours, listed, found, start = in_turn(
        repeat,
        lambda: calm.drawcli("scan"),
        lambda: full.drawcli("scan"),
        lambda: timed(find),
        lambda: run("-c", START),
    )
    floor = found + start
    asked = f"at most {WALK}"
    yield Row(f"nothing new, {files} files / find + start", ours, floor, ours / floor, asked)
    yield Row(f"the same, every folder listed, {files}", listed, floor, listed / floor, "")
    calm.drawcli("run-once")
    words = ["-m", "drawcli", "-c", str(calm.folder / "drawcli.yaml"), "run-once"]
    (took,), memory = in_turn(repeat, lambda: run(*words)), peak_mb(words)
    name = f"whole run-once, {files} files, s / {OLD_RUN_S} s"
    yield Row(name, took, OLD_RUN_S, took / OLD_RUN_S, "several times cheaper")
    name = f"memory of it, MB / {OLD_RUN_MB:.0f} MB"
    yield Row(name, memory, OLD_RUN_MB, memory / OLD_RUN_MB, "several times cheaper")


def first_scan(folder: Path, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare the first scan with a loop of pydicom over the same headers."""
    site = Site(folder / f"first{files}", store)

    def fresh(workers: str) -> float:
        site.forget()
        os.environ["DRAWCLI_SCAN__WORKERS"] = workers
        return site.drawcli("scan")

    one, two, pydicom = in_turn(
        repeat, lambda: fresh("1"), lambda: fresh("2"), lambda: run("-c", PYDICOM, str(store))
    )
    del os.environ["DRAWCLI_SCAN__WORKERS"]
    yield Row(
        f"first scan of {files}, one process / pydicom",
        one,
        pydicom,
        one / pydicom,
        f"at most {FIRST_READ}",
    )
    yield Row(f"first scan of {files}, two / pydicom", two, pydicom, two / pydicom, "below 1")


def growth(folder: Path, one: bytes, sizes: list[int]) -> Iterator[Row]:
    """Compare the time per file of first scans of ever larger datastores."""
    each = []
    for files in sizes:
        store = folder / f"grown{files}"
        fill(store, files, one)
        site = Site(folder / f"site{files}", store)
        start = run("-c", START)
        each.append((site.drawcli("scan") - start) / files * 1e6)
        shutil.rmtree(store)
    name = f"first scan, microseconds a file, {sizes[-1]} / {sizes[0]}"
    yield Row(name, each[-1], each[0], each[-1] / each[0], f"at most {GROWS}")


def million(folder: Path, files: int, one: bytes) -> Iterator[Row]:
    """Tell what an index of so many slices needs."""
    store = folder / "million"
    fill(store, files, one)
    site = Site(folder / "million-site", store)
    words = ["-m", "drawcli", "-c", str(site.folder / "drawcli.yaml"), "scan"]
    first, again = peak_mb(words) * 1e6 / (1 << 20), peak_mb(words) * 1e6 / (1 << 20)
    asked = f"at most {MILLION_MIB:.0f} MiB"
    yield Row(f"first scan of {files} files, MiB", first, MILLION_MIB, first / MILLION_MIB, asked)
    yield Row(f"nothing new in {files}, MiB", again, MILLION_MIB, again / MILLION_MIB, asked)
    site.age()
    took, start = in_turn(3, lambda: site.drawcli("scan"), lambda: run("-c", START))
    yield Row("the same, calm, s above start / 1 s", took - start, 1.0, took - start, "below 1")


def main() -> int:
    """Run the bench and print its table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--files", type=int, nargs="*", default=[20_000, 200_000])
    options.add_argument("--growth", type=int, nargs="*", default=[2_500, 20_000, 200_000])
    options.add_argument("--million", type=int, default=0)
    options.add_argument("--repeat", type=int, default=5)
    options.add_argument("--json", action="store_true")
    given = options.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        folder = Path(name)
        one = template(folder / "template")
        for files in given.files:
            store = folder / f"store{files}"
            fill(store, files, one)
            rows += nothing_new(folder, store, files, given.repeat)
            if files == min(given.files):
                rows += first_scan(folder, store, files, max(given.repeat // 2, 1))
            shutil.rmtree(store)
        rows += growth(folder, one, given.growth) if given.growth else []
        rows += million(folder, given.million, one) if given.million else []
    if given.json:
        print(json.dumps([asdict(row) for row in rows]))
        return 0
    for row in rows:
        print(f"{row.name:60} {row.ours:9.2f} {row.theirs:9.2f} {row.ratio:7.2f}  {row.asked}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
