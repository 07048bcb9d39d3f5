"""Site settings: flag > DRAWCLI_* variable > drawcli.yaml > default, checked as a whole.

Relative paths are relative to the settings file. Nested settings are set from the environment with
two underscores: DRAWCLI_SERVER__URL.
"""

import json
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from drawcli.core.profile import Choices, check_removable, check_retainable
from drawcli.errors import ConfigError
from drawcli.yamlfile import Document, meant, problem_text, raise_all, read_yaml

FILE_NAME: Final = "drawcli.yaml"
_PREFIX: Final = "DRAWCLI_"
_OTHER_VARIABLES: Final = frozenset({"DRAWCLI_CONFIG"})

DEFAULT_ENDPOINTS: Final = {
    "health": "/api/health",
    "models": "/api/models/",
    "upload": "/api/upload/",
    "status": "/api/upload/{task_id}/status/",
    "rtstruct": "/api/rtstruct/{task_id}/",
    "confirm": "/api/rtstruct/{task_id}/confirm/",
    "refresh": "/api/token/refresh/",
}


_OF_ONE_TASK: Final = frozenset({"status", "rtstruct", "confirm"})
_LONGEST_HOURS: Final = 10_000.0  # about a year: what is longer is a slip of the pen


def _path(value: object) -> object:
    """Return a path with "~" written out."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names a user that this computer does not know") from None


def _beside_or_path(value: object) -> object:
    return value if value == "beside" else _path(value)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Path) else value


def _as_words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _as_day(value: object) -> object:
    """Return a date of which the form says that it is one; pydantic takes numbers for seconds."""
    try:
        return date.fromisoformat(str(value)) if value is not None else None
    except ValueError:
        raise ValueError("should be a date such as 2026-01-31") from None


def _base_url(value: str) -> str:
    """Return the address of a server, to which the paths of the endpoints are added."""
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise ValueError("is no http or https address") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or not value.isascii():
        raise ValueError("is no http or https address")
    if parts.username is not None or parts.query or parts.fragment or " " in value:
        raise ValueError("should be an address alone, without a user, '?', '#' or blanks")
    return value


def _client_name(value: str) -> str:
    if not all(char.isascii() and (char.isalnum() or char in "_.-") for char in value):
        raise ValueError("may hold letters, digits and _ . - only")
    return value


def _endpoint_paths(paths: dict[str, str]) -> dict[str, str]:
    for name, path in paths.items():
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"the path of {name} should begin with one '/'")
        if name in _OF_ONE_TASK and "{task_id}" not in path:
            raise ValueError(f"the path of {name} should hold {{task_id}}")
    return paths


FilePath = Annotated[Path, BeforeValidator(_path)]
Hours = Annotated[float, Field(gt=0, le=_LONGEST_HOURS)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Server(_Section):
    """The DRAW server and how to talk to it."""

    url: Annotated[str, AfterValidator(_base_url)] = "https://draw.chavi.ai/"
    client_id: Annotated[str, AfterValidator(_client_name)] = ""
    token_file: FilePath = Path("token.json")
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    deadline_hours: Hours = 4.0  # then a job without a result is held
    allow_http: bool = False  # plain http to another machine: the token goes in the clear
    endpoints: Annotated[
        dict[
            Literal["health", "models", "upload", "status", "rtstruct", "confirm", "refresh"], str
        ],
        AfterValidator(_endpoint_paths),
    ] = {}

    def path_of(self, endpoint: str) -> str:
        """Return the path of an endpoint, the site's own or the usual one."""
        own: Mapping[str, str] = {str(name): path for name, path in self.endpoints.items()}
        return own.get(endpoint, DEFAULT_ENDPOINTS[endpoint])


class Scan(_Section):
    """Which series are taken, and when they are whole."""

    quiet_minutes: float = Field(10.0, ge=0, le=_LONGEST_HOURS)  # of the series, not of each file
    incomplete_hours: Hours = 24.0  # then a series that is not whole is held
    modalities: Annotated[
        list[Literal["CT", "MR", "PT"]], BeforeValidator(_as_words), Field(min_length=1)
    ] = ["CT", "MR", "PT"]
    min_slices: int = Field(3, ge=2, le=100_000)
    studied_after: Annotated[date | None, BeforeValidator(_as_day)] = None


class Match(_Section):
    """What to do with a series that several templates fit."""

    on_many: Literal["hold", "first", "all"] = "hold"


def _removable(keywords: list[str]) -> list[str]:
    for keyword in keywords:
        check_removable(keyword)
    return keywords


def _retainable(reasons: dict[str, str]) -> dict[str, str]:
    for keyword, reason in reasons.items():
        check_retainable(keyword, reason)
    return reasons


class Deidentify(_Section):
    """Choices that the policy leaves to a site; none of them switches the privacy gate off."""

    dates: Literal["shift", "fixed"] = "shift"
    patient_characteristics: Literal["keep", "remove"] = "keep"  # sex, age, size, weight
    remove: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_removable)] = []
    retain: Annotated[dict[str, str], AfterValidator(_retainable)] = {}  # keyword: why
    workers: int = Field(0, ge=0, le=64)  # threads that build a package; 0: as many as fit
    keep_descriptors: Annotated[
        list[Literal["SeriesDescription", "StudyDescription", "ProtocolName"]],
        BeforeValidator(_as_words),
    ] = []

    @property
    def choices(self) -> Choices:
        """What they make of the policy."""
        return Choices(
            fixed_dates=self.dates == "fixed",
            characteristics=self.patient_characteristics == "keep",
            descriptors=frozenset(self.keep_descriptors),
            remove=frozenset(self.remove),
            retain=tuple(sorted(self.retain.items())),
        )


class Deliver(_Section):
    """Where structure sets go."""

    folder: Annotated[Literal["beside"] | Path, BeforeValidator(_beside_or_path)] = "beside"
    keep_days: float = Field(30.0, gt=0, le=36_500)


class Settings(BaseSettings):
    """What a site sets once."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    datastore: Annotated[list[FilePath], BeforeValidator(_as_list), Field(min_length=1)]
    state_dir: FilePath
    rules: FilePath = Path("rules.yaml")
    templates: FilePath = Path("templates.yaml")
    server: Server = Server()
    scan: Scan = Scan()
    match: Match = Match()
    deidentify: Deidentify = Deidentify()
    deliver: Deliver = Deliver()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic-settings'
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - read by `load_settings`
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take what `load_settings` has put together, and nothing else."""
        return (init_settings,)

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
                "server": self.server.model_copy(
                    update={"token_file": base / self.server.token_file}
                ),
                "deliver": self.deliver.model_copy(update=deliver),
            }
        )


class _Environment(EnvSettingsSource):
    """The DRAWCLI_* variables of a given environment."""

    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__(Settings)
        self.env_vars = {name.lower(): value for name, value in env.items()}

    def decode_complex_value(self, field_name: str, field: FieldInfo, value: Any) -> Any:  # noqa: ARG002
        """Return lists and keys written as JSON, and any other text as it is."""
        try:
            return json.loads(value)
        except ValueError:
            return value


def find_settings(given: Path | None, env: Mapping[str, str]) -> Path:
    """Return the settings file: the flag's, DRAWCLI_CONFIG's, this folder's, the user's."""
    if given is not None:
        return given
    if named := env.get("DRAWCLI_CONFIG"):
        return Path(named)
    here = Path(FILE_NAME)
    if here.exists():
        return here
    from platformdirs import user_config_path

    users = user_config_path("drawcli") / FILE_NAME
    if users.exists():
        return users
    raise ConfigError(
        f"no settings: neither {FILE_NAME} in this folder nor {users}",
        hint="Give --config FILE, or run 'drawcli init' to make a site here.",
    )


def load_settings(path: Path, env: Mapping[str, str]) -> Settings:
    """Read and check the settings; name everything that is wrong with them at once.

    Raises
    ------
    ConfigError
        With one line a problem: file, line and column, or the variable; the key; what to do.
    """
    document = read_yaml(path)
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise ConfigError(f"{path}:1:1: expected keys with values, such as 'datastore: /dicom'")
    problems = _unknown_variables(env)
    given = {str(key): value for key, value in data.items() if not _empty_section(key, value)}
    try:
        settings = Settings(**_over(given, _Environment(env)()))
    except ValidationError as err:
        for error in err.errors(include_url=False):
            where = _where(error["loc"], document, env)
            problems.append(f"{where}: {problem_text(error, Settings)}")
    raise_all(problems, hint=f"Mend {path.name} and run the command again; nothing was changed.")
    return _checked(
        settings.anchored(path.absolute().parent), _where(("state_dir",), document, env)
    )


def _empty_section(key: object, value: object) -> bool:
    """Tell whether a section has nothing below it, as where all of it is commented out."""
    known = Settings.model_fields.get(str(key))
    return value is None and known is not None and isinstance(known.default, _Section)


def _over(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two layers of settings as one; the upper one wins key by key."""
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
    """Return a line for each DRAWCLI_ variable that sets nothing."""
    known = {f"{_PREFIX}{name}".upper() for name in Settings.model_fields}
    given = (name for name in env if name.upper().startswith(_PREFIX))
    return [
        f"environment {name}: unknown setting{meant(name, known)}"
        for name in given
        if name.upper().partition("__")[0] not in known and name not in _OTHER_VARIABLES
    ]


def _checked(settings: Settings, where: str) -> Settings:
    """Check what one key alone cannot tell."""
    state = settings.state_dir.resolve()
    problems = [
        f"{where}: state_dir lies in the datastore {store}; it is only read"
        for store in settings.datastore
        if store.resolve() in (state, *state.parents)
    ]
    raise_all(problems, hint="Choose a folder outside the datastore.")
    return settings
