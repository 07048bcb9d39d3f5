"""Browsers that have logged in before: a signed cookie that lets nobody in.

It has its browser's wrong passwords counted apart from those of others behind the same address. It
outlives a restart of the page, and ends with the password that it was given for.
"""

import hmac
import re
import secrets
from typing import Final

from starlette.requests import HTTPConnection
from starlette.responses import Response

from drawcli.dashboard.password import Secret

COOKIE: Final = "drawcli-known-"  # and the port
_DAYS: Final = 180
_MADE: Final = re.compile(r"([A-Za-z0-9_-]{22})\.([0-9a-f]{64})")


class Devices:
    """Tells browsers that have logged in before.

    Parameters
    ----------
    secret
        What they logged in with.
    """

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def known(self, connection: HTTPConnection) -> str:
        """Return the number of a browser that has logged in before; "" of any other."""
        for name, value in connection.cookies.items():
            made = _MADE.fullmatch(value) if name == self._cookie(connection) else None
            if made and hmac.compare_digest(self._seal(made[1]), made[2]):
                return made[1]
        return ""

    def remember(self, connection: HTTPConnection, answer: Response, *, secure: bool) -> None:
        """Have a browser say from now on that it has logged in before."""
        number = self.known(connection) or secrets.token_urlsafe(16)
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
