"""How the page is started, and what is refused: an open door to others than this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.dashboard.addresses import Network
from drawcli.errors import UsageError

LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_EVERY_ADDRESS: Final = frozenset({"0.0.0.0", "::"})  # noqa: S104 - named to be asked for a name
PORT: Final = 8043


@dataclass(frozen=True, slots=True, kw_only=True)
class DashboardOptions:
    """What a person asked for when starting the page."""

    host: str = "127.0.0.1"
    port: int = PORT  # 0: a free one
    tls_cert: Path | None = None
    tls_key: Path | None = None  # None: in tls_cert
    names: tuple[str, ...] = ()  # under which browsers may ask for it, besides host
    allow_actions: bool = False
    identify: bool = False
    tls_proxy: bool = False  # a proxy before it does TLS
    proxies: tuple[Network, ...] = ()  # whose X-Forwarded-For is believed

    @property
    def over_tls(self) -> bool:
        """Whether browsers reach it by https."""
        return self.tls_cert is not None or self.tls_proxy

    @property
    def scheme(self) -> str:
        """How browsers reach it."""
        return "https" if self.tls_cert else "http"

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a browser may have asked for, as they stand in a Host header."""
        own = {self.host} - _EVERY_ADDRESS
        asked = {*own, *self.names, *(LOOPBACK if self.host in LOOPBACK else ())}
        return frozenset(_bracketed(one).lower() for one in asked)

    def check(self, *, secret: bool) -> None:
        """Refuse what would let anybody in.

        Parameters
        ----------
        secret
            Whether a password or token is stored: then whoever comes has to log in.

        Raises
        ------
        UsageError
            Where the page would be open to others, or show or do more than it may.
        """
        self._check_files()
        if self.host in LOOPBACK:
            for flag, wanted in (
                ("--allow-actions", self.allow_actions),
                ("--identify", self.identify),
            ):
                if wanted and not secret:
                    raise UsageError(
                        f"{flag} needs a password: every user of this machine can open the page",
                        hint=_SET_IT,
                    )
            return
        if not secret:
            raise UsageError(
                f"{self.host} is not loopback: others can open the page, and there is no password",
                hint=_SET_IT,
            )
        if self.tls_cert is None:
            raise UsageError(
                f"{self.host} is not loopback: the password would go in the clear",
                hint="Give --tls-cert FILE and --tls-key FILE, or stay on loopback behind a proxy.",
            )
        if self.host in _EVERY_ADDRESS and not self.names:
            raise UsageError(
                f"{self.host} is every address of this machine, and no name is given",
                hint="Say --name HOST, the name that stands in the browser's address.",
            )

    def _check_files(self) -> None:
        if self.tls_key is not None and self.tls_cert is None:
            raise UsageError("--tls-key is given without --tls-cert")
        for path in (self.tls_cert, self.tls_key):
            if path is not None and not path.is_file():
                raise UsageError(f"{path} is not there", hint="Name a PEM file.")


_SET_IT: Final = "Run 'drawcli dashboard --set-password' first."


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
