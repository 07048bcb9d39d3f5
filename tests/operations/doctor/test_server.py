"""The checks of doctor that ask the server: what a server on loopback really shows."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from drawcli.adapters.server.catalogue_cache import save_catalogue
from drawcli.adapters.server.probe import ServerProbe, probe_server
from drawcli.errors import ConfigError
from drawcli.operations.doctor import server as checks
from drawcli.operations.doctor.outcome import CheckContext, Grade, Outcome
from drawcli.sandbox.catalogue import as_json
from tests.conftest import Site

Seen = dict[str, tuple[Grade, str]]
MODELS = as_json()


@dataclass
class Peer:
    """How a server on loopback answers, and what it was asked."""

    ahead: timedelta = timedelta()  # of our clock
    says: dict[str, int] = field(default_factory=dict)  # path: status, else 200
    date: str | None = None  # its header, where it is no date
    models: Any = field(default_factory=list)
    token: str = "access-1"
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    port: int = 0


@contextmanager
def served(peer: Peer, tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """Serve on loopback; yield the URL."""

    class Answering(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            peer.asked.append((self.path, dict(self.headers)))
            is_models = self.path.startswith("/api/models")
            refused = is_models and self.headers["authorization"] != f"Bearer {peer.token}"
            status = 401 if refused else peer.says.get(self.path, 200)
            body = json.dumps(peer.models if is_models else {"status": "ready"}).encode()
            self.send_response_only(status)
            if peer.date != "":
                moment = format_datetime(datetime.now(UTC) + peer.ahead, usegmt=True)
                self.send_header("Date", peer.date or moment)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"] or 0))
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    httpd = HTTPServer(("127.0.0.1", 0), Answering)
    if tls is not None:
        httpd.socket = tls.wrap_socket(httpd.socket, server_side=True)
    thread = Thread(target=lambda: httpd.serve_forever(poll_interval=0.01))
    thread.start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{httpd.server_port}"
    finally:
        httpd.shutdown()
        thread.join()
        httpd.server_close()


def certificate(folder: Path, days: float) -> ssl.SSLContext:
    """Make a certificate of 127.0.0.1 for so many days; return how a server shows it."""
    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "draw.test")]),
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime.now(UTC) - timedelta(days=9))
        .not_valid_after(datetime.now(UTC) + timedelta(days=days))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "draw.pem", folder / "draw.key"
    pem.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(pem, private)
    return tls


def looked_at(site: Site, url: str) -> CheckContext:
    text = site.config.read_text().replace("http://127.0.0.1:9", url)
    site.config.write_text(text)
    return CheckContext(settings=site.settings(), config=site.config, now=datetime.now(UTC))


def by_name(outcomes: Iterator[Outcome]) -> Seen:
    found = list(outcomes)
    for one in found:
        assert bool(one.result.remedy) == (one.result.grade is not Grade.PASS), one
    return {one.check: (one.result.grade, one.result.text) for one in found}


def online(site: Site, peer: Peer, tls: ssl.SSLContext | None = None) -> Seen:
    with served(peer, tls) as url:
        return by_name(checks.online(looked_at(site, url)))


def test_a_server_that_is_well(site: Site) -> None:
    seen = online(site, Peer(models=MODELS))

    assert {name: grade for name, (grade, _) in seen.items()} == dict.fromkeys(
        ("server", "clock", "TLS", "templates"), Grade.PASS
    ), seen
    assert seen["clock"][1] == "agrees with the server's"
    assert seen["TLS"][1] == "plain http, to this machine only"
    assert "token accepted" in seen["templates"][1]


def test_the_first_look_takes_nothing_of_ours_along(site: Site) -> None:
    peer = Peer(models=MODELS)
    online(site, peer)

    path, headers = peer.asked[0]
    assert path == "/api/health"
    assert {name.lower() for name in headers} <= {
        *("host", "accept", "accept-encoding", "connection", "user-agent")
    }


@pytest.mark.parametrize(
    ("ahead_seconds", "grade", "said"),
    [
        (30, Grade.PASS, "behind the server's"),
        (-90, Grade.WARN, "ahead of the server's"),
        (90, Grade.WARN, "behind the server's"),
        (-900, Grade.FAIL, "ahead of the server's"),
        (86_400, Grade.FAIL, "behind the server's"),
    ],
)
def test_a_clock_that_goes_wrong(site: Site, ahead_seconds: float, grade: Grade, said: str) -> None:
    seen = online(site, Peer(ahead=timedelta(seconds=ahead_seconds)))

    assert (seen["clock"][0], said in seen["clock"][1]) == (grade, True), seen


@pytest.mark.parametrize("date", ["", "noon", "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"])
def test_a_server_that_names_no_time(site: Site, date: str) -> None:
    seen = online(site, Peer(date=date))

    assert seen["clock"] == (Grade.WARN, "the server sends no usable Date header")


@pytest.mark.parametrize("seconds", [0.0, 4.0, 100.0])
def test_a_slow_answer_is_no_skew(seconds: float) -> None:
    asked = datetime(2026, 11, 14, 12, 0, 0, 900_000, tzinfo=UTC)
    clock = (asked + timedelta(seconds=seconds / 2)).replace(microsecond=0)
    look = ServerProbe(
        status=200,
        seconds=seconds,
        clock=clock,
        asked_at=asked,
        seen_at=asked + timedelta(seconds=seconds),
        tls="",
        certificate_until=None,
    )

    assert look.skew_seconds == 0
    assert replace(look, clock=clock - timedelta(seconds=200)).skew_seconds == pytest.approx(
        200 - seconds / 2, abs=1
    )


@pytest.mark.parametrize(("days", "grade"), [(90, Grade.PASS), (10, Grade.WARN)])
def test_a_certificate_and_how_long_it_is_good(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, grade: Grade
) -> None:
    tls = certificate(tmp_path, days)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "draw.pem"))

    seen = online(site, Peer(models=MODELS), tls)

    assert seen["TLS"] == (grade, f"TLSv1.3; the certificate is valid for {days - 1} d")
    assert seen["templates"][0] is Grade.PASS


@pytest.mark.parametrize(("days", "said"), [(90, "is self-signed"), (-1, "has expired")])
def test_a_certificate_that_is_not_accepted_is_told_from_a_server_that_is_away(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float, said: str
) -> None:
    tls = certificate(tmp_path, days)
    if said == "has expired":
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "draw.pem"))

    seen = online(site, Peer(), tls)

    assert seen["server"][0] is Grade.FAIL
    assert f"the server's certificate {said}" in seen["server"][1]


def test_certificates_that_the_environment_names_and_that_are_not_there(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere/ca.pem")
    elsewhere = site.settings().server.replace(url="https://draw.test")

    with pytest.raises(ConfigError, match="cannot be read as certificates"):
        probe_server(elsewhere)


def test_a_server_that_is_away(site: Site) -> None:
    seen = by_name(checks.online(looked_at(site, "http://127.0.0.1:9")))

    assert list(seen) == ["server", "clock", "TLS", "templates"]
    assert {seen[name][0] for name in ("clock", "TLS", "templates")} == {Grade.SKIP}
    assert seen["server"][0] is Grade.FAIL
    assert "cannot be reached" in seen["server"][1]


def test_plain_http_to_another_machine(site: Site) -> None:
    look = ServerProbe(
        status=200,
        seconds=0.1,
        clock=None,
        asked_at=datetime.now(UTC),
        seen_at=datetime.now(UTC),
        tls="",
        certificate_until=None,
    )

    seen = checks.tls(look, looked_at(site, "http://draw.test"))

    assert seen.grade is Grade.WARN
    assert "plain http" in seen.text


@pytest.mark.parametrize("status", [302, 403, 404, 500, 503])
def test_a_server_that_answers_and_is_not_well(site: Site, status: int) -> None:
    says = dict.fromkeys(("/api/health", "/api/health/"), status)

    seen = online(site, Peer(says=says, models=MODELS))

    assert seen["server"][0] is Grade.WARN
    assert f"answers {status}" in seen["server"][1]


def test_a_token_that_the_server_refuses(site: Site) -> None:
    seen = online(site, Peer(token="another", models=MODELS))

    assert seen["templates"][0] is Grade.FAIL


def test_templates_that_ask_for_what_is_not_offered(site: Site) -> None:
    seen = online(site, Peer(models=MODELS[:1]))

    assert seen["templates"][0] is Grade.FAIL
    assert "does not offer" in seen["templates"][1]


def test_a_server_without_a_catalogue(site: Site) -> None:
    says = dict.fromkeys(("/api/models", "/api/models/"), 404)

    seen = online(site, Peer(says=says))

    assert seen["templates"][0] is Grade.WARN
    assert "not compared" in seen["templates"][1]


@pytest.mark.parametrize(
    ("models", "grade", "said"),
    [
        (None, Grade.SKIP, "no catalogue"),
        (MODELS, Grade.PASS, "offered"),
        ([], Grade.WARN, ""),
    ],
)
def test_without_the_server_the_kept_catalogue_is_asked(
    site: Site, models: Any, grade: Grade, said: str
) -> None:
    looked = looked_at(site, "http://127.0.0.1:9")
    if models is not None:
        save_catalogue(site.state, models, datetime.now(UTC))

    seen = by_name(checks.offline(looked))

    assert (seen["templates"][0], said in seen["templates"][1]) == (grade, True), seen
