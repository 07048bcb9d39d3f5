"""How fast a series is pulled from an archive (dcmtk's dcmqrscp): beside dcmtk's getscu.

Both are processes from their start to their end. `drawcli pull` also asks for studies, series and
instances, before and after, and makes every object durable; getscu does neither.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from measure import Row, below, compared, unmeasured
from pydicom import dcmread

from drawcli.adapters.state.site_key import make_site_key

MOST_MIB = 40.0  # growth of memory with ten times the objects
AETABLE = """
NetworkTCPPort = {port}
MaxPDUSize = 131072
MaxAssociations = 16
HostTable BEGIN
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
ARCHIVE {folder} RW (200, 4096mb) ANY
AETable END
"""
SETTINGS = """
datastore: store
state_dir: state
receive: {{keep_free_gib: 0}}
pull:
  sources:
    - node: ARCHIVE@127.0.0.1:{port}
      folder: store/pulled
      keys: {{SeriesInstanceUID: {series}}}
"""


def archive_words(folder: Path, port: int) -> list[str]:
    """Make an empty archive; return how it is started."""
    (folder / "db").mkdir(parents=True)
    config = folder / "dcmqrscp.cfg"
    config.write_text(AETABLE.format(port=port, folder=folder / "db"))
    return ["dcmqrscp", "-c", str(config)]


def site_of(folder: Path, port: int, series: str) -> None:
    """Make a site that pulls one series."""
    (folder / "store").mkdir(parents=True)
    (folder / "drawcli.yaml").write_text(SETTINGS.format(port=port, series=series))
    make_site_key(folder / "state")


def pulling(site: Path, count: int) -> Callable[[], None]:
    """Return what pulls all objects into a site that has none."""

    def pull() -> None:
        shutil.rmtree(site / "store" / "pulled", ignore_errors=True)
        shutil.rmtree(site / "state" / "pull", ignore_errors=True)
        words = [sys.executable, "-m", "drawcli", "pull"]
        subprocess.run(words, cwd=site, check=True, capture_output=True)
        _check(site / "store" / "pulled", count)

    return pull


def getting(source: Path, target: Path, port: int, count: int) -> Callable[[], None]:
    """Return what gets all objects by getscu."""
    header = dcmread(next(source.iterdir()), stop_before_pixels=True)
    words = ["getscu", "-aec", "ARCHIVE", "-S", "+B", "-od", str(target), "127.0.0.1", str(port)]
    for key, value in (
        ("QueryRetrieveLevel", "SERIES"),
        ("StudyInstanceUID", header.StudyInstanceUID),
        ("SeriesInstanceUID", header.SeriesInstanceUID),
    ):
        words += ["-k", f"{key}={value}"]

    def get() -> None:
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        environment = {**os.environ, "TCP_NODELAY": "1"}
        subprocess.run(words, check=True, capture_output=True, env=environment)
        _check(target, count)

    return get


def peak_of_pull(site: Path) -> float:
    """Pull once more; return the most memory that the process has held, MiB."""
    shutil.rmtree(site / "store" / "pulled", ignore_errors=True)
    shutil.rmtree(site / "state" / "pull", ignore_errors=True)
    words = [sys.executable, "-m", "drawcli", "pull"]
    with subprocess.Popen(
        words, cwd=site, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        usage = os.wait4(process.pid, 0)[2]
        process.returncode = 0
    return usage.ru_maxrss / 1024


def pull_rows(
    folder: Path,
    sources: tuple[Path, Path],
    start: Callable[[Path], AbstractContextManager[int]],
    repeat: int,
) -> Iterator[Row]:
    """Measure pulling beside getscu.

    Parameters
    ----------
    folder
        Of the archive and the sites.
    sources
        A small series and the one that is measured.
    start
        Runs an archive in a folder; yields its port.
    repeat
        How often each is done.
    """
    large = sources[1]
    counts = [len(list(one.iterdir())) for one in sources]
    name = f"{counts[1]} objects: pull with fsync / dcmtk's getscu without"
    missing = [one for one in ("dcmqrscp", "getscu", "storescu") if shutil.which(one) is None]
    if missing:
        yield unmeasured(name, f"not installed: {', '.join(missing)}")
        return
    with ExitStack() as stack:
        port = stack.enter_context(start(folder / "archive"))
        for source in sources:
            words = ["storescu", "-aec", "ARCHIVE", "127.0.0.1", str(port), "+sd", str(source)]
            environment = {**os.environ, "TCP_NODELAY": "1"}
            subprocess.run(words, check=True, capture_output=True, env=environment)
        sites = [folder / "few", folder / "many"]
        for site, source in zip(sites, sources, strict=True):
            header = dcmread(next(source.iterdir()), stop_before_pixels=True)
            site_of(site, port, header.SeriesInstanceUID)
        ours = pulling(sites[1], counts[1])
        theirs = getting(large, folder / "got", port, counts[1])
        yield compared(name, ours, theirs, repeat=repeat, clock=time.perf_counter)
        if sys.platform == "linux":
            few, many = map(peak_of_pull, sites)
            text = f"growth of its memory from {counts[0]} to {counts[1]} objects"
            yield below(text, max(many - few, 0.0), MOST_MIB, "MiB")
            yield below("its memory in all", many, 4 * MOST_MIB, "MiB")


def _check(folder: Path, count: int) -> None:
    found = sum(
        1 for path in folder.rglob("*") if path.is_file() and ".drawcli" not in str(path.parent)
    )
    if found != count:
        raise SystemExit(f"{found} of {count} objects have come")
