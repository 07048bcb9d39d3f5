"""How fast a scan is: beside a bare walk, beside pydicom, and as the datastore grows.

    python bench/scan.py [--files 20000 200000] [--growth 2500 20000 200000 1000000] [--repeat 5]
                         [--json]

"Start" is an interpreter that imports what `drawcli scan` imports and ends. The first line is of a
walk an hour after the last change, when unchanged folders need not be listed (the index is aged for
it); the second of a walk that lists every folder. For `run-once` every series is known and no rule
takes it.
"""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import MIB, Row, below, beside, cpu_seconds, options, peak_mib, taken, tell
from stores import EACH, fill, template

WALK = 1.5  # times find and the start
FIRST_READ = 1.3  # times pydicom
MATCH = 0.5  # CPU of the first match, times that of the scans
MATCH_AGAIN = 0.2  # the same after a change of the rules, when no image is read
GROWS = 1.5  # the time per file, largest over smallest
# Of the client that drawcli replaces, measured once at 20,000 files; drawcli shall be several times
# cheaper.
OLD_FILES, OLD_RUN_S, OLD_RUN_MIB, CHEAPER = 20_000, 1.3, 229e6 / MIB, 0.5
LARGE_MIB = 300.0
START = "import drawcli.cli, drawcli.config.load, drawcli.pipeline.runner"
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


class Site:
    """A site over a datastore, in a folder of its own."""

    def __init__(self, folder: Path, store: Path) -> None:
        self.folder = folder
        run("-m", "drawcli", "init", str(folder), "--datastore", str(store), "--practice")
        (folder / "rules.yaml").write_text("rules: []\n")
        token = folder / "token.json"
        token.write_text('{"access_token": "a", "refresh_token": "b"}')
        token.chmod(0o600)

    def drawcli(self, *words: str) -> float:
        """Run a command as cron does; return how long it takes, s."""
        return run(*self.words(*words))

    def words(self, *words: str) -> list[str]:
        """Return the arguments of Python for a command."""
        return ["-m", "drawcli", "-c", str(self.folder / "drawcli.yaml"), *words]

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
    """Run Python, whatever it leaves with; return how long it takes, s."""
    return timed([sys.executable, *words])


def timed(words: list[str]) -> float:
    """Run a program; return how long it takes, s."""
    quiet = subprocess.DEVNULL
    return taken(lambda: subprocess.run(words, check=False, stdout=quiet, stderr=quiet))


def of_find(store: Path) -> float:
    """Return how long `find` with the status of each file and the start of drawcli take, s."""
    words = ["find", str(store), "-type", "f", "-printf", "%s %T@ %p\\n"]
    return timed(words) + run("-c", START)


def at_rest(site: Site, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare scans that find nothing, of a site that has scanned, with `find` and the start."""
    site.age()
    site.drawcli("scan")  # what waited is found now
    calmly = [(site.drawcli("scan"), of_find(store)) for _ in range(repeat)]
    os.environ["DRAWCLI_SCAN__FULL_WALK_HOURS"] = "0"
    site.drawcli("scan")  # after a change of the settings every series is judged again
    listed = [(site.drawcli("scan"), of_find(store)) for _ in range(repeat)]
    del os.environ["DRAWCLI_SCAN__FULL_WALK_HOURS"]
    yield beside(f"nothing new, {files:,} files / find and start", calmly, target=WALK)
    yield beside(f"the same, every folder listed, {files:,} files", listed, target=WALK)


def nothing_new(folder: Path, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare scans and runs that find nothing with `find` and with the earlier client."""
    site = Site(folder / f"calm{files}", store)
    site.drawcli("scan")
    yield from at_rest(site, store, files, repeat)
    of, words = f"{files:,} files", site.words("run-once")
    site.drawcli("run-once")
    took = [(run(*words), OLD_RUN_S) for _ in range(repeat)]
    name, target = f"{of} / earlier client, {OLD_FILES:,}", CHEAPER if files == OLD_FILES else None
    yield beside(f"run-once, nothing new, {name}", took, target=target)
    memory = [(peak_mib(words), OLD_RUN_MIB)]
    yield beside(f"memory of it, {name}", memory, target=target, unit="MiB")


def first_scan(folder: Path, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare the first scan with a loop of pydicom over the same headers."""
    site = Site(folder / f"first{files}", store)

    def fresh(workers: str) -> float:
        site.forget()
        os.environ["DRAWCLI_SCAN__WORKERS"] = workers
        return site.drawcli("scan")

    one, two = [], []
    for _ in range(repeat):
        pydicom = run("-c", PYDICOM, str(store))
        one.append((fresh("1"), pydicom))
        two.append((fresh("2"), pydicom))
    del os.environ["DRAWCLI_SCAN__WORKERS"]
    yield beside(f"first scan of {files:,}, one process / pydicom", one, target=FIRST_READ)
    yield beside(f"first scan of {files:,}, two / pydicom", two, target=1)


def matching(folder: Path, store: Path, files: int, repeat: int) -> Iterator[Row]:
    """Compare matching every series, first and with other rules, with scanning them: CPU."""
    site = Site(folder / f"match{files}", store)
    first, again = [], []
    for number in range(repeat):
        site.forget()
        scan = taken(lambda: site.drawcli("scan"), cpu_seconds)
        site.age()
        scan += taken(lambda: site.drawcli("scan"), cpu_seconds)  # what waited is found now
        first.append((taken(lambda: site.drawcli("match"), cpu_seconds), scan))
        rule = f"{{name: r{number}, exclude: true, when: {{PatientPosition: none}}}}"
        (site.folder / "rules.yaml").write_text(f"rules:\n  - {rule}\n")
        again.append((taken(lambda: site.drawcli("match"), cpu_seconds), scan))
    of = f"{files // EACH:,} series of {EACH} slices"
    yield beside(f"first match of {of} / scans", first, target=MATCH)
    yield beside(f"match after a change of the rules, {of} / scans", again, target=MATCH_AGAIN)


def growth(folder: Path, one: bytes, sizes: list[int], repeat: int) -> Iterator[Row]:
    """Compare the time per file of first scans of ever larger datastores; look into the largest."""
    each = []
    for files in sizes:
        store = folder / f"grown{files}"
        fill(store, files, one)
        site = Site(folder / f"site{files}", store)
        start = run("-c", START)
        began = time.perf_counter()
        peak = peak_mib(site.words("scan"))
        each.append((time.perf_counter() - began - start) / files)
        if len(each) > 1:
            yield beside(
                f"first scan, time a file, {files:,} / {sizes[0]:,} files",
                [(each[-1], each[0])],
                target=GROWS,
                curve="first scan: time a file, by files",
                size=files,
            )
        if files == max(sizes):
            yield below(f"memory, first scan of {files:,} files", peak, LARGE_MIB, "MiB")
            again = peak_mib(site.words("scan"))
            yield below(f"memory, nothing new in {files:,} files", again, LARGE_MIB, "MiB")
            yield from at_rest(site, store, files, repeat)
        shutil.rmtree(store)


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    asked = options(__doc__, repeat=5)
    asked.add_argument("--files", type=int, nargs="*", default=[20_000, 200_000])
    asked.add_argument("--growth", type=int, nargs="*", default=[2_500, 20_000, 200_000, 1_000_000])
    given = asked.parse_args()
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
            rows += matching(folder, store, files, max(given.repeat // 2, 1))
            shutil.rmtree(store)
        rows += growth(folder, one, given.growth, given.repeat) if given.growth else []
    return tell(rows, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
