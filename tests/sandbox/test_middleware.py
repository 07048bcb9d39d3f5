from collections import Counter

import pytest

from drawcli.sandbox.api import routes
from drawcli.sandbox.fault_injection import FaultlessServer
from drawcli.sandbox.faults import Panel
from drawcli.sandbox.middleware import SandboxMiddleware


async def nothing(*_: object) -> None:
    """Answer nothing."""


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "home"),
        ("/api/health", "health"),
        ("/api/health/", "health"),
        ("/api/models/", "models"),
        ("/api/upload/", "upload"),
        ("/api/upload/7/status/", "status"),
        ("/api/rtstruct/7/", "download"),
        ("/api/rtstruct/7/confirm", "confirm"),
        ("/api/token/refresh/", "refresh"),
        ("/auth/refresh", "refresh"),
        ("/api/upload/7/8/status/", "unknown"),
        ("/favicon.ico", "unknown"),
    ],
)
def test_requests_are_counted_by_the_name_of_their_endpoint(path: str, name: str) -> None:
    requests: Counter[str] = Counter()
    door = SandboxMiddleware(
        FaultlessServer(nothing, {}), Panel(()), endpoints=routes(), requests=requests
    )
    scope = {"type": "http", "method": "GET", "path": path, "headers": []}

    with pytest.raises(StopIteration):
        door(scope, nothing, nothing).send(None)  # type: ignore[arg-type]

    assert requests == {name: 1}
