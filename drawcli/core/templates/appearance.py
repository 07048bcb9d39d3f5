"""How a structure looks in the planning system, and which structures are made of others."""

from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictInt,
    StrictStr,
    model_validator,
)

LONGEST_ROI_NAME: Final = 64  # characters of ROIName (3006,0026), an LO
_WIDEST_MARGIN_MM: Final = 100.0

# RTROIInterpretedType (3006,00A4): the defined terms of PS3.3 C.8.8.8.1 that a model can draw.
RoiType = Literal[
    "",
    "AVOIDANCE",
    "BOLUS",
    "CAVITY",
    "CONTROL",
    "CTV",
    "DOSE_REGION",
    "EXTERNAL",
    "FIXATION",
    "GTV",
    "IRRAD_VOLUME",
    "ORGAN",
    "PTV",
    "SUPPORT",
    "TREATED_VOLUME",
]


def comes_back_as_sent(name: str) -> str:
    """Refuse names that an LO changes: the structure would seem to be missing (PS3.5 6.2)."""
    if name != name.strip() or "\\" in name or not name.isprintable():
        raise ValueError("no blanks at the ends of a structure name, and no backslash in it")
    return name


def _plain(text: str) -> str:
    if not text.isascii():
        raise ValueError("plain ASCII: whatever character set the patient's name needs")
    return comes_back_as_sent(text)


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the least volume comes first, then the largest")
    return bounds


StructureName = Annotated[
    StrictStr,
    Field(min_length=1, max_length=LONGEST_ROI_NAME),
    AfterValidator(comes_back_as_sent),
]
_Label = Annotated[
    StrictStr, Field(min_length=1, max_length=LONGEST_ROI_NAME), AfterValidator(_plain)
]
_Text = Annotated[StrictStr, Field(max_length=64), AfterValidator(_plain)]  # LO
_Byte = Annotated[StrictInt, Field(ge=0, le=255)]
_Volume = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Look(BaseModel):
    """How a structure looks in the planning system."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    label: _Label | None = None  # ROIName (3006,0026), in place of the name in the template
    color: tuple[_Byte, _Byte, _Byte] | None = None  # ROIDisplayColor (3006,002A): red, green, blue
    type: RoiType | None = None  # RTROIInterpretedType (3006,00A4)
    description: _Text | None = None  # ROIGenerationDescription (3006,002C)


class Structure(Look):
    """What a site says about a structure that a model draws."""

    volume_cm3: Annotated[tuple[_Volume, _Volume], AfterValidator(_rising)] | None = None
    required: bool | None = None  # True: with contours; False: may be missing; else: may be empty


class Derived(Look):
    """A structure made of others: one operation, and what it needs.

    Lengths are mm, in the patient; a margin is one in all directions, and may be negative.
    """

    union: Annotated[list[StructureName], Field(min_length=1)] | None = None
    intersection: Annotated[list[StructureName], Field(min_length=2)] | None = None
    subtraction: Annotated[list[StructureName], Field(min_length=2)] | None = None  # from the first
    margin: StructureName | None = None
    crop: StructureName | None = None
    smooth: StructureName | None = None
    fill_holes: StructureName | None = None
    remove_small: StructureName | None = None
    keep_largest: StructureName | None = None
    inside: StructureName | None = None  # of crop: what stays
    outside: StructureName | None = None  # of crop: what goes
    mm: Annotated[
        float, Field(ge=-_WIDEST_MARGIN_MM, le=_WIDEST_MARGIN_MM, allow_inf_nan=False)
    ] = 0.0
    cm3: _Volume = 0.0  # of remove_small: parts below it go

    @model_validator(mode="after")
    def _one_operation(self) -> Self:
        given = [name for name in _OPERATIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(_OPERATIONS)} makes a derived structure")
        spare = self.model_fields_set & {"inside", "outside", "mm", "cm3"} - _NEEDS[given[0]]
        if spare:
            raise ValueError(f"{given[0]} has no use for {', '.join(sorted(spare))}")
        if given[0] in ("margin", "smooth") and not self.mm:
            raise ValueError(f"{given[0]} needs mm")
        if given[0] == "smooth" and self.mm < 0:
            raise ValueError("smooth needs mm above 0")
        if given[0] == "remove_small" and not self.cm3:
            raise ValueError("remove_small needs cm3")
        if given[0] == "crop" and (self.inside is None) == (self.outside is None):
            raise ValueError("crop needs either inside or outside")
        return self

    @property
    def operation(self) -> str:
        """The name of its operation."""
        return next(name for name in _OPERATIONS if getattr(self, name) is not None)

    @property
    def sources(self) -> tuple[str, ...]:
        """The structures that it is made of, in the order of the operation."""
        made_of = getattr(self, self.operation)
        first = tuple(made_of) if isinstance(made_of, list) else (str(made_of),)
        return (*first, *filter(None, (self.inside, self.outside)))

    @property
    def sentence(self) -> str:
        """How it came about, for ROIGenerationDescription, at most 64 characters.

        >>> Derived(margin="Bladder", mm=5).sentence
        'drawcli: margin of Bladder, 5 mm'
        """
        words = f"drawcli: {self.operation.replace('_', ' ')} of {', '.join(self.sources)}"
        words += f", {self.mm:g} mm" if self.mm else ""
        words += f", {self.cm3:g} cm3" if self.cm3 else ""
        return words.encode("ascii", "replace").decode("ascii").replace("\\", "?")[:64].strip()


_NEEDS: Final[Mapping[str, frozenset[str]]] = {
    "union": frozenset(),
    "intersection": frozenset(),
    "subtraction": frozenset(),
    "margin": frozenset({"mm"}),
    "crop": frozenset({"inside", "outside", "mm"}),
    "smooth": frozenset({"mm"}),
    "fill_holes": frozenset(),
    "remove_small": frozenset({"cm3"}),
    "keep_largest": frozenset(),
}
_OPERATIONS: Final = tuple(_NEEDS)


def look_problems(
    drawn: frozenset[str], structures: Mapping[str, Structure], derived: Mapping[str, Derived]
) -> list[str]:
    """Return what is wrong with the structures of a template, taken together.

    Parameters
    ----------
    drawn
        The names that the models draw.
    structures, derived
        What the site says about them, and what it makes of them, in order.
    """
    problems = []
    foreign = sorted(structures.keys() - drawn)
    if foreign:
        problems.append(f"structures names what no model draws: {', '.join(foreign)}")
    known = set(drawn)
    for name, one in derived.items():
        if name in known:
            problems.append(f"derived {name}: there is a structure of that name already")
        unknown = [source for source in one.sources if source not in known]
        if unknown:
            problems.append(f"derived {name}: made of {', '.join(unknown)}, which is not above it")
        known.add(name)
    looks: dict[str, Any] = {name: structures.get(name) for name in drawn} | dict(derived)
    met: dict[str, str] = {}
    for name, look in sorted(looks.items()):
        shown = (look and look.label) or name
        other = met.setdefault(shown.casefold(), name)
        if other != name:
            problems.append(f"{other} and {name} would both be called {shown}, but for capitals")
    return problems
