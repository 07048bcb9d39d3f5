"""The settings of a ledger in a database, and of several machines that share it."""

import re
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from drawcli.core.jobs.tasks import JOB_STEPS, KINDS
from drawcli.system.addresses import split_command
from drawcli.system.kinds import (
    PATH,
    SWITCH,
    TEXT,
    choice,
    keyed,
    listed,
    maybe,
    number,
    one_of_keys,
    text,
    whole,
    words,
)
from drawcli.system.records import Record, setting

_SCHEMES: Final = frozenset({"postgresql", "postgres"})
_PARAMETERS: Final = frozenset(
    "service sslmode sslrootcert connect_timeout host port target_session_attrs".split()
)
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


def ledger_address(value: str) -> str:
    """Check the address of a database; "" is the file in `state_dir`."""
    if not value:
        return value
    parts = urlsplit(value)
    if parts.scheme not in _SCHEMES:
        raise ValueError("should be postgresql://user@host:port/database, or be left out")
    if parts.password is not None:
        raise ValueError(
            "should have no password: set cluster.password_file or cluster.password_command"
        )
    unknown = parse_qs(parts.query, keep_blank_values=True).keys() - _PARAMETERS
    if unknown:
        raise ValueError(f"should not have the parameter '{min(unknown)}'")
    _ = parts.port  # ValueError if it is no number
    return value


def site_name(value: str) -> str:
    """Check the name of a site or a host; "" is none."""
    if value and not _NAME.fullmatch(value):
        raise ValueError("should have small letters, digits and '-' only, at most 63")
    return value


def _work(value: str) -> str:
    if value != "host" and not value.startswith("s3://") and not Path(value).is_absolute():
        raise ValueError("should be 'host', an absolute path or s3://bucket/prefix")
    return value


class Cluster(Record):
    """Several machines with one ledger; only with a database in `ledger`."""

    site: str = setting("", text(check=site_name))  # "": the only site of the database user
    host: str = setting("", text(check=site_name))  # "": the name in state_dir/host.id
    password_file: Path | None = setting(None, maybe(PATH))  # mode 0600
    password_command: list[str] = setting([], listed(TEXT, split=split_command))
    lease_seconds: float = setting(60.0, number(least=5, most=3600))  # of a claimed job
    gone_minutes: float = setting(30.0, number(least=0.1, most=10_000))  # until a host is replaced
    work: str = setting("host", text(check=_work))  # where the work folders are
    s3_endpoint: str = setting("", text())  # of the store of `work`, if it is not that of AWS
    s3_region: str = setting("", text())
    s3_ca_file: Path | None = setting(None, maybe(PATH))  # CA certificates for it
    s3_credentials_command: list[str] = setting([], listed(TEXT, split=split_command))
    share_tokens: bool = setting(default=True, kind=SWITCH)  # the pair is in the database
    queues: list[str] = setting([*KINDS], listed(choice(*KINDS), split=words, least=1))
    scan_minutes: float = setting(5.0, number(above=0, most=1440))  # between two scans of a worker
    limits: dict[str, int] = setting({}, keyed(whole(least=1, most=1000), one_of_keys(*JOB_STEPS)))

    def check(self) -> None:
        """Refuse two sources of the password, and settings of a store that is not used."""
        given = (self.s3_endpoint, self.s3_region, self.s3_ca_file, self.s3_credentials_command)
        if any(given) and not self.work.startswith("s3://"):
            raise ValueError("s3_... goes with work: s3://bucket/prefix only")
        if self.password_file is not None and self.password_command:
            raise ValueError("password_file and password_command are both set; choose one")

    @property
    def shares_work(self) -> bool:
        """Whether the work folders are on storage that all machines reach."""
        return self.work != "host"


def database_in_words(address: str) -> str:
    """Return the database of an address for messages, without its user.

    >>> database_in_words("postgresql://drawcli@db.example:5432/draw")
    'database draw at db.example:5432'
    >>> database_in_words("postgresql:///draw?host=a.example,b.example")
    'database draw at a.example,b.example'
    """
    parts: Any = urlsplit(address)
    service = parse_qs(parts.query).get("service")
    if service:
        return f"database of the service {service[0]}"
    host = parse_qs(parts.query).get("host", [""])[0]
    at = parts.hostname or host or "this machine"
    where = f"{at}:{parts.port}" if parts.port else at
    return f"database {parts.path.strip('/') or parts.username or ''} at {where}"
