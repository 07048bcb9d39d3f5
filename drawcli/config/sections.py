"""The sections of the settings file, with types, defaults and limits."""

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
_LONGEST_HOURS: Final = 10_000.0  # about a year; larger values are typing errors


def parse_path(value: object) -> object:
    """Return a path with "~" expanded."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names an unknown user") from None


def _as_words(value: object) -> object:
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _as_day(value: object) -> object:
    """Return an ISO date; pydantic would read numbers as seconds."""
    try:
        return date.fromisoformat(str(value)) if value is not None else None
    except ValueError:
        raise ValueError("should be a date such as 2026-01-31") from None


def _base_url(value: str) -> str:
    """Check the base URL of a server; the paths of the endpoints are appended to it."""
    parts = parse_web_address(value)
    if parts.username is not None or parts.query or parts.fragment or " " in value:
        raise ValueError("should be an address without a user, '?', '#' or blanks")
    return value


def _client_name(value: str) -> str:
    if not all(char.isascii() and (char.isalnum() or char in "_.-") for char in value):
        raise ValueError("should contain only letters, digits and _ . -")
    return value


def _endpoint_paths(paths: dict[str, str]) -> dict[str, str]:
    for name, path in paths.items():
        if not path.startswith("/") or path.startswith("//"):
            raise ValueError(f"the path of {name} should begin with one '/'")
        if name in _OF_ONE_TASK and "{task_id}" not in path:
            raise ValueError(f"the path of {name} should contain {{task_id}}")
    return paths


FilePath = Annotated[Path, BeforeValidator(parse_path)]
Command = Annotated[list[str], BeforeValidator(split_command)]
Hours = Annotated[float, Field(gt=0, le=_LONGEST_HOURS)]


class SettingsSection(BaseModel):
    """A section of the settings file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class ServerSettings(SettingsSection):
    """The DRAW server and how to talk to it."""

    url: Annotated[str, AfterValidator(_base_url)] = "https://draw.chavi.ai/"
    client_id: Annotated[str, AfterValidator(_client_name)] = ""
    token_file: FilePath = Path("token.json")
    token_command: Command = []  # prints the token pair; instead of token_file
    token_store_command: Command = []  # receives a new pair on its standard input
    token_keyring: str = ""  # service name in the system's keyring; instead of token_file
    ca_file: FilePath | None = None  # instead of the system's certificates
    client_cert: FilePath | None = None
    client_key: FilePath | None = None  # None: in client_cert
    timeout_seconds: float = Field(60.0, gt=0, le=3600)
    deadline_hours: Hours = 4.0  # a job without a result is held after this time
    parallel: int = Field(2, ge=1, le=16)  # concurrent requests
    bwlimit: Annotated[Bandwidth, BeforeValidator(parse_bandwidth)] = Bandwidth()  # of uploads
    allow_http: bool = False  # plain http to another machine sends the token unencrypted
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
        """Return the path of an endpoint, as configured or by default."""
        own: dict[str, str] = {str(name): path for name, path in self.endpoints.items()}
        return own.get(endpoint, DEFAULT_ENDPOINTS[endpoint])


def _image_classes(uids: list[str]) -> list[str]:
    from drawcli.core.deid.profile import IMAGE_CLASSES

    unknown = [uid for uid in uids if uid not in IMAGE_CLASSES]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not a SOP class of CT, MR or PET images")
    return uids


def _globs(patterns: list[str]) -> list[str]:
    if any(not pattern.strip("/") or "\\" in pattern for pattern in patterns):
        raise ValueError("should be patterns such as '*.dcm' or 'research/*', with '/' only")
    return [pattern.strip("/") for pattern in patterns]


class SeriesCriteria(SettingsSection):
    """Criteria for series to process and for complete series; also per folder."""

    quiet_minutes: float = Field(10.0, ge=0, le=_LONGEST_HOURS)  # without a change of the series
    incomplete_hours: Hours = 24.0  # an incomplete series is held after this time
    modalities: Annotated[
        list[Literal["CT", "MR", "PT"]], BeforeValidator(_as_words), Field(min_length=1)
    ] = ["CT", "MR", "PT"]
    min_slices: int = Field(3, ge=2, le=100_000)
    studied_after: Annotated[date | None, BeforeValidator(_as_day)] = None
    sop_classes: Annotated[
        list[str], BeforeValidator(_as_words), AfterValidator(_image_classes)
    ] = []  # empty: all supported classes
    max_series_gib: float = Field(100.0, gt=0, le=100_000)
    min_age_minutes: float = Field(0.0, ge=0, le=_LONGEST_HOURS * 60)  # since its first file
    largest_step: float = Field(LARGEST_STEP, gt=1, le=10)  # times the usual slice distance
    late: Late = "flag"  # images that change after the upload


def _folders(wanted: dict[str, SeriesCriteria]) -> dict[str, SeriesCriteria]:
    for name in wanted:
        if not name.strip("/") or ".." in name.split("/"):
            raise ValueError("should name folders below the datastore, or absolute paths")
    return {name.rstrip("/"): criteria for name, criteria in wanted.items()}


class Scan(SeriesCriteria):
    """The criteria of the datastore and its folders, and how it is scanned."""

    include: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_globs)] = []
    exclude: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_globs)] = []
    folders: Annotated[dict[str, SeriesCriteria], AfterValidator(_folders)] = {}  # differences
    full_walk_hours: float = Field(1.0, ge=0, le=_LONGEST_HOURS)
    workers: int = Field(0, ge=0, le=64)  # processes that read headers; 0: automatic
    answer_seconds: float = Field(120.0, gt=0, le=86_400)  # after that a folder is skipped

    def in_folder(self, name: str) -> SeriesCriteria:
        """Return the criteria of a folder of `folders`: its own override the general ones."""
        own = self.folders[name]
        return self.model_copy(update={key: getattr(own, key) for key in own.model_fields_set})


class Match(SettingsSection):
    """The handling of series that match rules with different templates."""

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
    """De-identification options of a site; none of them disables the privacy gate."""

    dates: Literal["shift", "fixed"] = "shift"
    patient_characteristics: Literal["keep", "remove"] = "keep"  # sex, age, size, weight
    remove: Annotated[list[str], BeforeValidator(_as_words), AfterValidator(_removable)] = []
    retain: Annotated[dict[str, str], AfterValidator(_retainable)] = {}  # keyword: reason
    workers: int = Field(0, ge=0, le=64)  # threads that build a package; 0: automatic
    multiframe: Literal["split", "hold"] = "split"  # images with several frames in a file
    decompress: bool = True  # codings that the server does not decode
    keep_descriptors: Annotated[
        list[Literal["SeriesDescription", "StudyDescription", "ProtocolName"]],
        BeforeValidator(_as_words),
    ] = []

    @property
    def choices(self) -> "Choices":
        """The options as a `Choices` object of the policy."""
        from drawcli.core.deid.profile import Choices

        return Choices(
            fixed_dates=self.dates == "fixed",
            characteristics=self.patient_characteristics == "keep",
            descriptors=frozenset(self.keep_descriptors),
            remove=frozenset(self.remove),
            retain=tuple(sorted(self.retain.items())),
            multiframe=self.multiframe,
            decompress=self.decompress,
        )
