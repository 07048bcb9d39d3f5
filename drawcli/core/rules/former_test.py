"""The elements that tests of the former DRAW clients name, and whether those found them."""

import re
from dataclasses import dataclass
from functools import cache
from typing import Final

from drawcli.core.rules.operators import ValueKind, canonical_path, kind_of
from drawcli.core.rules.withheld import identifies_patient

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),? ?([0-9A-Fa-f]{4})\)?")
_FILE_META: Final = 0x0002  # group
_OF_EACH_SLICE: Final = frozenset(
    "SOPInstanceUID InstanceNumber ImagePositionPatient SliceLocation InstanceCreationTime".split()
)


class UntranslatableError(ValueError):
    """A test has no equivalent in rules.yaml; the message completes the name of the element."""


@dataclass(frozen=True, slots=True)
class FormerTest:
    """One test of a former client: an element, by name and tag, an operator and a value."""

    name: str
    tag: str
    operator: str
    wanted: str
    client: int = 0  # 1 or 2: how it found elements; 0: not known

    @property
    def text(self) -> str:
        """The test as one line; values that may identify a patient are left out."""
        named, tagged = _path_of_name(self.name), _path_of_tag(self.tag)
        secret = named is None or any(identifies_patient(path) for path in (named, tagged) if path)
        wanted = "..." if secret else " ".join(self.wanted.split())
        return f"{' '.join(self.name.split())} {self.operator} {wanted}"


def element_of(asked: FormerTest) -> str:
    """Return the canonical path of the tested element.

    Raises
    ------
    UntranslatableError
        If it is not clear, has no comparable value, or was never found by the former client.
    """
    named = _path_of_name(asked.name)
    tagged = _path_of_tag(asked.tag)
    path = named or tagged
    if path is None or path.startswith("("):
        raise UntranslatableError("is not an element of the DICOM standard")
    if named and tagged and named != tagged:
        raise UntranslatableError(f"does not match its tag, which is that of {tagged}")
    if kind_of(path) is ValueKind.ANY:
        raise UntranslatableError("has no text or number as value")
    if path in _OF_EACH_SLICE:
        raise UntranslatableError("differs between slices; the former client tested only the first")
    _check_was_found(asked, path)
    return path


def _check_was_found(asked: FormerTest, path: str) -> None:
    """Raise UntranslatableError if the former client never found the element in a header.

    The first client compared pydicom's name without its blanks; the second one pydicom's name, then
    the tag as "(GGGG,EEEE)" in capitals. Neither read the file meta information.
    """
    from drawcli.core.dicom.dictionary import dictionary_description, keyword_dict

    tag = keyword_dict[path]
    name = dictionary_description(tag)
    number = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    found = {
        0: True,
        1: asked.name == name.replace(" ", ""),
        2: asked.name == name or asked.tag == number,
    }[asked.client]
    if asked.client and tag >> 16 == _FILE_META:
        raise UntranslatableError("was never found in a header: it is in the file meta information")
    if not found:
        known = name.replace(" ", "") if asked.client == 1 else f"{name}' or '{number}"
        raise UntranslatableError(
            f"was never found in a header: the former client looked for '{known}'; "
            "the rule could never match"
        )
    if asked.client == 1 and asked.wanted == str(None):
        raise UntranslatableError("is compared with 'None', which stood for an empty value")


def _path_of_tag(tag: str) -> str | None:
    """Return the canonical path of a tag: PatientSex for "(0010,0040)"."""
    found = _TAG.fullmatch(tag.strip())
    return canonical_path(f"({found[1]},{found[2]})") if found else None


def _path_of_name(name: str) -> str | None:
    """Return the keyword for a name or keyword: PatientSex for "Patient's Sex"."""
    return _keywords().get(re.sub(r"[^a-z0-9]", "", name.casefold()))


@cache
def _keywords() -> dict[str, str]:
    from drawcli.core.dicom.dictionary import dictionary_description, keyword_dict

    names: dict[str, str] = {}
    for keyword, tag in keyword_dict.items():
        for word in (dictionary_description(tag), keyword) if keyword else ():
            names.setdefault(re.sub(r"[^a-z0-9]", "", word.casefold()), keyword)
    return names
