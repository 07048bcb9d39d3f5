"""Multi-frame and compressed files as they are sent: valid, of the same pixels; damaged ones held.

Whatever happens to a file, it ends in a reason with a name, or in a package that the gate passes
and whose slices are the frames of the source.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, JPEGLSLossless, RLELossless

from drawcli.core.deid.profile import USUAL
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.sop_classes import IMAGE_CLASSES, MULTI_FRAME
from drawcli.core.gate.pydicom_elements import pydicom_errors
from drawcli.pipeline.deidentify_folder import export, read_folder
from drawcli.sandbox.patients import identifying_values
from tests.conftest import PELVIS
from tests.core.real_data import needs_real, real_files
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.mr_pt import write_mr, write_pt
from tests.phantoms.planning import write_planning_ct
from tests.validator import errors_of, needs_validator

FRAMES = 5
TRIALS = 150  # of each phantom
WRITE = {"CT": write_planning_ct, "MR": write_mr, "PT": write_pt}
KINDS = ("CT", "CT converted", "CT implicit", "MR", "MR converted", "PT", "PT converted")
CODED = {"JPEG-LS": JPEGLSLossless, "RLE": RLELossless}
NAMED = {
    "not-split",
    "undecodable",
    "decoder-missing",
    "series-refused",
    "truncated",
    "privacy-gate",
}
Mutation = Callable[[bytearray, random.Random], bytes]


def written(folder: Path, kind: str, coding: str = "") -> Path:
    """Write a multi-frame phantom."""
    modality, *flags = kind.split()
    classic = WRITE[modality](folder / "classic", PELVIS, slices=FRAMES, size=16, seed=1)
    path = folder / "multi" / "image.dcm"
    write_enhanced(path, PELVIS, classic, **dict.fromkeys(flags, True))
    if coding:
        image = dcmread(path)
        image.compress(CODED[coding], generate_instance_uid=False)
        image.save_as(path)
    return path


def sent(folder: Path, target: Path) -> Iterator[tuple[str, list[Path]]]:
    """De-identify a folder; yield for each series the code of its refusal, or its slices."""
    for one in export(read_folder(folder).series, target, StandIns(b"k" * 32), USUAL):
        if one.refused is not None:
            assert str(one.refused)
            yield one.refused.code, []
        elif one.folder is not None:
            yield "", sorted(one.folder.iterdir())


@needs_validator
@pytest.mark.parametrize("kind", KINDS)
def test_the_slices_are_valid_images_of_their_class(tmp_path: Path, kind: str) -> None:
    path = written(tmp_path, kind)

    ((code, slices),) = sent(path.parent, tmp_path / "sent")

    assert (code, len(slices)) == ("", FRAMES)
    assert set().union(*map(errors_of, slices)) == set()


def test_units_without_a_rescale_type_are_no_text_of_the_source(tmp_path: Path) -> None:
    path = written(tmp_path, "PT")
    image = dcmread(path)
    shared = image.SharedFunctionalGroupsSequence[0]
    shared.PixelValueTransformationSequence[0].RescaleType = "US"  # as PS3.3 has it for PET
    image.save_as(path)  # "BQML" is left as a label of the mapping

    ((code, slices),) = sent(path.parent, tmp_path / "sent")

    assert (code, {dcmread(one).Units for one in slices}) == ("", {"BQML"})


def flipped(raw: bytearray, dice: random.Random) -> bytes:
    for _ in range(dice.choice((1, 2, 8))):
        raw[dice.randrange(132, len(raw))] ^= 1 << dice.randrange(8)
    return bytes(raw)


def cut(raw: bytearray, dice: random.Random) -> bytes:
    return bytes(raw[: dice.randrange(len(raw))])


def zeroed(raw: bytearray, dice: random.Random) -> bytes:
    start = dice.randrange(132, len(raw))
    raw[start : start + 60] = bytes(len(raw[start : start + 60]))
    return bytes(raw)


def moved(raw: bytearray, dice: random.Random) -> bytes:
    """Repeat a piece of the file in another place."""
    start, to = (dice.randrange(132, len(raw)) for _ in "12")
    return bytes(raw[:to] + raw[start : start + dice.randrange(1, 200)] + raw[to:])


@pytest.mark.filterwarnings("ignore")  # of pydicom, about the damaged sources
@pytest.mark.parametrize(
    ("kind", "coding"),
    [("CT", ""), ("MR converted", ""), ("PT", ""), ("CT", "JPEG-LS"), ("CT converted", "RLE")],
)
def test_damaged_files_are_held_by_name_or_sent_whole(
    tmp_path: Path, kind: str, coding: str
) -> None:
    path = written(tmp_path, kind, coding)
    whole, dice = path.read_bytes(), random.Random(kind + coding)  # noqa: S311
    codes: Counter[str] = Counter()

    for trial in range(TRIALS):
        change = dice.choice((flipped, cut, zeroed, moved))
        path.write_bytes(change(bytearray(whole), dice))
        for code, slices in sent(path.parent, tmp_path / f"sent-{trial}"):
            codes[code] += 1
            if slices:
                check_slices(path, slices)

    assert codes[""] > 0
    assert codes.total() - codes[""] > 0


def check_slices(source: Path, slices: list[Path]) -> None:
    """Check that the slices hold no name of the patient, and each frame once."""
    found = [dcmread(path) for path in slices]
    beside_pixels = (
        path.read_bytes()[: -len(one.PixelData)] for path, one in zip(slices, found, strict=True)
    )
    raw = b"".join(beside_pixels).lower()
    for text in identifying_values(PELVIS):
        assert text.lower().encode("utf-8") not in raw
    assert len({one.SOPInstanceUID for one in found}) == len(found)
    found.sort(key=lambda one: int(one.InstanceNumber))
    try:
        pixels = decoded(dcmread(source, force=True))
    except pydicom_errors():
        return  # of a damaged header, which drawcli reads and pydicom does not
    for number, one in enumerate(found):
        assert np.array_equal(decoded(one)[0], pixels[number])


def decoded(image: Dataset) -> "np.ndarray[tuple[int, ...], np.dtype[np.int64]]":
    """Return the stored values of all frames, by pydicom."""
    values = image.pixel_array.astype(np.int64)
    return values if values.ndim > 2 else values[np.newaxis]


@needs_real
@pytest.mark.filterwarnings("ignore")
def test_real_multi_frame_and_compressed_files_keep_their_pixels(tmp_path: Path) -> None:
    codes: Counter[str] = Counter()
    for number, path in enumerate(wanted_files()):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "image.dcm").symlink_to(path)
        for code, slices in sent(folder, tmp_path / f"sent-{number}"):
            codes[code] += 1
            source = dcmread(path)
            for one in sorted(map(dcmread, slices), key=lambda one: int(one.InstanceNumber)):
                frame = int(one.InstanceNumber) - 1 if source.SOPClassUID in MULTI_FRAME else 0
                assert np.array_equal(decoded(one)[0], decoded(source)[frame])
                assert one.SOPClassUID not in MULTI_FRAME
    assert codes[""] >= 20
    assert codes["colour"] > 0  # CT0012, in every coding
    assert codes.keys() <= {"", "colour", "compressed", "localizer", "few-slices", "series-refused"}


def wanted_files() -> Iterator[Path]:
    """Yield the real multi-frame and compressed CT, MR and PT images."""
    for path in real_files():
        try:
            image = dcmread(path, stop_before_pixels=True)
        except pydicom_errors():
            continue
        syntax = image.file_meta.get("TransferSyntaxUID", UID(""))
        sop_class = image.get("SOPClassUID", "")
        if sop_class in MULTI_FRAME or (sop_class in IMAGE_CLASSES and syntax.is_encapsulated):
            yield path
