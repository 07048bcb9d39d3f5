"""How fast a package goes out, and in how little memory: beside a bare streaming POST of httpx.

Both send the same file to the same server on loopback, a process of its own that throws the bytes
away, in turn; medians are told.

    python bench/upload.py [--megabytes 300] [--repeat 9] [--json]
"""

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import httpx
from measure import Row, below, compared, options, tell, unmeasured

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.config.sections import ServerSettings

SLOWEST = 0.8  # of the throughput of the bare POST
MOST_MB = 30.0
NEVER = datetime(2100, 1, 1, tzinfo=UTC)
SINK = r"""
import re, socket, sys

listening = socket.socket(fileno=int(sys.argv[1]))
room = memoryview(bytearray(1 << 20))
while True:
    connection, _ = listening.accept()
    with connection:
        head = b""
        while b"\r\n\r\n" not in head and (piece := connection.recv(1 << 16)):
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        left = int(re.search(rb"content-length: *(\d+)", head, re.I)[1]) - len(body)
        while left and (count := connection.recv_into(room)):
            left -= count
        answer = b'{"task_id": "t"}'
        length = b"content-length: %d\r\nconnection: close\r\n\r\n" % len(answer)
        connection.sendall(b"HTTP/1.1 201 Created\r\n" + length + answer)
"""
MEMORY = """
import sys
from pathlib import Path
from upload import sent, token_in

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

url, package, small = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
tokens = token_in(package.parent)
sent(url, small, tokens)
Path("/proc/self/clear_refs").write_text("5")
before = peak()
sent(url, package, tokens)
print((peak() - before) * 1024 / 1e6)
"""


def token_in(folder: Path) -> TokenFile:
    """Return a token that is good for long."""
    path = folder / "token.json"
    path.write_text(json.dumps({"access_token": "a", "expires_at": NEVER.isoformat()}))
    path.chmod(0o600)
    return TokenFile(path)


def sent(url: str, package: Path, tokens: TokenFile) -> None:
    """Send a package as drawcli does."""
    with DrawServer.opened(ServerSettings(url=url), tokens, lambda: datetime.now(UTC)) as server:
        server.upload(package, name="package.zip", sha256="0" * 64)


def bare(url: str, package: Path) -> None:
    """Send the file with httpx and nothing else."""
    headers = {"content-length": str(package.stat().st_size)}
    with httpx.Client(timeout=60) as client, package.open("rb") as stream:
        client.post(url, content=stream, headers=headers).raise_for_status()


@contextmanager
def sink() -> Iterator[str]:
    """Start a server that throws away what it is sent; yield where it is."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        words = [sys.executable, "-c", SINK, str(listening.fileno())]
        with subprocess.Popen(words, pass_fds=[listening.fileno()]) as process:
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                process.kill()


def memory(url: str, package: Path) -> Row:
    """Return how much resident memory grows at most while a package goes out."""
    name = f"growth of memory over {package.stat().st_size // 1_000_000} MB"
    if not Path("/proc/self/clear_refs").exists():
        return unmeasured(name, "told by Linux only")
    small = filled(package.with_name("small.zip"), 1)
    done = subprocess.run(
        [sys.executable, "-c", MEMORY, url, str(package), str(small)],
        cwd=Path(__file__).parent,
        check=True,
        capture_output=True,
        text=True,
    )
    return below(name, float(done.stdout), MOST_MB, "MB")


def filled(path: Path, megabytes: int) -> Path:
    """Write a file of so many megabytes that nothing can compress."""
    block = Random(1).randbytes(1_000_000)  # noqa: S311 - not a secret
    with path.open("wb") as stream:
        for _ in range(megabytes):
            stream.write(block)
    return path


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    given = options(__doc__, megabytes=300, repeat=9).parse_args()
    with tempfile.TemporaryDirectory(prefix="drawcli-bench-") as folder, sink() as url:
        package = filled(Path(folder, "package.zip"), given.megabytes)
        tokens = token_in(Path(folder))
        throughput = compared(
            "throughput / a bare POST of httpx",
            lambda: sent(url, package, tokens),
            lambda: bare(url, package),
            repeat=given.repeat,
            target=SLOWEST,
            clock=time.perf_counter,
            faster=True,
        )
        found = [throughput, memory(url, package)]
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
