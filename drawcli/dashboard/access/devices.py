"""A signed cookie that marks browsers that have logged in before; it grants no access.

Wrong passwords of such a browser are counted apart from those of others at the same address. The
cookie survives a restart of the page, and is valid until the password, or a user, changes.
"""

import hmac
import re
import secrets
from collections.abc import Callable
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

COOKIE: Final = "drawcli-known-"  # and the port
_DAYS: Final = 180
_VALUE: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class Devices:
    """Recognizes browsers that have logged in before.

    Parameters
    ----------
    key
        Returns a key that changes with the password, or with the users.
    """

    def __init__(self, key: Callable[[], bytes]) -> None:
        self._key = key

    def number_of(self, connection: HTTPConnection, user: str) -> str:
        """Return the number of a browser in which a user has logged in before; else ""."""
        for name, value in connection.cookies.items():
            match = _VALUE.fullmatch(value) if name == self._cookie(connection) else None
            if match and hmac.compare_digest(self._seal(match[1], user), match[2]):
                return match[1]
        return ""

    def remember(
        self, connection: HTTPConnection, answer: Response, user: str, *, secure: bool
    ) -> None:
        """Set the cookie that marks a browser of a user."""
        number = self.number_of(connection, user) or secrets.token_urlsafe(16)
        answer.set_cookie(
            self._cookie(connection),
            f"{number}.{self._seal(number, user)}",
            max_age=_DAYS * 24 * 3600,
            path="/login",
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    @staticmethod
    def _cookie(connection: HTTPConnection) -> str:
        return f"{COOKIE}{connection.app.state.parts.options.port}"

    def _seal(self, number: str, user: str) -> str:
        return hmac.new(self._key(), f"device {number} {user}".encode(), "sha256").hexdigest()
