"""What went wrong with the database of the ledger, as an error of drawcli: why, and what to do.

The exit code says who has to act: 7 nobody, or the administrator of the database; 3 the
administrator of this machine; 4 the owner of the tables.
"""

import re
from typing import TYPE_CHECKING, Final

from drawcli.errors import ConfigError, DrawcliError, LedgerError, OutOfReach

if TYPE_CHECKING:
    import psycopg


class TryAgain(OutOfReach):
    """The statement may have been done or not; the next attempt may have an answer."""

    code = "ledger-away"


_AWAY: Final = "ledger-away"
_WAIT: Final = "Nothing is lost; the next run goes on. Check the database and the network to it."
# By SQLSTATE or its class: the message, and what to do.
_TRANSIENT: Final = {
    "08": ("the connection broke", _WAIT),
    "57P": ("it is being stopped", _WAIT),
    "40": ("other machines changed the same at the same time", _WAIT),
}
_LATER: Final = {
    "25006": (
        "it is read-only, or a standby",
        "Nothing is lost. Set 'ledger' to the primary, or promote the standby.",
    ),
    "53100": ("its disk is full", "Nothing is lost; the next run goes on. Free space there."),
    "53200": ("it has no memory left", _WAIT),
    "53300": ("it has no free connection", "Raise max_connections, or stop unused machines."),
    "57014": ("a statement took too long and was cancelled", _WAIT),
    "55P03": ("another program holds a lock in it for too long", _WAIT),
    "58": ("its disk or system reports an error", _WAIT),
}
_LOGIN: Final = (
    "Check the user, and cluster.password_file; for --admin --password-file, for group.database "
    "group.password_file."
)
_SETTINGS: Final = {
    "28": ("it refuses the login", _LOGIN),
    "3D000": (
        "there is no such database",
        "Check the name at its end. 'drawcli cluster init --create' makes a new one.",
    ),
}
_OWNER: Final = {
    "42501": (
        "the role has no right to do this",
        "As its owner run 'drawcli cluster add-site' for this site; it grants what is missing.",
    ),
    "3F000": ("it has no tables of drawcli", "As its owner run 'drawcli cluster init'."),
    "42P01": ("a table of drawcli is missing", "As its owner run 'drawcli cluster init'."),
    "427": ("its tables are of another version", "As its owner run 'drawcli cluster upgrade'."),
    "XX": ("its data are damaged", "Stop all runs; restore the database from a backup."),
}
# Errors of a connection that is being made have no SQLSTATE, only a text.
_TEXTS: Final = (
    ("certificate", ("its certificate is not accepted", "Check host name and 'sslrootcert'.")),
    ("SSL", ("TLS fails", "Check 'sslmode' and 'sslrootcert' in 'ledger'.")),
    ("no password supplied", ("there is no password", _LOGIN)),
    ("password", _SETTINGS["28"]),
    ("pg_hba.conf", ("it refuses this machine or user", "Add a line to its pg_hba.conf.")),
    ("definition of service", ("there is no such service", "Check ~/.pg_service.conf.")),
    ("permission denied for database", ("the role may not connect", _OWNER["42501"][1])),
    ("role", _SETTINGS["28"]),
    ("database", _SETTINGS["3D000"]),
)
_ADDRESS: Final = re.compile(
    r'connection failed: connection to server (?:on socket "[^"]*"|at "(?P<host>[^"]*)"'
    r"(?: \([^)]*\))?, port (?P<port>\d+)) failed: (?:FATAL: +)?"
)
_SOCKET: Final = "this machine"  # the end of the name of a database that is reached by its socket
_LOCAL: Final = ("certificate", "SSL", "no password supplied", "definition of service")
_MOVED: Final = "DM001"  # of the trigger refuse_moved
_NOT_READY: Final = ("starting up", "shutting down", "recovery", "too many", "connection slots")


def as_own(err: "psycopg.Error", name: str) -> DrawcliError:
    """Return the error of drawcli for an error of psycopg about a database."""
    import psycopg

    state = err.sqlstate or ""
    if state == _MOVED:
        return moved(first_line(err, name))
    if not state and isinstance(err, (psycopg.OperationalError, psycopg.InterfaceError)):
        return TryAgain(f"{name} does not answer: {first_line(err, name)}", hint=_WAIT)
    for table, kind in ((_TRANSIENT, TryAgain), (_LATER, OutOfReach)):
        if found := _entry(table, state):
            return kind(f"{name}: {found[0]}: {first_line(err, name)}", code=_AWAY, hint=found[1])
    for table, of_kind in ((_SETTINGS, ConfigError), (_OWNER, LedgerError)):
        if found := _entry(table, state):
            return of_kind(f"{name}: {found[0]}: {first_line(err, name)}", hint=found[1])
    return LedgerError(
        f"{name} refuses: {first_line(err, name)}",
        hint="Run 'drawcli cluster status'. If it finds nothing, please report this line.",
    )


def moved(what: str) -> LedgerError:
    """Return the error of a ledger that is not, or not yet, in the database."""
    return LedgerError(
        what,
        code="ledger-moved",
        hint="Let 'ledger' in drawcli.yaml of every host name the place where it is. A move that "
        "was interrupted goes on with the same 'drawcli ledger migrate'.",
    )


def as_unconnected(err: "psycopg.Error", name: str) -> DrawcliError:
    """Return the error of drawcli for a connection that could not be made."""
    text = str(err)
    is_refusal = "FATAL" in text and not any(words in text for words in _NOT_READY)
    if is_refusal or any(words in text for words in _LOCAL):
        for words, (what, hint) in _TEXTS:
            if words in text:
                return ConfigError(
                    f"{name}: {what}: {first_line(err, name)}", code="ledger-login", hint=hint
                )
    return OutOfReach(f"{name} does not answer: {first_line(err, name)}", code=_AWAY, hint=_WAIT)


def first_line(err: Exception, name: str = "") -> str:
    """Return the first line of an error: what follows may quote values.

    libpq's text about the address is removed if `name` already ends with the address.

    >>> refused = Exception('connection failed: connection to server at "::1", port 5 failed: no')
    >>> first_line(refused, "database draw at ::1:5")
    'no'
    >>> first_line(refused, "database of the service draw")
    'connection failed: connection to server at "::1", port 5 failed: no'
    >>> here = Exception('connection failed: connection to server on socket "/run/x" failed: no')
    >>> first_line(here, "database draw at this machine")
    'no'
    """
    line = (str(err).strip().splitlines() or [type(err).__name__])[0]
    at = _ADDRESS.match(line)
    shown = name.partition(" at ")[2]
    is_known = at is not None and shown in (at["host"] or _SOCKET, f"{at['host']}:{at['port']}")
    return line[at.end() :] if at is not None and is_known else line


def _entry(table: dict[str, tuple[str, str]], state: str) -> tuple[str, str] | None:
    return next((said for start, said in table.items() if state.startswith(start)), None)
