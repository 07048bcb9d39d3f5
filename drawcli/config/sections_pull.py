"""The settings section `pull`: archives that are asked for series."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.config.sections_targets import (
    TLS,
    TargetTls,
    anchored,
    check_archive_address,
    read_node,
    read_web_address,
)
from drawcli.core.protocol.bandwidth import Bandwidth, parse_bandwidth
from drawcli.core.protocol.dicom_address import check_ae_title
from drawcli.system.addresses import split_command
from drawcli.system.kinds import PATH, SWITCH, TEXT, choice, listed, maybe, number, section, text
from drawcli.system.records import WITH_KEYS, Kind, Record, setting, suggest, unfit

if TYPE_CHECKING:
    from drawcli.core.pull.keys import QueryKey
    from drawcli.core.pull.window import HoursOfDay

_SLOWEST: Final = 50_000  # bytes per second
_ONLY_OF: Final = {  # the kinds of source that a key belongs to
    "ae_title": "node",
    "by": "node",
    "token_file": "dicomweb",
    "token_command": "dicomweb",
    "allow_http": "dicomweb",
}


def _keys(value: Any) -> dict[str, list[str]]:
    """Read the keys of a query; a value may be a list of alternatives."""
    from drawcli.core.pull.keys import TAGS, check_key

    if not isinstance(value, dict):
        raise unfit(WITH_KEYS)
    found: dict[str, list[str]] = {}
    for keyword, given in value.items():
        values = [str(one) for one in (given if isinstance(given, list) else [given])]
        if keyword not in TAGS:
            raise ValueError(f"'{keyword}' is no key of a query{suggest(keyword, TAGS)}")
        try:
            check_key(keyword, values)
        except ValueError as err:
            raise ValueError(f"{keyword}: {err}") from None
        found[keyword] = values
    return found


def _between(value: str) -> str:
    from drawcli.core.pull.window import parse_window

    return str(parse_window(value)) if value else ""


class PullSource(Record):
    """An archive: exactly one of node and dicomweb."""

    node: str = setting("", text(check=read_node))  # AE_TITLE@host:port
    dicomweb: str = setting("", text(check=read_web_address))  # base address
    folder: Path | None = setting(None, maybe(PATH))  # in the datastore
    keys: dict[str, list[str]] = setting({}, Kind(_keys, {"type": "object"}, is_plain=False))
    ae_title: str = setting("DRAWCLI", text(check=check_ae_title))  # ours
    by: str = setting("get", choice("get", "move"))  # C-MOVE: to `receive`
    between: str = setting("", text(check=_between))  # local time; "": all day
    bwlimit: Bandwidth = setting(Bandwidth(), Kind(parse_bandwidth, is_plain=False))
    tls: TargetTls | None = setting(None, TLS)
    token_file: Path | None = setting(None, maybe(PATH))
    token_command: list[str] = setting([], listed(TEXT, split=split_command))  # not token_file
    allow_http: bool = setting(default=False, kind=SWITCH)

    @property
    def name(self) -> str:
        """Its name in records and lists: its address."""
        return self.node or self.dicomweb

    @property
    def query_keys(self) -> "list[QueryKey]":
        """The keys of its queries."""
        from drawcli.core.pull.keys import QueryKey

        return [QueryKey(keyword, tuple(values)) for keyword, values in self.keys.items()]

    @property
    def window(self) -> "HoursOfDay | None":
        """The part of the day in which it is asked; None: all day."""
        from drawcli.core.pull.window import parse_window

        return parse_window(self.between) if self.between else None

    def check(self) -> None:
        """Refuse a source of no kind or both, and keys of the other kind."""
        if bool(self.node) == bool(self.dicomweb):
            raise ValueError("should have exactly one of node, dicomweb")
        kind = "node" if self.node else "dicomweb"
        problems = [
            f"{key} is for {of} only"
            for key, of in _ONLY_OF.items()
            if key in self.given and of != kind
        ]
        if self.by == "get" and self.folder is None:
            problems.append("folder is missing: where in the datastore do the images go?")
        if self.by == "move" and self.folder is not None:
            problems.append("folder is not for C-MOVE: 'receive' writes to receive.folder")
        if self.by == "move" and "bwlimit" in self.given:
            problems.append("bwlimit is not for C-MOVE: the archive sends as fast as it likes")
        if any(rate is not None and rate < _SLOWEST for _, rate in self.bwlimit.since):
            problems.append(f"bwlimit is at least {_SLOWEST / 1000:.0f}K: slower transfers fail")
        if not self.keys:
            problems.append("keys are missing: the whole archive would be pulled")
        tokens = self.token_file, self.token_command
        problems += check_archive_address(
            self.dicomweb, self.tls, tokens, allow_http=self.allow_http
        )
        if problems:
            raise ValueError("; ".join(problems))

    def anchored(self, base: Path) -> "PullSource":
        """Return the source with every relative path made relative to `base`."""
        changed: dict[str, Any] = {}
        if self.tls is not None:
            changed["tls"] = anchored(self.tls, base, "ca_file", "cert", "key")
        return anchored(self, base, "folder", "token_file").replace(**changed)


def _each_once(sources: list[PullSource]) -> list[PullSource]:
    """Refuse two sources that are the same; their records would be mixed up."""
    keys = [
        (one.name, tuple(sorted((k, tuple(v)) for k, v in one.keys.items()))) for one in sources
    ]
    if len(set(keys)) < len(keys):
        raise ValueError("names one source twice, with the same keys")
    return sources


class Pull(Record):
    """Archives that `drawcli pull` asks; it is configured if there is one."""

    sources: list[PullSource] = setting([], listed(section(PullSource), check=_each_once))
    run_minutes: float = setting(10.0, number(above=0, most=600))  # of a run-once
