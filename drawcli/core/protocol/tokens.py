"""The token pair of a site: parsed from text, written as JSON, its claims read."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple, Self

from drawcli.system.printable import plain

FORM: Final = '{"access_token": "...", "refresh_token": "...", "expires_at": "..."}'
_EARLY: Final = timedelta(minutes=5)  # refresh this long before the access token expires
_TOKEN: Final = re.compile(r"[\x21-\x7e]*")  # valid in an HTTP header
_PUBLIC_CLAIMS: Final = ("sub", "client_id", "iss", "aud", "scope")  # of a JWT
_LONGEST_CLAIM: Final = 80  # characters
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)  # later times are errors


class Tokens(NamedTuple):
    """An access token and the refresh token for the next one."""

    access: str
    refresh: str = ""
    expires_at: datetime | None = None  # UTC; None: unknown

    def __repr__(self) -> str:
        """Return the expiry only: tokens are secret."""
        return f"Tokens(expires_at={self.expires_at})"

    def is_stale(self, now: datetime) -> bool:
        """Return whether the access token should be refreshed now."""
        return self.expires_at is not None and self.expires_at - _EARLY <= now

    def is_expired(self, now: datetime) -> bool:
        """Return whether the access token has expired."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def usable_until(self) -> datetime | None:
        """When new tokens are needed: the expiry of the refresh token; None if unknown."""
        return _end_of(self.refresh, {}, None) if self.refresh else self.expires_at

    @property
    def refresh_lifetime(self) -> timedelta | None:
        """The lifetime of the refresh token; None if it is not stated."""
        end, start = self.usable_until, _later(_EPOCH, _jwt(self.refresh).get("iat"))
        return None if end is None or start is None else end - start

    def after_refresh(self, answer: Mapping[str, Any], now: datetime) -> Self:
        """Return the pair after a refresh; without rotation the refresh token stays.

        The expiry is dropped if it would cause a refresh before every request; the answer 401 then
        triggers the next refresh.
        """
        refresh = str(answer.get("refresh_token") or self.refresh)
        access = str(answer["access_token"])
        pair = type(self)(access, refresh, _end_of(access, answer, now))
        return pair._replace(expires_at=None) if pair.is_stale(now) else pair

    def as_json(self) -> str:
        """Return the pair as a JSON object, the format of a token file."""
        return json.dumps(
            {
                "access_token": self.access,
                "refresh_token": self.refresh,
                "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            },
            indent=1,
        )


def parse_pair(text: str | bytes, now: datetime | None = None) -> Tokens:
    """Return the tokens of a JSON object.

    Parameters
    ----------
    text
        The object, as in `FORM`.
    now
        When it was issued, for `expires_in`.

    Raises
    ------
    ValueError
        If the text is not valid; the message quotes nothing of it.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(plain, dict) or "access_token" not in plain:
        raise ValueError("holds no access_token")
    access, refresh = _token(plain["access_token"]), _token(plain.get("refresh_token") or "")
    if not access:
        raise ValueError("access_token is empty")
    return Tokens(access, refresh, _end_of(access, plain, now))


def parse_pair_or_token(text: str, now: datetime | None = None) -> Tokens:
    """Return the tokens of a JSON object, or of a bare access token.

    Raises
    ------
    ValueError
        If the text is not valid; the message quotes nothing of it.
    """
    stripped = text.strip().removeprefix("\ufeff")
    if stripped.startswith("{"):
        return parse_pair(stripped, now)
    access = _token(stripped.removeprefix("Bearer ").strip())
    if not access:
        raise ValueError("is empty")
    return Tokens(access, "", _end_of(access, {}, now))


def claims_of(token: str) -> dict[str, str]:
    """Return the public claims of a JWT (RFC 7519, section 4.1); {} for any other token.

    The signature is not verified: the server does that.
    """
    claims = _jwt(token)
    public = {name: claims.get(name) for name in _PUBLIC_CLAIMS}
    return {name: _claim_text(c) for name, c in public.items() if isinstance(c, str | list)}


def _claim_text(claim: str | list[Any]) -> str:
    return plain(claim if isinstance(claim, str) else " ".join(map(str, claim)))[:_LONGEST_CLAIM]


def _jwt(token: str) -> dict[str, Any]:
    """Return the claims of a JWT; {} for any other token."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature: RFC 7515, section 7.1
        return {}
    try:
        plain = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return plain if isinstance(plain, dict) else {}


def _token(value: object) -> str:
    token = value.strip() if isinstance(value, str) else "\0"
    if not _TOKEN.fullmatch(token):
        raise ValueError("a token is not ASCII text without blanks")
    return token


def _end_of(access: str, plain: Mapping[str, Any], now: datetime | None) -> datetime | None:
    """Return when an access token expires: as stated with it, else by its own claim."""
    end = now and _later(now, plain.get("expires_in"))
    return end or parse_moment(plain.get("expires_at")) or _later(_EPOCH, _jwt(access).get("exp"))


def _later(start: datetime, seconds: object) -> datetime | None:
    """Return a time some seconds later; None if the number is not usable.

    A rotated pair must not be lost over it: the answer 401 still triggers a refresh.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    try:
        return _in_range(start + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return None


def parse_moment(text: object) -> datetime | None:
    """Return an ISO 8601 time in UTC, also the zone if none is named; None if it is not valid.

    >>> str(parse_moment("2026-03-14T12:00:00")), str(parse_moment("2026-03-14T12:00:00+01:00"))
    ('2026-03-14 12:00:00+00:00', '2026-03-14 11:00:00+00:00')
    >>> parse_moment("9999-12-31T23:59:59-12:00"), parse_moment("0001-01-01T00:00:00+14:00")
    (None, None)
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return _in_range((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _in_range(moment: datetime) -> datetime | None:
    return moment if _EPOCH <= moment < _NEVER else None
