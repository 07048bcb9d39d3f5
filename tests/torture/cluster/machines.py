"""The machines of the scenario: hosts with workers, a database, a server, and their data."""

import hashlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from pydicom import dcmread

from drawcli.adapters.ledger.postgres.database import Database
from drawcli.adapters.work_queue.tables import install_queues
from drawcli.config.sections_cluster import Cluster
from drawcli.sandbox.phantom import write_planning_ct
from tests.conftest import HEAD_NECK, PELVIS, Site, made_site
from tests.fake_draw import FakeDraw
from tests.postgres import Postgres, password_file, with_tables
from tests.torture.cluster.network import Network
from tests.torture.kit import Troubled

LEASE_SECONDS: Final = 5
GONE_MINUTES: Final = 0.15
SLICES: Final = 3
DATABASE: Final = "pipelines"


def prepared(server: Postgres) -> None:
    """Make the tables and queues, and allow the hosts to connect."""
    if server.data.stat().st_uid == os.geteuid() or not os.geteuid():
        with (server.data / "pg_hba.conf").open("a") as stream:
            stream.write("host all all 10.77.0.0/24 scram-sha-256\n")
    with_tables(server, DATABASE)
    secret = Cluster(password_file=password_file(server))
    with Database(server.url(database=DATABASE), secret) as owner:
        install_queues(owner)
    server.execute("SELECT pg_reload_conf()")


def fill(store: Path, series: int) -> dict[str, Path]:
    """Write planning CTs of three small slices; return the folder of each by its series UID."""
    drawn = []
    for person in (PELVIS, HEAD_NECK):
        paths = write_planning_ct(store / "drawn", person, slices=SLICES, size=16, seed=1)
        found = [dcmread(path) for path in paths]
        uids = {str(one[name].value) for one in found for name in _OWN}
        drawn.append((str(found[0].SeriesInstanceUID), uids, [one.read_bytes() for one in paths]))
        for path in paths:
            path.unlink()
    (store / "drawn").rmdir()
    folders = {}
    for number in range(series):
        uid, uids, slices = drawn[number % len(drawn)]
        folder = store / f"{number // 100:03d}" / f"{number:05d}"
        folder.mkdir(parents=True)
        for place, data in enumerate(slices):
            for one in uids:
                data = data.replace(one.encode(), _another(one, number).encode())  # noqa: PLW2901
            (folder / f"CT.{place}.dcm").write_bytes(data)
        folders[_another(uid, number)] = folder
    return folders


_OWN: Final = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")


def _another(uid: str, number: int) -> str:
    """Return a UID of the same length."""
    return f"{uid[:-6]}{(int(uid[-6:]) + number) % 1_000_000:06d}"


@dataclass
class Counted(Troubled):
    """A DRAW server in memory that counts requests; one can be interrupted after it was done."""

    draw: FakeDraw = field(default_factory=FakeDraw)
    downloads: int = 0
    struck: dict[str, Callable[[str], bool]] = field(default_factory=dict)  # by kind of request

    def answer(self, request: httpx.Request) -> httpx.Response | None:
        """Return the answer; None closes the connection without one."""
        with self.lock:
            done = self.draw(request)
            kind = kind_of(request)
            self.downloads += kind == "rtstruct"
            strike = self.struck.pop(kind, None) if done.is_success else None
            named = done.json()["task_id"] if kind == "upload" else _task_in(request)
            package = self.draw.uploads.get(named, b"")
        if strike is None:
            return done
        return done if strike(hashlib.sha256(package).hexdigest()) else None


KINDS: Final = ("upload", "upload", "status", "rtstruct", "confirm")  # of requests, to be struck


def kind_of(request: httpx.Request) -> str:
    """Return upload, status, rtstruct or confirm; "" for others."""
    parts = [part for part in request.url.path.split("/") if part]
    return parts[-1] if parts[-1] in KINDS else parts[1] if parts[1] in KINDS else ""


def _task_in(request: httpx.Request) -> str:
    parts = [part for part in request.url.path.split("/") if part]
    return next((part for part in parts if part.startswith("task-")), "")


@dataclass
class Host:
    """A machine of the site, with a worker of its own."""

    name: str
    site: Site
    shift: float  # s, of its clock
    before: list[str]  # words before each command
    worker: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start its worker, in a session of its own."""
        program = [sys.executable, "-m", "tests.torture.cluster.host", "worker", "--parallel", "1"]
        with (self.site.folder / "said").open("ab") as said:
            self.worker = subprocess.Popen(
                [*self.before, *program, "-c", str(self.site.config)],
                cwd=Path(__file__).parents[3],
                env={
                    "PATH": os.environ["PATH"],
                    "HOME": str(self.site.folder),
                    "SHIFT": str(self.shift),
                },
                stdout=said,
                stderr=said,
                start_new_session=True,
            )

    def send(self, number: int) -> None:
        """Send a signal to all its processes."""
        if self.worker is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.worker.pid, number)

    def kill(self) -> None:
        """End all its processes as the machine would."""
        self.send(signal.SIGKILL)
        if self.worker is not None:
            self.worker.wait()

    def lanes(self) -> list[int]:
        """Return the processes that do steps."""
        if self.worker is None or self.worker.poll() is not None:
            return []
        pid = self.worker.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return [int(one) for one in children if b"spawn_main" in _words(one)]

    @property
    def said(self) -> str:
        """What its workers have written to the terminal."""
        return (self.site.folder / "said").read_text(errors="replace")


def _words(pid: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def made_host(  # noqa: PLR0913 - what a host is made of
    folder: Path,
    name: str,
    shift: float,
    *,
    first: Host | None,
    network: Network,
    server: Postgres,
    draw_port: int,
    work: str,
) -> Host:
    """Make a host: the datastore and the key of the first, a state folder of its own."""
    site = made_site(folder / name)
    network.add(name)
    facts: dict[str, Any] = {
        "site": "north",
        "host": name,
        "password_file": str(password_file(server)),
        "lease_seconds": LEASE_SECONDS,
        "gone_minutes": GONE_MINUTES,
        "scan_minutes": 0.2,
        "work": work,
    }
    at = f"'http://{network.address}:{draw_port}', allow_http: true"
    text = site.config.read_text().replace("'http://127.0.0.1:9'", at)
    if first is not None:
        text = text.replace("datastore: store", f"datastore: {first.site.store}")
        key = (first.site.state / "site.key").read_bytes()
        (site.state / "site.key").write_bytes(key)
    site.config.write_text(text)
    url = server.url("north", DATABASE).replace("127.0.0.1", network.address)
    for line in (
        f"ledger: {url}?sslmode=disable",
        f"cluster: {json.dumps(facts)}",
        "match: {first_run_limit: 0}",
    ):
        site.add_line(line)
    return Host(name, site, shift, network.command(name))
