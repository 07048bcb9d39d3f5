"""The output of `cluster init` for a new site, and the settings of this machine that it writes."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from drawcli.errors import ConfigError

if TYPE_CHECKING:
    from drawcli.adapters.ledger.postgres.sites import AddedSite
    from drawcli.config.load import Settings

Lines = list[tuple[str, str]]


class MadeSite(NamedTuple):
    """A site in the database, and how its hosts log in."""

    database: str
    site: str
    role: str
    address: str
    password_file: Path
    added: "AddedSite"

    @property
    def lines(self) -> Lines:
        """What was made, as lines to print."""
        added = self.added
        return [
            ("site", f"{self.site}{' (new)' if added.is_new else ''}"),
            ("role", f"{self.role}{' (new)' if added.is_new_role else ''}"),
            ("password", str(self.password_file) if added.has_new_password else "unchanged"),
        ]

    @property
    def settings_lines(self) -> Lines:
        """The settings of each host."""
        return [
            ("settings", f"ledger: {self.address}"),
            ("", f"cluster: {{site: {self.site}, password_file: {self.password_file.name}}}"),
        ]

    @property
    def data(self) -> dict[str, Any]:
        """The same as data."""
        return {
            "database": self.database,
            "site": self.site,
            "role": self.role,
            "new_site": self.added.is_new,
            "new_role": self.added.is_new_role,
            "role_password": str(self.password_file) if self.added.has_new_password else None,
            "ledger": self.address,
        }


def write_settings(settings: "Settings", path: Path, made: MadeSite) -> tuple[list[str], Lines]:
    """Write the settings of a host of a site, after its login was tried.

    A ledger in a file that has jobs stays in use: the jobs must be moved first.

    Returns
    -------
    The names of the settings that were written, and the lines to print.

    Raises
    ------
    ConfigError
        If the password is not there, the login fails, or the settings name another ledger.
    """
    from drawcli.adapters.ledger import ledger_path
    from drawcli.adapters.ledger.moves import FilePlace
    from drawcli.adapters.ledger.postgres.database import Database
    from drawcli.config.sections_cluster import Cluster

    secret = made.password_file
    if not secret.exists():
        raise ConfigError(
            f"{secret}: the password of role '{made.role}' is not on this machine",
            hint="Copy its file from another host of the site, and name it with --role-password.",
        )
    with Database(made.address, Cluster(password_file=secret)) as database:
        database.rows("SELECT 1")
    near = secret.name if secret.parent == path.parent.absolute() else str(secret)
    has_jobs = FilePlace(ledger_path(settings.state_dir)).exists()
    values: dict[str, Any] = {} if has_jobs else {"ledger": made.address}
    values["cluster"] = {"site": made.site, "password_file": near}
    _write(path, values)
    lines = [("written", f"{path}: {', '.join(values)}")]
    move = f"drawcli ledger migrate --to {made.address}"
    lines.append(("next", move if has_jobs else "drawcli worker"))
    return [*values], lines


def _write(path: Path, values: dict[str, Any]) -> None:
    """Add settings to a file; all other lines stay as they are."""
    from drawcli.system.files import write_durably
    from drawcli.system.yaml_edit import flow_style
    from drawcli.system.yaml_read import parse_yaml, read_yaml
    from drawcli.system.yaml_text.splice import with_value

    document = read_yaml(path)
    given: dict[str, Any] = document.data or {}
    for name, wanted in values.items():
        if isinstance(wanted, dict):
            values[name] = {**(given.get(name) or {}), **wanted}
    if given.get("ledger") not in (None, "", values.get("ledger")):
        raise ConfigError(
            f"{document.place(('ledger',))}: 'ledger' names another database",
            hint="Nothing was changed in it. Change it by hand, or move the jobs with "
            "'drawcli ledger migrate'.",
        )
    known = {name: value for name, value in values.items() if name in given}
    changed = with_value(document, (), {**given, **known}) if known else document
    added = "".join(
        f"{name}: {flow_style(value)}\n" for name, value in values.items() if name not in given
    )
    source = changed.source
    if added:  # at the end, where no comment belongs to a section before it
        source += b"\n" * (2 - source[-2:].count(b"\n")) + added.encode()
    if parse_yaml(path, source).data != {**given, **values}:
        raise ConfigError(f"{path}: it cannot be changed by drawcli", hint="Change it by hand.")
    if source != document.source:
        target = path.resolve()
        write_durably(target, source, mode=target.stat().st_mode & 0o777)
