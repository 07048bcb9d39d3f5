"""The list `deliver.targets`: where each structure set goes."""

from pathlib import Path
from typing import Any, Final, TypeVar

from drawcli.core.protocol.dicom_address import check_ae_title, parse_node
from drawcli.system.addresses import is_loopback, parse_web_address, split_command
from drawcli.system.kinds import PATH, SWITCH, TEXT, listed, maybe, read_path, section, text
from drawcli.system.records import Kind, Record, setting

RecordT = TypeVar("RecordT", bound=Record)
PLACE_FACTS: Final = ("patient_id", "template", "job", "date", "modality")
_KINDS: Final = ("folder", "node", "stow", "sender")
_ONLY_OF: Final = {  # the kinds of target that a key belongs to
    "tls": ("node", "stow", "sender"),
    "commitment": ("node", "sender"),
    "ae_title": ("node", "sender"),
    "token_file": ("stow",),
    "token_command": ("stow",),
    "allow_http": ("stow",),
}


def filled_pattern(pattern: str, facts: dict[str, str]) -> str:
    """Return a pattern with its fields filled in; raise ValueError for other braces."""
    try:
        return pattern.format_map(facts)
    except (KeyError, IndexError, ValueError, AttributeError):
        names = ", ".join(f"{{{name}}}" for name in facts)
        raise ValueError(f"may contain {names}, and no other braces") from None


def read_folder(value: Any) -> Any:
    """Return the folder of a target: `beside`, or a path that may have fields."""
    if value == "beside":
        return value
    filled_pattern(str(value), dict.fromkeys(PLACE_FACTS, "x"))
    path = Path(str(value))
    if all("{" in str(part) for part in (path, *path.parents)):  # \\server\{patient_id}
        raise ValueError("should begin with an existing folder, without braces")
    return read_path(value)


def read_node(value: str) -> str:
    """Return the address of a node, or "" for none."""
    return str(parse_node(value)) if value else ""


def _own_title(value: str) -> str:
    return check_ae_title(value) if value else ""


def read_web_address(value: str) -> str:
    """Return the base address of a DICOMweb archive, or "" for none."""
    if not value:
        return value
    parts = parse_web_address(value)
    if parts.username is not None or parts.query or parts.fragment or " " in value:
        raise ValueError("should be an address without a user, '?', '#' or blanks")
    return value.rstrip("/")


class TargetTls(Record):
    """The TLS of a target; without files: the trust store of the system, no certificate."""

    ca_file: Path | None = setting(None, maybe(PATH))
    cert: Path | None = setting(None, maybe(PATH))  # ours
    key: Path | None = setting(None, maybe(PATH))  # None: in cert

    def check(self) -> None:
        """Refuse a key without its certificate."""
        if self.key is not None and self.cert is None:
            raise ValueError("key belongs to a cert; set both")


def _tls(value: Any) -> Any:
    """Read `tls`; `true` is TLS with the trust store of the system."""
    if value in (None, False):
        return None
    return TargetTls() if value is True else TargetTls.read(value)


TLS: Final = Kind(_tls, section(TargetTls).schema, is_plain=False)


def check_archive_address(
    url: str, tls: TargetTls | None, tokens: tuple[object, object], *, allow_http: bool
) -> list[str]:
    """Return what is wrong with the address, TLS and token sources of a DICOMweb archive."""
    problems = []
    if all(tokens):
        problems.append("token_file and token_command are two sources; choose one")
    if url.startswith("http:"):
        if not (is_loopback(url) or allow_http):
            problems.append("plain http is not encrypted: use https, or set allow_http")
        if tls is not None:
            problems.append("tls needs an https address")
    return problems


class Target(Record):
    """A target of structure sets: exactly one of folder, node, stow and sender."""

    folder: str | Path | None = setting(None, maybe(Kind(read_folder)))
    node: str = setting("", text(check=read_node))  # AE_TITLE@host:port, for C-STORE
    stow: str = setting("", text(check=read_web_address))  # base address of DICOMweb, for STOW-RS
    sender: bool = setting(default=False, kind=SWITCH)  # the node that sent the images
    required: bool = setting(default=True, kind=SWITCH)
    tls: TargetTls | None = setting(None, TLS)
    commitment: bool = setting(default=False, kind=SWITCH)  # delivered when storage is committed
    ae_title: str = setting("", text(check=_own_title))  # ours; "": deliver.ae_title
    token_file: Path | None = setting(None, maybe(PATH))
    token_command: list[str] = setting([], listed(TEXT, split=split_command))  # not token_file
    allow_http: bool = setting(default=False, kind=SWITCH)

    @property
    def kind(self) -> str:
        """The kind of the target: folder, node, stow or sender."""
        return next((kind for kind in _KINDS if getattr(self, kind)), "")

    @property
    def name(self) -> str:
        """Its name in records and lists; a folder is named by its pattern."""
        return self.kind if self.sender else self.node or self.stow or str(self.folder)

    def check(self) -> None:
        """Refuse a target of no kind or several, and keys of another kind."""
        kinds = [kind for kind in _KINDS if getattr(self, kind)]
        if len(kinds) != 1:
            raise ValueError(f"should have exactly one of {', '.join(_KINDS)}")
        problems = [
            f"{key} is for {' and '.join(of)} only"
            for key, of in _ONLY_OF.items()
            if key in self.given and self.kind not in of
        ]
        tokens = self.token_file, self.token_command
        problems += check_archive_address(self.stow, self.tls, tokens, allow_http=self.allow_http)
        if problems:
            raise ValueError("; ".join(problems))

    def anchored(self, base: Path) -> "Target":
        """Return the target with every relative path made relative to `base`."""
        changed: dict[str, Any] = {}
        if isinstance(self.folder, Path):
            changed["folder"] = base / self.folder
        if self.tls is not None:
            changed["tls"] = anchored(self.tls, base, "ca_file", "cert", "key")
        return anchored(self, base, "token_file").replace(**changed)


def anchored(record: RecordT, base: Path, *names: str) -> RecordT:
    """Return a record with its relative paths made relative to `base`."""
    given = {name: getattr(record, name) for name in names}
    return record.replace(**{name: base / path for name, path in given.items() if path is not None})
