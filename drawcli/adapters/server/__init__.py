"""The client of the DRAW server."""

from typing import TYPE_CHECKING

from drawcli.adapters.server.token_file import TokenFile

if TYPE_CHECKING:
    from drawcli.adapters.server.token_store import TokenStore
    from drawcli.config.load import Settings


def own_tokens(settings: "Settings") -> "TokenStore":
    """Return the token store of this machine: a file, a command, or the keyring of the system."""
    server, beside = settings.server, settings.state_dir / "token"
    if not server.token_command and not server.token_keyring:
        return TokenFile(server.token_file)
    from drawcli.adapters.server.token_sources import TokenCommand, TokenKeyring

    if server.token_command:
        return TokenCommand(server.token_command, server.token_store_command, beside)
    return TokenKeyring(server.token_keyring, server.client_id, beside)
