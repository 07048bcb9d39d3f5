"""cluster init, add-site, upgrade: the commands for the owner of the database."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from drawcli.cli import render
from drawcli.cli.cluster.options import AdminOption, OwnPasswordOption, owner_of
from drawcli.cli.door import Door, DryRunOption
from drawcli.cli.render import Result
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.cli.cluster.first_machine import MadeSite

_PASSWORD_BYTES: Final = 32
_LONGEST_PASSWORD: Final = 1000
_LONGEST_ROLE: Final = 63

RoleOption = Annotated[
    str,
    typer.Option("--role", help="Its database role; by default drawcli_SITE.", metavar="ROLE"),
]
RolePasswordOption = Annotated[
    Path | None,
    typer.Option(
        "--role-password",
        help="File with the password of the role; made, mode 0600, if it does not exist. "
        "By default drawcli-SITE.password.",
        metavar="FILE",
    ),
]


def init(
    door: Door,
    admin: AdminOption,
    site: Annotated[str, typer.Option("--site", help="The first site.", metavar="SITE")],
    role: RoleOption = "",
    role_password: RolePasswordOption = None,
    password_file: OwnPasswordOption = None,
    create: Annotated[
        bool, typer.Option("--create", help="Create the database, too, if it is missing.")
    ] = False,
    write: Annotated[
        bool,
        typer.Option("--write", help="Write the settings of this machine into drawcli.yaml."),
    ] = False,
) -> Result:
    """Create the tables, a site and its role in a database. It can be repeated."""
    from drawcli.adapters.ledger.postgres.schema import check_version, migrate, version_of
    from drawcli.adapters.ledger.postgres.sites import create_database
    from drawcli.cli.cluster.first_machine import write_settings

    config = (
        door.settings_file() if write else None
    )  # an error is reported before anything is changed
    with owner_of(admin, password_file) as owner:
        is_new = create and create_database(owner)
        before = version_of(owner)
        if before:
            check_version(owner)
        else:
            migrate(owner)
        lines = [("database", f"{owner.name}{' (new)' if is_new else ''}")]
        lines += [("tables", f"version {version_of(owner)}{' (new)' if not before else ''}")]
        folder = config.parent if config else Path()
        made = _added(owner, admin, site, role, role_password or _secret_in(folder, site))
    lines += made.lines
    written: list[str] = []
    if config:
        written, more = write_settings(door.settings(), config, made)
        lines += more
    else:
        lines += made.settings_lines
    return _said(lines, {**made.data, "written": written})


def add_site(
    door: Door,
    site: Annotated[str, typer.Argument(help="Its name.", metavar="SITE", show_default=False)],
    admin: AdminOption,
    role: RoleOption = "",
    role_password: RolePasswordOption = None,
    password_file: OwnPasswordOption = None,
) -> Result:
    """Add a site and its role to the database. It can be repeated."""
    from drawcli.adapters.ledger.postgres.schema import check_version

    del door
    with owner_of(admin, password_file) as owner:
        check_version(owner)
        made = _added(owner, admin, site, role, role_password or _secret_in(Path(), site))
        lines = [("database", owner.name), *made.lines, *made.settings_lines]
    return _said(lines, made.data)


def upgrade(
    door: Door,
    admin: AdminOption,
    backup: Annotated[
        Path | None,
        typer.Option(
            "--backup",
            help="A new file for the backup by pg_dump; by default drawcli-TIME.dump here.",
            metavar="FILE",
        ),
    ] = None,
    password_file: OwnPasswordOption = None,
    dry_run: DryRunOption = False,
) -> Result:
    """Upgrade the tables to the version of this drawcli, after a backup with pg_dump."""
    from drawcli.adapters.ledger.postgres.schema import (
        check_version,
        missing_versions,
        version_of,
    )
    from drawcli.adapters.work_queue.tables import install_queues

    del door
    with owner_of(admin, password_file) as owner:
        if not version_of(owner):
            check_version(owner)
        steps = missing_versions(owner)
        data: dict[str, Any] = {"database": owner.name, "steps": steps, "backup": None}
        if not steps:
            _ = dry_run or install_queues(owner)  # for another version of their engine
            return _said([("database", owner.name), ("tables", "are up to date")], data)
        words = ", ".join(map(str, steps))
        if dry_run:
            return _said([("database", owner.name), ("would apply", f"version {words}")], data)
        target = backup or Path(f"drawcli-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.dump")
        size, done = _upgrade_after_backup(owner, target)
    data |= {"steps": done, "backup": str(target), "bytes": size}
    lines = [("database", str(data["database"])), ("backup", f"{target}  {size:,} bytes")]
    return _said([*lines, ("applied", f"version {', '.join(map(str, done))}")], data)


def _upgrade_after_backup(owner: "Database", target: Path) -> tuple[int, list[int]]:
    """Write a backup and upgrade the tables; return its size, bytes, and the versions applied."""
    from drawcli.adapters.ledger.postgres.dump import dump
    from drawcli.adapters.ledger.postgres.schema import check_idle, migrate
    from drawcli.adapters.work_queue.tables import install_queues

    check_idle(owner)
    size = dump(owner, target)
    done = migrate(owner)
    install_queues(owner)
    return size, done


def _secret_in(folder: Path, site: str) -> Path:
    """Return the file with the password of the role of a site, by default."""
    return folder / f"drawcli-{site}.password"


def _added(owner: "Database", admin: str, site: str, role: str, role_password: Path) -> "MadeSite":
    """Add a site; return what its hosts need in their settings."""
    from drawcli.adapters.ledger.postgres.sites import add_site as add
    from drawcli.adapters.ledger.postgres.sites import address_of_role, role_exists
    from drawcli.adapters.work_queue.tables import install_queues
    from drawcli.cli.cluster.first_machine import MadeSite
    from drawcli.config.sections_cluster import site_name

    try:
        name = site_name(site)
    except ValueError as err:
        raise UsageError(f"the name of a site {err}") from None
    if not name:
        raise UsageError("the name of the site is empty")
    role = role or f"drawcli_{name.replace('-', '_')}"
    if len(role) > _LONGEST_ROLE:
        raise UsageError(
            f"the name of the role has {len(role)} characters, PostgreSQL takes {_LONGEST_ROLE}",
            hint="Name a shorter one with --role.",
        )
    path = role_password.absolute()
    password = _password(path, may_be_missing=role_exists(owner, role))
    added = add(owner, name, role, password)
    install_queues(owner)
    address = address_of_role(owner, admin, role)
    return MadeSite(owner.name, name, role, address, path, added)


def _password(path: Path, *, may_be_missing: bool) -> str | None:
    """Return the password of a role from its file, which is made if it is missing.

    None if there is no file and the role may already have a password.
    """
    import secrets

    from drawcli.system.files import write_durably
    from drawcli.system.network.secret_source import SecretSource

    if not path.exists():
        if may_be_missing:
            return None
        write_durably(path, f"{secrets.token_urlsafe(_PASSWORD_BYTES)}\n".encode("ascii"))
    return SecretSource(
        file=path,
        command=[],
        what="password",
        file_setting="--role-password",
        command_setting="",
        longest=_LONGEST_PASSWORD,
    ).read()


def _said(lines: list[tuple[str, str]], data: dict[str, Any]) -> Result:
    return Result(data=data, show=render.lines(lines))
