"""A private authority, certificates of it, and servers on loopback that use them."""

import datetime as dt
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Answering = Callable[[httpx.Request], httpx.Response]
_DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates; `file` is what a site would trust it by."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self._folder, self._name, self._made = folder, _named(name), 0
        self._key = ec.generate_private_key(ec.SECP256R1())
        cert = self._signed(self._name, self._key, x509.BasicConstraints(ca=True, path_length=0))
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(cert.public_bytes(serialization.Encoding.PEM))

    def certificate(self, *hosts: str, days: int = 2, password: bytes = b"") -> tuple[Path, Path]:
        """Return certificate and key for hosts, or for a client."""
        self._made += 1
        key = ec.generate_private_key(ec.SECP256R1())
        names = [_alternative(host) for host in hosts or ("ward-7",)]
        cert = self._signed(_named("leaf"), key, x509.SubjectAlternativeName(names), days=days)
        paths = tuple(self._folder / f"leaf-{self._made}.{kind}" for kind in ("pem", "key"))
        paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        locked = (
            serialization.BestAvailableEncryption(password)
            if password
            else serialization.NoEncryption()
        )
        paths[1].write_bytes(
            key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        )
        paths[1].chmod(0o600)
        return paths[0], paths[1]

    def _signed(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePrivateKey,
        extension: x509.ExtensionType,
        *,
        days: int = 2,
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * _DAY)
            .not_valid_after(now + days * _DAY)
            .add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
            .sign(self._key, hashes.SHA256())
        )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def context(
    cert: tuple[Path, Path], *, clients: Path | None = None, newest: ssl.TLSVersion | None = None
) -> ssl.SSLContext:
    """Return how a server shows itself, and which clients it takes."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*cert)
    if clients is not None:
        tls.verify_mode = ssl.CERT_REQUIRED
        tls.load_verify_locations(clients)
    if newest is not None:
        tls.set_ciphers("ALL:@SECLEVEL=0")
        tls.minimum_version = ssl.TLSVersion.TLSv1
        tls.maximum_version = newest
    return tls


@contextmanager
def serving(draw: Answering, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Serve on loopback, by TLS where asked to; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = list(self.headers.items())
            url = self.path if "://" in self.path else f"http://draw{self.path}"
            answer = draw(httpx.Request(self.command, url, headers=headers, content=body))
            self.send_response(answer.status_code)
            for name, value in answer.headers.items():
                if name not in ("content-length", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = do_OPTIONS = answer  # noqa: N815 - the names are http.server's

        def do_CONNECT(self) -> None:
            self.close_connection = True
            draw(
                httpx.Request("CONNECT", f"http://{self.path}", headers=list(self.headers.items()))
            )
            self.send_response(407)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """Say nothing of handshakes that fail, which is the point."""

    with Server(("127.0.0.1", 0), Handler) as listening:
        if tls is not None:
            listening.socket = tls.wrap_socket(
                listening.socket, server_side=True, do_handshake_on_connect=False
            )
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield listening.server_port
        finally:
            listening.shutdown()
            thread.join()


@contextmanager
def serving_http_2(
    tls: ssl.SSLContext, status: str = "200", length: str = ""
) -> Iterator[tuple[int, list[str]]]:
    """Answer by HTTP/2 alone, one connection after another; yield the port and what was asked."""
    tls.set_alpn_protocols(["h2"])
    asked: list[str] = []

    def serve(listening: socket.socket) -> None:
        while True:
            try:
                line, _ = listening.accept()
            except OSError:
                return
            with suppress(OSError), tls.wrap_socket(line, server_side=True) as stream:
                _talk_http_2(stream, asked, status, length)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        yield listening.getsockname()[1], asked
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _talk_http_2(stream: ssl.SSLSocket, asked: list[str], status: str, length: str) -> None:
    from h2.config import H2Configuration
    from h2.connection import H2Connection
    from h2.events import RequestReceived

    peer = H2Connection(H2Configuration(client_side=False, validate_outbound_headers=False))
    peer.initiate_connection()
    stream.sendall(peer.data_to_send())
    while data := stream.recv(65536):
        for event in peer.receive_data(data):
            if isinstance(event, RequestReceived):
                asked.append(str(dict(event.headers)[b":path"], "ascii"))
                more = [("content-length", length)] if length else []
                peer.send_headers(event.stream_id, [(":status", status), *more])
                stream.sendall(peer.data_to_send())
                time.sleep(0.1 if length else 0.0)  # so that the body comes in a read of its own
                peer.send_data(event.stream_id, b'{"status": "ready"}', end_stream=True)
        stream.sendall(peer.data_to_send())


def ready(_request: httpx.Request) -> httpx.Response:
    """Answer as a server that is well."""
    return httpx.Response(200, content=json.dumps({"status": "ready"}))
