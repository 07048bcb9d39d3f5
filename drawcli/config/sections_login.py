"""The settings section `oidc`: users of the web page who log in at an identity provider."""

from pathlib import Path
from typing import Any, Final

from drawcli.system.addresses import is_loopback, parse_web_address, split_command
from drawcli.system.kinds import PATH, TEXT, choice, keyed, listed, maybe, text
from drawcli.system.records import Record, setting

_ROLE: Final = choice("view", "patients", "act", "edit")


def _issuer(value: str) -> str:
    """Check an issuer; it is compared with that of the provider letter by letter."""
    if not value:
        return value
    parts = parse_web_address(value)
    if parts.username is not None or parts.query or parts.fragment or " " in value:
        raise ValueError("should be an address without a user, '?', '#' or blanks")
    if parts.scheme != "https" and not is_loopback(value):
        raise ValueError("should begin with https://")
    return value


def _words(value: Any) -> Any:
    return value.replace(",", " ").split() if isinstance(value, str) else value


class SingleSignOn(Record):
    """Login by OpenID Connect."""

    issuer: str = setting("", text(check=_issuer))  # "": off
    client_id: str = setting("", TEXT)
    client_secret_file: Path | None = setting(None, maybe(PATH))  # mode 0600
    client_secret_command: list[str] = setting([], listed(TEXT, split=split_command))
    ca_file: Path | None = setting(None, maybe(PATH))  # instead of the system's certificates
    scopes: list[str] = setting(["openid", "profile"], listed(TEXT, split=_words))
    name_claim: str = setting("preferred_username", TEXT)
    groups_claim: str = setting("groups", TEXT)  # dots for nested objects: realm_access.roles
    roles: dict[str, list[str]] = setting({}, keyed(listed(_ROLE, split=_words), TEXT))

    @property
    def is_on(self) -> bool:
        """Whether users can log in this way."""
        return bool(self.issuer)

    def check(self) -> None:
        """Refuse an incomplete section, and two sources of the secret."""
        if self.issuer and not (self.client_id and self.roles):
            raise ValueError("with an issuer, client_id and roles are needed too")
        if self.client_secret_file is not None and self.client_secret_command:
            raise ValueError(
                "client_secret_file and client_secret_command are both set; choose one"
            )
        if "openid" not in self.scopes:
            raise ValueError("scopes should have openid")
