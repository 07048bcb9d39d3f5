"""A web server on loopback that takes whatever is sent, in place of chats and monitors."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Webhook:
    """What arrived, and what is answered."""

    port: int = 0
    status: int = 200
    asked: list[str] = field(default_factory=list)  # "GET /ping/start", in order
    bodies: list[str] = field(default_factory=list)
    headers: list[str] = field(default_factory=list)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What came as JSON, as apprise sends it."""
        return [json.loads(body) for body in self.bodies if body]

    @property
    def everything(self) -> str:
        """Every word that arrived."""
        return "\n".join([*self.asked, *self.bodies, *self.headers])


@contextmanager
def listening() -> Iterator[Webhook]:
    """Take requests until the block ends."""
    hook = Webhook()

    class Taker(BaseHTTPRequestHandler):
        def _take(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            hook.bodies.append(self.rfile.read(length).decode("utf-8"))
            hook.headers.append(str(self.headers))
            hook.asked.append(f"{self.command} {self.path}")
            self.send_response(hook.status)
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_POST = _take  # noqa: N815 - the names are the server's

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Taker)
    hook.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
