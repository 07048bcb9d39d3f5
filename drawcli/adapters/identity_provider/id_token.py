"""Check the ID token of a login: signature, issuer, audience, times and nonce (OIDC Core 3.1.3.7).

Only algorithms with a public key are accepted: `none`, and HMAC with a public key as its secret,
are refused before a key is chosen. Keys named in the token itself (`jwk`, `jku`) are ignored.
"""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from drawcli.errors import DrawcliError

ALGORITHMS: Final = (
    *("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
    *("ES256", "ES384", "ES512", "EdDSA"),
)
_REQUIRED: Final = ("iss", "sub", "aud", "exp", "iat", "nonce")
_LEEWAY: Final = timedelta(seconds=60)  # between the clocks
_OLDEST: Final = timedelta(minutes=10)  # of a token when it arrives
_LATEST: Final = 1e12  # s, so that sums are finite
_LONGEST: Final = 65_536

Keys = Callable[[str], Mapping[str, Any] | None]  # the public key (JWK) of a key id


class LoginRefused(DrawcliError):
    """A login by the identity provider that is not accepted; the text is for its user."""

    code = "login-refused"


class ExpectedLogin(NamedTuple):
    """What the token of a login must say."""

    issuer: str
    client_id: str
    nonce: str


def claims_in(token: str, expected: ExpectedLogin, key_of: Keys, now: datetime) -> dict[str, Any]:
    """Return the claims of a valid ID token.

    Raises
    ------
    LoginRefused
        If it is not valid; the text says which check failed, and quotes nothing of the token.
    """
    import jwt

    if len(token) > _LONGEST:
        raise _refused("there is no ID token")
    try:
        key, algorithm = _key(jwt.get_unverified_header(token), key_of)
        claims: dict[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=expected.client_id,
            issuer=expected.issuer,
            options={
                "require": list(_REQUIRED),
                "verify_exp": False,  # the next three by our own clock, in `_check_times`
                "verify_iat": False,
                "verify_nbf": False,
                "enforce_minimum_key_length": True,
            },
        )
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError) as err:
        raise _refused(_WORDS.get(type(err).__name__, "it is not valid")) from None
    _check_party(claims, expected)
    _check_times(claims, now)
    return claims


_WORDS: Final = {
    "InvalidAudienceError": "it is for another client",
    "InvalidIssuerError": "it is of another issuer",
    "InvalidSignatureError": "its signature does not fit",
    "MissingRequiredClaimError": "a claim is missing",
}


def _key(header: Mapping[str, Any], key_of: Keys) -> tuple[Any, str]:
    """Return the key of a token and its algorithm."""
    from jwt import PyJWK

    algorithm, number = header.get("alg"), header.get("kid", "")
    if algorithm not in ALGORITHMS or not isinstance(number, str):
        raise _refused("its algorithm is not accepted")
    plain = key_of(number)
    if plain is None:
        raise _refused("its key is not one of the provider")
    if plain.get("kty") not in ("RSA", "EC", "OKP") or plain.get("alg", algorithm) != algorithm:
        raise _refused("its key is for another algorithm")
    return PyJWK.from_dict(dict(plain), algorithm=algorithm), algorithm


def _check_party(claims: Mapping[str, Any], expected: ExpectedLogin) -> None:
    audience, party = claims["aud"], claims.get("azp", expected.client_id)
    has_several = isinstance(audience, list) and len(audience) > 1
    if party != expected.client_id or (has_several and "azp" not in claims):
        raise _refused("it is for another client")
    nonce = claims["nonce"]
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode("utf-8", "replace"), expected.nonce.encode()
    ):
        raise _refused("it is of another login")
    if not isinstance(claims["sub"], str) or not claims["sub"]:
        raise _refused("it has no subject")


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    moment = now.timestamp()
    times = {name: claims.get(name, moment) for name in ("exp", "iat", "nbf")}
    if not all(isinstance(at, int | float) and abs(at) < _LATEST for at in times.values()):
        raise _refused("a time of it cannot be read")
    leeway = _LEEWAY.total_seconds()
    if moment > times["exp"] + leeway or moment > times["iat"] + _OLDEST.total_seconds() + leeway:
        raise _refused("it has expired; check the clock of this machine")
    if max(times["iat"], times["nbf"]) > moment + leeway:
        raise _refused("it is from the future; check the clock of this machine")


def _refused(why: str) -> LoginRefused:
    return LoginRefused(
        f"the ID token of the login is refused: {why}",
        hint="Try again. If it fails again, the administrator finds details in the log of drawcli.",
    )
