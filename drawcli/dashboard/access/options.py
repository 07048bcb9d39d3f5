"""The options of the page, and the checks that refuse unprotected access."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.dashboard.access.addresses import Network
from drawcli.dashboard.access.rights import Right
from drawcli.errors import UsageError

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - they need --name
PORT: Final = 8043


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardOptions:
    """The options of `drawcli dashboard`."""

    host: str = "127.0.0.1"
    port: int = PORT  # 0: a free one
    tls_cert: Path | None = None
    tls_key: Path | None = None  # None: in tls_cert
    names: tuple[str, ...] = ()  # host names in addition to `host`
    allow_actions: bool = False
    allow_editing: bool = False
    identify: bool = False
    tls_proxy: bool = False  # a reverse proxy terminates TLS
    proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is trusted

    @property
    def over_tls(self) -> bool:
        """Whether browsers use https."""
        return self.tls_cert is not None or self.tls_proxy

    @property
    def rights(self) -> frozenset[Right]:
        """The rights that a user may have on this page."""
        switches = {
            Right.PATIENTS: self.identify,
            Right.ACT: self.allow_actions,
            Right.EDIT: self.allow_editing,
        }
        return frozenset(right for right, is_on in switches.items() if is_on)

    @property
    def scheme(self) -> str:
        """The URL scheme of the server itself."""
        return "https" if self.tls_cert else "http"

    @property
    def hosts(self) -> frozenset[str]:
        """The names that are accepted in a Host header."""
        own = {self.host} - _EVERY_ADDRESS
        names = {*own, *self.names, *(LOOPBACK if self.host in LOOPBACK else ())}
        return frozenset(_bracketed(name).lower() for name in names)

    def check(self, *, secret: bool) -> None:
        """Refuse options that give access without a password.

        Parameters
        ----------
        secret
            Whether a password or token is stored, so that a login is needed.

        Raises
        ------
        UsageError
            Where other machines could open the page, or anyone could act or see patients.
        """
        self._check_files()
        if self.host in LOOPBACK:
            for right in Right:
                if right in self.rights and not secret:
                    raise UsageError(
                        f"--{right} needs a password: every user of this machine can open the page",
                        hint=_SET_IT,
                    )
            return
        if not secret:
            raise UsageError(
                f"{self.host} is not loopback: others can open the page, and no password is set",
                hint=_SET_IT,
            )
        if self.tls_cert is None:
            raise UsageError(
                f"{self.host} is not loopback: the password would be sent unencrypted",
                hint="Give --tls-cert FILE and --tls-key FILE, or use loopback behind a proxy.",
            )
        if self.host in _EVERY_ADDRESS and not self.names:
            raise UsageError(
                f"{self.host} is every address of this machine, and no name is given",
                hint="Give --name HOST, the host name in the browser's address bar.",
            )

    def _check_files(self) -> None:
        if self.tls_key is not None and self.tls_cert is None:
            raise UsageError("--tls-key is given without --tls-cert")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise UsageError(f"{path} does not exist", hint="Name a PEM file.")


_SET_IT: Final = "Run 'drawcli dashboard --set-password' first."


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
