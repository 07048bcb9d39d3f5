"""A site in a world that goes wrong, and what must hold there at every moment and at the end."""

import contextlib
import hashlib
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import httpx
from pydicom import dcmread

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.audit_log import ATTEMPT, AuditLog
from drawcli.adapters.state.workdir import UNPACKED
from drawcli.config.sections import ServerSettings
from drawcli.core.jobs.job import State
from drawcli.sandbox.patients import identifying_values
from drawcli.sandbox.phantom import write_planning_ct
from tests.conftest import HEAD_NECK, PELVIS, Site
from tests.fake_draw import FakeDraw
from tests.torture import shortages

PEOPLE: Final = (PELVIS, HEAD_NECK)
KILLED: Final = -signal.SIGKILL
MOST_RUNS: Final = 12  # until everything is home, once nothing goes wrong any more
AT_ONCE: Final = ServerSettings().parallel  # uploads that a kill can take the answers of
SHORTEST: Final = 5  # characters: shorter values stand in every file by chance
LONGEST_RUN: Final = 60  # seconds
UNRECORDED: Final = frozenset({"fail_at", *shortages.NAMES})  # a record may not have been written


@dataclass
class Troubled:
    """A DRAW server that misbehaves at one request: what it does, and at which, from 1."""

    draw: FakeDraw
    fault: str = ""
    at: int = 0
    requests: int = 0
    lost: int = 0  # uploads that it took and of which drawcli was not told
    lock: threading.Lock = field(default_factory=threading.Lock)

    def answer(self, request: httpx.Request) -> httpx.Response | None:
        """Return the answer; None closes the connection without one."""
        with self.lock:
            return self._answer(request)

    def _answer(self, request: httpx.Request) -> httpx.Response | None:
        self.requests += 1
        if self.requests != self.at:
            return self.draw(request)
        if self.fault.isdigit():
            return httpx.Response(int(self.fault), json={"detail": "trouble"})
        if self.fault == "closed":
            return None
        if self.fault in _ODD:
            return httpx.Response(200, content=_ODD[self.fault])
        done = self.draw(request)
        uploaded = request.url.path == "/api/upload/" and done.is_success
        self.lost += uploaded
        if self.fault == "lost":  # done, and nobody is told
            return None
        assert self.fault == "cut"
        return httpx.Response(done.status_code, content=done.content[: len(done.content) // 2])


_AT_SERVER: Final = frozenset({State.UPLOADED, State.SEGMENTED})
_ODD: Final = {"html": b"<html>proxy</html>", "other": b'{"status": "SOMETHING NEW"}'}
FAULTS: Final = ("500", "502", "429", "401", "404", "closed", "lost", "html", "cut", "other")


class World:
    """One site, its server, and what is known of both from outside."""

    def __init__(self, site: Site, store: Path, server: Troubled, forge: "Forge") -> None:
        self.site, self.server, self.forge = site, server, forge
        shutil.copytree(store, site.store, dirs_exist_ok=True, copy_function=shutil.copy2)
        self.sources = {path: fingerprint(path) for path in sorted(site.store.rglob("*.dcm"))}
        self.kills = 0
        self.sent_again = 0  # by the word of a person, who retries what the gate refused
        self.codes: list[int] = []
        self.generation = 0
        server.draw.watch = self._at_confirm

    def run(self, *words: str, **order: Any) -> int:
        """Run drawcli; hold what it did against what must always be so."""
        if words[0] == "retry":
            with FileLedger(self.site.state / "ledger.json") as ledger:
                self.sent_again += sum(
                    job.held and job.state in _AT_SERVER for job in ledger.jobs()
                )
        ended = self.forge.run({"words": words, "folder": str(self.site.folder), **order})
        code = int(ended["code"])
        self.codes.append(code)
        self.kills += code == KILLED or not order.keys().isdisjoint(UNRECORDED)
        assert ended["seconds"] < LONGEST_RUN
        self.check_always()
        return code

    @property
    def effects(self) -> int:
        """How many effects the last run had."""
        return self._counted(0)

    @property
    def opened(self) -> int:
        """How many files, folders and sockets the last run opened."""
        return self._counted(1)

    def _counted(self, which: int) -> int:
        return int((self.site.folder / "last.effects").read_text().split()[which])

    def bring_home(self) -> None:
        """Run until everything is home, with nothing going wrong any more."""
        for _ in range(MOST_RUNS):
            self.run("retry", "--all")
            assert self.run("run-once") in (0, 6, 7)
            if self.all_done():
                return
        raise AssertionError(f"not home after {MOST_RUNS} runs: {self.story()}")

    def all_done(self) -> bool:
        with FileLedger(self.site.state / "ledger.json") as ledger:
            jobs = list(ledger.all_jobs())  # a clock that was wrong sends some to the archive
        return len(jobs) == len(PEOPLE) and all(job.state is State.DONE for job in jobs)

    def story(self) -> str:
        """Return what the jobs say of themselves."""
        with FileLedger(self.site.state / "ledger.json") as ledger:
            return "; ".join(f"{j.id} {j.state} {j.reason}" for j in ledger.jobs())

    def held(self) -> list[str]:
        """Return why jobs are held."""
        with FileLedger(self.site.state / "ledger.json") as ledger:
            return [str(job.reason) for job in ledger.jobs() if job.held]

    # --- what must hold ------------------------------------------------------------------------

    def check_always(self) -> None:
        """After every run, killed or not: I1, I2, I5, I6, I10."""
        said = (self.site.folder / "last.err").read_text(errors="replace")
        assert "Traceback" not in said, said
        with FileLedger(self.site.state / "ledger.json") as ledger:
            jobs = ledger.jobs()
            generation = ledger.generation
        assert generation >= self.generation
        self.generation = generation
        for job in jobs:
            assert not job.held or (job.reason and job.reason_code), job
        self.check_audit()
        for path, before in self.sources.items():
            assert fingerprint(path) == before
        for home in self.homes():
            assert dcmread(home).ApprovalStatus == "UNAPPROVED"  # whole, whenever it has its name

    def check_audit(self) -> None:
        """Everything that left was written down before, and the chain holds; an end may be cut."""
        log = AuditLog(self.site.state)
        assert [one for one in log.verify().breaks if "is cut short" not in one.what] == []
        facts = [line.facts for line in log.lines()]
        attested = [one["zip_sha256"] for one in facts if one.get("what") == ATTEMPT]
        for package in self.server.draw.uploads.values():
            attested.remove(hashlib.sha256(package).hexdigest())

    def check_home(self) -> None:
        """At the end: everything came home once, to the right patient, and nothing else left."""
        assert self.all_done(), self.story()
        by_folder = {home.parent.name: str(dcmread(home).PatientID) for home in self.homes()}
        assert by_folder == {person.file_name: person.patient_id for person in PEOPLE}
        assert len(self.homes()) == len(PEOPLE)
        draw = self.server.draw
        asked = len(PEOPLE) + self.sent_again
        assert len(draw.uploads) <= asked + AT_ONCE * self.kills + self.server.lost
        assert len(set(draw.uploads.values())) == len(PEOPLE)  # sent again: the same bytes
        told = len(set(draw.confirmed)) + (self.server.fault in {"404", "other"})  # it said so
        assert told >= len(PEOPLE)
        assert not [path for path in self.site.store.rglob(".*") if path.is_file()]
        self.check_private()

    def check_private(self) -> None:
        """Nothing that was sent, printed, logged or kept outside a vault names anybody (I4)."""
        said = [*self.server.draw.uploads.values(), *(n.encode() for n in self.server.draw.names)]
        kept = (path for path in self.site.state.rglob("*") if path.is_file())
        sealed = (path for path in kept if UNPACKED not in path.parts)  # originals, as in the store
        said += [path.read_bytes() for path in sealed if path.name not in ("vault", "site.key")]
        said += [(self.site.folder / f"last.{name}").read_bytes() for name in ("out", "err")]
        for person in PEOPLE:
            for value in identifying_values(person):
                if len(value.encode()) >= SHORTEST:
                    assert not any(says(one, value) for one in said), value

    def homes(self) -> list[Path]:
        return sorted(self.site.store.rglob("RS.*.dcm"))

    def _at_confirm(self, request: httpx.Request) -> None:
        """Let the server see that the delivered file is whole before it deletes its own (I8)."""
        if request.url.path.endswith("/confirm/"):
            assert any(dcmread(home).ROIContourSequence for home in self.homes())


def says(data: bytes, value: str) -> bool:
    """Tell whether a value stands in some bytes; digits, not as a part of a longer number.

    Eight digits in a row are in one of a hundred UIDs of chance.
    """
    needle = re.escape(value.encode())
    pattern = rb"(?<![0-9])" + needle + rb"(?![0-9])" if value.isdigit() else needle
    return re.search(pattern, data) is not None


def tell(text: str) -> None:
    """Print a count; seen with -s, and in the long form."""
    sys.stdout.write(f"{text}\n")


def fingerprint(path: Path) -> tuple[str, int, int, int]:
    """Return the digest, time, mode and inode of a file."""
    status = path.stat()
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return digest, status.st_mtime_ns, status.st_mode, status.st_ino


class Forge:
    """The helper process; with `load_all` its runs load nothing, and fail in no import."""

    def __init__(self, *, load_all: bool = True) -> None:
        words = [sys.executable, "-m", "tests.torture.forge", *(["--all"] if load_all else [])]
        self._process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            text=True,
        )

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        """Let one drawcli run; return how it ended."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"seconds": LONGEST_RUN} | order) + "\n")
        self._process.stdin.flush()
        ended: dict[str, Any] = json.loads(self._process.stdout.readline())
        return ended

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        assert self._process.stdout is not None
        self._process.stdout.close()


@contextmanager
def listening(address: str = "127.0.0.1") -> Iterator[tuple[str, dict[str, Troubled]]]:
    """Serve whatever `Troubled` stands under "now", by default on loopback."""
    at: dict[str, Troubled] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            length = int(self.headers.get("content-length", 0))
            body = self.rfile.read(length)
            request = httpx.Request(
                self.command, f"http://draw{self.path}", headers=dict(self.headers), content=body
            )
            answer = at["now"].answer(request)
            if answer is None:
                self.close_connection = True
                return
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name.lower() not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            with contextlib.suppress(OSError):  # who asked is dead
                self.wfile.write(answer.content)

        do_GET = do_POST = _serve  # noqa: N815 - the names are http.server's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Log nothing about a client that was killed."""
            if not isinstance(sys.exc_info()[1], ConnectionError):
                super().handle_error(*_)  # type: ignore[arg-type] # as given

    with Server((address, 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield f"http://{address}:{server.server_address[1]}", at
        finally:
            server.shutdown()


@dataclass
class Bench:
    """What worlds are made of: phantoms written once, a server, a forge."""

    folder: Path
    url: str
    at: dict[str, Troubled]
    forge: Forge
    made: int = field(default=0)

    def store(self) -> Path:
        """Return the folder of phantoms, written the first time."""
        folder = self.folder / "phantoms"
        if not folder.exists():
            for person in PEOPLE:
                write_planning_ct(folder / person.file_name, person, slices=4, size=32, seed=1)
        return folder
