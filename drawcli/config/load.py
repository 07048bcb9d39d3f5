"""Site settings: flag > DRAWCLI_* variable > drawcli.yaml > default, checked as a whole.

Relative paths are relative to the settings file. Nested settings are set from the environment with
two underscores: DRAWCLI_SERVER__URL.
"""

import json
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

from drawcli.config.sections import Deidentify, Match, Scan, ServerSettings
from drawcli.config.sections_cluster import Cluster, ledger_address
from drawcli.config.sections_delivery import Accept, Deliver
from drawcli.config.sections_group import GroupView
from drawcli.config.sections_login import SingleSignOn
from drawcli.config.sections_monitoring import URLS_VARIABLE, Dashboard, Logs, Metrics, Notify
from drawcli.config.sections_network import Receive
from drawcli.config.sections_pull import Pull, PullSource
from drawcli.config.sections_qa import Qa
from drawcli.errors import ConfigError
from drawcli.system.addresses import split_command
from drawcli.system.kinds import PATH, TEXT, as_list, choice, listed, section, text
from drawcli.system.platforms import is_within
from drawcli.system.records import Invalid, Kind, Record, message, required, setting, suggest
from drawcli.system.yaml_read import Document, raise_problems, read_yaml

RecordT = TypeVar("RecordT", bound=Record)
PREFIX: Final = "DRAWCLI_"
_DEEPEST: Final = 20  # sections within each other, in the name of a variable
_OTHER_VARIABLES: Final = frozenset({"DRAWCLI_CONFIG", URLS_VARIABLE})
_WHEN_PREVIEWED: Final = choice("always", "on_hold", "never")


def _section(of: type[Record]) -> Any:
    """Declare a section; it may be empty, if its keys are comments."""
    kind = section(of)
    read = kind.read
    kind.read = lambda value: read({} if value is None else value)
    return setting(of, kind)


class Settings(Record):
    """The settings of a site."""

    datastore: list[Path] = required(listed(PATH, split=as_list, least=1))
    state_dir: Path = required(PATH)
    site_key_command: list[str] = setting([], listed(TEXT, split=split_command))  # not a file
    ledger: str = setting("", text(check=ledger_address))  # "": the file in state_dir
    rules: Path = setting(Path("rules.yaml"), PATH)
    templates: Path = setting(Path("templates.yaml"), PATH)
    server: ServerSettings = _section(ServerSettings)
    scan: Scan = _section(Scan)
    match: Match = _section(Match)
    deidentify: Deidentify = _section(Deidentify)
    accept: Accept = _section(Accept)
    deliver: Deliver = _section(Deliver)
    preview: str = setting("on_hold", _WHEN_PREVIEWED)
    notify: Notify = _section(Notify)
    metrics: Metrics = _section(Metrics)
    dashboard: Dashboard = _section(Dashboard)
    oidc: SingleSignOn = _section(SingleSignOn)
    logs: Logs = _section(Logs)
    qa: Qa = _section(Qa)
    receive: Receive = _section(Receive)
    pull: Pull = _section(Pull)
    cluster: Cluster = _section(Cluster)
    group: GroupView = _section(GroupView)

    def anchored(self, base: Path) -> "Settings":
        """Return the settings with every relative path made relative to `base`."""
        folder = self.deliver.folder
        deliver: dict[str, Any] = {} if folder == "beside" else {"folder": base / folder}
        if self.deliver.targets:
            deliver["targets"] = [target.anchored(base) for target in self.deliver.targets]
        return self.replace(
            datastore=[base / path for path in self.datastore],
            state_dir=base / self.state_dir,
            rules=base / self.rules,
            templates=base / self.templates,
            server=_placed(self.server, base, "token_file", "ca_file", "client_cert", "client_key"),
            notify=_placed(self.notify, base, "urls_file"),
            metrics=_placed(self.metrics, base, "textfile"),
            oidc=_placed(self.oidc, base, "client_secret_file", "ca_file"),
            deliver=self.deliver.replace(**deliver),
            receive=_placed(self.receive, base, "folder", "tls_cert", "tls_key", "tls_ca"),
            pull=self.pull.replace(sources=[source.anchored(base) for source in self.pull.sources]),
            group=self.group.anchored(base),
            cluster=_placed(self.cluster, base, "password_file", "s3_ca_file"),
            qa=_placed(self.qa, base, "limits").replace(
                folders=[base / path for path in self.qa.folders]
            ),
        )


_SITE: Final = section(Settings)


def _placed(record: RecordT, base: Path, *names: str) -> RecordT:
    """Return a section with its relative paths made relative to `base`."""
    given = {name: getattr(record, name) for name in names}
    return record.replace(**{name: base / path for name, path in given.items() if path is not None})


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """Read and check the settings.

    Raises
    ------
    ConfigError
        With one line for each problem: file, line and column, or the variable; key; what to do.
    """
    document = read_yaml(path)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1:1: expected keys with values, such as 'datastore: /dicom'")
    problems, variables = _unknown_variables(env), {name.upper() for name in env}
    given = {str(key): value for key, value in data.items()}
    try:
        settings = Settings(**_over(given, settings_in(env)))
    except Invalid as err:
        for problem in err.problems:
            problems.append(f"{_where(problem[0], document, variables)}: {message(problem)}")
    raise_problems(problems, hint=f"Correct {path.name} and run the command again.")
    return _checked(
        settings.anchored(path.absolute().parent), _where(("state_dir",), document, variables)
    )


def settings_in(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the DRAWCLI_* variables, in the form of the file."""
    given: dict[str, Any] = {}
    for name, value in sorted((name.upper(), value) for name, value in env.items()):
        top, *below = name.removeprefix(PREFIX).lower().split("__")
        if name.startswith(PREFIX) and top in Settings.fields and len(below) <= _DEEPEST:
            _set(given, _SITE, [top, *below], value)
    return {key: value for key, value in given.items() if value is not None}


def _set(given: Any, kind: Kind | None, path: list[str], text: str) -> None:
    """Set a value in a section; lists and mappings may be JSON.

    A section that another variable sets to something else is left for the check to report.
    """
    key, *below = path
    kind = kind and kind.inner(key)
    if not isinstance(given, dict):
        return
    if below:
        _set(given.setdefault(key, {}), kind, below, text)
        return
    given[key] = text
    if kind is not None and not kind.is_plain:
        with suppress(ValueError, RecursionError):
            given[key] = json.loads(text)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two layers of settings; `above` has precedence, key by key."""
    both = dict(below)
    for key, value in above.items():
        under = both.get(key)
        if isinstance(under, dict) and isinstance(value, dict):
            both[key] = _over(under, value)
        else:
            both[key] = value
    return both


def _where(location: tuple[Any, ...], document: Document, variables: AbstractSet[str]) -> str:
    names = [str(part).upper() for part in location]
    for length in range(len(names), 0, -1):
        variable = PREFIX + "__".join(names[:length])
        if variable in variables:
            return f"environment {variable}"
    return document.place(location)


def _unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return a problem for each DRAWCLI_ variable that is no setting."""
    known = {f"{PREFIX}{name}".upper() for name in Settings.fields}
    given = (name for name in env if name.upper().startswith(PREFIX))
    return [
        f"environment {name}: unknown setting{suggest(name, known)}"
        for name in given
        if (name.upper().partition("__")[0] not in known and name not in _OTHER_VARIABLES)
        or name.count("__") > _DEEPEST
    ]


def _checked(settings: Settings, where: str) -> Settings:
    """Check conditions on several settings."""
    problems = [
        f"{where}: state_dir is in the datastore {store}, which is only read"
        for store in settings.datastore
        if is_within(settings.state_dir, store)
    ]
    raise_problems(problems, hint="Choose a folder outside the datastore.")
    received = settings.receive.folder
    if received and not _is_in_datastore(received, settings):
        text = f"{where}: receive.folder {received} is not in the datastore: no scan would find it"
        raise_problems([text], hint="Choose a folder of the datastore, or add it to 'datastore'.")
    for number, source in enumerate(settings.pull.sources):
        if problem := _unfit_source(source, settings):
            raise_problems([f"{where}: pull.sources.{number}: {problem}"], hint=_PULL_HINT)
    return settings


def _unfit_source(source: PullSource, settings: Settings) -> str:
    """Return why a source does not fit the other settings, or ""."""
    received, folder = settings.receive.folder, source.folder
    if source.by == "move":
        return "" if received else "C-MOVE needs 'receive': set receive.folder and receive.callers"
    if folder is None or not _is_in_datastore(folder, settings):
        return f"folder {folder} is not in the datastore: no scan would find it"
    if received and (is_within(folder, received) or is_within(received, folder)):
        return "folder is that of 'receive': choose another, or 'by: move'"
    return ""


def _is_in_datastore(folder: Path, settings: Settings) -> bool:
    return any(is_within(folder, store) for store in settings.datastore)


_PULL_HINT: Final = "See docs/how-to/pull.md."
