"""Site settings: flag > DRAWCLI_* variable > drawcli.yaml > default, checked as a whole.

Relative paths are relative to the settings file. Nested settings are set from the environment with
two underscores: DRAWCLI_SERVER__URL.
"""

from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

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


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Server(_Section):
    """The DRAW server and how to talk to it."""

    url: str = "https://draw.chavi.ai/"
    client_id: str = Field("", pattern=r"^[A-Za-z0-9_.-]*$")
    token_file: Path = Path("token.json")
    timeout_seconds: float = Field(60.0, gt=0)
    deadline_hours: float = Field(4.0, gt=0)  # then a job without a result is held
    allow_http: bool = False  # plain http to another machine: the token goes in the clear
    endpoints: dict[
        Literal["health", "models", "upload", "status", "rtstruct", "confirm", "refresh"], str
    ] = {}

    def path_of(self, endpoint: str) -> str:
        """Return the path of an endpoint, the site's own or the usual one."""
        own: Mapping[str, str] = {str(name): path for name, path in self.endpoints.items()}
        return own.get(endpoint, DEFAULT_ENDPOINTS[endpoint])


class Scan(_Section):
    """Which series are taken, and when they are whole."""

    quiet_minutes: float = Field(10.0, ge=0)  # of the whole series, not of each file
    incomplete_hours: float = Field(24.0, gt=0)  # then a series that is not whole is held
    modalities: list[Literal["CT", "MR", "PT"]] = ["CT", "MR", "PT"]
    min_slices: int = Field(3, ge=2)
    studied_after: date | None = None


class Match(_Section):
    """What to do with a series that several templates fit."""

    on_many: Literal["hold", "first", "all"] = "hold"


class Deidentify(_Section):
    """Choices that the policy leaves to a site."""

    dates: Literal["shift", "fixed"] = "shift"
    keep_descriptors: list[Literal["SeriesDescription", "StudyDescription", "ProtocolName"]] = []


class Deliver(_Section):
    """Where structure sets go."""

    folder: Path | Literal["beside"] = "beside"
    keep_days: float = Field(30.0, gt=0)


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str | Path) else value


class Settings(BaseSettings):
    """What a site sets once."""

    model_config = SettingsConfigDict(
        env_prefix=_PREFIX, env_nested_delimiter="__", extra="forbid", frozen=True
    )

    datastore: Annotated[list[Path], BeforeValidator(_as_list), Field(min_length=1)]
    state_dir: Path
    rules: Path = Path("rules.yaml")
    templates: Path = Path("templates.yaml")
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
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over the file, whose values are handed to the constructor."""
        return env_settings, init_settings

    def anchored(self, base: Path) -> "Settings":
        """Return the settings with every relative path made relative to `base`."""
        folder = self.deliver.folder
        deliver = {} if folder == "beside" else {"folder": base / Path(folder).expanduser()}
        return self.model_copy(
            update={
                "datastore": [base / path.expanduser() for path in self.datastore],
                "state_dir": base / self.state_dir.expanduser(),
                "rules": base / self.rules.expanduser(),
                "templates": base / self.templates.expanduser(),
                "server": self.server.model_copy(
                    update={"token_file": base / self.server.token_file.expanduser()}
                ),
                "deliver": self.deliver.model_copy(update=deliver),
            }
        )


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
    try:
        settings = Settings(**{str(key): value for key, value in data.items()})
    except ValidationError as err:
        for error in err.errors(include_url=False):
            where = _where(error["loc"], document, env)
            problems.append(f"{where}: {problem_text(error, Settings)}")
    except ValueError as err:  # a variable that should hold JSON and does not
        problems.append(str(err).partition(" from source")[0])
    raise_all(problems, hint=f"Mend {path.name} and run the command again; nothing was changed.")
    return _checked(settings.anchored(path.absolute().parent), document)


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


def _checked(settings: Settings, document: Document) -> Settings:
    """Check what one key alone cannot tell."""
    problems = []
    for store in settings.datastore:
        state = settings.state_dir
        if state == store or store in state.parents:
            where = document.place(("state_dir",))
            problems.append(f"{where}: state_dir lies in the datastore {store}; it is only read")
    raise_all(problems, hint="Choose a folder outside the datastore.")
    return settings
