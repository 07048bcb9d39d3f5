"""Site settings: flag > DRAWCLI_* variable > drawcli.yaml > default, checked as a whole.

Relative paths are relative to the settings file. Nested settings are set from the environment with
two underscores: DRAWCLI_SERVER__URL.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin

from pydantic import BeforeValidator, Field, ValidationError

from drawcli.config.sections import (
    Deidentify,
    FilePath,
    Match,
    Scan,
    ServerSettings,
    SettingsSection,
)
from drawcli.config.sections_delivery import Accept, Deliver
from drawcli.config.sections_monitoring import URLS_VARIABLE, Dashboard, Logs, Metrics, Notify
from drawcli.core.protocol.bandwidth import Bandwidth
from drawcli.errors import ConfigError
from drawcli.system.platforms import is_within
from drawcli.system.yaml_read import Document, problem_text, raise_problems, read_yaml, suggest

SectionT = TypeVar("SectionT", bound=SettingsSection)
_PREFIX: Final = "DRAWCLI_"
_JSON: Final = (list, dict, SettingsSection, Bandwidth)  # types that a variable may give as JSON
_OTHER_VARIABLES: Final = frozenset({"DRAWCLI_CONFIG", URLS_VARIABLE})


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Path) else value


class Settings(SettingsSection):
    """The settings of a site."""

    datastore: Annotated[list[FilePath], BeforeValidator(_as_list), Field(min_length=1)]
    state_dir: FilePath
    rules: FilePath = Path("rules.yaml")
    templates: FilePath = Path("templates.yaml")
    server: ServerSettings = Field(default_factory=ServerSettings)
    scan: Scan = Field(default_factory=Scan)
    match: Match = Field(default_factory=Match)
    deidentify: Deidentify = Field(default_factory=Deidentify)
    accept: Accept = Field(default_factory=Accept)
    deliver: Deliver = Field(default_factory=Deliver)
    preview: Literal["always", "on_hold", "never"] = "on_hold"
    notify: Notify = Field(default_factory=Notify)
    metrics: Metrics = Field(default_factory=Metrics)
    dashboard: Dashboard = Field(default_factory=Dashboard)
    logs: Logs = Field(default_factory=Logs)

    def anchored(self, base: Path) -> "Settings":
        """Return the settings with every relative path made relative to `base`."""
        folder = self.deliver.folder
        deliver = {} if folder == "beside" else {"folder": base / folder}
        return self.model_copy(
            update={
                "datastore": [base / path for path in self.datastore],
                "state_dir": base / self.state_dir,
                "rules": base / self.rules,
                "templates": base / self.templates,
                "server": _placed(
                    self.server, base, "token_file", "ca_file", "client_cert", "client_key"
                ),
                "notify": _placed(self.notify, base, "urls_file"),
                "metrics": _placed(self.metrics, base, "textfile"),
                "deliver": self.deliver.model_copy(update=deliver),
            }
        )


_SECTIONS: Final = [
    name for name, field in Settings.model_fields.items() if field.default_factory is not None
]


def _placed(section: SectionT, base: Path, *names: str) -> SectionT:
    """Return a section with its relative paths made relative to `base`."""
    given = {name: getattr(section, name) for name in names}
    return section.model_copy(
        update={name: base / path for name, path in given.items() if path is not None}
    )


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
    problems = _unknown_variables(env)
    given = {key: {} for key in _SECTIONS} | {
        str(key): {} if value is None and key in _SECTIONS else value for key, value in data.items()
    }
    try:
        settings = Settings(**_over(given, _environment(env)))
    except ValidationError as err:
        for error in err.errors(include_url=False):
            where = _where(error["loc"], document, env)
            problems.append(f"{where}: {problem_text(error, Settings)}")
    raise_problems(problems, hint=f"Correct {path.name} and run the command again.")
    return _checked(
        settings.anchored(path.absolute().parent), _where(("state_dir",), document, env)
    )


def _environment(env: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of the DRAWCLI_* variables, in the form of the file."""
    given: dict[str, Any] = {}
    for name, value in sorted((name.upper(), value) for name, value in env.items()):
        top, *below = name.removeprefix(_PREFIX).lower().split("__")
        if name.startswith(_PREFIX) and top in Settings.model_fields:
            _set(given, Settings, [top, *below], value)
    return {key: value for key, value in given.items() if value is not None}


def _set(given: Any, kind: Any, path: list[str], text: str) -> None:
    """Set a value in a section; lists and mappings may be JSON.

    A section that another variable sets to something else is left for validation to report.
    """
    key, *below = path
    if get_origin(kind) is dict:
        kind = get_args(kind)[1]
    else:
        known = getattr(kind, "model_fields", {})
        kind = known[key].annotation if key in known else None
    if not isinstance(given, dict):
        return
    if below:
        _set(given.setdefault(key, {}), kind, below, text)
        return
    given[key] = text
    types = (kind, get_origin(kind))
    if any(isinstance(type_, type) and issubclass(type_, _JSON) for type_ in types):
        with suppress(ValueError):
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


def _where(location: tuple[Any, ...], document: Document, env: Mapping[str, str]) -> str:
    names = [str(part).upper() for part in location]
    for length in range(len(names), 0, -1):
        variable = _PREFIX + "__".join(names[:length])
        if variable in {name.upper() for name in env}:
            return f"environment {variable}"
    return document.place(location)


def _unknown_variables(env: Mapping[str, str]) -> list[str]:
    """Return a problem for each DRAWCLI_ variable that is no setting."""
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    given = (name for name in env if name.upper().startswith(_PREFIX))
    return [
        f"environment {name}: unknown setting{suggest(name, known)}"
        for name in given
        if name.upper().partition("__")[0] not in known and name not in _OTHER_VARIABLES
    ]


def _checked(settings: Settings, where: str) -> Settings:
    """Check conditions on several settings."""
    problems = [
        f"{where}: state_dir is in the datastore {store}, which is only read"
        for store in settings.datastore
        if is_within(settings.state_dir, store)
    ]
    raise_problems(problems, hint="Choose a folder outside the datastore.")
    return settings
