"""The appearance of structures in the planning system, and structures derived from others."""

from collections.abc import Mapping
from typing import Any, Final

from drawcli.system.kinds import SWITCH, choice, listed, maybe, number, several, text, whole
from drawcli.system.records import Record, setting

LONGEST_ROI_NAME: Final = 64  # characters of ROIName (3006,0026), an LO
WIDEST_MARGIN_MM: Final = 100.0

# RTROIInterpretedType (3006,00A4): the defined terms of PS3.3 C.8.8.8.1, and OAR.
ROI_TYPES: Final = (
    "",
    "AVOIDANCE",
    "BOLUS",
    "BRACHY_ACCESSORY",
    "BRACHY_CHANNEL",
    "BRACHY_CHNL_SHLD",
    "BRACHY_SRC_APP",
    "CAVITY",
    "CONTRAST_AGENT",
    "CONTROL",
    "CTV",
    "DOSE_MEASUREMENT",
    "DOSE_REGION",
    "EXTERNAL",
    "FIXATION",
    "GTV",
    "IRRAD_VOLUME",
    "ISOCENTER",
    "MARKER",
    "OAR",
    "ORGAN",
    "PTV",
    "REGISTRATION",
    "SUPPORT",
    "TREATED_VOLUME",
)


def check_lo_text(name: str) -> str:
    """Refuse names that an LO cannot hold unchanged (PS3.5 6.2): they would not be found again."""
    if name != name.strip() or "\\" in name or not name.isprintable():
        raise ValueError("a structure name must not begin or end with a blank or have a backslash")
    return name


def _plain(text: str) -> str:
    if not text.isascii():
        raise ValueError("only ASCII characters, since the character set is that of the images")
    return check_lo_text(text)


def _rising(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError("the smallest volume comes first, then the largest")
    return bounds


STRUCTURE_NAME: Final = text(least=1, most=LONGEST_ROI_NAME, check=check_lo_text)
_NAME: Final = maybe(STRUCTURE_NAME)
_LABEL: Final = text(least=1, most=LONGEST_ROI_NAME, check=_plain)
_LO: Final = text(most=64, check=_plain)
_BYTE: Final = whole(least=0, most=255, strict=True)
_VOLUME: Final = number(least=0)
_VOLUMES: Final = several(_VOLUME, 2, check=_rising)
_COLOR: Final = several(_BYTE, 3)
_AT_LEAST_2: Final = maybe(listed(STRUCTURE_NAME, least=2))


class Look(Record):
    """The appearance of a structure in the planning system."""

    label: str | None = setting(None, maybe(_LABEL))  # ROIName (3006,0026), not the template's
    # ROIDisplayColor (3006,002A): red, green, blue.
    color: tuple[int, int, int] | None = setting(None, maybe(_COLOR))
    type: str | None = setting(None, maybe(choice(*ROI_TYPES)))  # RTROIInterpretedType (3006,00A4)
    description: str | None = setting(None, maybe(_LO))  # ROIGenerationDescription (3006,002C)


class Structure(Look):
    """The settings of a site for a structure that a model draws."""

    volume_cm3: tuple[float, float] | None = setting(None, maybe(_VOLUMES))
    # True: it needs contours; False: it may be missing; None: it may be empty.
    required: bool | None = setting(None, maybe(SWITCH))


class Empty(Look):
    """A structure without contours, to be contoured in the planning system."""

    @property
    def sentence(self) -> str:
        """The text for ROIGenerationDescription."""
        return "drawcli: empty, to be contoured"


class Derived(Look):
    """A structure derived from others: one operation and its parameters.

    Lengths are in mm; a margin is the same in all directions, and may be negative.
    """

    union: list[str] | None = setting(None, maybe(listed(STRUCTURE_NAME, least=1)))
    intersection: list[str] | None = setting(None, _AT_LEAST_2)
    subtraction: list[str] | None = setting(None, _AT_LEAST_2)  # from the first
    margin: str | None = setting(None, _NAME)
    crop: str | None = setting(None, _NAME)
    smooth: str | None = setting(None, _NAME)
    fill_holes: str | None = setting(None, _NAME)
    remove_small: str | None = setting(None, _NAME)
    keep_largest: str | None = setting(None, _NAME)
    inside: str | None = setting(None, _NAME)  # of crop: the part to keep
    outside: str | None = setting(None, _NAME)  # of crop: the part to remove
    mm: float = setting(0.0, number(least=-WIDEST_MARGIN_MM, most=WIDEST_MARGIN_MM))
    cm3: float = setting(0.0, _VOLUME)  # of remove_small: smaller parts are removed
    hidden: bool = setting(default=False, kind=SWITCH)  # a step on the way to others

    def check(self) -> None:
        """Refuse more than one operation, and parameters that it does not take."""
        given = [name for name in OPERATIONS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a derived structure needs one of {', '.join(OPERATIONS)}")
        unused = self.given & {"inside", "outside", "mm", "cm3"} - PARAMETERS[given[0]]
        if unused:
            raise ValueError(f"{given[0]} does not take {', '.join(sorted(unused))}")
        if given[0] in ("margin", "smooth") and not self.mm:
            raise ValueError(f"{given[0]} needs mm")
        if given[0] == "smooth" and self.mm < 0:
            raise ValueError("smooth needs mm above 0")
        if given[0] == "remove_small" and not self.cm3:
            raise ValueError("remove_small needs cm3")
        if given[0] == "crop" and (self.inside is None) == (self.outside is None):
            raise ValueError("crop needs either inside or outside")

    @property
    def operation(self) -> str:
        """The name of its operation."""
        return next(name for name in OPERATIONS if getattr(self, name) is not None)

    @property
    def sources(self) -> tuple[str, ...]:
        """The structures that it is derived from, in the order of the operation."""
        operand = getattr(self, self.operation)
        first = tuple(operand) if isinstance(operand, list) else (str(operand),)
        return (*first, *filter(None, (self.inside, self.outside)))

    @property
    def sentence(self) -> str:
        """The operation as text for ROIGenerationDescription, at most 64 characters.

        >>> Derived(margin="Bladder", mm=5).sentence
        'drawcli: margin of Bladder, 5 mm'
        """
        text = f"drawcli: {self.operation.replace('_', ' ')} of {', '.join(self.sources)}"
        text += f", {self.mm:g} mm" if self.mm else ""
        text += f", {self.cm3:g} cm3" if self.cm3 else ""
        return text.encode("ascii", "replace").decode("ascii").replace("\\", "?")[:64].strip()


PARAMETERS: Final[Mapping[str, frozenset[str]]] = {  # of the operations
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
OPERATIONS: Final = tuple(PARAMETERS)


def look_problems(
    drawn: frozenset[str],
    structures: Mapping[str, Structure],
    derived: Mapping[str, Derived],
    empty: Mapping[str, Empty],
) -> list[str]:
    """Return the problems of the structures of a template with each other.

    Parameters
    ----------
    drawn
        The names that the models draw.
    structures, derived
        The settings for them, and the structures derived from them, in order.
    empty
        The structures that are delivered without contours.
    """
    problems = []
    foreign = sorted(structures.keys() - drawn)
    if foreign:
        problems.append(f"structures: no model draws {', '.join(foreign)}")
    known = set(drawn)
    for name, structure in derived.items():
        if name in known:
            problems.append(f"derived {name}: a structure of that name exists already")
        unknown = [source for source in structure.sources if source not in known]
        if unknown:
            problems.append(f"derived {name}: {', '.join(unknown)} must be defined before it")
        known.add(name)
    problems += [
        f"empty {name}: a structure of that name exists already" for name in empty if name in known
    ]
    looks: dict[str, Any] = {name: structures.get(name) for name in drawn} | dict(derived)
    looks |= empty
    by_label: dict[str, str] = {}
    for name, look in sorted(looks.items()):
        label = (look and look.label) or name
        other = by_label.setdefault(label.casefold(), name)
        if other != name:
            problems.append(f"{other} and {name} would have the same name {label}, ignoring case")
    return problems
