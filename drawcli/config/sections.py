"""The sections of the settings file, with types, defaults and limits."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from drawcli.core.deid.pseudonyms import LONGEST_ROOT, UUID_ROOT
from drawcli.core.protocol.bandwidth import Bandwidth, parse_bandwidth
from drawcli.core.protocol.dicom_address import check_ae_title, parse_node
from drawcli.system.addresses import (
    check_certificate,
    check_token_source,
    parse_web_address,
    split_command,
)

if TYPE_CHECKING:
    from drawcli.core.deid.profile import Choices
    from drawcli.core.gate.acceptance import Severity

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
PLACE_FACTS: Final = ("patient_id", "template", "job", "date", "modality")
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._ -]")
_UID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
MAX_HOURS: Final = 10_000.0  # about a year; larger values are typing errors


def _path(value: object) -> object:
    """Return a path with "~" expanded."""
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError("should be a path")
    try:
        return Path(value).expanduser()
    except RuntimeError:
        raise ValueError("names an unknown user") from None


def split_words(value: object) -> object:
    """Split a text at commas; other values stay."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


def _base_url(value: str) -> str:
    """Check the address of a server, to which the paths of the endpoints are added."""
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


FilePath = Annotated[Path, BeforeValidator(_path)]
Command = Annotated[list[str], BeforeValidator(split_command)]
Hours = Annotated[float, Field(gt=0, le=MAX_HOURS)]


class SettingsSection(BaseModel):
    """A section of the settings file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, defer_build=True)


class ServerSettings(SettingsSection):
    """The DRAW server and how to talk to it."""

    url: Annotated[str, AfterValidator(_base_url)] = "https://draw.chavi.ai/"
    client_id: Annotated[str, AfterValidator(_client_name)] = ""
    token_file: FilePath = Path("token.json")
    token_command: Command = []  # prints the token pair; in place of token_file
    token_store_command: Command = []  # receives a new pair on its standard input
    token_keyring: str = ""  # service name in the system's keyring; in place of token_file
    ca_file: FilePath | None = None  # in place of the system's certificates
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
    """Choices that the policy leaves to a site; none of them disables the privacy gate."""

    dates: Literal["shift", "fixed"] = "shift"
    patient_characteristics: Literal["keep", "remove"] = "keep"  # sex, age, size, weight
    remove: Annotated[list[str], BeforeValidator(split_words), AfterValidator(_removable)] = []
    retain: Annotated[dict[str, str], AfterValidator(_retainable)] = {}  # keyword: reason
    workers: int = Field(0, ge=0, le=64)  # threads that build a package; 0: automatic
    keep_descriptors: Annotated[
        list[Literal["SeriesDescription", "StudyDescription", "ProtocolName"]],
        BeforeValidator(split_words),
    ] = []

    @property
    def choices(self) -> "Choices":
        """The choices as the policy takes them."""
        from drawcli.core.deid.profile import Choices

        return Choices(
            fixed_dates=self.dates == "fixed",
            characteristics=self.patient_characteristics == "keep",
            descriptors=frozenset(self.keep_descriptors),
            remove=frozenset(self.remove),
            retain=tuple(sorted(self.retain.items())),
        )


def _pattern(text: str, facts: Mapping[str, str]) -> str:
    """Return a pattern with its facts filled in; refuse other braces."""
    try:
        return text.format_map(facts)
    except (KeyError, IndexError, ValueError, AttributeError):
        names = ", ".join(f"{{{name}}}" for name in facts)
        raise ValueError(f"may contain {names}, and no other braces") from None


def _label(text: str) -> str:
    made = _pattern(text, {"template": "T", "date": "20260131", "modality": "CT"})
    if not (made.isascii() and made.isprintable()) or "\\" in made or not made.strip():
        raise ValueError("should be plain ASCII without a backslash, and not empty")
    return text


def _file_name(text: str) -> str:
    made = _pattern(text, dict.fromkeys(PLACE_FACTS, "x"))
    if "{job}" not in text:
        raise ValueError("should contain {job}, so that no two structure sets have the same name")
    if not made.isascii() or _NO_NAME.search(made) or made.startswith("."):
        raise ValueError("should be a file name of letters, digits, blanks and . _ -")
    return text


def _folder(value: object) -> object:
    if value == "beside":
        return value
    _pattern(str(value), dict.fromkeys(PLACE_FACTS, "x"))
    path = Path(str(value))
    if all("{" in str(part) for part in (path, *path.parents)):  # \\server\{patient_id}
        raise ValueError("should begin with an existing folder, without braces")
    return _path(value)


def _node(text: str) -> str:
    return str(parse_node(text)) if text else ""


def _root(uid: str) -> str:
    if not _UID.fullmatch(uid) or len(uid) > LONGEST_ROOT:
        raise ValueError(f"should be a UID of at most {LONGEST_ROOT} characters")
    return uid


class Deliver(SettingsSection):
    """Delivery targets and names of structure sets."""

    folder: Annotated[Literal["beside"] | Path, BeforeValidator(_folder)] = "beside"
    node: Annotated[str, AfterValidator(_node)] = ""  # AE_TITLE@host:port, for C-STORE
    ae_title: Annotated[str, AfterValidator(check_ae_title)] = "DRAWCLI"  # our AE title
    name: Annotated[str, AfterValidator(_file_name)] = "RS.{patient_id}.{template}.{job}.dcm"
    label: Annotated[str, AfterValidator(_label)] = "{template}"  # cut to 16 characters
    description: Annotated[str, AfterValidator(_label)] = "{template} {date} AI, not reviewed"
    longest_name: int = Field(64, ge=8, le=64)  # of a structure, in characters
    character_set: Literal["source", "utf-8"] = "source"
    uid_root: Annotated[str, AfterValidator(_root)] = UUID_ROOT
    keep_days: float = Field(30.0, gt=0, le=36_500)
    keep_free_gib: float = Field(
        2.0, ge=0, le=100_000
    )  # below it, finished work folders are removed


def _words_of_yaml(choices: object) -> object:
    """Accept `off` without quotes, which YAML reads as false."""
    if not isinstance(choices, dict):
        return choices
    return {check: "off" if weight is False else weight for check, weight in choices.items()}


def _known_checks(choices: dict[str, str]) -> dict[str, str]:
    from drawcli.core.rtstruct.contour_table import CHECKS

    unknown = sorted(choices.keys() - CHECKS.keys())
    if unknown:
        raise ValueError(f"no check '{unknown[0]}'; there are {', '.join(CHECKS)}")
    return choices


class Accept(SettingsSection):
    """The severity of contour checks; checks of patient and images are fixed."""

    checks: Annotated[
        dict[str, Literal["block", "warn", "off"]],
        BeforeValidator(_words_of_yaml),
        AfterValidator(_known_checks),
    ] = {}

    @property
    def severities(self) -> "dict[str, Severity | None]":
        """The severity of each configured check; None if it is off."""
        from drawcli.core.gate.acceptance import Severity

        return {
            check: None if weight == "off" else Severity(weight)
            for check, weight in self.checks.items()
        }
