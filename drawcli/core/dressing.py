"""What a structure set is given besides its patient: looks, made structures, who had a hand in it.

Items of sequences are added, or get elements in place of the server's; nothing here says anything
of the patient.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from drawcli.core import tags
from drawcli.core.appearance import Look
from drawcli.core.dicom import encoded, encoded_item
from drawcli.core.frames import Triple
from drawcli.core.grid import Key
from drawcli.core.made import Made
from drawcli.core.templates import Template

ROI_LIST: Final = 0x30060020  # StructureSetROISequence
ROI_CONTOURS: Final = 0x30060039  # ROIContourSequence
OBSERVATIONS: Final = 0x30060080  # RTROIObservationsSequence
_ROI_NUMBER: Final = 0x30060022
_REFERENCED_ROI: Final = 0x30060084  # ReferencedROINumber
NUMBERED_BY: Final = {
    ROI_LIST: _ROI_NUMBER,
    ROI_CONTOURS: _REFERENCED_ROI,
    OBSERVATIONS: _REFERENCED_ROI,
}
_NAME: Final = 0x30060026  # ROIName
_ALGORITHM: Final = 0x30060036  # ROIGenerationAlgorithm
_GENERATION: Final = 0x30060038  # ROIGenerationDescription
_FRAME_OF_ROI: Final = 0x30060024  # ReferencedFrameOfReferenceUID
_COLOR: Final = 0x3006002A  # ROIDisplayColor
_OBSERVATION_NUMBER: Final = 0x30060082
_TYPE: Final = 0x300600A4  # RTROIInterpretedType
_INTERPRETER: Final = 0x300600A6  # ROIInterpreter
_CONTOURS: Final = 0x30060040  # ContourSequence
_IMAGES: Final = 0x30060016  # ContourImageSequence
_GEOMETRY: Final = 0x30060042  # ContourGeometricType
_COUNT: Final = 0x30060046  # NumberOfContourPoints
_DATA: Final = 0x30060050  # ContourData
_IMAGE_CLASS: Final = 0x00081150  # ReferencedSOPClassUID
_IMAGE: Final = 0x00081155  # ReferencedSOPInstanceUID
_IMAGE_FRAME: Final = 0x00081160  # ReferencedFrameNumber
_LISTED_IN: Final = {
    ROI_LIST: (_NAME, _GENERATION),
    ROI_CONTOURS: (_COLOR,),
    OBSERVATIONS: (_TYPE,),
}
LABELS: Final = MappingProxyType(  # what a site may call a structure set: VR, most characters
    {
        tags.SeriesDescription: ("LO", 64),
        tags.StructureSetLabel: ("SH", 16),
        tags.StructureSetName: ("LO", 64),
        tags.StructureSetDescription: ("ST", 1024),
    }
)
_LONGEST_LO: Final = 64  # characters
_LONGEST_DS: Final = 0xFFFE  # bytes: explicit VR has 16 bits for the length
_PROCESSING: Final = ("109102", "Processing Equipment")  # PS3.16 annex D
_MODIFYING: Final = ("109103", "Modifying Equipment")

Texts = dict[int, tuple[str, str]]  # tag -> VR and ASCII text


@dataclass(frozen=True, slots=True, kw_only=True)
class Dressing:
    """What the items of a structure set are given."""

    looks: Mapping[int, Texts] = field(default_factory=dict)  # ROI number -> elements it gets
    usual: Mapping[int, Texts] = field(default_factory=dict)  # and those it may have already
    ranks: Mapping[int, int] = field(default_factory=dict)  # ROI number -> place in the lists
    made: tuple[Made, ...] = ()
    image_class: str = ""  # SOP class of the images that made contours name
    has_frames: bool = False  # whether the images are multi-frame
    frame_uid: str = ""  # of the images: FrameOfReferenceUID
    equipment: tuple[Texts, ...] = ()
    labels: Mapping[int, str] = field(default_factory=dict)  # tags of LABELS, and ASCII texts
    utf_8: bool = False  # whether text is brought to ISO_IR 192, or stays as the source has it

    def item(self, sequence: int, number: int) -> tuple[Texts, Texts]:
        """Return what an item of a list of structures gets, and what where it does not have it."""
        mine = _LISTED_IN[sequence]
        looks, usual = self.looks.get(number, {}), self.usual.get(number, {})
        return (
            {tag: text for tag, text in looks.items() if tag in mine},
            {tag: text for tag, text in usual.items() if tag in mine},
        )

    def added(self, sequence: int, *, explicit: bool) -> Iterator[bytes]:
        """Yield the items that a sequence at the top of the file gets besides its own."""
        if sequence == tags.ContributingEquipmentSequence:
            for one in self.equipment:
                yield _Writer(explicit).contributor(one)
        for made in self.made if sequence in NUMBERED_BY else ():
            yield _Writer(explicit).made(sequence, made, self)


PLAIN: Final = Dressing()


def looks_of(template: Template, names: Mapping[int, str]) -> Dressing:
    """Return how the structures that came look, as the template says.

    Parameters
    ----------
    template
        As it was sent.
    names
        ROI number -> name, as the server sent them.
    """
    models = {
        name: f"DRAW model {number} {model.name}"
        for number, model in template.models.items()
        for name in model.map.values()
    }
    order = [*template.structures, *template.drawn, *names.values()]
    return Dressing(
        looks={n: _look(template.structures.get(name, Look())) for n, name in names.items()},
        usual={n: {_GENERATION: ("LO", _plain(models.get(m, "DRAW")))} for n, m in names.items()},
        ranks={number: order.index(name) for number, name in names.items()},
    )


def contributors(template: Template | None, version: str) -> tuple[Texts, ...]:
    """Return who had a hand in a structure set: the server's models, and drawcli."""
    models = {} if template is None else template.models
    said = ", ".join(f"{number} {model.name} {model.config}" for number, model in models.items())
    return (
        _contributor(_PROCESSING, "DRAW", "", f"models: {_plain(said, 900)}" if said else ""),
        _contributor(_MODIFYING, "drawcli", version, "checked and re-identified; not reviewed"),
    )


def _contributor(purpose: tuple[str, str], maker: str, version: str, what: str) -> Texts:
    code, meaning = purpose
    texts = {
        0x00080100: ("SH", code),
        0x00080102: ("SH", "DCM"),
        0x00080104: ("LO", meaning),
        0x00080070: ("LO", maker),
        0x00181020: ("LO", version),
        0x0018A003: ("ST", what),
    }
    return {tag: (vr, text) for tag, (vr, text) in texts.items() if text}


def _look(look: Look) -> Texts:
    color = None if look.color is None else "\\".join(map(str, look.color))
    wanted = {
        _NAME: ("LO", look.label),
        _GENERATION: ("LO", look.description),
        _COLOR: ("IS", color),
        _TYPE: ("CS", look.type),
    }
    return {tag: (vr, text) for tag, (vr, text) in wanted.items() if text is not None}


def _plain(text: str, longest: int = _LONGEST_LO) -> str:
    return text.encode("ascii", "replace").decode("ascii").replace("\\", "?")[:longest].strip()


class _Writer:
    """Writes items in one of the two ways, with VRs or without."""

    def __init__(self, explicit: bool) -> None:  # noqa: FBT001 - the one thing it is made of
        self._explicit = explicit

    def contributor(self, texts: Texts) -> bytes:
        """Return an item of ContributingEquipmentSequence (PS3.3 C.12.1)."""
        code = {tag: text for tag, text in texts.items() if tag in range(0x00080100, 0x00080105)}
        rest = {tag: text for tag, text in texts.items() if tag not in code}
        return self._item(rest, {0x0040A170: [self._item(code)]})

    def made(self, sequence: int, made: Made, whole: Dressing) -> bytes:
        """Return the item of a made structure in one of the three lists."""
        number = ("IS", str(made.number))
        look = _look(made.rule)
        if sequence == ROI_LIST:
            texts: Texts = {
                _ROI_NUMBER: number,
                _FRAME_OF_ROI: ("UI", whole.frame_uid),
                _NAME: ("LO", made.rule.label or made.name),
                _ALGORITHM: ("CS", "AUTOMATIC"),
                _GENERATION: ("LO", made.rule.sentence),
            }
            return self._item(
                texts | {tag: look[tag] for tag in _LISTED_IN[sequence] if tag in look}
            )
        if sequence == OBSERVATIONS:
            texts = {_OBSERVATION_NUMBER: number, _REFERENCED_ROI: number}
            return self._item(
                texts | {_TYPE: look.get(_TYPE, ("CS", "")), _INTERPRETER: ("PN", "")}
            )
        color = {_COLOR: look[_COLOR]} if _COLOR in look else {}
        drawn = [self._contour(key, points, whole) for key, points in made.outlines]
        return self._item({_REFERENCED_ROI: number, **color}, {_CONTOURS: drawn} if drawn else {})

    def _contour(self, key: Key, points: Iterable[Triple], whole: Dressing) -> bytes:
        numbers = [f"{value:.3f}" for point in points for value in point]
        data = "\\".join(numbers)
        texts: Texts = {
            _GEOMETRY: ("CS", "CLOSED_PLANAR"),
            _COUNT: ("IS", str(len(numbers) // 3)),
            _DATA: ("UN" if len(data) > _LONGEST_DS else "DS", data),  # PS3.5 6.2.2, note 4
        }
        if not whole.image_class:
            return self._item(texts)
        uid, frame = key
        image: Texts = {_IMAGE_CLASS: ("UI", whole.image_class), _IMAGE: ("UI", uid)}
        if whole.has_frames:
            image[_IMAGE_FRAME] = ("IS", str(frame))
        return self._item(texts, {_IMAGES: [self._item(image)]})

    def _item(self, texts: Texts, sequences: Mapping[int, Iterable[bytes]] = {}) -> bytes:
        parts = {tag: self.element(tag, vr, text) for tag, (vr, text) in texts.items()}
        for tag, items in sequences.items():
            parts[tag] = encoded(tag, b"SQ", b"".join(items), explicit=self._explicit)
        return encoded_item(b"".join(parts[tag] for tag in sorted(parts)))

    def element(self, tag: int, vr: str, text: str) -> bytes:
        """Return an element of ASCII text."""
        return encoded(tag, vr.encode("ascii"), text.encode("ascii"), explicit=self._explicit)
