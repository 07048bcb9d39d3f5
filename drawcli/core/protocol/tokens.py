"""The token pair of a site, as a record: read from text, written as text, and looked into."""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from drawcli.system.printable import plain

FORM: Final = '{"access_token": "...", "refresh_token": "...", "expires_at": "..."}'
_EARLY: Final = timedelta(minutes=5)  # refresh this long before the access token expires
_WORD: Final = re.compile(r"[\x21-\x7e]*")  # what can stand in a header of HTTP
_TELLING: Final = ("sub", "client_id", "iss", "aud", "scope")  # claims of a JWT that are no secret
_LONGEST_CLAIM: Final = 80  # characters
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NEVER: Final = datetime(9000, 1, 1, tzinfo=UTC)  # what is later is no moment that anybody meant


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token with the means to get the next one."""

    access: str
    refresh: str = ""
    expires_at: datetime | None = None  # UTC; None: unknown

    def __repr__(self) -> str:
        """Show nothing of the tokens."""
        return f"Tokens(expires_at={self.expires_at})"

    def is_stale(self, now: datetime) -> bool:
        """Tell whether it is time to refresh, by the clock."""
        return self.expires_at is not None and self.expires_at - _EARLY <= now

    def is_expired(self, now: datetime) -> bool:
        """Tell whether the access token is over, by the clock."""
        return self.expires_at is not None and self.expires_at <= now

    @property
    def usable_until(self) -> datetime | None:
        """When nothing but new tokens helps: the end of the refresh token, where it tells one."""
        return _end_of(self.refresh, {}, None) if self.refresh else self.expires_at

    @property
    def refresh_lifetime(self) -> timedelta | None:
        """How long the refresh token was made for; None where it does not tell."""
        end, made = self.usable_until, _jwt(self.refresh).get("iat")
        begun = _later(_EPOCH, made)
        return None if end is None or begun is None else end - begun

    def after_refresh(self, answer: Mapping[str, Any], now: datetime) -> Self:
        """Return the pair after a refresh; without rotation the refresh token stays.

        An access token that would have to be renewed at once has no end that is of use: each
        request would begin with a refresh. The answer 401 says when it is over.
        """
        refresh = str(answer.get("refresh_token") or self.refresh)
        access = str(answer["access_token"])
        pair = type(self)(access, refresh, _end_of(access, answer, now))
        return replace(pair, expires_at=None) if pair.is_stale(now) else pair

    def as_json(self) -> str:
        """Return the pair as one JSON object, the form of a token file."""
        return json.dumps(
            {
                "access_token": self.access,
                "refresh_token": self.refresh,
                "expires_at": self.expires_at.isoformat() if self.expires_at else None,
            },
            indent=1,
        )


def parse_pair(text: str | bytes, now: datetime | None = None) -> Tokens:
    """Return the tokens that a JSON object holds.

    Parameters
    ----------
    text
        The object, as in `FORM`.
    now
        When it was made, for one that says `expires_in`.

    Raises
    ------
    ValueError
        Saying what is wrong, and nothing of the text.
    """
    try:
        plain = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("is not JSON") from None
    if not isinstance(plain, dict) or "access_token" not in plain:
        raise ValueError("holds no access_token")
    access, refresh = _word(plain["access_token"]), _word(plain.get("refresh_token") or "")
    if not access:
        raise ValueError("access_token is empty")
    return Tokens(access, refresh, _end_of(access, plain, now))


def parse_pair_or_token(text: str, now: datetime | None = None) -> Tokens:
    """Return the tokens of a JSON object, or of a bare access token.

    Raises
    ------
    ValueError
        Saying what is wrong, and nothing of the text.
    """
    stripped = text.strip().removeprefix("\ufeff")
    if stripped.startswith("{"):
        return parse_pair(stripped, now)
    access = _word(stripped.removeprefix("Bearer ").strip())
    if not access:
        raise ValueError("is empty")
    return Tokens(access, "", _end_of(access, {}, now))


def claims_of(token: str) -> dict[str, str]:
    """Return what a JWT says of whom it is for; nothing of a token that is none.

    Nothing is verified: that is the server's part (RFC 7519, section 4.1).
    """
    plain = _jwt(token)
    told = {name: plain[name] for name in _TELLING if isinstance(plain.get(name), str | list)}
    return {name: _shortened(value) for name, value in told.items()}


def _shortened(value: object) -> str:
    text = " ".join(str(one) for one in value) if isinstance(value, list) else str(value)
    return plain(text)[:_LONGEST_CLAIM]


def _jwt(token: str) -> dict[str, Any]:
    """Return the claims of a JWT, {} where a token is none."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, claims, signature: RFC 7515, section 7.1
        return {}
    try:
        plain = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError, binascii.Error):
        return {}
    return plain if isinstance(plain, dict) else {}


def _word(token: object) -> str:
    word = token.strip() if isinstance(token, str) else "\0"
    if not _WORD.fullmatch(word):
        raise ValueError("a token is not one word of ASCII text")
    return word


def _end_of(access: str, plain: Mapping[str, Any], now: datetime | None) -> datetime | None:
    """Return when an access token ends: as was said beside it, else as it says itself."""
    told = now and _later(now, plain.get("expires_in"))
    return told or parse_moment(plain.get("expires_at")) or _later(_EPOCH, _jwt(access).get("exp"))


def _later(start: datetime, seconds: object) -> datetime | None:
    """Return the moment so many seconds after another; None where the server says nonsense.

    A rotated pair must not be lost over it: the refresh by the answer 401 is left.
    """
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        return None
    try:
        return _meant(start + timedelta(seconds=seconds))
    except (OverflowError, ValueError):
        return None


def parse_moment(text: object) -> datetime | None:
    """Return an ISO-8601 moment in UTC, which it is in where it names no zone.

    None where it is none, or one that nobody can mean: arithmetic with it would overflow.

    >>> str(parse_moment("2026-03-14T12:00:00")), str(parse_moment("2026-03-14T12:00:00+01:00"))
    ('2026-03-14 12:00:00+00:00', '2026-03-14 11:00:00+00:00')
    >>> parse_moment("9999-12-31T23:59:59-12:00"), parse_moment("0001-01-01T00:00:00+14:00")
    (None, None)
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return _meant((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def _meant(moment: datetime) -> datetime | None:
    return moment if _EPOCH <= moment < _NEVER else None
