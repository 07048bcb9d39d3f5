"""The server's catalogue as a table to search and tick."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from drawcli.dashboard.template_pages.form import ServerStructure

MOST: Final = 500  # rows of a page


@dataclass(frozen=True, slots=True)
class CatalogueRow:
    """A structure that the server offers."""

    source: ServerStructure
    is_ticked: bool
    taken_by: int | None  # the model that draws a structure of this name in the template

    @property
    def words(self) -> str:
        """What the search looks at, in lower case."""
        return _words(self.source)


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of a page, and how many there are in all."""

    rows: Sequence[CatalogueRow]
    count: int


def search(
    sources: Iterable[ServerStructure],
    words: str,
    ticked: frozenset[str],
    taken: Mapping[str, ServerStructure],
) -> Found:
    """Return the structures whose name, region or model have all words; ticked ones always.

    The order is that of names, of one name that of Dice coefficients, the best first.

    Parameters
    ----------
    sources
        What the server offers.
    words
        Parts of words, with blanks between them.
    ticked
        The keys of structures that were ticked.
    taken
        The structures of the template, by name.
    """
    wanted = words.casefold().split()
    every = [one for one in sources if one.offered is not None]
    found = [
        one for one in every if one.key in ticked or all(word in _words(one) for word in wanted)
    ]
    found.sort(key=lambda one: (one.key not in ticked, one.name.casefold(), -_dice(one)))
    rows = [
        CatalogueRow(one, one.key in ticked, taken[one.name].model if one.name in taken else None)
        for one in found[:MOST]
    ]
    return Found(rows, len(found))


def _dice(source: ServerStructure) -> float:
    return (source.offered.dice if source.offered else None) or 0.0


def _words(source: ServerStructure) -> str:
    region = source.offered.region if source.offered else ""
    modality = source.offered.modality if source.offered else ""
    parts = (source.name, region, modality, source.key, str(source.facts["name"]))
    return " ".join(parts).casefold()
