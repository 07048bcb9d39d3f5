"""Accounts of the sandbox: token pairs, their expiry and rotation.

Only digests of tokens are stored. A refresh invalidates the old refresh token at once; an access
token stays valid until it expires, like a JWT.
"""

import hashlib
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import Final

from drawcli.sandbox import NOTICE
from drawcli.sandbox.whole_files import write_json

LIFETIME: Final = timedelta(days=30)


def utc_now() -> datetime:
    """Return the present time, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class TokenPair:
    """The tokens of a client."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime  # of the access token

    def write(self, path: Path) -> None:
        """Write the client's token file, readable by its owner only."""
        content = {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "expires_at": self.expires_at.isoformat(),
        }
        write_json(path, content, mode=0o600)


@dataclass(slots=True)
class _Account:
    client_id: str
    refresh: str  # digest of the valid refresh token
    access: dict[str, str]  # digest of an access token -> its expiry, ISO 8601


class Accounts:
    """The accounts of a sandbox, on disk.

    Parameters
    ----------
    path
        Their file; it is created with the first account.
    lifetime
        The lifetime of an access token.
    now
        The clock; it returns aware times.
    """

    def __init__(
        self,
        path: Path,
        *,
        lifetime: timedelta = LIFETIME,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._path = path
        self._lifetime = lifetime
        self._now = now
        self._lock = Lock()
        self._accounts: list[_Account] = []
        if path.exists():
            stored = json.loads(path.read_text(encoding="utf-8"))
            self._accounts = [_Account(**each) for each in stored["accounts"]]

    def first_pair(self, client_id: str = "sandbox") -> TokenPair:
        """Create an account and return its tokens; replace an account of the same client."""
        with self._lock:
            account = _Account(client_id, "", {})
            others = [each for each in self._accounts if each.client_id != client_id]
            self._accounts = [*others, account]
            return self._renew(account)

    def client_of(self, access_token: str) -> str | None:
        """Return the client of an access token, or None if it is unknown or expired."""
        digest = _digest(access_token)
        with self._lock:
            for account in self._accounts:
                ends = account.access.get(digest)
                if ends is not None and self._now() < datetime.fromisoformat(ends):
                    return account.client_id
        return None

    def refresh(self, refresh_token: str) -> TokenPair | None:
        """Return a new pair for a valid refresh token, which it replaces; else None.

        The client is that of the token, whatever it calls itself.
        """
        digest = _digest(refresh_token)
        with self._lock:
            for account in self._accounts:
                if secrets.compare_digest(account.refresh, digest):
                    return self._renew(account)
        return None

    def expire(self) -> None:
        """Invalidate every access token, but no refresh token."""
        with self._lock:
            for account in self._accounts:
                account.access = {}

    def close_all(self) -> None:
        """Invalidate every token."""
        with self._lock:
            self._accounts = []

    def _renew(self, account: _Account) -> TokenPair:
        """Create a pair for an account; it is on disk when this returns."""
        now = self._now()
        pair = TokenPair(
            access_token=f"sandbox-access-{secrets.token_urlsafe(48)}",
            refresh_token=f"sandbox-refresh-{secrets.token_urlsafe(48)}",
            expires_at=now + self._lifetime,
        )
        account.access = {
            digest: ends
            for digest, ends in account.access.items()
            if now < datetime.fromisoformat(ends)
        }
        account.access[_digest(pair.access_token)] = pair.expires_at.isoformat()
        account.refresh = _digest(pair.refresh_token)
        content = {"notice": NOTICE, "accounts": [asdict(each) for each in self._accounts]}
        write_json(self._path, content, mode=0o600)
        return pair


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8")).hexdigest()
