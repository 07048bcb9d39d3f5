"""An HTTP client as drawcli opens it: proxies of the environment, no redirects, no cookies."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy

import httpx

from drawcli.errors import ConfigError
from drawcli.system.pacing import after_abandoned_calls


def read_at_most(response: httpx.Response, most: int) -> bytes | None:
    """Return the body of a streamed response as it was sent; None if it has more bytes."""
    body = bytearray()
    for piece in response.iter_raw():
        body += piece
        if len(body) > most:
            return None
    return bytes(body)


@contextmanager
def open_http_client(
    timeout: httpx.Timeout,
    headers: Mapping[str, str],
    tls: ssl.SSLContext,
    *,
    http2: bool = False,
    with_proxy: bool = True,
) -> Iterator[httpx.Client]:
    """Yield an HTTP client; nothing is sent yet.

    Raises
    ------
    ConfigError
        If the proxy of the environment cannot be used.
    """
    try:
        client = httpx.Client(
            timeout=timeout,
            headers=headers,
            verify=tls,
            http2=http2,
            trust_env=with_proxy,
            follow_redirects=False,
        )
    except (ValueError, ImportError, OSError, httpx.InvalidURL):
        raise ConfigError(
            "the proxy in the environment cannot be used",
            hint="Check HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY.",
        ) from None
    # The protocols have no cookies. A cookie that is not ASCII would break every later request.
    client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))
    try:
        yield client
    finally:
        after_abandoned_calls(client.close)
