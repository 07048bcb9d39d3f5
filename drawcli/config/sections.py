"""The sections of the settings file, with types, defaults and limits."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, get_args

from drawcli.core.jobs.late_changes import Late
from drawcli.core.protocol.bandwidth import Bandwidth, parse_bandwidth
from drawcli.core.series.zones import LARGEST_STEP
from drawcli.system.addresses import (
    check_certificate,
    check_token_source,
    parse_web_address,
    split_command,
)
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
    section,
    text,
    whole,
    words,
)
from drawcli.system.records import Kind, Record, setting

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


def _day(value: Any) -> date:
    try:
        return date.fromisoformat(str(value))
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


COMMAND: Final = listed(TEXT, split=split_command)
HOURS: Final = number(above=0, most=_LONGEST_HOURS)
WORKERS: Final = whole(least=0, most=64)
_PAUSE: Final = number(least=0, most=_LONGEST_HOURS)


class ServerSettings(Record):
    """The DRAW server and how to talk to it."""

    url: str = setting("https://draw.chavi.ai/", text(check=_base_url))
    client_id: str = setting("", text(check=_client_name))
    token_file: Path = setting(Path("token.json"), PATH)
    token_command: list[str] = setting([], COMMAND)  # prints the token pair; not token_file
    token_store_command: list[str] = setting([], COMMAND)  # receives a new pair on standard input
    token_keyring: str = setting("", TEXT)  # service name in the system's keyring; not token_file
    ca_file: Path | None = setting(None, maybe(PATH))  # instead of the system's certificates
    client_cert: Path | None = setting(None, maybe(PATH))
    client_key: Path | None = setting(None, maybe(PATH))  # None: in client_cert
    timeout_seconds: float = setting(60.0, number(above=0, most=3600))
    deadline_hours: float = setting(4.0, HOURS)  # a job without a result is held after this time
    parallel: int = setting(2, whole(least=1, most=16))  # concurrent requests
    bwlimit: Bandwidth = setting(Bandwidth(), Kind(parse_bandwidth, is_plain=False))  # of uploads
    allow_http: bool = setting(default=False, kind=SWITCH)  # plain http sends the token unencrypted
    endpoints: dict[str, str] = setting(
        {}, keyed(TEXT, one_of_keys(*DEFAULT_ENDPOINTS), check=_endpoint_paths)
    )

    def check(self) -> None:
        """Refuse two sources of tokens, and half a certificate."""
        check_token_source(self.token_command, self.token_store_command, self.token_keyring)
        check_certificate(self.client_cert, self.client_key)

    def path_of(self, endpoint: str) -> str:
        """Return the path of an endpoint, as configured or by default."""
        return self.endpoints.get(endpoint, DEFAULT_ENDPOINTS[endpoint])


def _image_classes(uids: list[str]) -> list[str]:
    from drawcli.core.dicom.sop_classes import IMAGE_CLASSES

    unknown = [uid for uid in uids if uid not in IMAGE_CLASSES]
    if unknown:
        raise ValueError(f"'{unknown[0]}' is not a SOP class of CT, MR or PET images")
    return uids


def _globs(patterns: list[str]) -> list[str]:
    if any(not pattern.strip("/") or "\\" in pattern for pattern in patterns):
        raise ValueError("should be patterns such as '*.dcm' or 'research/*', with '/' only")
    return [pattern.strip("/") for pattern in patterns]


class SeriesCriteria(Record):
    """Criteria for series to process and for complete series; also per folder."""

    quiet_minutes: float = setting(10.0, _PAUSE)  # without a change of the series
    incomplete_hours: float = setting(24.0, HOURS)  # an incomplete series is held after this time
    modalities: list[str] = setting(
        ["CT", "MR", "PT"], listed(choice("CT", "MR", "PT"), split=words, least=1)
    )
    min_slices: int = setting(3, whole(least=2, most=100_000))
    studied_after: date | None = setting(None, maybe(Kind(_day)))
    sop_classes: list[str] = setting(  # empty: all supported classes
        [], listed(TEXT, split=words, check=_image_classes)
    )
    max_series_gib: float = setting(100.0, number(above=0, most=100_000))
    min_age_minutes: float = setting(0.0, number(least=0, most=_LONGEST_HOURS * 60))  # of files
    largest_step: float = setting(LARGEST_STEP, number(above=1, most=10))  # times the usual one
    late: Late = setting("flag", choice(*get_args(Late)))  # images that change after the upload
    segmented: str = setting("former", choice("former", "send", "hold", "skip"))  # elsewhere


def _folders(wanted: dict[str, SeriesCriteria]) -> dict[str, SeriesCriteria]:
    for name in wanted:
        if not name.strip("/") or ".." in name.split("/"):
            raise ValueError("should name folders below the datastore, or absolute paths")
    return {name.rstrip("/"): criteria for name, criteria in wanted.items()}


class Scan(SeriesCriteria):
    """The criteria of the datastore and its folders, and how it is scanned."""

    include: list[str] = setting([], listed(TEXT, split=words, check=_globs))
    exclude: list[str] = setting([], listed(TEXT, split=words, check=_globs))
    folders: dict[str, SeriesCriteria] = setting(  # differences
        {}, keyed(section(SeriesCriteria), TEXT, check=_folders)
    )
    full_walk_hours: float = setting(1.0, _PAUSE)
    workers: int = setting(0, WORKERS)  # processes that read the datastore; 0: automatic
    answer_seconds: float = setting(120.0, number(above=0, most=86_400))  # then a folder is skipped

    def in_folder(self, name: str) -> SeriesCriteria:
        """Return the criteria of a folder of `folders`: its own override the general ones."""
        own = self.folders[name]
        return self.replace(**{key: getattr(own, key) for key in own.given})


class Match(Record):
    """The handling of series that match several rules, and the limit of a first run."""

    on_many: str = setting("hold", choice("hold", "first", "all"))
    first_run_limit: int = setting(20, whole(least=0, most=1_000_000))  # series; 0: no limit


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


class Deidentify(Record):
    """De-identification options of a site; none of them disables the privacy gate."""

    dates: str = setting("shift", choice("shift", "fixed"))
    patient_characteristics: str = setting("keep", choice("keep", "remove"))  # sex, age, size...
    remove: list[str] = setting([], listed(TEXT, split=words, check=_removable))
    retain: dict[str, str] = setting({}, keyed(TEXT, TEXT, check=_retainable))  # keyword: reason
    workers: int = setting(0, WORKERS)  # threads that build a package; 0: automatic
    multiframe: str = setting("split", choice("split", "hold"))  # several frames in a file
    decompress: bool = setting(default=True, kind=SWITCH)  # codings that the server does not decode
    keep_descriptors: list[str] = setting(
        [], listed(choice("SeriesDescription", "StudyDescription", "ProtocolName"), split=words)
    )

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
