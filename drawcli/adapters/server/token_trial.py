"""A new token pair is tried at the server before it replaces the stored one."""

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING

from drawcli.adapters.server.client import DrawServer
from drawcli.adapters.server.token_file import TokenFile
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import ServerUnavailable

if TYPE_CHECKING:
    from drawcli.adapters.server.token_store import TokenStore
    from drawcli.config.sections import ServerSettings as Site


def accepted_pair(
    tokens: Tokens, site: "Site", store: "TokenStore", now: Callable[[], datetime]
) -> Tokens:
    """Return a pair once the server has accepted it; what is in the store does not change.

    During the trial the pair is in a file beside the store. If its access token has expired it is
    renewed there, and the renewed pair is returned: the server accepts the given one only once.

    Raises
    ------
    ServerRefused
        If the server refuses it.
    TryLater
        If the server cannot be asked now.
    ConfigError
        If what answers is no DRAW server, or the connection cannot be made as configured.
    """
    trial = TokenFile(store.lock_file.with_suffix(".new"))
    trial.pending.end()  # of a trial that was killed
    trial.store(tokens)
    try:
        with DrawServer.opened(site, trial, now) as server:
            server.check_token()
            with suppress(ServerUnavailable):  # it knows the token, and takes no uploads now
                server.check_ready()
        return trial.read()
    finally:
        for path in (trial.path, trial.pending.path, trial.lock_file):
            path.unlink(missing_ok=True)
