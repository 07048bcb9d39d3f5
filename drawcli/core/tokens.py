"""The token pair of a site, as a record."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

_EARLY: Final = timedelta(minutes=5)  # refresh this long before the access token expires


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token with the means to get the next one."""

    access: str
    refresh: str = ""
    expires_at: datetime | None = None  # UTC; None: unknown

    def __repr__(self) -> str:
        """Show nothing of the tokens."""
        return f"Tokens(expires_at={self.expires_at})"

    def stale(self, now: datetime) -> bool:
        """Tell whether it is time to refresh, by the clock."""
        return self.expires_at is not None and self.expires_at - _EARLY <= now

    def renewed(self, answer: dict[str, Any], now: datetime) -> Self:
        """Return the pair after a refresh; without rotation the refresh token stays."""
        expires = _later(now, answer.get("expires_in")) or parsed_moment(answer.get("expires_at"))
        refresh = str(answer.get("refresh_token") or self.refresh)
        return type(self)(str(answer["access_token"]), refresh, expires)


def _later(now: datetime, seconds: object) -> datetime | None:
    """Return the moment so many seconds from now; None where the server says nonsense.

    A rotated pair must not be lost over it: the refresh by the answer 401 is left.
    """
    if not isinstance(seconds, int | float):
        return None
    try:
        return now + timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def parsed_moment(text: object) -> datetime | None:
    """Return an ISO-8601 moment, UTC where it names no zone; None where it is none.

    >>> str(parsed_moment("2026-03-14T12:00:00"))
    '2026-03-14 12:00:00+00:00'
    """
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
