"""How fast objects are received and pulled: beside pynetdicom and dcmtk, in one run.

One sender (dcmtk's storescu, else pynetdicom) sends the same planning CT to each in turn, over
loopback and onto the same disk. The bare SCP writes each object and syncs it, and nothing else;
storescp does not sync, and has TCP_NODELAY=1: Debian's waits 40 ms an object without it. What is
measured of `pull` is in pulls.py.

    python bench/network.py [--slices 240] [--size 512] [--repeat 5] [--json]
"""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from measure import Row, below, compared, options, tell, unmeasured
from pulls import archive_words, pull_rows

from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct

SLOWEST = 1.2  # times the bare SCP
MOST_MIB = 40.0  # growth of memory
STARTING_SECONDS = 30.0
BARE = """
import os, sys
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, evt

folder = sys.argv[2]

def store(event):
    path = os.path.join(folder, f"{event.request.AffectedSOPInstanceUID}.dcm")
    with open(path, "wb") as stream:
        stream.write(event.encoded_dataset())
        stream.flush()
        os.fsync(stream.fileno())
    return 0

ae = AE("DRAWCLI")
for context in StoragePresentationContexts:
    ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
ae.start_server(("127.0.0.1", int(sys.argv[1])), evt_handlers=[(evt.EVT_C_STORE, store)])
"""
SENDER = """
import sys
from pathlib import Path
from pydicom import dcmread
from pynetdicom import AE

files = sorted(Path(sys.argv[2]).iterdir())
ae = AE("SENDER")
first = dcmread(files[0])
ae.add_requested_context(first.SOPClassUID, first.file_meta.TransferSyntaxUID)
association = ae.associate("127.0.0.1", int(sys.argv[1]), ae_title="DRAWCLI")
assert all(association.send_c_store(path).Status == 0 for path in files)
association.release()
"""
SETTINGS = """
datastore: store
state_dir: state
receive:
  listen: "127.0.0.1:{port}"
  folder: store/in
  callers: [SENDER@127.0.0.1]
  keep_free_gib: 0
"""


def environment() -> dict[str, str]:
    """Return the environment of senders and receivers."""
    return {**os.environ, "TCP_NODELAY": "1"}


def sent(source: Path, port: int) -> None:
    """Send all files of a folder."""
    words = [sys.executable, "-c", SENDER, str(port), str(source)]
    if storescu := shutil.which("storescu"):
        words = [storescu, "-aet", "SENDER", "-aec", "DRAWCLI", "127.0.0.1", str(port)]
        words += ["+sd", str(source)]
    subprocess.run(words, check=True, capture_output=True, env=environment())


def free_port() -> int:
    """Return a port that is free now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


@contextmanager
def running(words: list[str], port: int, folder: Path) -> Iterator[int]:
    """Start a receiver; yield its process id once it listens."""
    with subprocess.Popen(
        words,
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(port)
            yield process.pid
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + STARTING_SECONDS
    while time.monotonic() < deadline:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1.0):
            return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def peak_of(pid: int) -> float:
    """Return the most memory that a process has held, MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def receiver(folder: Path) -> tuple[list[str], int]:
    """Make a site that receives; return how it is started, and its port."""
    port = free_port()
    (folder / "store" / "in").mkdir(parents=True)
    (folder / "drawcli.yaml").write_text(SETTINGS.format(port=port))
    return [sys.executable, "-m", "drawcli", "receive"], port


def sending(source: Path, port: int, target: Path, count: int) -> Callable[[], None]:
    """Return what sends all files to a receiver, which has none of them before."""

    def send() -> None:
        for path in target.iterdir():
            if path.is_dir() and not path.name.startswith("."):
                shutil.rmtree(path)
            elif path.is_file():
                path.unlink()
        sent(source, port)
        found = sum(1 for path in target.rglob("*") if path.is_file() and path.name != "lock")
        if found != count:
            raise SystemExit(f"{found} of {count} objects have come")

    return send


def measured(folder: Path, slices: int, size: int, repeat: int) -> Iterator[Row]:
    """Measure receiving beside the others."""
    source, about = folder / "source", f"{slices} objects of {size} x {size}"
    write_planning_ct(source, PEOPLE[0], slices=slices, size=size, seed=1)
    site, bare, plain = (folder / name for name in ("site", "bare", "plain"))
    for made in (site, bare, plain):
        made.mkdir()
    words, port = receiver(site)
    bare_port, plain_port = free_port(), free_port()
    storescp = shutil.which("storescp")
    with ExitStack() as stack:
        pid = stack.enter_context(running(words, port, site))
        bare_words = [sys.executable, "-c", BARE, str(bare_port), str(bare)]
        stack.enter_context(running(bare_words, bare_port, bare))
        ours = sending(source, port, site / "store" / "in", slices)
        theirs = sending(source, bare_port, bare, slices)
        clock, name = time.perf_counter, f"{about}: receive / a bare SCP of pynetdicom with fsync"
        ours()
        before = peak_of(pid) if sys.platform == "linux" else 0.0
        yield compared(name, ours, theirs, repeat=repeat, target=SLOWEST, clock=clock)
        if sys.platform == "linux":
            grown = max(peak_of(pid) - before, 0.0)
            yield below("growth of its memory while more is received", grown, MOST_MIB, "MiB")
            yield below("its memory in all", peak_of(pid), 3 * MOST_MIB, "MiB")
        name = f"{about}: receive / dcmtk's storescp without fsync"
        if storescp is None:
            yield unmeasured(name, "not installed: storescp")
            return
        plain_words = [storescp, "-aet", "DRAWCLI", "-od", str(plain), str(plain_port)]
        stack.enter_context(running(plain_words, plain_port, plain))
        others = sending(source, plain_port, plain, slices)
        yield compared(name, ours, others, repeat=repeat, clock=clock)


@contextmanager
def archive(folder: Path) -> Iterator[int]:
    """Run an archive; yield its port."""
    port = free_port()
    words = archive_words(folder, port)
    with running(words, port, folder):
        yield port


def pulled(folder: Path, slices: int, size: int, repeat: int) -> Iterator[Row]:
    """Measure pulling: a tenth of the slices shows whether memory grows."""
    sources = folder / "few-slices", folder / "source"
    fewer = max(slices // 10, 3)
    write_planning_ct(sources[0], PEOPLE[1], slices=fewer, size=size, seed=2)
    yield from pull_rows(folder, sources, archive, repeat)


def main() -> int:
    """Measure; 1 where a target is missed."""
    given = options(__doc__, slices=240, size=512, repeat=5).parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder:
        wanted = Path(folder), given.slices, given.size, given.repeat
        rows = [*measured(*wanted), *pulled(*wanted)]
    return tell(rows, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
