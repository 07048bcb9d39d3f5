"""Errors of Python are told in words; nobody has to know its classes."""

import errno
import json
import socket
import ssl

import httpx
import pytest

from drawcli.adapters.server.responses import convert_transport_errors
from drawcli.errors import ServerUnavailable
from drawcli.system.failures import cause_in_words, in_words

ERRORS = {
    FileNotFoundError(errno.ENOENT, "No such file or directory", "secret"): "no such file",
    PermissionError(errno.EACCES, "Permission denied"): "permission denied",
    ConnectionRefusedError(errno.ECONNREFUSED, "x"): "refused",
    OSError(errno.EHOSTUNREACH, "x"): "no way",
    socket.gaierror(-2, "secret"): "not known (DNS)",
    ssl.SSLError(1, "secret"): "TLS",
    TimeoutError(): "no answer in time",
    UnicodeDecodeError("utf-8", b"secret", 0, 1, "x"): "encoding",
    json.JSONDecodeError("secret", "", 0): "expected form",
    KeyError("secret"): "missing",
    RuntimeError("secret"): "unknown reason",
    OSError(): "unknown reason",
}


@pytest.mark.parametrize("err", ERRORS, ids=lambda err: type(err).__name__)
def test_an_error_in_words_names_no_class_and_no_value(err: Exception) -> None:
    said = in_words(err)

    assert ERRORS[err] in said
    assert "secret" not in said
    assert not any(kind.__name__ in said for kind in type(err).__mro__)


def test_the_cause_of_a_failed_connection_is_found() -> None:
    outer = RuntimeError("x")
    outer.__context__ = ExceptionGroup("several", [OSError(), socket.gaierror(-2, "x")])

    assert cause_in_words(outer) == "the name of the host is not known (DNS)"
    assert cause_in_words(RuntimeError("x")) == ""


def every(kind: type[httpx.HTTPError]) -> list[type[httpx.HTTPError]]:
    return [kind, *(one for below in kind.__subclasses__() for one in every(below))]


@pytest.mark.parametrize("kind", every(httpx.HTTPError), ids=lambda kind: kind.__name__)
def test_no_error_of_http_is_told_by_its_class(kind: type[httpx.HTTPError]) -> None:
    err: httpx.HTTPError = (
        kind("secret", request=httpx.Request("GET", "http://x"), response=httpx.Response(500))
        if issubclass(kind, httpx.HTTPStatusError)
        else kind("secret")
    )

    with pytest.raises(ServerUnavailable) as told, convert_transport_errors("upload"):
        raise err

    said = str(told.value)
    assert said.startswith("upload: ")
    assert "secret" not in said
    assert kind.__name__ not in said
    assert " " in said.removeprefix("upload: ")


def test_a_refused_connection_says_so() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with pytest.raises(ServerUnavailable) as told, convert_transport_errors("health"):
        httpx.get(f"http://127.0.0.1:{port}/")

    assert told.value.code == "server-down"
    assert str(told.value) == (
        "health: no connection; the connection is refused: no program listens there"
    )
