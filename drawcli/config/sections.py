"""The sections of the settings file: what a site may set, and what each value may be."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from drawcli.core.jobs.late_changes import Late
from drawcli.core.protocol.bandwidth import Bandwidth, parse_bandwidth
from drawcli.core.series.zones import LARGEST_STEP
from drawcli.system.addresses import (
    check_certificate,
    check_token_source,
    parse_web_address,
    split_command,
)

if TYPE_CHECKING:
    from drawcli.core.deid.profile import Choices

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


def parse_path(value: object) -> object:
    """Return a path with "~" written out."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names a user that this computer does not know") from None


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
    parts = parse_web_address(value)
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


FilePath = Annotated[Path, BeforeValidator(parse_path)]
Command = Annotated[list[str], BeforeValidator(split_command)]
Hours = Annotated[float, Field(gt=0, le=_LONGEST_HOURS)]


class SettingsSection(BaseModel):
    """Keys that belong together; an unknown one is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class ServerSettings(SettingsSection):
    """The DRAW server and how to talk to it."""

    url: Annotated[str, AfterValidator(_base_url)] = "https://draw.chavi.ai/"
    client_id: Annotated[str, AfterValidator(_client_name)] = ""
    token_file: FilePath = Path("token.json")
    token_command: Command = []  # its output is the pair; in place of token_file
    token_store_command: Command = []  # gets a new pair on its standard input
    token_keyring: str = ""  # the service of an entry of the system's keyring; likewise
    ca_file: FilePath | None = None  # trusted in place of what the system trusts
    client_cert: FilePath | None = None
    client_key: FilePath | None = None  # None: in client_cert
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    deadline_hours: Hours = 4.0  # then a job without a result is held
    parallel: int = Field(2, ge=1, le=16)  # requests at once
    bwlimit: Annotated[Bandwidth, BeforeValidator(parse_bandwidth)] = Bandwidth()  # of uploads
    allow_http: bool = False  # plain http to another machine: the token goes in the clear
    endpoints: Annotated[
        dict[
            Literal["health", "models", "upload", "status", "rtstruct", "confirm", "refresh"], str
        ],
        AfterValidator(_endpoint_paths),
    ] = {}

    @model_validator(mode="after")
    def _one_way_in(self) -> Self:
        check_token_source(self.token_command, self.token_store_command, self.token_keyring)
        check_certificate(self.client_cert, self.client_key)
        return self

    def path_of(self, endpoint: str) -> str:
        """Return the path of an endpoint, the site's own or the usual one."""
        own: dict[str, str] = {str(name): path for name, path in self.endpoints.items()}
        return own.get(endpoint, DEFAULT_ENDPOINTS[endpoint])


def _image_classes(uids: list[str]) -> list[str]:
    from drawcli.core.deid.profile import IMAGE_CLASSES

    unknown = [uid for uid in uids if uid not in IMAGE_CLASSES]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is no SOP class of CT, MR or PET images")
    return uids


def _globs(patterns: list[str]) -> list[str]:
    if any(not one.strip("/") or "\\" in one for one in patterns):
        raise ValueError("should be patterns such as '*.dcm' or 'research/*', with '/' only")
    return [one.strip("/") for one in patterns]


class SeriesCriteria(SettingsSection):
    """Which series are taken, and when they are whole; a folder may ask for other than the rest."""

    quiet_minutes: float = Field(10.0, ge=0, le=_LONGEST_HOURS)  # of the series, not of each file
    incomplete_hours: Hours = 24.0  # then a series that is not whole is held
    modalities: Annotated[
        list[Literal["CT", "MR", "PT"]], BeforeValidator(_as_words), Field(min_length=1)
    ] = ["CT", "MR", "PT"]
    min_slices: int = Field(3, ge=2, le=100_000)
    studied_after: Annotated[date | None, BeforeValidator(_as_day)] = None
    sop_classes: Annotated[
        list[str], BeforeValidator(_as_words), AfterValidator(_image_classes)
    ] = []  # none: all that are supported
    max_series_gib: float = Field(100.0, gt=0, le=100_000)
    min_age_minutes: float = Field(0.0, ge=0, le=_LONGEST_HOURS * 60)  # since its first file came
    largest_step: float = Field(LARGEST_STEP, gt=1, le=10)  # times the usual distance of slices
    late: Late = "flag"  # images that change after the upload


def _folders(wanted: dict[str, SeriesCriteria]) -> dict[str, SeriesCriteria]:
    for name in wanted:
        if not name.strip("/") or ".." in name.split("/"):
            raise ValueError("should name folders: below the datastore, or by their whole path")
    return {name.rstrip("/"): one for name, one in wanted.items()}


class Scan(SeriesCriteria):
    """Where to look, how often, and what is taken."""

    include: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_globs)] = []
    exclude: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_globs)] = []
    folders: Annotated[
        dict[str, SeriesCriteria], AfterValidator(_folders)
    ] = {}  # what differs there
    full_walk_hours: float = Field(1.0, ge=0, le=_LONGEST_HOURS)
    workers: int = Field(0, ge=0, le=64)  # processes that read headers; 0: as many as pay
    answer_seconds: float = Field(120.0, gt=0, le=86_400)  # then a folder of it is passed over

    def in_folder(self, name: str) -> SeriesCriteria:
        """Return what is asked for in a folder of `folders`; else the same as anywhere."""
        own = self.folders[name]
        return self.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


class Match(SettingsSection):
    """What to do with a series that several templates fit."""

    on_many: Literal["hold", "first", "all"] = "hold"


def _removable(keywords: list[str]) -> list[str]:
    from drawcli.core.deid.profile import check_removable

    for keyword in keywords:
        check_removable(keyword)
    return keywords


def _retainable(reasons: dict[str, str]) -> dict[str, str]:
    from drawcli.core.deid.profile import check_retainable

    for keyword, reason in reasons.items():
        check_retainable(keyword, reason)
    return reasons


class Deidentify(SettingsSection):
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
    def choices(self) -> "Choices":
        """What they make of the policy."""
        from drawcli.core.deid.profile import Choices

        return Choices(
            fixed_dates=self.dates == "fixed",
            characteristics=self.patient_characteristics == "keep",
            descriptors=frozenset(self.keep_descriptors),
            remove=frozenset(self.remove),
            retain=tuple(sorted(self.retain.items())),
        )
