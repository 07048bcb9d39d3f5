"""Requests to the identity provider: bounded in time and size, JSON objects only, no redirects."""

import json
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from drawcli import __version__
from drawcli.errors import OutOfReach
from drawcli.system.addresses import is_loopback
from drawcli.system.limits import EXCHANGES
from drawcli.system.network.client_tls import TlsFiles, client_context, empty_context, tls_failure
from drawcli.system.network.secret_source import SecretSource
from drawcli.system.threads import call_with_timeout

if TYPE_CHECKING:
    import httpx

    from drawcli.config.sections_login import SingleSignOn

_LIMIT: Final = EXCHANGES["login"]
_LONGEST_SECRET: Final = 4096
_HINT: Final = "Look at oidc.issuer, the proxy (HTTPS_PROXY) and oidc.ca_file; then log in again."


class ProviderRequest(NamedTuple):
    """A request; a form makes it a POST."""

    url: str
    form: Mapping[str, str] | None = None
    authorization: tuple[str, str] | None = None  # user and password of HTTP Basic


def exchange(request: ProviderRequest, settings: "SingleSignOn") -> dict[str, Any]:
    """Return the JSON object of an answer with status 200.

    Raises
    ------
    OutOfReach
        If there is none in time, it is too large, or it is something else.
    ConfigError
        If a certificate of the settings, or the proxy of the environment, cannot be used.
    """
    import httpx

    try:
        raw = call_with_timeout(partial(_asked, request, settings), _LIMIT.seconds)
        plain = json.loads(raw)
    except (TimeoutError, httpx.TimeoutException):
        raise unusable("does not answer in time") from None
    except (ValueError, RecursionError):
        raise unusable("gives an answer that is not JSON") from None
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as err:
        failure = tls_failure(err)
        raise unusable("cannot be reached" if failure is None else failure.in_words()) from None
    if not isinstance(plain, dict):
        raise unusable("gives an answer that is no JSON object")
    return plain


def unusable(why: str) -> OutOfReach:
    """Return the error of a provider that cannot be used now."""
    return OutOfReach(f"the identity provider {why}", hint=_HINT)


def _asked(request: ProviderRequest, settings: "SingleSignOn") -> bytes:
    import httpx

    from drawcli.system.network.http_client import open_http_client

    is_plain = request.url.startswith("http:")
    tls = empty_context() if is_plain else client_context(_authorities(settings))
    headers = {"user-agent": f"drawcli/{__version__}", "accept": "application/json"}
    headers["accept-encoding"] = "identity"
    is_local = is_plain and is_loopback(request.url)
    with open_http_client(
        httpx.Timeout(_LIMIT.seconds), headers, tls, with_proxy=not is_local
    ) as client:
        method = "GET" if request.form is None else "POST"
        auth = None if request.authorization is None else httpx.BasicAuth(*request.authorization)
        with client.stream(method, request.url, data=request.form, auth=auth) as response:
            return _read(response)


def _authorities(settings: "SingleSignOn") -> TlsFiles:
    return TlsFiles(settings.ca_file, names=("oidc.ca_file", "", ""))


def _read(response: "httpx.Response") -> bytes:
    import httpx

    from drawcli.system.network.http_client import read_at_most

    if response.status_code != httpx.codes.OK:
        raise unusable(f"answers with status {response.status_code}")
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise unusable("sends a compressed answer, which was not asked for")
    body = read_at_most(response, _LIMIT.largest)
    if body is None:
        raise unusable(f"sends an answer of more than {_LIMIT.largest:,} bytes")
    return body


def client_secret(settings: "SingleSignOn") -> str:
    """Return the secret of the client, from its file or command; "" if it has none.

    Raises
    ------
    ConfigError
        If it cannot be read, or others can read the file.
    """
    return SecretSource(
        settings.client_secret_file,
        settings.client_secret_command,
        "secret",
        "oidc.client_secret_file",
        "oidc.client_secret_command",
        _LONGEST_SECRET,
    ).read()
