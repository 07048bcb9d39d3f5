"""The privacy gate on packages of other files than the sources: split frames, decoded pixels."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import JPEGLSLossless, RLELossless

from drawcli.adapters.gate import find_source_series, findings
from drawcli.adapters.package import write_package
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.series.crosswalk import Crosswalk
from drawcli.pipeline import sent_frames
from drawcli.pipeline.deidentify_folder import read_folder
from drawcli.pipeline.sent_slices import deidentify_slices
from drawcli.pipeline.steps.deidentify import read_replacements
from tests.adapters.packages import KEY, as_bytes, as_dataset, contents, repacked
from tests.conftest import PELVIS
from tests.phantoms.enhanced import write_enhanced
from tests.phantoms.planning import write_planning_ct

FRAMES = 4
Plant = Callable[[list[Dataset]], None]


def built(source: Path, target: Path, choices: Choices) -> list[str]:
    """Build the package of a series in a folder; return its files."""
    (found,) = read_folder(source).series
    crosswalk = Crosswalk.of(found.slices)
    replacements, _ = read_replacements(crosswalk, StandIns(KEY), choices)
    write_package(target, deidentify_slices(crosswalk, replacements, {}))
    return [file.path for file in crosswalk.files]


@pytest.fixture(params=["frames", "frames in RLE", "frames in JPEG-LS", "slices in JPEG-LS"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Write a series whose package has other files: split, or decoded, or both."""
    folder = tmp_path / "source"
    classic = write_planning_ct(tmp_path / "classic", PELVIS, slices=FRAMES, size=16, seed=1)
    if "frames" in request.param:
        files = [write_enhanced(folder / "ct.dcm", PELVIS, classic)]
    else:
        folder, files = tmp_path / "classic", classic
    for syntax in (RLELossless, JPEGLSLossless):
        for path in files if syntax.name.split(" ")[0] in request.param else ():
            image = dcmread(path)
            image.compress(syntax, generate_instance_uid=False)
            image.save_as(path)
    return folder


def test_nothing_is_found_in_a_right_package(source: Path, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"

    files = built(source, package, Choices())

    assert findings(package, files, others=()) == []
    assert find_source_series(package, [files]) == files


def off_by_one(slices: list[Dataset]) -> None:
    raw = bytearray(slices[1].PixelData)
    raw[-40] ^= 1
    slices[1].PixelData = bytes(raw)


def swapped(slices: list[Dataset]) -> None:
    one, other = slices[0], slices[1]
    one.PixelData, other.PixelData = other.PixelData, one.PixelData


def twice(slices: list[Dataset]) -> None:
    slices[0].PixelData = slices[1].PixelData
    slices[0].ImagePositionPatient = slices[1].ImagePositionPatient


def scaled(slices: list[Dataset]) -> None:
    slices[2].RescaleSlope = "2"


def stretched(slices: list[Dataset]) -> None:
    slices[2].PixelSpacing = ["1", "1"]


def turned(slices: list[Dataset]) -> None:
    slices[2].ImageOrientationPatient = ["0", "1", "0", "1", "0", "0"]


def unsigned(slices: list[Dataset]) -> None:
    slices[2].PixelRepresentation = 1


def inverted(slices: list[Dataset]) -> None:
    slices[2].PhotometricInterpretation = "MONOCHROME1"


def in_wider_samples(slices: list[Dataset]) -> None:
    slices[2].HighBit = 15 - slices[2].HighBit


def padded(slices: list[Dataset]) -> None:
    slices[2].add_new(0x00280120, "US", 7)


def one_is_missing(slices: list[Dataset]) -> None:
    slices.pop()


FAULTS: tuple[tuple[Plant, str], ...] = (
    (off_by_one, "pixels"),
    (swapped, "pixels"),
    (twice, "pixels"),
    (scaled, "pixels"),
    (stretched, "pixels"),
    (turned, "pixels"),
    (unsigned, "pixels"),
    (inverted, "pixels"),
    (in_wider_samples, "pixels"),
    (padded, "pixels"),
    (one_is_missing, "pixels"),
)


@pytest.mark.parametrize(("plant", "check"), FAULTS, ids=[f[0].__name__ for f in FAULTS])
def test_a_fault_in_one_slice_is_found(
    source: Path, tmp_path: Path, plant: Plant, check: str
) -> None:
    files = built(source, tmp_path / "right.zip", Choices())
    slices = [as_dataset(raw) for raw in contents(tmp_path / "right.zip").values()]
    plant(slices)
    raws = {f"{one.SOPInstanceUID}.dcm": as_bytes(one) for one in slices}

    found = findings(repacked(raws, tmp_path / "wrong.zip"), files, others=())

    assert check in {leak.check for leak in found}


def checks_if_set(source: Path, folder: Path, keyword: str, value: object) -> set[str]:
    """Return what the gate finds if an element of the first slice has another value."""
    files = built(source, folder / "right.zip", Choices())
    slices = [as_dataset(raw) for raw in contents(folder / "right.zip").values()]
    setattr(slices[0], keyword, value)
    raws = {f"{one.SOPInstanceUID}.dcm": as_bytes(one) for one in slices}

    found = findings(repacked(raws, folder / "wrong.zip"), files, others=())
    return {leak.check for leak in found}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("InstanceNumber", 9),
        ("RescaleType", "US"),
        ("SpacingBetweenSlices", "99"),
        ("PatientPosition", "FFP"),
    ],
)
@pytest.mark.parametrize("source", ["frames"], indirect=True)
def test_a_slice_does_not_contradict_its_frame(
    source: Path, tmp_path: Path, keyword: str, value: object
) -> None:
    assert checks_if_set(source, tmp_path, keyword, value) == {"pixels"}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("NumberOfFrames", 1),
        ("SharedFunctionalGroupsSequence", [Dataset()]),
        ("DimensionIndexSequence", []),
        ("FrameContentSequence", []),
        ("PlanePositionSequence", []),
        ("FrameComments", "ok"),
    ],
)
@pytest.mark.parametrize("source", ["frames"], indirect=True)
def test_a_slice_has_no_element_of_a_multi_frame_image(
    source: Path, tmp_path: Path, keyword: str, value: object
) -> None:
    assert "marker" in checks_if_set(source, tmp_path, keyword, value)


@pytest.mark.parametrize("source", ["slices in JPEG-LS"], indirect=True)
def test_a_slice_may_say_that_it_has_one_frame(source: Path, tmp_path: Path) -> None:
    for path in source.iterdir():
        image = dcmread(path)
        image.NumberOfFrames = 1
        image.save_as(path)

    files = built(source, tmp_path / "package.zip", Choices())

    assert findings(tmp_path / "package.zip", files, others=()) == []


def test_frames_taken_from_the_wrong_place_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classic = write_planning_ct(tmp_path / "classic", PELVIS, slices=FRAMES, size=16, seed=1)
    write_enhanced(tmp_path / "source" / "ct.dcm", PELVIS, classic)
    stored = sent_frames._PixelReader.stored

    def other(self: sent_frames._PixelReader, stream: io.BytesIO, n: int) -> Iterator[bytes]:
        return stored(self, stream, n % FRAMES + 1)

    monkeypatch.setattr(sent_frames._PixelReader, "stored", other)
    files = built(tmp_path / "source", tmp_path / "package.zip", Choices())

    assert findings(tmp_path / "package.zip", files, others=()) != []


def test_the_pixels_of_a_large_source_stay_in_its_file(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = built(source, tmp_path / "package.zip", Choices())
    monkeypatch.setattr("drawcli.adapters.gate.sources._LARGE", 100)
    monkeypatch.setattr("drawcli.adapters.gate.sources._DEFERRED", 100)

    assert findings(tmp_path / "package.zip", files, others=()) == []


def test_a_site_may_send_codings_as_they_are(source: Path, tmp_path: Path) -> None:
    package = tmp_path / "package.zip"

    files = built(source, package, Choices(decompress=False))

    assert findings(package, files, others=()) == []
    first = dcmread(files[0])
    sent = {as_dataset(raw).file_meta.TransferSyntaxUID for raw in contents(package).values()}
    assert sent == {first.file_meta.TransferSyntaxUID}
