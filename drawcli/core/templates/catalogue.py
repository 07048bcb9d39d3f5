"""The server's catalogue of models and structures, compared with the templates."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

from drawcli.core.templates.template import Model, Template
from drawcli.system.printable import plain

_LARGEST_ID: Final = 10**9
_LONGEST_WORD: Final = 200  # characters
_HIGHEST_SCORE: Final = 100


@dataclass(frozen=True, slots=True)
class OfferedStructure:
    """A structure of a model."""

    name: str
    region: str = ""  # of the body, as named by the server
    modality: str = ""  # of the images
    dice: float | None = None  # median Dice coefficient, if the server reports it


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueModel:
    """A model: the values that a template needs to select it, and its structures."""

    model_id: int
    name: str
    config: str
    trainer_name: str
    postprocess: str | None
    structures: Mapping[int, OfferedStructure]  # by number in the model's map

    def as_plain(self) -> dict[str, Any]:
        """Return the model as JSON values."""
        structures = {str(number): asdict(item) for number, item in self.structures.items()}
        return asdict(self) | {"structures": structures}

    def has(self, word: str) -> bool:
        """Return whether a casefolded word is in the name of the model or of a structure."""
        return word in self.name.casefold() or any(
            map(partial(_has, word), self.structures.values())
        )

    def with_word(self, word: str) -> Iterator[tuple[int, OfferedStructure]]:
        """Yield the structures with a folded word in name or region; all if the model has it."""
        whole = word in self.name.casefold()
        for number, structure in self.structures.items():
            if whole or _has(word, structure):
                yield number, structure


def parse_catalogue(plain: Sequence[Any]) -> list[CatalogueModel]:
    """Return the models of the server's answer, without invalid entries.

    Unknown keys are ignored. The server may send the string "null" for no postprocessing.
    """
    offers = []
    for entry in plain:
        if not isinstance(entry, dict) or not _is_id(entry.get("model_id")):
            continue
        post = entry.get("model_postprocess")
        offers.append(
            CatalogueModel(
                model_id=entry["model_id"],
                name=_word(entry, "model_name"),
                config=_word(entry, "model_config"),
                trainer_name=_word(entry, "model_trainer_name"),
                postprocess=_printable(post) if isinstance(post, str) and post != "null" else None,
                structures=_structures(entry.get("modelmap")),
            )
        )
    return offers


def unmet_requests(
    templates: Mapping[str, Template], offers: Sequence[CatalogueModel]
) -> Iterator[str]:
    """Yield a sentence for each request of a template that the server does not offer."""
    known = {offer.model_id: offer for offer in offers}
    for title, template in templates.items():
        for number, model in template.models.items():
            offer = known.get(number)
            if offer is None:
                yield f"template {title}: the server offers no model {number} ({model.name})"
                continue
            differences = _differences(number, model, offer)
            yield from (f"template {title}: {words}" for words in differences)


def _differences(number: int, model: Model, offer: CatalogueModel) -> Iterator[str]:
    for key in ("name", "config", "trainer_name", "postprocess"):
        mine, theirs = getattr(model, key), getattr(offer, key)
        if mine != theirs:
            instead = f"{_shown(theirs)} at the server, not {_shown(mine)}"
            yield f"model {number} has {key} {instead}"
    for place, name in model.map.items():
        theirs = offer.structures.get(place)
        if theirs is None:
            yield f"model {number} offers no structure {place} ({name})"
        elif theirs.name != name:
            yield f"structure {place} of model {number} is {theirs.name} at the server, not {name}"


def _structures(entries: Any) -> dict[int, OfferedStructure]:
    found = {}
    for entry in entries if isinstance(entries, list) else ():
        name = _word(entry, "map_tg263_primary_name") if isinstance(entry, dict) else ""
        if name and _is_id(entry.get("mapid")):
            found[entry["mapid"]] = OfferedStructure(
                name,
                _word(entry, "Anatomic_Group"),
                _word(entry, "delineation_modality"),
                _score(entry.get("median_dice_score")),
            )
    return found


def _has(word: str, structure: OfferedStructure) -> bool:
    return word in f"{structure.name} {structure.region}".casefold()


def _is_id(value: Any) -> bool:
    """Return whether a value can be the number of a model or a structure."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < _LARGEST_ID


def _score(value: Any) -> float | None:
    """Return a score, from 0 to 1 or in percent; None if invalid."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and 0 <= value <= _HIGHEST_SCORE else None


def _word(entry: Mapping[str, Any], key: str) -> str:
    value = entry.get(key)
    return _printable(value) if isinstance(value, str) else ""


def _printable(text: str) -> str:
    """Return a text of the server, shortened and safe for terminals and files."""
    return plain(text[:_LONGEST_WORD])


def _shown(value: str | None) -> str:
    return "null" if value is None else value
