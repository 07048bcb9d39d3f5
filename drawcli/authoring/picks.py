"""Parses the conditions of a new rule: "Keyword", or "Keyword operator value".

Rules are kept in git, so identifying values are refused: see `shareable_values`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from drawcli.core.rules.conditions import LISTS, Compare, RuleHeader, Truth
from drawcli.core.rules.operators import (
    OPERATORS,
    PRESENCE,
    ValueKind,
    canonical_path,
    kind_of,
    known_paths,
)
from drawcli.core.rules.privacy import patient_of, shareable_values, wanted_names_patient
from drawcli.errors import UsageError
from drawcli.system.records import suggest
from drawcli.system.yaml_edit import flow_style

# Elements that sites use in rules, most used first; a picker lists them before the rest.
USUAL: Final = (
    *("Modality", "ProtocolName", "SeriesDescription", "StudyDescription", "BodyPartExamined"),
    *("slices", "SliceThickness", "spacing_mm", "extent_mm", "station", "ManufacturerModelName"),
    *("ConvolutionKernel", "ImageType", "contrast", "oblique", "PatientPosition"),
)
_BY_HAND: Final = "Rules are kept in git. If you need this condition, edit rules.yaml yourself."


@dataclass(frozen=True, slots=True)
class Pick:
    """One condition of a new rule."""

    path: str
    operator: str
    wanted: Any

    @property
    def line(self) -> str:
        """The condition as a line of rules.yaml."""
        whole = self.wanted if self.operator == "equals" else {self.operator: self.wanted}
        return f"{flow_style(self.path)}: {flow_style(whole)}"

    def fits(self, header: RuleHeader) -> bool:
        """Return whether a series meets the condition."""
        return self.test.explain(header).truth is Truth.TRUE

    @property
    def test(self) -> Compare:
        """The condition as a test; raises ValueError if its element cannot have such a value."""
        many = isinstance(self.wanted, list)
        return Compare(self.path, self.operator, tuple(self.wanted) if many else self.wanted)


def pickable_elements(header: RuleHeader) -> dict[str, tuple[str, ...]]:
    """Return the elements for conditions, usual ones first, without deeply nested ones."""
    found = {
        path: values
        for path, values in shareable_values(header).items()
        if path.count(".") == 0 or (path.count(".") == 2 and ".*." in path)  # noqa: PLR2004 - one item
    }
    usual = [path for path in USUAL if path in found]
    return {path: found[path] for path in (*usual, *(p for p in found if p not in usual))}


def parse_pick(words: str, header: RuleHeader) -> Iterator[Pick]:
    """Yield the conditions of a text "Keyword" or "Keyword operator value".

    A keyword alone gives one condition for each value of this series.

    Raises
    ------
    UsageError
        If it is not a valid condition, or contains an identifying value.
    """
    keyword, rest = _split(words)
    path = canonical_path(keyword)
    if path is None:
        raise UsageError(f"no DICOM keyword '{keyword}'{suggest(keyword, known_paths())}")
    pick = _pick(path, rest)
    if pick is not None:
        _check(pick, header)
        yield pick
        return
    if path in header.mixed:
        hint = f"Pick a condition that all slices meet: '{path} exists'; or write 'slices: any'."
        raise UsageError(f"{path} differs between the slices of the series", hint=hint)
    values = shareable_values(header).get(path) if path in header.values else None
    if not any(header.values.get(path, ())):
        raise UsageError(f"the series has no {path}", hint=f"Pick '{path} missing' to match that.")
    if values is None:
        raise UsageError(f"{path} may identify the patient", hint=_BY_HAND)
    for value in dict.fromkeys(values):
        yield Pick(path, "equals", parse_value(value, path))


def _split(words: str) -> tuple[str, str]:
    """Return the keyword and the rest; the path of a private element may contain blanks."""
    plain = words.strip()
    end = plain.find(")") + 1 if plain.startswith("(") else 0
    head, _, rest = plain[end:].partition(" ")
    return plain[:end] + head, rest.strip()


def _pick(path: str, rest: str) -> Pick | None:
    """Return the condition of an operator and its value; None if there is no operator."""
    operator, _, text = rest.partition(" ")
    if not operator:
        return None
    if operator not in OPERATORS:
        near = suggest(operator, OPERATORS)
        raise UsageError(
            f"no operator '{operator}'{near}", hint="Such as: ProtocolName contains rt"
        )
    if operator in PRESENCE:
        return Pick(path, operator, text.strip() != "false")
    if not text.strip(" []"):
        what = f"'{path} {operator}' needs a value"
        raise UsageError(what, hint="Such as: Modality in CT, PT")
    if operator in LISTS:
        parts = [part.strip() for part in text.strip(" []").split(",")]
        return Pick(path, operator, [parse_value(_bare(part), path) for part in parts if part])
    return Pick(path, operator, parse_value(_bare(text.strip()), path))


def _bare(text: str) -> str:
    """Return a text without the quotes around it."""
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1] if quoted else text


def parse_value(text: str, path: str) -> Any:
    """Return a text as a YAML value: a number or a flag if the element has such values."""
    kind = kind_of(path)
    if kind is ValueKind.FLAG and text in ("true", "false"):
        return text == "true"
    if kind is not ValueKind.NUMBER:
        return text
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() and "e" not in text.lower() else number


def _check(pick: Pick, header: RuleHeader) -> None:
    try:
        fits = pick.fits(header)
    except ValueError as err:
        raise UsageError(f"'{pick.path}' {err}") from None
    if wanted_names_patient(pick.wanted, patient_of(header)):
        raise UsageError(f"the value for {pick.path} identifies the patient", hint=_BY_HAND)
    if not fits:
        outcome = pick.test.explain(header).outcome
        raise UsageError(f"the series does not meet '{pick.test.text}': {outcome}")
