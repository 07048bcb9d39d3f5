"""A sender of a raw socket that keeps to the standard or breaks it, for the listener's tests.

Bytes are made here by hand, by PS3.7 and PS3.8, and not by what is tested or by its library.
"""

import socket
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Final, Self

from drawcli.adapters.dicom_network.listener import DicomListener
from drawcli.config.load import Settings, load_settings
from drawcli.operations.receive.serve import receive
from tests.scripted_peer import (
    LAST,
    OF_COMMAND,
    PDU_TYPES,
    command_set,
    element,
    fragment,
    item,
    pdu,
    short,
)

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
ECHO = "1.2.840.10008.1.1"
_LONGEST_TEST_SECONDS: Final = 120.0


def context_offer(number: int, sop_class: str | bytes, *syntaxes: str) -> bytes:
    raw = sop_class if isinstance(sop_class, bytes) else sop_class.encode()
    named = item(0x30, raw) + b"".join(item(0x40, one.encode()) for one in syntaxes)
    return item(0x20, bytes([number, 0, 0, 0]) + named)


USUAL: Final = context_offer(1, CT, EXPLICIT) + context_offer(3, ECHO, IMPLICIT)


def association_body(
    contexts: bytes = USUAL, *, calling: str = "CT1", called: str = "DRAWCLI", version: int = 1
) -> bytes:
    user = item(0x51, struct.pack(">I", 16_384)) + item(0x52, b"1.2.3.4")
    fixed = struct.pack(
        ">H2x16s16s32x", version, called.encode().ljust(16), calling.encode().ljust(16)
    )
    return fixed + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user)


def store_command(
    instance: str | bytes, *, sop_class: str = CT, message: int = 7, data: bool = True
) -> bytes:
    uid = instance if isinstance(instance, bytes) else instance.encode()
    return command_set(
        element(0x02, sop_class.encode())
        + short(0x100, 0x0001)
        + short(0x110, message)
        + short(0x700, 0)
        + short(0x800, 0x0001 if data else 0x0101)
        + element(0x1000, uid)
    )


def echo_command(message: int = 1) -> bytes:
    return command_set(
        element(0x02, ECHO.encode())
        + short(0x100, 0x0030)
        + short(0x110, message)
        + short(0x800, 0x0101)
    )


def explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    """Return an element of explicit VR."""
    value += (b"\0" if vr in (b"UI", b"OB", b"OW") else b" ") * (len(value) % 2)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    if vr in (b"OB", b"OW", b"SQ", b"UN"):
        return head + b"\0\0" + struct.pack("<I", len(value)) + value
    return head + struct.pack("<H", len(value)) + value


def data_set(
    instance: str, *, series: str = "1.2.3", sop_class: str = CT, pixels: bytes = b"\1\2" * 500
) -> bytes:
    """Return a small data set in Explicit VR Little Endian."""
    return b"".join(
        (
            explicit(0x00080005, b"CS", b"ISO_IR 100"),
            explicit(0x00080016, b"UI", sop_class.encode()),
            explicit(0x00080018, b"UI", instance.encode()),
            explicit(0x00080060, b"CS", b"CT"),
            explicit(0x00100010, b"PN", b"Kowalski^Anna"),
            explicit(0x0020000D, b"UI", b"1.2.9"),
            explicit(0x0020000E, b"UI", series.encode()),
            explicit(0x7FE00010, b"OW", pixels),
        )
    )


class Sender:
    """A connection to the listener."""

    def __init__(self, port: int, host: str = "127.0.0.1", own: str = "127.0.0.1") -> None:
        self.line = socket.create_connection((host, port), _LONGEST_TEST_SECONDS, (own, 0))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self.line.close()

    def send(self, data: bytes) -> None:
        self.line.sendall(data)

    def associate(self, contexts: bytes = USUAL, **titles: Any) -> int:
        """Ask for an association; return the type of the answer."""
        self.send(pdu(1, association_body(contexts, **titles)))
        return self.read_pdu()[0]

    def store(
        self,
        instance: str | bytes,
        data: bytes,
        *,
        context: int = 1,
        piece: int = 16_000,
        **command: Any,
    ) -> int:
        """Send an object; return the status."""
        self.send(pdu("data", fragment(context, store_command(instance, **command))))
        self.send_data(data, context=context, piece=piece)
        return self.status()

    def send_data(
        self, data: bytes, *, context: int = 1, piece: int = 16_000, last: bool = True
    ) -> None:
        for start in range(0, max(len(data), 1), piece):
            part = data[start : start + piece]
            is_last = last and start + piece >= len(data)
            self.send(pdu("data", fragment(context, part, LAST if is_last else 0)))

    def echo(self, context: int = 3) -> int:
        self.send(pdu("data", fragment(context, echo_command())))
        return self.status()

    def status(self) -> int:
        """Read a response; return its status."""
        return int(self.response()[0x900])

    def response(self) -> dict[int, Any]:
        kind, body = self.read_pdu()
        if kind != PDU_TYPES["data"]:
            raise EOFError(f"PDU {kind}")
        assert body[5] == OF_COMMAND | LAST
        return _fields(body[6:])

    def release(self) -> None:
        self.send(pdu("release", bytes(4)))
        assert self.read_pdu()[0] == PDU_TYPES["released"]

    def read_pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._read(6))
        return kind, self._read(length)

    def ends(self) -> int | None:
        """Read until the end of the connection; return the type of the last PDU."""
        last = None
        try:
            while True:
                last, _ = self.read_pdu()
        except (EOFError, ConnectionError):
            return last

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            piece = self.line.recv(size - len(read))
            if not piece:
                raise EOFError
            read += piece
        return read


@dataclass
class Receiving:
    """A listener in a thread of this process, and its folders."""

    folder: Path
    settings: Settings
    port: int = 0
    listener: DicomListener | None = None
    errors: list[BaseException] = field(default_factory=list)

    def stored(self) -> list[Path]:
        """Return the files that a scan would read."""
        return sorted(path for path in self.folder.rglob("*.dcm") if ".drawcli" not in str(path))

    def hidden(self) -> list[Path]:
        """Return what is unfinished."""
        return sorted(self.folder.rglob("*.part"))

    def sender(self) -> Sender:
        return Sender(self.port)

    def associated(self, contexts: bytes = USUAL, **titles: Any) -> Sender:
        sender = self.sender()
        assert sender.associate(contexts, **titles) == PDU_TYPES["accept"]
        return sender

    def stop(self) -> None:
        assert self.listener is not None
        self.listener.stop()


def site_that_receives(folder: Path, callers: Sequence[str] = (), **wanted: Any) -> Settings:
    """Return the settings of a site whose listener takes any free port; `more` is other lines."""
    more = wanted.pop("more", "")
    (folder / "store").mkdir(parents=True, exist_ok=True)
    facts = {"listen": "127.0.0.1:0", "folder": "store/in", "keep_free_gib": 0} | wanted
    lines = "\n".join(f"  {name}: {value}" for name, value in facts.items())
    named = ", ".join(callers or ["CT1@127.0.0.0/8"])
    (folder / "drawcli.yaml").write_text(
        f"datastore: store\nstate_dir: state\nreceive:\n  callers: [{named}]\n{lines}\n{more}"
    )
    return load_settings(folder / "drawcli.yaml", {})


@contextmanager
def receiving(folder: Path, callers: Sequence[str] = (), **wanted: Any) -> Iterator[Receiving]:
    """Run a listener in a thread."""
    settings = site_that_receives(folder, callers, **wanted)
    running = Receiving(folder / "store" / "in", settings)
    ready: list[None] = []

    def told(address: str, listener: DicomListener) -> None:
        running.port, running.listener = int(address.rpartition(":")[2]), listener
        ready.append(None)

    def run() -> None:
        try:
            receive(settings, told)
        except BaseException as err:
            running.errors.append(err)
            raise

    thread = Thread(target=run, daemon=True)
    thread.start()
    while not ready and thread.is_alive():
        thread.join(0.01)
    assert ready, running.errors
    try:
        yield running
    finally:
        running.stop()
        thread.join(_LONGEST_TEST_SECONDS)
        assert not thread.is_alive()


def _fields(command: bytes) -> dict[int, Any]:
    found: dict[int, Any] = {}
    offset = 0
    while offset < len(command):
        _, number, length = struct.unpack_from("<HHI", command, offset)
        offset += 8 + length
        value = command[offset - length : offset]
        is_text = number in (0x02, 0x902, 0x1000)
        found[number] = (
            value.rstrip(b"\0 ").decode() if is_text else int.from_bytes(value, "little")
        )
    return found
