"""The settings sections for delivery and acceptance."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from drawcli.config.sections_targets import (
    PLACE_FACTS,
    Target,
    filled_pattern,
    read_folder,
    read_node,
)
from drawcli.core.deid.pseudonyms import LONGEST_ROOT, UUID_ROOT
from drawcli.core.protocol.dicom_address import check_ae_title, parse_node
from drawcli.system.kinds import TEXT, choice, keyed, listed, number, section, text, whole
from drawcli.system.records import Kind, Record, setting

if TYPE_CHECKING:
    from drawcli.core.gate.acceptance import Severity

_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._ -]")
_UID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def _label(text: str) -> str:
    made = filled_pattern(text, {"template": "T", "date": "20260131", "modality": "CT"})
    if not (made.isascii() and made.isprintable()) or "\\" in made or not made.strip():
        raise ValueError("should be plain ASCII without a backslash, and not empty")
    return text


def _file_name(text: str) -> str:
    made = filled_pattern(text, dict.fromkeys(PLACE_FACTS, "x"))
    if "{job}" not in text:
        raise ValueError("should contain {job}, so that no two structure sets have the same name")
    if not made.isascii() or _NO_NAME.search(made) or made.startswith("."):
        raise ValueError("should be a file name of letters, digits, blanks and . _ -")
    return text


def _root(uid: str) -> str:
    if not _UID.fullmatch(uid) or len(uid) > LONGEST_ROOT:
        raise ValueError(f"should be a UID of at most {LONGEST_ROOT} characters")
    return uid


def _sender(address: str) -> str:
    return str(parse_node(address))


class Deliver(Record):
    """Delivery targets and names of structure sets."""

    folder: str | Path = setting("beside", Kind(read_folder))
    node: str = setting("", text(check=read_node))  # AE_TITLE@host:port, for C-STORE
    targets: list[Target] = setting([], listed(section(Target)))  # in place of folder and node
    senders: dict[str, str] = setting({}, keyed(text(check=_sender), text(check=check_ae_title)))
    use: str = setting("all", choice("all", "first"))  # of targets
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

    def check(self) -> None:
        """Refuse two forms of targets, and a list that could confirm without a delivery."""
        if not self.targets:
            return
        short = [key for key in ("folder", "node") if key in self.given and getattr(self, key)]
        problems = [f"targets and {key} are two forms; put {key} into targets" for key in short]
        chosen = [target for target in self.targets if "required" in target.given]
        if self.use == "first" and chosen:
            problems.append("with use: first any target is enough; leave out required")
        if any(target.sender for target in self.targets) and not self.senders:
            problems.append("a target with sender needs the table senders")
        if not any(target.required for target in self.targets):
            problems.append("at least one of the targets should be required")
        names = [target.name for target in self.targets]
        if len(set(names)) < len(names):
            problems.append("two of the targets are the same")
        if problems:
            raise ValueError("; ".join(problems))

    @property
    def folders(self) -> list[str | Path]:
        """The folders of structure sets, in order: `beside`, or paths that may have fields."""
        if not self.targets:
            return [self.folder]
        return [target.folder for target in self.targets if target.folder is not None]


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
