"""Errors for packages of an extra that are missing: which they are, and how to install them."""

import re
import shlex
import sys
from typing import Final

from drawcli.errors import ConfigError

_NAME: Final = re.compile(r"[A-Za-z0-9._-]+")


def not_installed(what: str, extra: str, *, code: str = "config", or_else: str = "") -> ConfigError:
    """Return the error for something that needs an extra of drawcli, which is not installed.

    Parameters
    ----------
    what
        What cannot be done, as the subject of the sentence.
    extra
        The extra; its missing packages are named.
    code, or_else
        Of the error, and what to do instead of installing them.
    """
    missing = missing_packages(extra)
    names = [_name_of(requirement) for requirement in missing]
    what_is = f"{names[0]}, which is" if len(names) == 1 else f"{', '.join(names)}, which are"
    return ConfigError(
        f"{what} needs {what_is} not installed",
        code=code,
        hint=f"{install_hint(*missing)}, the extra '{extra}' of drawcli. {or_else}".strip(),
    )


def install_hint(*packages: str) -> str:
    """Return how the Python that runs drawcli gets packages.

    >>> install_hint("pynetdicom").endswith(" -m pip install pynetdicom")
    True
    """
    return f"Install it: {shlex.join([sys.executable, '-m', 'pip', 'install', *packages])}"


def missing_packages(extra: str) -> list[str]:
    """Return the requirements of an extra that are not met; all, if drawcli is not installed."""
    from importlib import metadata

    try:
        wanted = metadata.requires("drawcli") or []
    except metadata.PackageNotFoundError:
        wanted = []
    parts = [requirement.partition(";") for requirement in wanted]
    named = [need.strip() for need, _, when in parts if re.search(f"extra == .{extra}.", when)]
    return (
        [requirement for requirement in named if not _is_there(_name_of(requirement))]
        or named
        or [extra]
    )


def _is_there(package: str) -> bool:
    from importlib import metadata

    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


def _name_of(requirement: str) -> str:
    found = _NAME.match(requirement)
    return found[0] if found else requirement
