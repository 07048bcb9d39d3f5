"""A signed cookie that marks browsers that have logged in before; it grants no access.

Wrong passwords of such a browser are counted apart from those of others at the same address. The
cookie survives a restart of the page, and is valid until the password changes.
"""

import hmac
import re
import secrets
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from drawcli.dashboard.access.password import Secret

COOKIE: Final = "drawcli-known-"  # and the port
_DAYS: Final = 180
_VALUE: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class Devices:
    """Recognizes browsers that have logged in before.

    Parameters
    ----------
    secret
        The password that they logged in with.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def number_of(self, connection: HTTPConnection) -> str:
        """Return the number of a browser that has logged in before; else ""."""
        for name, value in connection.cookies.items():
            match = _VALUE.fullmatch(value) if name == self._cookie(connection) else None
            if match and hmac.compare_digest(self._seal(match[1]), match[2]):
                return match[1]
        return ""

    def remember(self, connection: HTTPConnection, answer: Response, *, secure: bool) -> None:
        """Set the cookie that marks a browser."""
        number = self.number_of(connection) or secrets.token_urlsafe(16)
        answer.set_cookie(
            self._cookie(connection),
            f"{number}.{self._seal(number)}",
            max_age=_DAYS * 24 * 3600,
            path="/login",
            secure=secure,
            httponly=True,
            samesite="strict",
        )

    @staticmethod
    def _cookie(connection: HTTPConnection) -> str:
        return f"{COOKIE}{connection.app.state.parts.options.port}"

    def _seal(self, number: str) -> str:
        return hmac.new(self._secret.key, f"device {number}".encode("ascii"), "sha256").hexdigest()
