"""Serve the page until the process is interrupted."""

import logging
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Final

import uvicorn

from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.access.users import Users
from drawcli.dashboard.app import application
from drawcli.dashboard.connections import (
    Connections,
    Listener,
    accept_batch,
    max_connections,
    max_streams,
)
from drawcli.dashboard.protocol import LimitedProtocol
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import UsageError
from drawcli.system.limits import PAGE_HEAD_BYTES

_GRACE_SECONDS: Final = 2


def serve(
    site: SiteReader,
    options: DashboardOptions,
    secret: Secret,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve the page of a site.

    Parameters
    ----------
    site, options, secret
        See `application`.
    ready
        Called with the URL once the page can be reached.

    Raises
    ------
    UsageError
        Where the options are unsafe, or the port is in use.
    """
    users = Users(secret.path.parent)
    users.check()
    secret.check()
    options.check(secret=secret.is_set or users.exist or site.ctx.settings.oidc.is_on)
    import pydicom  # noqa: F401 - once, by one thread: of two at a time, one may fail

    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of invalid forms
    with open_listener(options) as listener:
        options = replace(options, port=listener.getsockname()[1])
        server = make_server(site, options, secret, listener)
        if ready is not None:
            ready(url_of(options))
        server.run(sockets=[listener])


def url_of(options: DashboardOptions) -> str:
    """Return the URL of the page."""
    host = options.names[0] if options.names else options.host
    shown = f"[{host}]" if ":" in host else host
    return f"{options.scheme}://{shown}:{options.port}/"


def make_server(
    site: SiteReader, options: DashboardOptions, secret: Secret, listener: Listener
) -> uvicorn.Server:
    """Return the server of a site's page on a socket."""
    most = max_connections()
    connections = Connections(most, options.proxies)
    listener.connections = connections
    config = uvicorn.Config(
        application(site, options, secret, lambda: server.should_exit, max_streams(most)),
        lifespan="off",
        loop="asyncio",
        http=partial(LimitedProtocol, connections),  # type: ignore[arg-type] # called like the class
        ws="none",
        log_config=None,
        log_level="error",  # without a line for each invalid request
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=accept_batch(most),
        h11_max_incomplete_event_size=PAGE_HEAD_BYTES,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    server = uvicorn.Server(config)
    return server


@contextmanager
def open_listener(options: DashboardOptions) -> Iterator[Listener]:
    """Open the socket; UsageError if it cannot be opened."""
    host = options.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        opened = socket.create_server((host, options.port), family=family)
    except OSError as err:
        raise UsageError(
            f"port {options.port} of {host} cannot be opened: {err.strerror or 'no such address'}",
            hint="Give another --port; 0 takes a free one.",
        ) from None
    with Listener(fileno=opened.detach()) as listener:
        yield listener
