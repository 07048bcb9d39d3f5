"""A DICOM node of a raw socket that says what its script says, true or not.

    def lies(talk: Talk) -> None:
        talk.accept()
        talk.take()
        talk.answer(sop_instance="1.2.3")

    with scripted(lies) as port: ...

Bytes are made here by hand, by PS3.7 and PS3.8, and not by what is tested or by its library.
"""

import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Final

IMPLICIT: Final = "1.2.840.10008.1.2"
PDU_TYPES: Final = {"accept": 2, "reject": 3, "data": 4, "release": 5, "released": 6, "abort": 7}
OF_COMMAND, LAST = 1, 2
_LONGEST_TEST_SECONDS: Final = 120.0


def pdu(kind: str | int, body: bytes, *, length: int | None = None) -> bytes:
    number = kind if isinstance(kind, int) else PDU_TYPES[kind]
    return struct.pack(">BxI", number, len(body) if length is None else length) + body


def item(kind: int, body: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(body)) + body


def context_answer(number: int, result: int, *syntaxes: str) -> bytes:
    named = b"".join(item(0x40, syntax.encode()) for syntax in syntaxes)
    return item(0x21, bytes([number, 0, result, 0]) + named)


def acceptance(contexts: bytes, *, longest: int = 16_384) -> bytes:
    """Return an A-ASSOCIATE-AC with some presentation contexts."""
    user = item(0x51, struct.pack(">I", longest)) + item(0x52, b"1.2.3.4") + item(0x55, b"SCRIPT")
    fixed = struct.pack(">H2x16s16s32x", 1, b"TPS".ljust(16), b"WARD7".ljust(16))
    return pdu("accept", fixed + item(0x10, b"1.2.840.10008.3.1.1.1") + contexts + item(0x50, user))


def element(number: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, number, len(value)) + value


def short(number: int, value: int) -> bytes:
    return element(number, struct.pack("<H", value))


def command_set(elements: bytes, *, length: int | None = None) -> bytes:
    size = len(elements) if length is None else length
    return element(0, struct.pack("<I", size)) + elements


def fragment(context: int, content: bytes, control: int = OF_COMMAND | LAST) -> bytes:
    return struct.pack(">IBB", len(content) + 2, context, control) + content


@dataclass
class Asked:
    """What the last request said."""

    context: int = 0
    command: int = 0
    message_id: int = 0
    sop_class: str = ""
    sop_instance: str = ""
    data: bytes = b""


@dataclass
class Talk:
    """One connection, as a script sees it."""

    line: socket.socket
    offered: dict[int, tuple[str, list[str]]] = field(default_factory=dict)
    user: list[tuple[int, bytes]] = field(default_factory=list)  # user information, by item type
    asked: Asked = field(default_factory=Asked)

    def send(self, data: bytes) -> None:
        self.line.sendall(data)

    def read_pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._read(6))
        return kind, self._read(length)

    def requested(self) -> None:
        """Read the association request."""
        _, body = self.read_pdu()
        for kind, content in items_of(body[68:]):
            if kind == 0x20:
                inside = [(k, value.decode()) for k, value in items_of(content[4:])]
                syntaxes = [value for k, value in inside if k == 0x40]
                self.offered[content[0]] = (dict(inside)[0x30], syntaxes)
            elif kind == 0x50:
                self.user = list(items_of(content))

    def accept(
        self, *, takes: Callable[[str], bool] = lambda _: True, longest: int = 16_384
    ) -> None:
        """Accept each context of which a transfer syntax is taken."""
        self.requested()
        answers = [
            context_answer(number, 0 if any(map(takes, syntaxes)) else 4, syntaxes[0])
            for number, (_, syntaxes) in self.offered.items()
        ]
        self.send(acceptance(b"".join(answers), longest=longest))

    def take(self, *, data_set: bool = True) -> None:
        """Read a request, with its data set."""
        command, data, ended = b"", b"", False
        while not ended:
            kind, body = self.read_pdu()
            if kind != PDU_TYPES["data"]:
                raise EOFError
            for context, control, content in _fragments(body):
                self.asked.context = context
                if control & OF_COMMAND:
                    command += content
                else:
                    data += content
                ended = bool(control & LAST) and (not data_set or not control & OF_COMMAND)
        fields = _fields(command)
        self.asked.command, self.asked.message_id = fields[0x100], fields[0x110]
        self.asked.sop_class = fields.get(0x02) or fields[0x03]  # requested, of an N-ACTION
        self.asked.sop_instance = fields.get(0x1000) or fields.get(0x1001, "")
        self.asked.data = data

    def elements(self, **lies: Any) -> bytes:
        """Return the elements of the answer to the last request; one that is None is left out."""
        asked = self.asked
        true: dict[str, Any] = {
            "sop_class": asked.sop_class,
            "command": asked.command | 0x8000,
            "message_id": asked.message_id,
            "data_set_type": 0x0101,
            "status": 0,
            "sop_instance": asked.sop_instance or None,
        }
        numbers = (0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x1000)
        return b"".join(
            short(number, value) if isinstance(value, int) else element(number, value.encode())
            for number, value in zip(numbers, (true | lies).values(), strict=True)
            if value is not None
        )

    def answer(self, *, context: int | None = None, **lies: Any) -> None:
        """Answer the last request, truly but for some fields."""
        number = self.asked.context if context is None else context
        self.send(pdu("data", fragment(number, command_set(self.elements(**lies)))))

    def release(self) -> None:
        """Answer the request to release."""
        self.read_pdu()
        self.send(pdu("released", bytes(4)))

    def wait_until_closed(self) -> None:
        """Read until the other end has closed the connection."""
        while self.line.recv(65_536):
            pass

    def _read(self, size: int) -> bytes:
        read = b""
        while len(read) < size:
            piece = self.line.recv(size - len(read))
            if not piece:
                raise EOFError
            read += piece
        return read


@dataclass
class Peer:
    """Where a scripted node listens, and what came of its connections."""

    port: int
    closed: Event = field(default_factory=Event)  # by the other end, the last time
    talks: list[Talk] = field(default_factory=list)


@contextmanager
def scripted(*scripts: Callable[[Talk], None]) -> Iterator[Peer]:
    """Listen, and follow a script with each connection; the last one again and again."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        peer = Peer(server.getsockname()[1])
        waiting = [*scripts]

        def serve() -> None:
            with suppress(OSError):
                while True:
                    line, _ = server.accept()
                    script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
                    _follow(script, line, peer)

        serving = Thread(target=serve, daemon=True)
        serving.start()
        yield peer
        server.shutdown(socket.SHUT_RDWR)
        serving.join(_LONGEST_TEST_SECONDS)


def _follow(script: Callable[[Talk], None], line: socket.socket, peer: Peer) -> None:
    line.settimeout(_LONGEST_TEST_SECONDS)
    talk = Talk(line)
    peer.talks.append(talk)
    peer.closed.clear()
    with line:
        try:
            script(talk)
            talk.wait_until_closed()
        except TimeoutError:
            return
        except (OSError, EOFError):
            pass
        peer.closed.set()


def items_of(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset < len(data):
        kind, length = struct.unpack_from(">BxH", data, offset)
        offset += 4 + length
        yield kind, data[offset - length : offset]


def _fragments(body: bytes) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    while offset < len(body):
        length, context, control = struct.unpack_from(">IBB", body, offset)
        offset += 4 + length
        yield context, control, body[offset - length + 2 : offset]


def _fields(command: bytes) -> dict[int, Any]:
    found: dict[int, Any] = {}
    offset = 0
    while offset < len(command):
        _, number, length = struct.unpack_from("<HHI", command, offset)
        offset += 8 + length
        value = command[offset - length : offset]
        is_uid = number in (0x02, 0x03, 0x1000, 0x1001)
        found[number] = value.rstrip(b"\0").decode() if is_uid else int.from_bytes(value, "little")
    return found
