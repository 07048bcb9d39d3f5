"""The one way in and out of the sandbox: requests are counted, and every answer bears the notice.

Whatever shall go wrong on purpose has its place here. Below it, the sandbox is a faultless server.
"""

from collections import Counter
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from drawcli.sandbox import NOTICE
from drawcli.sandbox.fault_injection import FaultlessServer, play, wrapped
from drawcli.sandbox.faults import Panel


class Doorway:
    """An ASGI application around the whole of another; it knows the names of the endpoints."""

    def __init__(
        self,
        server: FaultlessServer,
        panel: Panel,
        *,
        endpoints: Sequence[Route],
        requests: Counter[str],
    ) -> None:
        self._server = server
        self._panel = panel
        self._endpoints = endpoints
        self._requests = requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count a request, let it through with its faults, and put the notice on its answer."""
        name = self._name(scope)
        self._requests[name] += 1

        async def send_with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Sandbox-Notice"] = NOTICE
            await send(message)

        faults = self._panel.next(name)
        await play(faults, self._server, scope, receive, wrapped(send_with_notice, send))

    def _name(self, scope: Scope) -> str:
        """Return the name of the endpoint a request asks for."""
        found = (each.name for each in self._endpoints if each.matches(scope)[0] is not Match.NONE)
        return next(found, "unknown")
