"""An identity provider on loopback, which does what a test tells it to."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from time import time
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key

CLIENT = "drawcli"
CODE = "code-1"


@cache
def rsa_key(number: int = 1) -> RSAPrivateKey:
    """Return one of some keys, made once for all tests."""
    assert number
    return generate_private_key(65537, 2048)


def public(key: RSAPrivateKey, number: str = "key-1") -> dict[str, Any]:
    """Return the public part as JWK."""
    plain: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    return plain | {"kid": number, "use": "sig", "alg": "RS256"}


@dataclass
class FakeProvider:
    """What the provider answers, and what it was asked."""

    issuer: str = ""
    claims: dict[str, Any] = field(default_factory=dict)  # over the usual ones; None: left out
    metadata: dict[str, Any] = field(default_factory=dict)  # likewise
    signed: Callable[[dict[str, Any]], str] | None = None  # in place of a good signature
    answers: dict[str, tuple[int, bytes]] = field(default_factory=dict)  # by path
    forms: list[dict[str, str]] = field(default_factory=list)  # of the token endpoint
    authorizations: list[str] = field(default_factory=list)
    nonce: str = ""
    drips: threading.Event = field(default_factory=threading.Event)  # set: a byte now and then
    ended: threading.Event = field(default_factory=threading.Event)

    def document(self) -> dict[str, Any]:
        plain: dict[str, Any] = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }
        return {k: v for k, v in (plain | self.metadata).items() if v is not None}

    def token(self) -> str:
        """Return the ID token of the present claims."""
        now = int(time())
        usual: dict[str, Any] = {
            "iss": self.issuer,
            "sub": "subject-1",
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": self.nonce,
            "preferred_username": "Anna.B",
            "groups": ["/physics", "/everybody"],
        }
        claims = {k: v for k, v in (usual | self.claims).items() if v is not None}
        if self.signed is not None:
            return self.signed(claims)
        return jwt.encode(claims, rsa_key(), "RS256", {"kid": "key-1"})

    def answer(self, path: str) -> tuple[int, bytes]:
        if path in self.answers:
            return self.answers[path]
        ways: dict[str, Callable[[], dict[str, Any]]] = {
            "/.well-known/openid-configuration": self.document,
            "/keys": lambda: {"keys": [public(rsa_key())]},
            "/token": lambda: {"id_token": self.token(), "access_token": "x"},
        }
        return 200, json.dumps(ways[path]()).encode()


@contextmanager
def providing() -> Iterator[FakeProvider]:
    """Serve a provider on loopback."""
    provider = FakeProvider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path.startswith("/authorize?"):  # everybody is logged in already
                asked = query_of(self.path)
                provider.nonce = asked["nonce"]
                back = urlencode({"code": CODE, "state": asked["state"]})
                link = f'<a href="{asked["redirect_uri"]}?{back}">Go back</a>'
                self.send_response(200)
                self.send_header("content-type", "text/html")
                self.send_header("content-length", str(len(link)))
                self.end_headers()
                self.wfile.write(link.encode())
                return
            status, body = provider.answer(self.path)
            self.send_response(status)
            self.send_header("content-length", str(len(body) + 10**6 * provider.drips.is_set()))
            if status == 302:
                self.send_header("location", f"{provider.issuer}/elsewhere")
            self.end_headers()
            if provider.drips.is_set():
                with suppress(OSError):
                    while not provider.ended.wait(0.02):
                        self.wfile.write(b" ")
                        self.wfile.flush()
                return
            self.wfile.write(body)

        def do_POST(self) -> None:
            raw = self.rfile.read(int(self.headers["content-length"])).decode()
            provider.forms.append({k: v[0] for k, v in parse_qs(raw).items()})
            provider.authorizations.append(self.headers.get("authorization", ""))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        provider.issuer = f"http://127.0.0.1:{server.server_address[1]}"
        try:
            yield provider
        finally:
            provider.ended.set()
            server.shutdown()
            thread.join()


def query_of(address: str) -> dict[str, str]:
    """Return the query of an address."""
    return {k: v[0] for k, v in parse_qs(urlsplit(address).query).items()}
