"""The settings sections for delivery and acceptance."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.deid.pseudonyms import LONGEST_ROOT, UUID_ROOT
from drawcli.core.protocol.dicom_address import check_ae_title, parse_node
from drawcli.system.kinds import TEXT, choice, keyed, number, read_path, text, whole
from drawcli.system.records import Kind, Record, setting

if TYPE_CHECKING:
    from drawcli.core.gate.acceptance import Severity

PLACE_FACTS: Final = ("patient_id", "template", "job", "date", "modality")


_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._ -]")
_UID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def _pattern(text: str, facts: Mapping[str, str]) -> str:
    """Return a pattern with its fields filled in; raise ValueError for other braces."""
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


def _folder(value: Any) -> Any:
    if value == "beside":
        return value
    _pattern(str(value), dict.fromkeys(PLACE_FACTS, "x"))
    path = Path(str(value))
    if all("{" in str(part) for part in (path, *path.parents)):  # \\server\{patient_id}
        raise ValueError("should begin with an existing folder, without braces")
    return read_path(value)


def _node(text: str) -> str:
    return str(parse_node(text)) if text else ""


def _root(uid: str) -> str:
    if not _UID.fullmatch(uid) or len(uid) > LONGEST_ROOT:
        raise ValueError(f"should be a UID of at most {LONGEST_ROOT} characters")
    return uid


class Deliver(Record):
    """Delivery targets and names of structure sets."""

    folder: str | Path = setting("beside", Kind(_folder))
    node: str = setting("", text(check=_node))  # AE_TITLE@host:port, for C-STORE
    ae_title: str = setting("DRAWCLI", text(check=check_ae_title))  # our AE title
    name: str = setting("RS.{patient_id}.{template}.{job}.dcm", text(check=_file_name))
    label: str = setting("{template}", text(check=_label))  # truncated to 16 characters
    description: str = setting("{template} {date} AI, not reviewed", text(check=_label))
    longest_name: int = setting(64, whole(least=8, most=64))  # of a structure, in characters
    character_set: str = setting("source", choice("source", "utf-8"))
    uid_root: str = setting(UUID_ROOT, text(check=_root))
    keep_days: float = setting(30.0, number(above=0, most=36_500))
    # Below it, the oldest work folders are removed.
    keep_free_gib: float = setting(2.0, number(least=0, most=100_000))


def _known_checks(choices: dict[str, str]) -> dict[str, str]:
    from drawcli.core.rtstruct.contour_table import CHECKS

    unknown = sorted(choices.keys() - CHECKS.keys())
    if unknown:
        raise ValueError(f"no check '{unknown[0]}'; there are {', '.join(CHECKS)}")
    return choices


def _severity(value: Any) -> Any:
    """Read a severity; `off` without quotes is false in YAML."""
    return _SEVERITY.read("off" if value is False else value)


_SEVERITY: Final = choice("block", "warn", "off")


class Accept(Record):
    """The severity of contour checks; checks of patient and images are fixed."""

    checks: dict[str, str] = setting({}, keyed(Kind(_severity), TEXT, check=_known_checks))

    @property
    def severities(self) -> "dict[str, Severity | None]":
        """The severity of each configured check; None if it is off."""
        from drawcli.core.gate.acceptance import Severity

        return {
            check: None if weight == "off" else Severity(weight)
            for check, weight in self.checks.items()
        }
