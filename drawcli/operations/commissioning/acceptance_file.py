"""The acceptance file of commissioning: criteria by structure, as YAML.

Bladder: {dice: ">= 0.90", surface_dice_2mm: ">= 0.85", hd95_mm: "<= 8"}
Rectum:
  dice: [">= 0.85", ">= 0.70 in 95 %"]
  n: ">= 15"
"*": {dice: ">= 0.80"}    # every other structure of the template
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drawcli.core.qa.criteria import Criterion, read_criterion
from drawcli.errors import ConfigError
from drawcli.system.records import suggest
from drawcli.system.yaml_read import Document, raise_problems, read_yaml

OTHERS: Final = "*"
_HINT: Final = "See docs/how-to/commissioning.md; such as Bladder: {dice: '>= 0.90'}."


@dataclass(frozen=True, slots=True)
class AcceptanceCriteria:
    """The criteria for each structure of a template, and the text that they come from."""

    criteria: Mapping[str, tuple[Criterion, ...]]
    source: bytes

    @property
    def taus_mm(self) -> list[float]:
        """The tolerances that the criteria name."""
        taus = (one.tau_mm for found in self.criteria.values() for one in found)
        return sorted({tau for tau in taus if tau is not None})


def read_acceptance(path: Path, structures: Sequence[str]) -> AcceptanceCriteria:
    """Read an acceptance file.

    Parameters
    ----------
    path
        The file.
    structures
        The structures of the template, as delivered.

    Raises
    ------
    ConfigError
        With every problem, each with file, line and column.
    """
    try:
        document = read_yaml(path)
    except ConfigError as err:
        raise err.replaced(hint=_HINT) from None
    data = document.data
    if not isinstance(data, dict) or not data:
        raise ConfigError(f"{path}:1:1: expected structures with their criteria", hint=_HINT)
    problems: list[str] = []
    given: dict[str, tuple[Criterion, ...]] = {}
    for key, below in data.items():
        name = str(key)
        if name not in (*structures, OTHERS):
            known = suggest(name, structures) or f"; it has {', '.join(structures)}"
            problems.append(f"{document.place((name,))}: no structure {name}{known}")
        given[name] = tuple(_criteria(name, below, document, problems))
    raise_problems(problems, hint=f"Correct {path.name}. {_HINT}")
    rest = given.pop(OTHERS, ())
    every = {name: given.get(name, rest) for name in structures}
    return AcceptanceCriteria(
        {name: found for name, found in every.items() if found}, document.source
    )


def _criteria(
    name: str, below: Any, document: Document, problems: list[str]
) -> Iterator[Criterion]:
    if not isinstance(below, dict) or not below:
        problems.append(
            f"{document.place((name,))}: {name} should have metrics and limits below it"
        )
        return
    for key, value in below.items():
        metric, texts = str(key), value if isinstance(value, list) else [value]
        if not texts:
            problems.append(f"{document.place((name, metric))}: {metric} of {name} has no limit")
        for text in texts:
            try:
                yield read_criterion(metric, str(text))
            except ValueError as err:
                problems.append(f"{document.place((name, metric))}: {err}")
