"""The identity provider: what it says about itself, its keys, and a code redeemed for a user."""

from collections.abc import Mapping
from datetime import datetime
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlencode

from drawcli.adapters.identity_provider.id_token import ExpectedLogin, LoginRefused, claims_in
from drawcli.adapters.identity_provider.requests import (
    ProviderRequest,
    client_secret,
    exchange,
    unusable,
)
from drawcli.errors import DrawcliError
from drawcli.system.addresses import is_loopback, parse_web_address

if TYPE_CHECKING:
    from drawcli.config.sections_login import SingleSignOn

_WELL_KNOWN: Final = "/.well-known/openid-configuration"
_KEPT_SECONDS: Final = 3600.0  # addresses and keys
_AGAIN_SECONDS: Final = 30.0  # until an unknown key, or a failure, makes it ask again
_MOST_KEYS: Final = 100
_MOST_GROUPS: Final = 2000
_POST: Final = "client_secret_post"


class Metadata(NamedTuple):
    """What the provider says about itself."""

    authorization: str
    token: str
    keys: str
    secret_by_post: bool
    names_itself: bool  # in the answer to the browser, against mix-up (RFC 9207)


class LoginRequest(NamedTuple):
    """One login: where the browser comes back to, and the values that tie its parts together."""

    redirect_uri: str
    state: str
    nonce: str
    verifier: str  # of PKCE
    challenge: str = ""  # its SHA-256


class SignedOn(NamedTuple):
    """The user of a login, by the provider."""

    name: str  # as the provider writes it
    groups: tuple[str, ...]


class IdentityProvider:
    """The identity provider of the settings; safe for any number of threads."""

    def __init__(self, settings: "SingleSignOn") -> None:
        self.settings = settings
        self._lock = Lock()
        self._metadata: tuple[float, Metadata | DrawcliError] | None = None
        self._keys: tuple[float, dict[str, Mapping[str, Any]]] | None = None

    def address(self, login: LoginRequest) -> str:
        """Return the address that the browser is sent to; OutOfReach without the provider."""
        base = self.metadata().authorization
        query = {
            "response_type": "code",
            "client_id": self.settings.client_id,
            "redirect_uri": login.redirect_uri,
            "scope": " ".join(self.settings.scopes),
            "state": login.state,
            "nonce": login.nonce,
            "code_challenge": login.challenge,
            "code_challenge_method": "S256",
        }
        return f"{base}{'&' if '?' in base else '?'}{urlencode(query)}"

    def check_issuer(self, named: str | None) -> None:
        """Raise LoginRefused if an answer is of another provider."""
        if named is None and not self.metadata().names_itself:
            return
        if named != self.settings.issuer:
            raise LoginRefused("the answer of the login is of another provider")

    def user_of(self, code: str, login: LoginRequest, now: datetime) -> SignedOn:
        """Redeem the code of a login for its user.

        Raises
        ------
        LoginRefused
            If the ID token is not valid, or names no user.
        OutOfReach, ConfigError
            If the provider, or the secret of the client, cannot be used.
        """
        answer = exchange(self._token_request(code, login), self.settings)
        expected = ExpectedLogin(self.settings.issuer, self.settings.client_id, login.nonce)
        token = answer.get("id_token")
        claims = claims_in(token if isinstance(token, str) else "", expected, self._key, now)
        name = claims.get(self.settings.name_claim)
        if not isinstance(name, str) or not name:
            raise LoginRefused(
                f"the ID token has no {self.settings.name_claim}",
                hint="oidc.name_claim names the claim with the user's name.",
            )
        return SignedOn(name, _groups(claims, self.settings.groups_claim))

    def _token_request(self, code: str, login: LoginRequest) -> ProviderRequest:
        metadata, secret = self.metadata(), client_secret(self.settings)
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": login.redirect_uri,
            "code_verifier": login.verifier,
        }
        if secret and not metadata.secret_by_post:
            return ProviderRequest(metadata.token, form, (self.settings.client_id, secret))
        form["client_id"] = self.settings.client_id
        return ProviderRequest(metadata.token, form | ({"client_secret": secret} if secret else {}))

    def metadata(self) -> Metadata:
        """Return what the provider says about itself; asked once an hour."""
        with self._lock:
            now, kept = monotonic(), self._metadata
            if kept is not None:
                is_error = isinstance(kept[1], DrawcliError)
                if now - kept[0] < (_AGAIN_SECONDS if is_error else _KEPT_SECONDS):
                    return _or_raise(kept[1])
            try:
                found: Metadata | DrawcliError = self._discovered()
            except DrawcliError as err:
                found = err
            self._metadata = (now, found)
            return _or_raise(found)

    def _discovered(self) -> Metadata:
        issuer = self.settings.issuer
        plain = exchange(ProviderRequest(issuer.rstrip("/") + _WELL_KNOWN), self.settings)
        if plain.get("issuer") != issuer:
            raise unusable("calls itself another issuer than oidc.issuer")
        ways = plain.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Metadata(
            authorization=_endpoint(plain, "authorization_endpoint", issuer),
            token=_endpoint(plain, "token_endpoint", issuer),
            keys=_endpoint(plain, "jwks_uri", issuer),
            secret_by_post=isinstance(ways, list)
            and _POST in ways
            and "client_secret_basic" not in ways,
            names_itself=plain.get("authorization_response_iss_parameter_supported") is True,
        )

    def _key(self, number: str) -> Mapping[str, Any] | None:
        """Return a public key; an unknown one makes it ask for the keys again, once in a while."""
        with self._lock:
            now, kept = monotonic(), self._keys
            lacks = kept is not None and _chosen(kept[1], number) is None
            oldest = _AGAIN_SECONDS if lacks else _KEPT_SECONDS
        if kept is None or now - kept[0] > oldest:
            kept = (now, _keys_in(exchange(ProviderRequest(self.metadata().keys), self.settings)))
            with self._lock:
                self._keys = kept
        return _chosen(kept[1], number)


def _or_raise(found: Metadata | DrawcliError) -> Metadata:
    if isinstance(found, DrawcliError):
        raise found.replaced()
    return found


def _endpoint(plain: Mapping[str, Any], name: str, issuer: str) -> str:
    """Return an address of the provider; plain http only if the issuer is on this machine."""
    url = plain.get(name)
    try:
        parts = parse_web_address(url if isinstance(url, str) else "")
    except ValueError:
        raise unusable(f"names no {name}") from None
    both_local = is_loopback(str(url)) and is_loopback(issuer)
    if (parts.scheme != "https" and not both_local) or parts.fragment or parts.username:
        raise unusable(f"names an unsuitable {name}")
    return str(url)


def _keys_in(plain: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    keys = plain.get("keys")
    if not isinstance(keys, list):
        raise unusable("names no keys")
    return {
        str(key.get("kid", "")): key
        for key in keys[:_MOST_KEYS]
        if isinstance(key, dict) and key.get("use", "sig") == "sig"
    }


def _chosen(keys: Mapping[str, Mapping[str, Any]], number: str) -> Mapping[str, Any] | None:
    """Return the key of a number; without a number the only one."""
    if not number:
        return next(iter(keys.values())) if len(keys) == 1 else None
    return keys.get(number)


def _groups(claims: Mapping[str, Any], path: str) -> tuple[str, ...]:
    found: Any = claims.get(path)
    if found is None:
        found = claims
        for name in path.split("."):
            found = found.get(name) if isinstance(found, dict) else None
    if isinstance(found, str):
        found = [found]
    given = found[:_MOST_GROUPS] if isinstance(found, list) else []
    return tuple(one for one in given if isinstance(one, str))
