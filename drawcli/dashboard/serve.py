"""Serve the page until the process is interrupted."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import uvicorn

from drawcli.dashboard.app import application
from drawcli.dashboard.options import Options
from drawcli.dashboard.secret import Secret
from drawcli.dashboard.site import Site
from drawcli.errors import UsageError

_GRACE_SECONDS: Final = 2


def serve(
    site: Site, options: Options, secret: Secret, ready: Callable[[str], None] | None = None
) -> None:
    """Serve the page of a site.

    Parameters
    ----------
    site, options, secret
        See `application`.
    ready
        Called once when it can be reached, to tell somebody its URL.

    Raises
    ------
    UsageError
        Where it would be open to others, or the port is taken.
    """
    options.check(secret=secret.is_set)
    secret.check()
    with _listening(options) as listener:
        options = replace(options, port=listener.getsockname()[1])
        server = uvicorn.Server(_config(site, options, secret, lambda: server.should_exit))
        if ready is not None:
            ready(url_of(options))
        server.run(sockets=[listener])


def url_of(options: Options) -> str:
    """Return where a browser finds the page."""
    host = options.names[0] if options.names else options.host
    shown = f"[{host}]" if ":" in host else host
    return f"{options.scheme}://{shown}:{options.port}/"


def _config(
    site: Site, options: Options, secret: Secret, stopping: Callable[[], bool]
) -> uvicorn.Config:
    return uvicorn.Config(
        application(site, options, secret, stopping),
        lifespan="off",
        loop="asyncio",
        http="h11",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )


@contextmanager
def _listening(options: Options) -> Iterator[socket.socket]:
    host = options.host
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, options.port), family=family)
    except OSError as err:
        raise UsageError(
            f"port {options.port} of {host} cannot be opened: {err.strerror or 'no such address'}",
            hint="Name another with --port; 0 takes a free one.",
        ) from None
    with listener:
        yield listener
