"""What strangers can do to `receive` as a process: memory and files stay bounded, others served."""

import os
import socket
import ssl
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

import pytest

from drawcli.adapters.datastore.walk import read_datastore
from tests.dicom_sender import (
    CT,
    EXPLICIT,
    Sender,
    association_body,
    context_offer,
    data_set,
    site_that_receives,
    store_command,
)
from tests.scripted_peer import PDU_TYPES, fragment, pdu
from tests.tls import Authority
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
ATTACKER, HONEST = "127.0.0.1", "127.0.0.2"
LONG = int(os.environ.get("TORTURE", "1")) > 1
OPEN_FILES = 1024  # what the listener may have open, as by default
MOST_FILES = 512
MOST_MIB = 160  # above what it needs when idle
DEFLATED = "1.2.840.10008.1.2.1.99"
HALF = pdu(1, association_body())[:50]
HELLO = bytes.fromhex("16030100ff010000fb0303")  # of TLS, which ends there
BOMB = zlib.compress(bytes(200_000_000), 9)  # 0.2 MB


@dataclass
class Victim:
    """A running `drawcli receive`."""

    pid: int
    port: int
    folder: Path
    idle_mib: int = 0

    def mib(self, name: str = "VmHWM") -> int:
        """Return its largest memory so far, or of now (VmRSS)."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith(name)) >> 10

    def files(self) -> int:
        return len([*Path(f"/proc/{self.pid}/fd").iterdir()])

    def threads(self) -> int:
        return len([*Path(f"/proc/{self.pid}/task").iterdir()])


@contextmanager
def victim(folder: Path, **wanted: object) -> Iterator[Victim]:
    """Run `receive` with a thousand file descriptors."""
    settings = site_that_receives(folder, ["CT1@127.0.0.0/8"], **wanted)
    command = [sys.executable, "-m", "drawcli", "--config", str(folder / "drawcli.yaml"), "receive"]
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    limited = ["/bin/sh", "-c", f'ulimit -n {OPEN_FILES}; exec "$@"', "sh", *command]
    with subprocess.Popen(limited, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        port = int(line.split(",")[0].rpartition(":")[2])
        assert settings.receive.folder is not None
        running = Victim(process.pid, port, settings.receive.folder)
        try:
            yield running
        finally:
            process.terminate()
            assert process.wait(PATIENCE) == 0


@dataclass
class Honest:
    """Sends two patients from another address, again and again, while others attack."""

    victim: Victim
    tls: ssl.SSLContext | None = None
    stored: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    idle_files: int = 0
    most_files: int = 0
    ended: Event = field(default_factory=Event)

    def send(self) -> None:
        """Send objects of both patients in one association."""
        with Sender(self.victim.port, own=HONEST) as sender:
            if self.tls is not None:
                sender.line = self.tls.wrap_socket(sender.line, server_hostname="127.0.0.1")
            assert sender.associate() == PDU_TYPES["accept"]
            for patient in (1, 2):
                uid = f"1.2.{patient}.{len(self.stored)}"
                data = data_set(uid, series=f"1.2.{patient}", pixels=bytes(20_000))
                assert sender.store(uid, data) == 0
                self.stored.append(uid)
            sender.release()

    def run(self) -> None:
        while not self.ended.is_set():
            self.most_files = max(self.most_files, self.victim.files())
            try:
                self.send()
            except (OSError, EOFError, AssertionError) as err:
                self.errors.append(repr(err))

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send while the block runs, and once more behind it."""
        self.send()
        self.victim.idle_mib, self.idle_files = self.victim.mib("VmRSS"), self.victim.files()
        thread = Thread(target=self.run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.ended.set()
            thread.join(PATIENCE)
        self.send()


def check(honest: Honest) -> None:
    """Everyone else was served, whole; memory, files and threads are bounded; nothing is left."""
    running = honest.victim
    assert honest.errors == []
    assert len(honest.stored) > 4  # during the attack, too
    stored = {one.sop_uid for one in read_datastore([running.folder]).slices}
    assert stored == set(honest.stored)
    assert honest.most_files <= MOST_FILES
    assert running.mib() - running.idle_mib <= MOST_MIB
    assert running.threads() <= 24
    wait_until(lambda: list(running.folder.rglob("*.part")) == [])
    wait_until(lambda: running.files() <= honest.idle_files + 2)


def attacker(running: Victim) -> Sender:
    return Sender(running.port, own=ATTACKER)


def half_open(running: Victim, count: int, first: bytes) -> None:
    """Open so many connections, half a request in each; none is closed by us."""
    with ExitStack() as all_open:
        for _ in range(count):
            line = socket.socket()
            all_open.callback(line.close)
            line.bind((ATTACKER, 0))
            line.settimeout(60)
            with suppress(ConnectionResetError, BrokenPipeError):
                line.connect(("127.0.0.1", running.port))
                line.sendall(first)


def long_messages(running: Victim) -> None:
    """Announce PDUs and fragments of 4 GB, before an association and in an object; send on."""
    for _ in range(20):
        for associated in (False, True):
            with suppress(OSError, EOFError), attacker(running) as sender:
                kind = 4 if associated else 1
                if associated:
                    sender.associate()
                    sender.send(pdu("data", fragment(1, store_command("1.9.1"))))
                    sender.send(pdu("data", struct.pack(">IBB", 0xFFFFFFFF, 1, 0)))
                sender.send(pdu(kind, b"", length=0xFFFFFFFF))
                for _ in range(100):
                    sender.send(bytes(100_000))


def many_contexts(running: Victim) -> None:
    """Offer as many presentation contexts as there are bytes for, and 10,000."""
    whole = context_offer(1, CT, EXPLICIT)
    for contexts in (whole * 10_000, whole * 1_900, context_offer(1, "1", "1") * 6_000):
        for _ in range(5):
            with suppress(OSError, EOFError), attacker(running) as sender:
                sender.send(pdu(1, association_body(contexts)))
                assert sender.ends() in (PDU_TYPES["abort"], None)


def deflated(running: Victim) -> None:
    """Send deflate bombs where a data set is expected: it is not accepted, nor inflated."""
    with attacker(running) as sender:
        sender.associate(context_offer(1, CT, DEFLATED) + context_offer(3, CT, EXPLICIT))
        for context in (3, 3, 3):
            assert sender.store("1.9.2", BOMB, context=context) == 0xC000
        sender.send(pdu("data", fragment(1, store_command("1.9.2"))))
        assert sender.ends() == PDU_TYPES["abort"]


def invalid_uids(running: Victim) -> None:
    """Name objects and series by paths, with NUL, and by devices."""
    for uid in ("../../../x", "1.2\0/../x", "/etc/x", "..", "1.2/3", "NUL", "-1", "1.2\n3"):
        with attacker(running) as sender:
            sender.associate()
            assert sender.store(uid, data_set(uid)) == 0x0212
            assert sender.store("1.9.3", data_set(uid)) == 0xC000
            assert sender.store("1.9.3", data_set("1.9.3", series=uid)) == 0xC000


def unfinished_objects(running: Victim) -> None:
    """Begin objects and leave, or drip."""
    with ExitStack() as stalled:
        for number in range(60):
            with suppress(OSError, EOFError, AssertionError):
                sender = stalled.enter_context(attacker(running))
                sender.associate()
                sender.send(pdu("data", fragment(1, store_command(f"1.9.4.{number}"))))
                sender.send_data(bytes(100_000), last=False)
        for _ in range(40):
            with suppress(OSError):
                sender.send_data(b"x", last=False)
                time.sleep(0.01)


ATTACKS: tuple[Callable[[Victim], None], ...] = (
    long_messages,
    many_contexts,
    deflated,
    invalid_uids,
    unfinished_objects,
)


def test_thousands_of_half_open_associations(tmp_path: Path) -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(10_000 if LONG else 3_000, hard // 2)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 12_000), hard))
    try:
        with victim(tmp_path) as running:
            honest = Honest(running)
            with honest.sending():
                half_open(running, count, HALF)
            check(honest)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_half_handshakes_of_tls(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.certificate("127.0.0.1")
    with victim(tmp_path, tls_cert=cert, tls_key=key) as running:
        honest = Honest(running, ssl.create_default_context(cafile=str(authority.file)))
        with honest.sending():
            half_open(running, 6000 if LONG else 1000, HELLO)
        check(honest)


def test_every_attack_at_once(tmp_path: Path) -> None:
    before = set(tmp_path.parent.parent.glob("*"))
    with victim(tmp_path) as running:
        honest = Honest(running)
        with honest.sending(), ThreadPoolExecutor(len(ATTACKS)) as pool:
            for done in [pool.submit(attack, running) for attack in ATTACKS]:
                done.result()
        check(honest)
    assert set(tmp_path.parent.parent.glob("*")) == before
    assert {path.name for path in tmp_path.iterdir()} == {"store", "state", "drawcli.yaml"}
    assert {path.name for path in (tmp_path / "store").iterdir()} == {"in"}
