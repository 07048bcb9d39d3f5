"""What template and settings add to a structure set: labels, appearance, derived structures.

It contains no patient identity.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from drawcli.core.dicom import tags
from drawcli.core.rtstruct.derived import DerivedStructure
from drawcli.core.templates.appearance import Look
from drawcli.core.templates.template import Template

LABELS: Final = MappingProxyType(  # labels that a site can set: VR, maximum characters
    {
        tags.SeriesDescription: ("LO", 64),
        tags.StructureSetLabel: ("SH", 16),
        tags.StructureSetName: ("LO", 64),
        tags.StructureSetDescription: ("ST", 1024),
    }
)
_LONGEST_LO: Final = 64  # characters
_LONGEST_LIST: Final = 900  # characters of the list of models in an ST
_PROCESSING: Final = ("109102", "Processing Equipment")  # PS3.16 annex D
_MODIFYING: Final = ("109103", "Modifying Equipment")

Texts = Mapping[int, str]  # tag -> ASCII text


class Contribution(NamedTuple):
    """Equipment that contributed to a structure set (PS3.3 C.12.1.1.5)."""

    purpose: tuple[str, str]  # code of PS3.16 CID 7005, and its meaning
    maker: str
    version: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Presentation:
    """What is added to the received structures."""

    looks: Mapping[int, Texts] = field(default_factory=dict)  # ROI number -> elements
    usual: Mapping[int, str] = field(default_factory=dict)  # ROI number -> default description
    ranks: Mapping[int, int] = field(default_factory=dict)  # ROI number -> position in the lists
    made: tuple[DerivedStructure, ...] = ()  # derived, then empty
    equipment: tuple[Contribution, ...] = ()
    labels: Texts = field(default_factory=dict)  # by the tags of LABELS
    utf_8: bool = False  # whether text is converted to ISO_IR 192


PLAIN: Final = Presentation()


def presentation_of(template: Template, names: Mapping[int, str]) -> Presentation:
    """Return the appearance of the received structures that the template defines.

    Parameters
    ----------
    template
        The template that was sent.
    names
        ROI number -> name, as received.
    """
    models = {
        name: f"DRAW model {number} {model.name}"
        for number, model in template.models.items()
        for name in model.map.values()
    }
    order = dict.fromkeys((*template.structures, *template.drawn, *names.values()))
    rank = {name: number for number, name in enumerate(order)}
    return Presentation(
        looks={
            n: look_elements(template.structures.get(name, Look())) for n, name in names.items()
        },
        usual={n: _plain(models.get(name, "DRAW")) for n, name in names.items()},
        ranks={number: rank[name] for number, name in names.items()},
    )


def look_elements(look: Look) -> Texts:
    """Return the elements of a structure's appearance."""
    color = None if look.color is None else "\\".join(map(str, look.color))
    wanted = {
        tags.ROIName: look.label,
        tags.ROIGenerationDescription: look.description,
        tags.ROIDisplayColor: color,
        tags.RTROIInterpretedType: look.type,
    }
    return {tag: text for tag, text in wanted.items() if text is not None}


def contributors(template: Template | None, version: str) -> tuple[Contribution, ...]:
    """Return the contributing equipment: the server with its models, and drawcli."""
    models = {} if template is None else template.models
    said = ", ".join(f"{number} {model.name} {model.config}" for number, model in models.items())
    listed = f"models: {_plain(said, _LONGEST_LIST)}" if said else ""
    return (
        Contribution(_PROCESSING, "DRAW", "", listed),
        Contribution(_MODIFYING, "drawcli", version, "checked and re-identified; not reviewed"),
    )


def _plain(text: str, longest: int = _LONGEST_LO) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\\", "?")[:longest].strip()
