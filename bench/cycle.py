"""What a start costs, and a whole cycle, each beside the least that it could cost, in turn.

All in CPU time. The floor of a start is a bare interpreter; that of a run that sends is a process
that imports the same outside packages, reads the series once, deflates, hashes and writes it once,
and posts it by bare httpx; that of a run that brings home is such a process that gets the structure
set and writes it.

    python bench/cycle.py [--slices 160] [--size 512] [--repeat 5] [--json]
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
from measure import Row, beside, compared, options, peak_mib, started_cpu, tell

from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct
from drawcli.sandbox.server import Running, running

IMPORTS = "import cryptography, httpx, isal.igzip, orjson, pydicom, tinydb, yaml"
SEND = """
import hashlib, sys, zipfile
from isal import isal_zlib
source, target, url, token = sys.argv[1:]
from pathlib import Path
with open(target, "wb") as package:
    for path in sorted(Path(source).rglob("*.dcm")):
        data = path.read_bytes()
        packed = isal_zlib.compress(data, level=1)
        hashlib.sha256(packed).digest()
        package.write(packed)
data = Path(target).read_bytes()
headers = {"authorization": f"Bearer {token}"}
httpx.post(url + "/api/upload/", content=data, headers=headers, timeout=60)
"""
GET = """
import sys
from pathlib import Path
url, target, token, task = sys.argv[1:]
headers = {"authorization": f"Bearer {token}"}
Path(target).write_bytes(httpx.get(f"{url}/api/rtstruct/{task}/", headers=headers).content)
"""
PATIENCE_SECONDS = 120
# In bare starts of Python, in CPU time: what a busy machine measures.
TAB_MOST, STATUS_MOST, SHOW_MOST, RUN_MOST = 9.0, 11.0, 12.0, 20.0
OUT_MOST, HOME_MOST = 1.8, 1.4  # in the CPU time of a process that does no more than the floor
Pair = tuple[float, float]


class Cycle:
    """A site with one series, at a sandbox."""

    def __init__(self, folder: Path, server: Running, store: Path) -> None:
        self.folder, self.server, self.store = folder, server, store
        self.site = folder / "site"
        words = [
            "init",
            str(self.site),
            "--datastore",
            str(store),
            "--url",
            server.url,
            "--practice",
        ]
        drawcli(words)
        shutil.copy2(server.token_file, self.site / "token.json")
        with (self.site / "drawcli.yaml").open("a") as stream:
            stream.write("\ndeliver: {folder: home}\n")
        (self.site / "home").mkdir()
        self.token = json.loads(server.token_file.read_text())["access_token"]

    def words(self, *words: str) -> list[str]:
        """Return what runs drawcli at the site."""
        return ["-m", "drawcli", *words, "--config", str(self.site / "drawcli.yaml")]

    def run(self, *words: str) -> None:
        """Run drawcli at the site."""
        python(self.words(*words))

    def forget(self) -> None:
        """Let the site know nothing of what it has done; its key stays."""
        state = self.site / "state"
        for path in state.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "site.key":
                path.unlink()

    def wait(self) -> str:
        """Wait until the server has drawn; return the name of the task."""
        until = time.monotonic() + PATIENCE_SECONDS
        (job,) = json.loads((self.site / "state" / "ledger.json").read_bytes())["jobs"].values()
        headers = {"authorization": f"Bearer {self.token}"}
        while time.monotonic() < until:
            url = f"{self.server.url}/api/upload/{job['task_id']}/status/"
            if "COMPLETED" in httpx.get(url, headers=headers).text:
                return str(job["task_id"])
            time.sleep(0.1)
        raise TimeoutError(url)


def drawcli(words: list[str]) -> None:
    """Run drawcli in a process of its own."""
    python(["-m", "drawcli", *words])


def python(words: list[str], **env: str) -> None:
    """Run the interpreter; trouble ends the bench."""
    command = [sys.executable, *words]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, **env})


def press_tab(words: str) -> None:
    """Ask what bash is offered behind some words."""
    typed = f"drawcli {words}"
    env = {"_DRAWCLI_COMPLETE": "complete_bash", "COMP_WORDS": typed}
    ask = "import sys; sys.argv[0] = 'drawcli'; from drawcli.cli import main; main()"
    python(["-c", ask], **env, COMP_CWORD=str(typed.count(" ")))


def starts(cycle: Cycle, repeat: int) -> Iterator[Row]:
    """Compare starts with a bare interpreter."""
    (row,) = json.loads((cycle.site / "state" / "ledger.json").read_bytes())["jobs"].values()
    job = row["id"]
    every: dict[str, tuple[float, Callable[[], None]]] = {
        "--help": (TAB_MOST, lambda: drawcli(["--help"])),
        "TAB for a command": (TAB_MOST, lambda: press_tab("sh")),
        "TAB for an option": (TAB_MOST, lambda: press_tab("status --")),
        "TAB for a job": (TAB_MOST, lambda: press_tab("show ")),
        "TAB for a template": (TAB_MOST, lambda: press_tab(f"assign {job} ")),
        "status": (STATUS_MOST, lambda: cycle.run("status")),
        "show": (SHOW_MOST, lambda: cycle.run("show", job)),
        "run-once, nothing to do": (RUN_MOST, lambda: cycle.run("run-once")),
    }
    for name, (most, what) in every.items():
        yield compared(
            f"{name} / a bare start of Python",
            what,
            lambda: python(["-I", "-c", "pass"]),
            repeat=repeat,
            target=most,
        )
    mine, floor = (peak_mib(words) for words in (cycle.words("run-once"), ["-c", IMPORTS]))
    yield beside("memory of it / of its packages", [(mine, floor)], unit="MiB")


def cycles(cycle: Cycle, repeat: int) -> Iterator[Row]:
    """Compare both halves of the way with the least that they could cost, in CPU and memory."""
    for what, unit, measure, times in (
        ("", "s", started_cpu, repeat),
        ("memory, ", "MiB", peak_mib, 1),
    ):
        pairs = [both_ways(cycle, measure) for _ in range(times)]
        out, home = zip(*pairs, strict=True)
        most = (OUT_MOST, HOME_MOST) if unit == "s" else (None, None)
        name = f"{what}out: run-once / read, deflate, write, POST"
        yield beside(name, out, unit=unit, target=most[0])
        yield beside(f"{what}home: run-once / GET, write", home, unit=unit, target=most[1])


def both_ways(cycle: Cycle, measure: Callable[[list[str]], float]) -> tuple[Pair, Pair]:
    """Measure the way out and the way home, each beside its floor."""
    url, token, target = cycle.server.url, cycle.token, str(cycle.folder / "floor")
    cycle.forget()
    send = ["-c", f"{IMPORTS}{SEND}", str(cycle.store), target, url, token]
    out = (measure(cycle.words("run-once")), measure(send))
    get = ["-c", f"{IMPORTS}{GET}", url, target, token, cycle.wait()]
    cycle.run("retry", "--all")
    home = (measure(cycle.words("run-once")), measure(get))
    (written,) = (cycle.site / "home").iterdir()  # else it did not come home
    written.unlink()
    return out, home


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options(__doc__, slices=160, size=512, repeat=5).parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as name:
        folder = Path(name)
        store = folder / "store"
        write_planning_ct(store / "a", PEOPLE[0], slices=given.slices, size=given.size, seed=1)
        with running(folder / "sandbox") as server:
            cycle = Cycle(folder, server, store)
            found = [*cycles(cycle, given.repeat), *starts(cycle, given.repeat)]
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
