"""Checks of the settings for the server: addresses, commands, and keys that exclude each other."""

import shlex
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urlsplit

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def split_command(value: object) -> object:
    """Return a command as a list of arguments; a string is split as a POSIX shell splits it."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError:
        raise ValueError("a quotation mark is not closed") from None


def parse_web_address(text: str) -> SplitResult:
    """Return the parts of an http or https address; the error does not quote it."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises ValueError
    except ValueError:
        raise ValueError("is not an http or https address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not text.isascii():
        raise ValueError("is not an http or https address")
    return parts


def is_loopback(url: str) -> bool:
    """Return whether an address is on this machine, so that nothing crosses a network."""
    return urlsplit(url).hostname in LOOPBACK


def check_token_source(command: list[str], store_command: list[str], keyring: str) -> None:
    """Raise ValueError where the settings name two sources of tokens."""
    if command and keyring:
        raise ValueError("token_command and token_keyring are two sources; choose one")
    if store_command and not command:
        raise ValueError("token_store_command stores what token_command reads; set both")


def check_certificate(cert: Path | None, key: Path | None) -> None:
    """Raise ValueError for a key without a certificate."""
    if key is not None and cert is None:
        raise ValueError("client_key belongs to a client_cert; set both")
