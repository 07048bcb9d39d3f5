"""Real TLS on loopback, with an authority of the test's own."""

import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.probe import probe_server
from drawcli.adapters.server.tls import tls_context
from drawcli.adapters.server.token_file import TokenFile
from drawcli.config.sections import ServerSettings
from drawcli.errors import ConfigError, DrawcliError, ServerUnavailable
from tests.conftest import Clock
from tests.tls import Authority, context, ready, serving, serving_http_2

PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@contextmanager
def opened(tokens: TokenFile, url: str, **settings: object) -> Iterator[DrawServer]:
    site = ServerSettings.read({"url": url, "timeout_seconds": 5, **settings})
    with DrawServer.opened(site, tokens, Clock().now) as server:
        server.pause = lambda _seconds: None
        yield server


def read_error(tokens: TokenFile, url: str, **settings: object) -> DrawcliError:
    """Return how asking for the server's health fails."""
    with pytest.raises(DrawcliError) as caught, opened(tokens, url, **settings) as server:
        server.check_ready()
    return caught.value


def test_a_configured_private_authority_is_trusted(tokens: TokenFile, authority: Authority) -> None:
    with (
        serving(ready, context(authority.certificate("localhost"))) as port,
        opened(tokens, f"https://localhost:{port}", ca_file=authority.file) as server,
    ):
        server.check_ready()
        server.check_ready()


def test_an_authority_can_be_set_in_the_environment(
    tokens: TokenFile, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with (
        serving(ready, context(authority.certificate("localhost"))) as port,
        opened(tokens, f"https://localhost:{port}") as server,
    ):
        server.check_ready()


@pytest.mark.parametrize("named", [False, True], ids=["system", "another"])
def test_an_unknown_authority_is_refused_with_a_hint(
    tokens: TokenFile, authority: Authority, tmp_path: Path, *, named: bool
) -> None:
    asked: list[httpx.Request] = []

    def look(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return ready(request)

    trusted = {"ca_file": Authority(tmp_path, "another").file} if named else {}
    with serving(look, context(authority.certificate("localhost"))) as port:
        said = read_error(tokens, f"https://localhost:{port}", **trusted)

    assert (said.exit_code, said.code) == (3, "certificate")
    assert "not trusted here" in str(said)
    assert "server.ca_file" in said.hint
    assert asked == []


@pytest.mark.parametrize(
    ("hosts", "days", "words"),
    [
        (("draw.elsewhere",), 2, "is for another name"),
        (("127.0.0.1",), 2, "is for another name"),
        (("localhost",), -1, "has expired"),
    ],
)
def test_a_certificate_of_another_server_or_time_is_refused(
    tokens: TokenFile, authority: Authority, hosts: tuple[str, ...], days: int, words: str
) -> None:
    with serving(ready, context(authority.certificate(*hosts, days=days))) as port:
        said = read_error(tokens, f"https://localhost:{port}", ca_file=authority.file)

    assert said.code == "certificate"
    assert words in str(said)
    assert hosts[0] not in str(said) or hosts[0] == "localhost"


def test_an_ip_address_is_compared_with_the_certificate(
    tokens: TokenFile, authority: Authority
) -> None:
    with serving(ready, context(authority.certificate("localhost"))) as port:
        said = read_error(tokens, f"https://127.0.0.1:{port}", ca_file=authority.file)

    assert "is for another address" in str(said)


def test_the_client_certificate_is_sent_when_requested(
    tokens: TokenFile, authority: Authority
) -> None:
    cert, key = authority.certificate()
    tls = context(authority.certificate("localhost"), clients=authority.file)
    with serving(ready, tls) as port:
        url = f"https://localhost:{port}"
        ours = {"ca_file": authority.file, "client_cert": cert, "client_key": key}
        with opened(tokens, url, **ours) as server:
            server.check_ready()
        without = read_error(tokens, url, ca_file=authority.file)

    assert without.code == "certificate"
    assert "server.client_cert" in without.hint


def test_certificate_and_key_can_be_in_one_file(tokens: TokenFile, authority: Authority) -> None:
    cert, key = authority.certificate()
    cert.write_bytes(cert.read_bytes() + key.read_bytes())
    cert.chmod(0o600)
    tls = context(authority.certificate("localhost"), clients=authority.file)
    with (
        serving(ready, tls) as port,
        opened(
            tokens, f"https://localhost:{port}", ca_file=authority.file, client_cert=cert
        ) as server,
    ):
        server.check_ready()


def test_a_private_key_that_others_can_read_is_refused(authority: Authority) -> None:
    cert, key = authority.certificate()
    key.chmod(0o640)

    with pytest.raises(ConfigError, match="others can read this private key") as caught:
        tls_context(ServerSettings(client_cert=cert, client_key=key))

    assert caught.value.hint == f"Run 'chmod 600 {key}'."


def test_an_unusable_client_certificate_is_reported_without_a_password_prompt(
    authority: Authority, tmp_path: Path
) -> None:
    cert, locked = authority.certificate(password=b"sesame")
    _, foreign = authority.certificate()
    for key in (locked, foreign, tmp_path / "none"):
        with pytest.raises(ConfigError, match="client certificate") as caught:
            tls_context(ServerSettings(client_cert=cert, client_key=key))
        assert caught.value.code == "certificates"
        assert "no password" in caught.value.hint


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_an_unreadable_authority_is_reported(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(ConfigError, match="cannot be read as certificates of authorities"):
        tls_context(ServerSettings(ca_file=path))


def test_tls_before_1_2_is_refused(tokens: TokenFile, authority: Authority) -> None:
    with pytest.warns(DeprecationWarning, match="TLS"):
        old = context(authority.certificate("localhost"), newest=ssl.TLSVersion.TLSv1_1)
    with serving(ready, old) as port:
        said = read_error(tokens, f"https://localhost:{port}", ca_file=authority.file)

    assert said.code == "certificate"
    assert "does not offer TLS 1.2 or later" in str(said)


def test_the_default_is_the_system_trust_store_and_tls_1_2() -> None:
    import truststore

    tls = tls_context(ServerSettings())

    assert isinstance(tls, truststore.SSLContext)
    assert tls.minimum_version is ssl.TLSVersion.TLSv1_2
    assert tls.verify_mode is ssl.CERT_REQUIRED
    assert tls.check_hostname


def test_a_port_without_tls_is_unavailable(tokens: TokenFile) -> None:
    with serving(ready) as port:
        said = read_error(tokens, f"https://localhost:{port}")

    assert isinstance(said, ServerUnavailable)


def test_a_redirect_to_another_host_carries_no_token(
    tokens: TokenFile, authority: Authority
) -> None:
    visitors: list[str] = []

    def other(request: httpx.Request) -> httpx.Response:
        visitors.append(request.headers.get("authorization", "none"))
        return ready(request)

    with serving(other, context(authority.certificate("127.0.0.1"))) as elsewhere:

        def away(request: httpx.Request) -> httpx.Response:
            place = f"https://127.0.0.1:{elsewhere}{request.url.path}"
            return httpx.Response(308, headers={"location": place})

        with serving(away, context(authority.certificate("localhost"))) as port:
            said = read_error(tokens, f"https://localhost:{port}", ca_file=authority.file)
            with (
                pytest.raises(DrawcliError),
                opened(tokens, f"https://localhost:{port}", ca_file=authority.file) as server,
            ):
                server.renew_tokens()

    assert said.code == "endpoint"
    assert visitors == []


def test_proxies_of_the_environment_are_used_but_for_those_of_no_proxy(
    tokens: TokenFile, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[httpx.Request] = []

    def proxy(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(407)

    with (
        serving(proxy) as at,
        serving(ready, context(authority.certificate("localhost"))) as port,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ward:s3same-canary@127.0.0.1:{at}")
        url = f"https://localhost:{port}"
        said = read_error(tokens, url, ca_file=authority.file)
        through = len(asked)
        monkeypatch.setenv("NO_PROXY", "localhost,.hospital.example")
        with opened(tokens, url, ca_file=authority.file) as server:
            server.check_ready()

    assert through > 0
    assert len(asked) == through
    assert "access-1" not in "".join(str(one.headers) for one in asked)
    assert (str(said).split(" asks")[0], said.code) == ("the proxy 127.0.0.1", "proxy")
    assert "s3same" not in f"{said} {said.hint}"


def test_loopback_requests_use_no_proxy(tokens: TokenFile, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[httpx.Request] = []

    def proxy(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return ready(request)

    with serving(proxy) as at, serving(ready) as port:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{at}")
        with opened(tokens, f"http://127.0.0.1:{port}") as server:
            server.check_ready()

    assert seen == []


def test_http_2_is_used_if_offered(tokens: TokenFile, authority: Authority) -> None:
    tls = context(authority.certificate("localhost"))
    with (
        serving_http_2(tls) as (port, asked),
        opened(tokens, f"https://localhost:{port}", ca_file=authority.file) as server,
    ):
        server.check_ready()
        server.check_ready()

    assert asked == ["/api/health", "/api/health"]


CALLS: dict[str, Callable[[DrawServer, Path], object]] = {
    "health": lambda server, _: server.check_ready(),
    "status": lambda server, _: server.status("task-1"),
    "rtstruct": lambda server, folder: server.download("task-1", folder / "received.dcm"),
    "refresh": lambda server, _: server.renew_tokens(),
}


@pytest.mark.parametrize(
    ("call", "said"),
    [
        *((call, ("abc", "")) for call in CALLS),
        *(("status", said) for said in (("", ""), ("2" * 5000, ""), ("200", "99"))),
        ("rtstruct", ("200", "9x")),
    ],
    ids=lambda word: word if isinstance(word, str) else "-".join(word)[:9],
)
def test_invalid_http_2_is_unavailable(
    call: str, said: tuple[str, str], tokens: TokenFile, authority: Authority, tmp_path: Path
) -> None:
    tls = context(authority.certificate("localhost"))
    with (
        serving_http_2(tls, *said) as (port, asked),
        opened(tokens, f"https://localhost:{port}", ca_file=authority.file) as server,
        pytest.raises(ServerUnavailable, match="broke off, or the answer is not HTTP"),
    ):
        CALLS[call](server, tmp_path)

    assert asked


def test_the_probe_survives_a_status_that_is_not_a_number(authority: Authority) -> None:
    tls = context(authority.certificate("localhost"))
    with serving_http_2(tls, "abc") as (port, asked):
        site = ServerSettings(url=f"https://localhost:{port}", ca_file=authority.file)
        with pytest.raises(ServerUnavailable, match="broke off, or the answer is not HTTP"):
            probe_server(site)

    assert asked


def test_one_connection_is_used_for_a_run(tokens: TokenFile, authority: Authority) -> None:
    connections: list[object] = []
    tls = context(authority.certificate("localhost"))
    tls.sni_callback = lambda *_: connections.append("hello")
    with (
        serving(ready, tls) as port,
        opened(tokens, f"https://localhost:{port}", ca_file=authority.file) as server,
    ):
        for _ in range(5):
            server.check_ready()

    assert connections == ["hello"]


def test_tls_is_not_loaded_before_a_server_is_opened(tmp_path: Path) -> None:
    code = (
        "import sys, drawcli.cli, drawcli.pipeline.context, drawcli.pipeline.runner\n"
        "print(*({'ssl', 'truststore', 'h2', 'httpx', 'keyring'} & sys.modules.keys()))"
    )
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env
    ).stdout.split()

    assert loaded == []
