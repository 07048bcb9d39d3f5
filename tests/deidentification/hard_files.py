"""Slices with identifiers of one invented patient planted anywhere: a generator that shrinks.

A slice is a usual one, full of identifiers where scanners put them, plus a few plants: a token in
some form, under some tag and VR, at some depth. A plant is a plain record, so a failing example
reads as a list of places.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from hypothesis import strategies as st
from pydicom._dicom_dict import DicomDictionary

from tests.deidentification.patients import Patient, patients
from tests.deidentification.usual import MODALITIES, usual
from tests.deidentification.writing import Cell, File, Tree, number

TEXT_VRS: Final = "AE CS LO LT PN SH ST UC UR UT".split()
ODD_VRS: Final = "AS AT DA DS DT FD FL IS OB OD OF OL OW SL SS TM UI UL UN US".split()
# Texts of the scanner that are copied as they are: a name in one of them is for the gate to find.
# Written by hand, not taken from the policy.
COPIED: Final = """
    AngioFlag AttenuationCorrectionMethod BodyPartExamined BurnedInAnnotation CollimatorType
    ConvolutionKernel CorrectedImage CountsSource DecayCorrection ImageType ImagedNucleus
    InPlanePhaseEncodingDirection Laterality LossyImageCompression LossyImageCompressionMethod
    MRAcquisitionType Manufacturer ManufacturerModelName Modality PatientPosition PatientSex
    PhotometricInterpretation RandomsCorrectionMethod RecognizableVisualFeatures RescaleType
    RotationDirection SUVType ScanningSequence ScatterCorrectionMethod SequenceVariant SeriesType
    SpecificCharacterSet Units
""".split()
NEVER: Final = {"SOPClassUID", "TransferSyntaxUID", "PixelData"}  # another one is refused or read
BY_KEYWORD: Final = {entry[4]: tag for tag, entry in DicomDictionary.items() if entry[4]}
_ORDINARY: Final = sorted(
    (tag, entry[0])
    for tag, entry in DicomDictionary.items()
    if tag >> 16 >= 8 and tag < 0x7FE00000 and entry[4] not in NEVER and tag & 0xFFFF
)
SEQUENCES: Final = [tag for tag, vr in _ORDINARY if vr == "SQ"]
COPIED_TAGS: Final = sorted(BY_KEYWORD[keyword] for keyword in COPIED)
NUMERIC: Final = sorted(tag for tag, vr in _ORDINARY if vr in ("DS", "IS", "TM", "AS"))
ELEMENTS: Final = [
    tag for tag, vr in _ORDINARY if vr not in ("SQ", "DS", "IS", "TM") and tag not in COPIED_TAGS
]
# Sequences of which the policy keeps something, by hand.
REBUILT: Final = [
    BY_KEYWORD[keyword]
    for keyword in """
    ReferencedImageSequence SourceImageSequence RadiopharmaceuticalInformationSequence
    RadionuclideCodeSequence PatientOrientationCodeSequence DeidentificationMethodCodeSequence
    ContributingEquipmentSequence PatientGantryRelationshipCodeSequence
    """.split()
]
CODED: Final = [0x00080100, 0x00080102, 0x00080103, 0x00080104, 0x0008010B, 0x00080119, 0x00080120]
META: Final = [0x00020003, 0x00020013, 0x00020016, 0x00020017, 0x00020026, 0x00020100, 0x00020102]
OVERLAY: Final = [0x0022, 0x0040, 0x0045, 0x1001, 0x1301, 0x1500, 0x3000, 0x4000]
CURVE: Final = [0x0020, 0x0022, 0x0030, 0x2500, 0x2600, 0x2610, 0x3000]
DIRECTORY: Final = [0x00041130, 0x00041141, 0x00041500, 0x00041220]
BEHIND: Final = [0x7FE10010, 0x7FE11010, 0xFFFAFFFA, 0xFFFCFFFC]
FORMS: Final = [
    "{}",
    " {} ",
    "Pat. {}, see letter",
    "A\\{}\\B",
    "x_{}_y",
    "1.0\\{}",
    "20240102{}",
    "083000.{}",
    "{}\0",
    "#{}#",
]


@dataclass(frozen=True, slots=True)
class Plant:
    """A token and its place."""

    place: str
    token: int  # of Patient.tokens, modulo their number
    tag: int = 0
    vr: str = "LO"
    form: str = "{}"
    path: tuple[int, ...] = ()  # tags of the sequences around it, from the outermost inwards
    undefined: bool = False
    hidden: bool = False  # the outermost sequence is written as UN

    def is_copied(self, text: str) -> bool:
        """Tell whether an engine may copy this as a scanner's word, or as a number or time."""
        digits = text.strip(" \0").replace("\\", "").replace(".", "").replace("-", "")
        return self.tag in COPIED_TAGS or (self.tag in NUMERIC and digits.isdigit())


_TOKEN = st.integers(0, 60)
_VRS = st.sampled_from(TEXT_VRS + ODD_VRS)
_FORM = st.sampled_from(FORMS)
_OUTER = st.one_of(st.sampled_from(REBUILT), st.sampled_from(SEQUENCES), st.just(0x00291010))
_PATHS = st.lists(_OUTER, min_size=1, max_size=5).map(tuple)
_PRIVATE = st.integers(0x0009, 0x7FDF).map(lambda group: (group | 1) << 16)


def _plants(
    place: str, tags: list[int] | st.SearchStrategy[int], **more: st.SearchStrategy[Any]
) -> st.SearchStrategy[Plant]:
    tag = st.sampled_from(tags) if isinstance(tags, list) else tags
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "token": _TOKEN,
        "tag": tag,
        "vr": _VRS,
        "form": _FORM,
    }
    return st.builds(Plant, st.just(place), **(drawn | more))


_NESTED: Final[dict[str, st.SearchStrategy[Any]]] = {
    "path": _PATHS,
    "undefined": st.booleans(),
    "hidden": st.booleans(),
}
OUTSIDE: Final[st.SearchStrategy[Plant]] = st.one_of(
    _plants("element", ELEMENTS),
    _plants("element", ELEMENTS, vr=st.just("")),
    _plants("element", ELEMENTS, **_NESTED),
    _plants("element", CODED, **_NESTED),
    _plants("element", NUMERIC, **_NESTED),
    _plants("element", NUMERIC),
    _plants("private", _PRIVATE),
    _plants("private", _PRIVATE, **_NESTED),
    _plants("meta", META),
    _plants("element", [0x60000000 + one for one in OVERLAY]),
    _plants("element", [0x60060000 + one for one in OVERLAY], **_NESTED),
    _plants("element", [0x50000000 + one for one in CURVE]),
    _plants("directory", DIRECTORY),
    _plants("icon", [0x7FE00010]),
    _plants("length", [0x00080000, 0x00100000, 0x00180000, 0x60000000]),
    _plants("behind", BEHIND),
    _plants("padding", ELEMENTS[:1]),
    _plants("preamble", ELEMENTS[:1]),
    _plants("garbage", ELEMENTS[:1]),
)
WITHIN: Final[st.SearchStrategy[Plant]] = st.one_of(
    _plants("element", COPIED_TAGS, vr=st.just("")),
    _plants("element", COPIED_TAGS),
    _plants("element", NUMERIC, vr=st.just(""), form=st.sampled_from(["{}", "1\\{}", "{}.5"])),
)


@dataclass(frozen=True, slots=True)
class Case:
    """A series of hard slices and its patient."""

    patient: Patient
    modality: str
    plants: tuple[Plant, ...]
    explicit: bool
    start: str  # how the file begins: whole, without preamble, without meta
    slices: int

    def texts(self) -> list[str]:
        """Return the planted texts."""
        return [text_of(plant, self.patient) for plant in self.plants]

    def files(self, number: int = 0) -> list[File]:
        """Return the slices; `number` keeps the UIDs of several cases apart."""
        return [self._file(number, index) for index in range(self.slices)]

    def _file(self, number: int, index: int) -> File:
        made = usual(self.patient, self.modality, number, index)
        made.explicit = self.explicit
        for plant in self.plants:
            put(plant, self.patient, made)
        if self.start != "whole":
            made.preamble = None
        made.has_meta = self.start != "bare"
        if not made.has_meta:
            made.tree = {tag: cell for tag, cell in made.tree.items() if tag >= 0x00080000}
            made.tree.setdefault(0x00080005, Cell("CS", b""))
        return made


@st.composite
def cases(draw: st.DrawFn, plants: st.SearchStrategy[Plant] = OUTSIDE, *, slices: int = 1) -> Case:
    """Draw a hard series."""
    return Case(
        patient=draw(patients()),
        modality=draw(st.sampled_from(MODALITIES)),
        plants=tuple(draw(st.lists(plants, min_size=1, max_size=8))),
        explicit=draw(st.booleans()),
        start=draw(st.sampled_from(["whole", "whole", "no preamble", "bare"])),
        slices=slices,
    )


def text_of(plant: Plant, patient: Patient) -> str:
    """Return the text of a plant."""
    tokens = patient.tokens
    return plant.form.format(tokens[plant.token % len(tokens)])


def put(plant: Plant, patient: Patient, into: File) -> None:
    """Put a token into a slice."""
    raw = patient.encoded(text_of(plant, patient))
    raw += (b"\0" if plant.vr in ("UI", "OB", "UN") else b" ") * (len(raw) % 2)
    standard = DicomDictionary.get(plant.tag, ("LO",))[0].split(" or ")[0]
    vr = plant.vr or ("UN" if standard == "SQ" else standard)
    match plant.place:
        case "preamble":
            into.preamble = raw.ljust(128, b"\0")[:128]
        case "meta":
            into.meta[plant.tag] = Cell("UI" if plant.tag == 0x00020003 else "LO", raw)
        case "garbage":
            into.behind += raw
        case "behind":
            cell = Cell("OB", raw)
            into.behind += File({}, {}, b"").written()[:0] + _alone(plant.tag, cell, into)
        case "padding":
            _append(into.tree, 0x00180050, b"\0" + raw)
            _append(into.tree, 0x00080070, b"\0" + raw)
        case "icon":
            icon: Tree = {0x00280010: number(1), 0x00280011: number(len(raw) // 2)}
            into.tree[0x00880200] = Cell("SQ", [icon | {0x7FE00010: Cell("OW", raw)}])
        case "private":
            block = {plant.tag | 0x10: Cell("LO", raw), plant.tag | 0x1001: Cell(vr, raw)}
            _nested(into.tree, plant, block)
        case _:
            _nested(into.tree, plant, {plant.tag: Cell(vr, raw)})


def _alone(tag: int, cell: Cell, into: File) -> bytes:
    alone = replace(into, tree={tag: cell}, preamble=None, has_meta=False, pixels=b"", behind=b"")
    return alone.written()[: -(12 if into.explicit else 8)]


def _append(tree: Tree, tag: int, raw: bytes) -> None:
    cell = tree.get(tag)
    if cell is not None and isinstance(cell.value, bytes):
        value = cell.value.rstrip(b" ") + raw
        tree[tag] = Cell(cell.vr, value + b" " * (len(value) % 2))


def _nested(tree: Tree, plant: Plant, elements: Tree) -> None:
    """Put elements into new items of the sequences of a path, or at the top level."""
    for depth, tag in enumerate(plant.path):
        held = tree.get(tag)
        if held is None or isinstance(held.value, bytes):
            vr = "UN" if plant.hidden and depth == 0 else "SQ"
            held = tree[tag] = Cell(vr, [], undefined=plant.undefined)
        assert not isinstance(held.value, bytes)
        inner: Tree = {}
        held.value.append(inner)
        tree = inner
    tree.update(elements)
