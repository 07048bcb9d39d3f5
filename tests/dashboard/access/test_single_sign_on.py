"""Single sign-on: who comes back from the provider is let in, and nobody by a forged answer."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from time import time
from typing import Any
from urllib.parse import urlencode

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from starlette.testclient import TestClient

from drawcli.adapters.identity_provider import requests
from drawcli.dashboard.access.single_sign_on import SingleSignOnLogin
from drawcli.dashboard.access.users import Users
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context
from tests.conftest import Clock, Site, opened
from tests.dashboard.conftest import HERE, QUICK, WORDS, token_in
from tests.dashboard.test_turns import MANY, Slow, asked
from tests.fake_draw import FakeDraw
from tests.identity_provider import CLIENT, CODE, FakeProvider, providing, query_of, rsa_key

ANSWER = "/login/answer"
OpenPage = Callable[..., TestClient]


@pytest.fixture
def provider() -> Iterator[FakeProvider]:
    with providing() as made:
        yield made


@pytest.fixture
def page(
    site: Site, draw: FakeDraw, clock: Clock, provider: FakeProvider, serve_of: Callable[..., Any]
) -> Iterator[TestClient]:
    """Serve the page of a site with single sign-on, to a browser."""
    secret = site.folder / "client-secret"
    secret.write_text("s3cret\n")
    secret.chmod(0o600)
    site.add_line(
        f"oidc: {{issuer: '{provider.issuer}', client_id: {CLIENT}, "
        "client_secret_file: client-secret, roles: {/physics: [act, edit], /nobody: patients}}"
    )
    with opened(site, draw, clock) as ctx:
        yield serve_of(ctx)(allow_actions=True)


def begun(page: TestClient, provider: FakeProvider) -> dict[str, str]:
    """Begin a login; return what the provider is asked."""
    answer = page.get("/login/start")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{provider.issuer}/authorize?")
    asked = query_of(answer.headers["location"])
    provider.nonce = asked["nonce"]
    return asked


def come_back(page: TestClient, asked: dict[str, str], **changed: str | None) -> httpx.Response:
    """Come back from the provider, as a browser that follows its redirect."""
    query = {"code": CODE, "state": asked["state"]} | changed
    given = {name: value for name, value in query.items() if value is not None}
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    return page.get(
        f"{ANSWER}?{urlencode(given)}", headers=headers | {"sec-fetch-dest": "document"}
    )  # type: ignore[return-value] # the client of the tests is httpx's


def is_in(page: TestClient) -> bool:
    return page.get("/").status_code == 200


def test_somebody_logs_in_with_the_roles_of_the_groups(
    page: TestClient, provider: FakeProvider
) -> None:
    assert page.get("/").headers["location"] == "/login"
    form = page.get("/login").text
    assert 'href="/login/start"' in form
    assert "<form" not in form

    asked = begun(page, provider)
    answer = come_back(page, asked)
    shown = page.get("/").text

    assert (answer.status_code, 'content="0;url=/"' in answer.text) == (200, True)
    assert ">anna.b</span>" in shown
    assert "Actions are allowed." in shown
    (form_sent,) = provider.forms
    challenge = hashlib.sha256(form_sent["code_verifier"].encode()).digest()
    assert base64.urlsafe_b64encode(challenge).decode().rstrip("=") == asked["code_challenge"]
    assert asked["code_challenge_method"] == "S256"
    assert (form_sent["code"], form_sent["redirect_uri"]) == (CODE, f"{HERE}{ANSWER}")
    assert asked["redirect_uri"] == f"{HERE}{ANSWER}"
    assert base64.b64decode(provider.authorizations[0].split()[1]) == b"drawcli:s3cret"
    assert "s3cret" not in page.get("/settings").text


def test_the_cookies_are_for_the_browser_alone_and_the_policy_stays_strict(
    page: TestClient, provider: FakeProvider
) -> None:
    started = page.get("/login/start")
    cookie = started.headers["set-cookie"].lower()
    asked = query_of(started.headers["location"])

    assert cookie.startswith("drawcli-login-8043=")
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/login" in cookie
    for value in (asked["state"], asked["nonce"]):
        assert value.lower() not in cookie
    assert "form-action 'self';" in started.headers["content-security-policy"]
    provider.nonce = asked["nonce"]
    session = next(
        one
        for one in come_back(page, asked).headers.get_list("set-cookie")
        if one.startswith("drawcli-8043=")
    )
    assert "samesite=strict" in session.lower()


def test_an_answer_of_another_login_or_browser_or_used_twice_is_refused(
    page: TestClient, provider: FakeProvider
) -> None:
    first = begun(page, provider)
    of_first = dict(page.cookies)
    second = begun(page, provider)

    other_state = come_back(page, first)
    page.cookies.clear()
    no_cookie = come_back(page, second)
    page.cookies.set("drawcli-login-8043", f"{'A' * 22}.{int(time())}")
    forged = come_back(page, second)
    for answer in (other_state, no_cookie, forged):
        assert answer.status_code == 403
        assert not is_in(page)
    assert provider.forms == []

    page.cookies.clear()
    page.cookies.update(of_first)
    provider.nonce = first["nonce"]
    assert come_back(page, first).status_code == 200
    assert is_in(page)
    page.post("/logout", data={"csrf": token_in(page.get("/").text)})
    page.cookies.clear()
    page.cookies.update(of_first)
    again = come_back(page, first)
    assert (again.status_code, "used already" in again.text, is_in(page)) == (403, True, False)
    assert len(provider.forms) == 1


def test_a_login_is_over_after_ten_minutes(
    page: TestClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, start = begun(page, provider), time()

    monkeypatch.setattr("drawcli.dashboard.access.single_sign_on.time", lambda: start + 602)
    answer = come_back(page, asked)

    assert (answer.status_code, "ten minutes" in answer.text) == (403, True)


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, "", "none", {"kid": "key-1"})


def by_public_key(claims: dict[str, Any]) -> str:
    """Sign with HMAC, whose secret is the public key of the provider."""
    secret = rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "kid": "key-1", "typ": "JWT"}, claims)
    )
    import hmac

    signature = hmac.new(secret, head + b"." + body, "sha256").digest()
    return b".".join((head, body, base64.urlsafe_b64encode(signature).rstrip(b"="))).decode()


def by_another_key(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, rsa_key(2), "RS256", {"kid": "key-1"})


def with_own_key(claims: dict[str, Any]) -> str:
    own = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key(2).public_key(), as_dict=True)
    return jwt.encode(claims, rsa_key(2), "RS256", {"kid": "key-2", "jwk": own})


def changed(claims: dict[str, Any]) -> str:
    head, _, signature = jwt.encode(claims, rsa_key(), "RS256", {"kid": "key-1"}).split(".")
    other = json.dumps(claims | {"preferred_username": "root"}).encode()
    return f"{head}.{base64.urlsafe_b64encode(other).rstrip(b'=').decode()}.{signature}"


@pytest.mark.parametrize(
    "signed",
    [unsigned, by_public_key, by_another_key, with_own_key, changed, lambda _: "x", lambda _: ""],
)
def test_a_token_that_the_provider_did_not_sign_is_refused(
    page: TestClient, provider: FakeProvider, signed: Callable[[dict[str, Any]], str]
) -> None:
    provider.signed = signed

    answer = come_back(page, begun(page, provider))

    assert (answer.status_code, "ID token" in answer.text, is_in(page)) == (403, True, False)


NOW = int(time())


@pytest.mark.parametrize(
    ("claims", "said"),
    [
        ({"iss": "https://evil.example"}, "another issuer"),
        ({"aud": "other"}, "another client"),
        ({"aud": [CLIENT, "other"]}, "another client"),
        ({"azp": "other"}, "another client"),
        ({"nonce": "other"}, "another login"),
        ({"nonce": 5}, "another login"),
        ({"exp": NOW - 3600}, "expired"),
        ({"exp": "soon"}, "refused"),
        ({"iat": NOW - 3600}, "expired"),
        ({"iat": NOW + 36000}, "future"),
        ({"nbf": NOW + 36000}, "future"),
        ({"sub": ""}, "no subject"),
        *(({name: None}, "missing") for name in ("iss", "sub", "aud", "exp", "iat", "nonce")),
        ({"groups": ["/other"]}, "none of the groups"),
        ({"groups": None}, "none of the groups"),
        ({"groups": {"a": 1}}, "none of the groups"),
        ({"preferred_username": None}, "no preferred_username"),
        ({"preferred_username": "a b<script>"}, "cannot be used"),
    ],
)
def test_a_token_with_a_wrong_claim_is_refused(
    page: TestClient, provider: FakeProvider, claims: dict[str, Any], said: str
) -> None:
    provider.claims = claims

    answer = come_back(page, begun(page, provider))

    assert (answer.status_code, said in answer.text, is_in(page)) == (403, True, False)
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    ("metadata", "given", "lets_in"),
    [
        ({}, None, True),
        ({}, "https://evil.example", False),
        ({"authorization_response_iss_parameter_supported": True}, None, False),
        ({"authorization_response_iss_parameter_supported": True}, "own", True),
    ],
)
def test_an_answer_of_another_provider_is_not_taken_for_one_of_ours(
    page: TestClient,
    provider: FakeProvider,
    metadata: dict[str, Any],
    given: str | None,
    lets_in: bool,  # noqa: FBT001 - a row
) -> None:
    provider.metadata = metadata
    asked = begun(page, provider)

    answer = come_back(page, asked, iss=provider.issuer if given == "own" else given)

    assert (answer.status_code == 200, is_in(page)) == (lets_in, lets_in)
    assert len(provider.forms) == lets_in


@pytest.mark.parametrize("error", ["access_denied", "<script>alert(1)</script>", "x" * 500])
def test_a_refusal_of_the_provider_is_reported_without_its_words(
    page: TestClient, provider: FakeProvider, error: str
) -> None:
    answer = come_back(page, begun(page, provider), error=error, code=None)

    assert (answer.status_code, "refused the login" in answer.text) == (403, True)
    assert "script>alert" not in answer.text
    assert provider.forms == []


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/.well-known/openid-configuration", 200, b"{" + b" " * 300_000 + b"}"),
        ("/.well-known/openid-configuration", 200, b"[" * 100_000),
        ("/.well-known/openid-configuration", 200, b"<html>"),
        ("/.well-known/openid-configuration", 200, b"[]"),
        ("/.well-known/openid-configuration", 302, b""),
        ("/.well-known/openid-configuration", 500, b"{}"),
    ],
)
def test_a_provider_that_answers_something_else_is_not_asked_at_once_again(
    page: TestClient, provider: FakeProvider, path: str, status: int, body: bytes
) -> None:
    provider.answers[path] = (status, body)
    first = page.get("/login/start")
    del provider.answers[path]
    second = page.get("/login/start")

    for answer in (first, second):
        assert (answer.status_code, "identity provider" in answer.text) == (503, True)


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": "http://evil.example/token"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://user:word@evil.example/"},
        {"jwks_uri": None},
    ],
)
def test_a_provider_that_names_unsuitable_addresses_is_not_used(
    page: TestClient, provider: FakeProvider, metadata: dict[str, Any]
) -> None:
    provider.metadata = metadata

    assert page.get("/login/start").status_code == 503


def test_a_document_that_is_too_large_is_not_read(page: TestClient, provider: FakeProvider) -> None:
    provider.metadata = {"more": "x" * 300_000}  # the rest of it is good

    answer = page.get("/login/start")

    assert (answer.status_code, "more than 262,144 bytes" in answer.text) == (503, True)


def test_a_failing_token_endpoint_refuses_the_login(
    page: TestClient, provider: FakeProvider
) -> None:
    provider.answers["/token"] = (400, b'{"error": "invalid_grant"}')

    answer = come_back(page, begun(page, provider))

    assert (answer.status_code, is_in(page)) == (503, False)


def test_nothing_in_an_address_of_the_page_leads_elsewhere(
    page: TestClient, provider: FakeProvider
) -> None:
    evil = "?next=https://evil.example&url=//evil.example&redirect_uri=https://evil.example"
    started = page.get(f"/login/start{evil}")
    asked = query_of(started.headers["location"])
    provider.nonce = asked["nonce"]
    answer = come_back(page, asked, next="https://evil.example", url="//evil.example")

    assert asked["redirect_uri"] == f"{HERE}{ANSWER}"
    assert (answer.status_code, "evil" in answer.text) == (200, False)
    host = page.get("/login/start", headers={"host": "evil.example"})
    assert host.status_code == 421


def test_a_name_of_a_user_with_a_password_is_not_taken_over(
    page: TestClient, provider: FakeProvider, site: Site
) -> None:
    Users(site.state, QUICK).add("anna.b", frozenset({"view"}), WORDS)

    answer = come_back(page, begun(page, provider))

    assert (answer.status_code, "also that of a user" in answer.text) == (403, True)
    assert not is_in(page)


def test_a_session_by_single_sign_on_ends_by_command_and_what_is_done_has_a_name(
    page: TestClient, provider: FakeProvider, site: Site, held: Any, ctx: Context
) -> None:
    come_back(page, begun(page, provider))
    form = {"csrf": token_in(page.get(f"/jobs/{held.id}").text), "revision": str(held.revision)}
    assert page.post(f"/jobs/{held.id}/cancel", data=form).status_code == 303
    before = is_in(page)

    Users(site.state, QUICK).end_sessions("anna.b")

    assert (before, is_in(page)) == (True, False)
    assert [line.facts["who"]["page_user"] for line in ctx.audit.lines()] == ["anna.b"]


def test_without_single_sign_on_its_addresses_are_not_there(serve: Callable[..., Any]) -> None:
    client = serve(password=WORDS)

    assert client.get("/login/start").status_code == 404
    assert client.get(f"{ANSWER}?code=1&state=2").status_code == 404


def test_a_provider_that_is_out_of_reach_is_no_bug(page: TestClient) -> None:
    entry = page.app._app.state.parts.entry  # type: ignore[attr-defined] # behind the guard
    entry.single_sign_on.settings = entry.single_sign_on.settings.replace(
        issuer="http://127.0.0.1:9"
    )
    entry.single_sign_on.provider.settings = entry.single_sign_on.settings

    with pytest.raises(OutOfReach, match="cannot be reached"):
        entry.single_sign_on.provider.metadata()


def test_who_begins_many_logins_at_a_silent_provider_keeps_nobody_out(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = Slow()
    monkeypatch.setattr(SingleSignOnLogin, "start", slow)

    asyncio.run(asked(page, slow, "/login/start", "/login"))

    assert slow.begun == MANY


@pytest.mark.parametrize("error", [TimeoutError, httpx.ReadTimeout, httpx.ConnectTimeout])
def test_both_limits_of_a_request_have_the_same_text(
    monkeypatch: pytest.MonkeyPatch, page: TestClient, error: type[Exception]
) -> None:
    def silent(*_: object) -> bytes:
        raise error("ended")

    monkeypatch.setattr(requests, "_asked", silent)

    answer = page.get("/login/start")

    assert (answer.status_code, "does not answer in time" in answer.text) == (503, True)


def test_a_provider_that_drips_is_given_up(
    page: TestClient, provider: FakeProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = requests._LIMIT._replace(seconds=0.3)
    monkeypatch.setattr(requests, "_LIMIT", limit)
    provider.drips.set()

    answer = page.get("/login/start")

    assert (answer.status_code, "does not answer in time" in answer.text) == (503, True)
