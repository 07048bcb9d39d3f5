"""The settings sections for delivery and acceptance."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from drawcli.config.sections import SettingsSection, parse_path
from drawcli.core.deid.pseudonyms import LONGEST_ROOT, UUID_ROOT
from drawcli.core.protocol.dicom_address import check_ae_title, parse_node

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


def _folder(value: object) -> object:
    if value == "beside":
        return value
    _pattern(str(value), dict.fromkeys(PLACE_FACTS, "x"))
    path = Path(str(value))
    if all("{" in str(part) for part in (path, *path.parents)):  # \\server\{patient_id}
        raise ValueError("should begin with an existing folder, without braces")
    return parse_path(value)


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
    label: Annotated[str, AfterValidator(_label)] = "{template}"  # truncated to 16 characters
    description: Annotated[str, AfterValidator(_label)] = "{template} {date} AI, not reviewed"
    longest_name: int = Field(64, ge=8, le=64)  # of a structure, in characters
    character_set: Literal["source", "utf-8"] = "source"
    uid_root: Annotated[str, AfterValidator(_root)] = UUID_ROOT
    keep_days: float = Field(30.0, gt=0, le=36_500)
    keep_free_gib: float = Field(2.0, ge=0, le=100_000)  # below it, old work folders are removed


def _as_words_of_yaml(choices: object) -> object:
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
        BeforeValidator(_as_words_of_yaml),
        AfterValidator(_known_checks),
    ] = Field({})

    @property
    def severities(self) -> "dict[str, Severity | None]":
        """The severity of each configured check; None if it is off."""
        from drawcli.core.gate.acceptance import Severity

        return {
            check: None if weight == "off" else Severity(weight)
            for check, weight in self.checks.items()
        }
