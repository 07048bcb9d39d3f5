"""Middleware of the sandbox: counts requests, adds the notice to responses, and injects faults."""

from collections import Counter
from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.routing import Match, Route
from starlette.types import Message, Receive, Scope, Send

from drawcli.sandbox import NOTICE
from drawcli.sandbox.fault_injection import FaultlessServer, play, wrapped
from drawcli.sandbox.faults import Panel


class SandboxMiddleware:
    """An ASGI application around another; it knows the names of the endpoints."""

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
        """Count a request, inject its faults, and add the notice to its response."""
        name = self._name(scope)
        self._requests[name] += 1

        async def send_with_notice(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["X-Sandbox-Notice"] = NOTICE
            await send(message)

        faults = self._panel.next(name)
        await play(faults, self._server, scope, receive, wrapped(send_with_notice, send))

    def _name(self, scope: Scope) -> str:
        """Return the name of the endpoint of a request."""
        names = (each.name for each in self._endpoints if each.matches(scope)[0] is not Match.NONE)
        return next(names, "unknown")
