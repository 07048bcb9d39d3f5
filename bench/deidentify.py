"""How fast and how large: de-identification against its floors, and against the tools of today.

python bench/deidentify.py [--slices 480] [--size 512] [--repeat 5] [--grown 60 120 240]
                           [--json] [--only NAME ...]
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from statistics import median

from isal import isal_zlib
from measure import (
    Row,
    below,
    beside,
    compared,
    cpu_seconds,
    options,
    taken,
    tell,
    unmeasured,
)
from pydicom import dcmread

from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.gate import findings
from drawcli.adapters.package import LEVEL, write_package
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.profile import USUAL
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.pipeline.sent_slices import deidentify_slices
from drawcli.pipeline.steps.deidentify import read_replacements
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct

KEY = StandIns(bytes(range(32)))
TEMPLATE = ("template.yml", (b"name: Prostate\nmodels: {}\n",))
MOST_GROWTH = 1.5
MOST_OF_STEP = 2.2
OTHER_CLIENT_LEVEL = 6  # of zlib, in the client that drawcli replaces


class Bench:
    """A series on disk, and what can be done with it."""

    def __init__(self, folder: Path, slices: int, size: int) -> None:
        self.source, self.folder = folder / "source", folder
        write_planning_ct(self.source, PEOPLE[0], slices=slices, size=size, seed=1)
        self.paths = sorted(str(path) for path in self.source.iterdir())
        (series,) = read_datastore([self.source]).by_series().values()
        self.crosswalk = Crosswalk.of(series)
        self.package = folder / "package.zip"
        self.pack()

    def copy(self) -> None:
        """Copy the files, as `cp -r` does."""
        target = self.folder / "copy"
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run(["cp", "-r", str(self.source), str(target)], check=True)  # noqa: S607

    def plain(self) -> None:
        """De-identify into files: no compression, the kernel copies the pixels."""
        target = self.folder / "plain"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        replacements = self._replacements()
        for number, path in enumerate(self.paths):
            stream, header = open_slice(path)
            with closing(stream), (target / f"{number}.dcm").open("wb", buffering=0) as out:
                end = pixel_end(stream, header)
                out.write(deidentify_header(header, replacements))
                assert header.pixels is not None  # noqa: S101 - a phantom has pixels
                offset = header.pixels.value
                while offset < end:
                    offset += os.sendfile(out.fileno(), stream.fileno(), offset, end - offset)

    def headers(self) -> None:
        """De-identify the headers alone."""
        replacements = self._replacements()
        for path in self.paths:
            stream, header = open_slice(path)
            stream.close()
            deidentify_header(header, replacements)

    def floor(self) -> None:
        """Read, deflate, hash and write; nothing else."""
        digest = hashlib.sha256()
        with (self.folder / "floor").open("wb") as out:
            for path in self.paths:
                deflate = isal_zlib.compressobj(level=LEVEL, wbits=-15)
                packed = deflate.compress(Path(path).read_bytes()) + deflate.flush()
                digest.update(packed)
                out.write(packed)
            out.flush()
            os.fsync(out.fileno())

    def pack(self, workers: int = 1) -> None:
        """De-identify into the zip that is sent."""
        replacements, _ = read_replacements(self.crosswalk, KEY, USUAL)
        members = chain(deidentify_slices(self.crosswalk, replacements, {}), [TEMPLATE])
        write_package(self.package, members, workers=workers)

    def gate(self) -> None:
        """Look for the patient in the package."""
        found = findings(self.package, self.paths)
        if found:
            raise AssertionError(found)

    def reading(self) -> None:
        """Inflate the package, read the sources and hash both; nothing else."""
        digest = hashlib.sha256()
        with zipfile.ZipFile(self.package) as archive:
            for name in archive.namelist():
                digest.update(archive.read(name))
        for path in self.paths:
            digest.update(Path(path).read_bytes())

    def step(self) -> None:
        """Do the whole step: package and gate, with as many threads as fit the machine."""
        self.pack(workers=0)
        self.gate()

    def zlib(self) -> None:
        """Zip the files as the earlier client does: no header is touched."""
        with zipfile.ZipFile(
            self.folder / "other.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=OTHER_CLIENT_LEVEL
        ) as archive:
            for path in self.paths:
                archive.write(path, Path(path).name)

    def dicognito(self) -> None:
        """Let dicognito do the headers."""
        from dicognito.anonymizer import Anonymizer

        anonymizer = Anonymizer(seed="bench")
        for dataset in self._datasets():
            anonymizer.anonymize(dataset)
            dataset.save_as(BytesIO())

    def dicom_anonymizer(self) -> None:
        """Let dicom-anonymizer do the headers."""
        from dicomanonymizer import anonymize_dataset

        for dataset in self._datasets():
            anonymize_dataset(dataset)
            dataset.save_as(BytesIO())

    def deid(self) -> None:
        """Let deid do the headers by its own recipe, which takes UIDs and dates away."""
        from deid.config import DeidRecipe
        from deid.dicom import replace_identifiers

        recipe = DeidRecipe()
        for dataset in self._datasets():
            (cleaned,) = replace_identifiers(dataset, deid=recipe)
            cleaned.save_as(BytesIO())

    def _datasets(self) -> "Iterator[object]":
        for path in self.paths:
            yield dcmread(path, stop_before_pixels=True)

    def _replacements(self) -> Replacements:
        return read_replacements(self.crosswalk, KEY, USUAL)[0]


MEMORY = """
import sys
from itertools import chain
from pathlib import Path
from drawcli.adapters.datastore.walk import read_datastore
from drawcli.adapters.gate import findings
from drawcli.adapters.package import write_package
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.core.deid.profile import USUAL
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.pipeline.sent_slices import deidentify_slices
from drawcli.pipeline.steps.deidentify import read_replacements
import pydicom, cryptography, concurrent.futures

def peak():
    "The largest resident size since the reset, KiB: rusage would tell that of the parent."
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

Path("/proc/self/clear_refs").write_text("5")
before = peak()
source, target = Path(sys.argv[1]), Path(sys.argv[2])
(series,) = read_datastore([source]).by_series().values()
crosswalk = Crosswalk.of(series)
replacements, _ = read_replacements(crosswalk, StandIns(bytes(range(32))), USUAL)
members = chain(deidentify_slices(crosswalk, replacements, {}), [("template.yml", (b"name: x",))])
write_package(target, members, workers=0)
assert not findings(target, [file.path for file in crosswalk.files])
print((peak() - before) / 1024)
"""


def memory(bench: Bench, most: float = 64.0) -> Row:
    """Return the peak memory of package and gate above the interpreter with its imports."""
    name = "peak memory above the start"
    if not Path("/proc/self/clear_refs").exists():
        return unmeasured(name, "told by Linux only")
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, str(bench.source), str(bench.folder / "memory.zip")],
        check=True,
        capture_output=True,
        text=True,
    )
    return below(name, float(done.stdout), most, "MiB")


def growth(folder: Path, sizes: list[int], size: int, repeat: int) -> Iterator[Row]:
    """Compare package and gate, CPU a slice, of longer series with those of the shortest."""
    benches = [Bench(folder / f"grown{slices}", slices, size) for slices in sizes]

    def a_slice(number: int) -> float:
        return (
            taken(lambda: (benches[number].pack(), benches[number].gate()), cpu_seconds)
            / (sizes[number])
        )

    for number in range(1, len(sizes)):
        pairs = [(a_slice(number), a_slice(0)) for _ in range(repeat)]
        yield beside(
            f"package and gate, CPU a slice, {sizes[number]} / {sizes[0]} slices",
            pairs,
            target=MOST_GROWTH,
            curve="de-identification: CPU a slice, by slices",
            size=sizes[number],
        )


def rows(bench: Bench, repeat: int, only: list[str], grown: list[int], size: int) -> list[Row]:
    """Return every comparison, or those that are asked for."""
    cpu = partial(compared, repeat=repeat)
    wall = partial(compared, repeat=max(1, repeat // 2), clock=time.perf_counter, faster=True)
    zipped, packed = bench.zlib, partial(bench.pack, workers=0)
    headers = partial(cpu, ours=bench.headers, target=5, faster=True)
    every: dict[str, Callable[[], Iterable[Row]]] = {
        "plain": lambda: [cpu("CPU, no compression / cp -r", bench.plain, bench.copy, target=5)],
        "package": lambda: [package(bench, repeat)],
        "whole": lambda: [
            cpu(
                "CPU, package and gate / read, deflate, hash, write",
                lambda: (bench.pack(), bench.gate()),
                bench.floor,
                target=MOST_OF_STEP,
            )
        ],
        "gate": lambda: [cpu("CPU, gate / inflate, read, hash", bench.gate, bench.reading)],
        "step": lambda: [wall("earlier client's zip / whole step with gate", bench.step, zipped)],
        "zip": lambda: [wall("earlier client's zip / package", packed, zipped, target=12)],
        "dicognito": lambda: [headers("dicognito / headers", theirs=bench.dicognito)],
        "dicom-anonymizer": lambda: [
            headers("dicom-anonymizer / headers", theirs=bench.dicom_anonymizer)
        ],
        "deid": lambda: [headers("deid / headers", theirs=bench.deid)],
        "memory": lambda: [memory(bench)],
        "growth": lambda: growth(bench.folder, grown, size, repeat),
    }
    asked = (make for name, make in every.items() if not only or name in only)
    return list(chain.from_iterable(make() for make in asked))


def package(bench: Bench, repeat: int, most: float = 1.5) -> Row:
    """Return the package over its floor; asked is at most 1.5 and de-identification by itself."""
    pairs = range(min(3, repeat))
    plain = median(taken(bench.plain, cpu_seconds) / taken(bench.floor, cpu_seconds) for _ in pairs)
    name = "CPU, package / read, deflate, hash, write"
    return compared(name, bench.pack, bench.floor, repeat=repeat, target=round(most + plain, 2))


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    warnings.simplefilter("ignore")
    asked = options(__doc__, slices=480, size=512, repeat=5)
    asked.add_argument("--grown", type=int, nargs="*", default=[60, 120, 240])
    asked.add_argument("--only", nargs="*", default=[])
    given = asked.parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder:
        bench = Bench(Path(folder), given.slices, given.size)
        found = rows(bench, given.repeat, given.only, given.grown, given.size)
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
