"""Complete and of the right kind: each awkward series, as a scan of a datastore sees it."""

import os
import shutil
from math import cos, sin
from pathlib import Path

import pytest
from pydicom import Dataset

from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from drawcli.pipeline.survey import open_survey
from tests.conftest import Site
from tests.core.files import ROOT, as_bytes
from tests.pipeline.survey import awkward
from tests.pipeline.survey.awkward import every, only, phases, put, stack

Found = list[tuple[str, int, str]]
FOREIGN = "1.2.3.4"


@pytest.fixture
def found(ctx: Context) -> "FoundIn":
    return FoundIn(ctx)


class FoundIn:
    """What a scan makes of the datastore."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx

    def __call__(self) -> Found:
        with open_survey(self._ctx) as survey:
            return sorted(
                (str(one.verdict.readiness), one.files, one.verdict.code) for one in survey.series
            )


READY = [
    ("supine head first", stack()),
    ("prone", stack(lies=awkward.PRONE)),
    ("feet first", stack(lies=awkward.FEET_FIRST)),
    ("feet first, told downwards", stack(lies=awkward.FEET_FIRST, step=-3.0)),
    ("sagittal", stack(lies=awkward.SAGITTAL)),
    ("coronal", stack(lies=awkward.CORONAL)),
    ("oblique", stack(lies=awkward.OBLIQUE)),
    ("half a millimetre apart", stack(40, step=0.5)),
    ("MR", stack(change=every(SOPClassUID=awkward.MR, Modality="MR"))),
    ("PT", stack(change=every(SOPClassUID=awkward.PT, Modality="PT"))),
    ("positions rounded by the scanner", stack(step=1.0 / 3)),
    ("no preamble of names", stack(change=every(PatientName="", SeriesDescription="Scout added"))),
    ("reformatted", stack(change=every(ImageType=["DERIVED", "SECONDARY", "REFORMATTED"]))),
    ("slices in a character set of their own", stack(change=every(PatientName="M\xfcller^J"))),
]


@pytest.mark.parametrize(
    "modality",
    [b"C\xb2", b"CT\x1b[2J ", b"\xff\xfe", b"\n\n", b"C" * 18, b"", b"  ", b"ct", b" CT "],
)
def test_a_modality_that_is_no_cs_ends_no_scan_and_leaves_no_series_alone(
    site: Site, found: "FoundIn", modality: bytes
) -> None:
    put(site.store / "good", stack())
    for number, data in enumerate(map(as_bytes, stack(series=2))):
        at = data.index(b"\x08\x00\x60\x00CS\x02\x00CT")
        field = b"\x08\x00\x60\x00CS" + len(modality).to_bytes(2, "little") + modality
        odd = data[:at] + field + data[at + 10 :]
        path = site.store / "odd" / f"{number}.dcm"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(odd)

    assert [one[0] for one in found()] == ["ready", "ready"]


@pytest.mark.parametrize("slices", [one[1] for one in READY], ids=[one[0] for one in READY])
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_a_whole_series_is_ready_however_it_lies(
    site: Site, found: FoundIn, slices: list[Dataset], syntax: str
) -> None:
    put(site.store / "a", slices, syntax)

    assert found() == [("ready", len(slices), "")]


def test_a_tilted_gantry_is_a_scan(site: Site, found: FoundIn) -> None:
    tilted = (1.0, 0.0, 0.0, 0.0, cos(awkward.TILT), sin(awkward.TILT))
    slices = stack(lies=tilted)
    for number, one in enumerate(slices):
        one.ImagePositionPatient = ["0", "0", f"{3.0 * number}"]
    put(site.store, slices)

    assert found() == [("ready", 8, "")]


WAITING = [
    ("a gap in the middle", stack()[:3] + stack()[4:], "missing-slices"),
    ("every third slice", stack(9)[:1] + stack(9)[3:6:2] + stack(9)[6:], "missing-slices"),
    ("two patients", stack(change=only(3, PatientID="another")), "mixed-patients"),
    ("two studies", stack(change=only(3, StudyInstanceUID=FOREIGN)), "mixed-studies"),
    ("two frames of reference", stack(change=only(3, FrameOfReferenceUID=FOREIGN)), "mixed-frames"),
    ("rows that differ", stack(change=only(3, Rows=1, PixelData=bytes(4))), "mixed-shapes"),
    ("columns that differ", stack(change=only(3, Columns=1, PixelData=bytes(4))), "mixed-shapes"),
    ("spacings that differ", stack(change=only(3, PixelSpacing=["1", "2"])), "mixed-spacings"),
    (
        "orientations that differ",
        stack(change=only(3, ImageOrientationPatient=["0", "1", "0", "0", "0", "-1"])),
        "mixed-orientations",
    ),
    ("a slice twice", [*stack(), *stack(1, change=every(WindowCenter="40"))], "duplicates"),
    (
        "a position twice",
        stack(change=only(3, ImagePositionPatient=["0", "0", "12"])),
        "same-position",
    ),
    ("phases of a 4D-CT in one series", phases(4, together=True), "phases"),
    ("no pixels", stack(change=only(3, PixelData=None)), "truncated"),
    ("pixels too short", stack(change=only(3, PixelData=bytes(6))), "truncated"),
    ("no position", stack(change=only(3, ImagePositionPatient=None)), "no-geometry"),
    ("no orientation", stack(change=every(ImageOrientationPatient=None)), "no-geometry"),
]


@pytest.mark.parametrize(
    ("slices", "code"), [one[1:] for one in WAITING], ids=[one[0] for one in WAITING]
)
def test_what_is_not_whole_waits_with_its_reason(
    site: Site, found: FoundIn, slices: list[Dataset], code: str
) -> None:
    put(site.store / "a", slices[::2])
    put(site.store / "b", slices[1::2])

    assert found() == [("waiting", len(slices), code)]


def test_a_capture_in_the_place_of_a_slice_is_no_slice(site: Site, found: FoundIn) -> None:
    put(site.store, stack(change=only(3, SOPClassUID=awkward.SECONDARY)))

    assert found() == [("waiting", 7, "missing-slices")]


IGNORED = [
    ("localizer", stack(change=every(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])), "localizer"),
    ("scout", stack(1, change=every(SeriesDescription="Topogramm 0.6")), "localizer"),
    (
        "three planes, one of each",
        [
            *stack(1, series=1),
            *stack(
                1, series=2, lies=awkward.SAGITTAL, change=every(SeriesInstanceUID=f"{ROOT}.3.1")
            ),
            *stack(
                1, series=3, lies=awkward.CORONAL, change=every(SeriesInstanceUID=f"{ROOT}.3.1")
            ),
        ],
        "localizer",
    ),
    ("two slices", stack(2), "few-slices"),
    (
        "screen save",
        stack(change=every(ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"])),
        "localizer",
    ),
    ("secondary capture", stack(change=every(SOPClassUID=awkward.SECONDARY)), "not-an-image"),
    ("dose report", stack(1, change=every(SOPClassUID=awkward.DOSE_REPORT)), "not-an-image"),
    ("RT dose", stack(1, change=every(SOPClassUID=awkward.RTDOSE)), "not-an-image"),
    ("RT plan", stack(1, change=every(SOPClassUID=awkward.RTPLAN)), "not-an-image"),
    ("structure set", [awkward.structure_set()], "not-an-image"),
]


@pytest.mark.parametrize(
    ("slices", "code"), [one[1:] for one in IGNORED], ids=[one[0] for one in IGNORED]
)
def test_what_is_no_scan_makes_no_job(
    ctx: Context, site: Site, found: FoundIn, slices: list[Dataset], code: str
) -> None:
    put(site.store / "a", slices)

    done = scan(ctx)

    assert found() == [("ignored", len(slices), code)]
    assert (done.jobs, done.ignored) == ([], {code: 1})


def test_phases_in_series_of_their_own_are_scans_of_their_own(site: Site, found: FoundIn) -> None:
    put(site.store / "all-in-one-folder", phases(4, together=False))

    assert found() == [("ready", 8, "")] * 4


def test_a_series_over_two_folders_is_one(site: Site, found: FoundIn) -> None:
    slices = stack(20)
    put(site.store / "CT" / "first", slices[:11])
    put(site.store / "other" / "deep" / "second", slices[11:])

    assert found() == [("ready", 20, "")]


def test_a_series_that_is_there_twice_is_taken_once(
    ctx: Context, site: Site, found: FoundIn
) -> None:
    paths = put(site.store / "a", stack())
    shutil.copytree(site.store / "a", site.store / "backup" / "a")

    scan(ctx)

    (job,) = ctx.ledger.jobs()
    assert found() == [("ready", 8, "")]
    assert {file.path for file in ctx.crosswalk(job).files} == {str(path) for path in paths}


def test_two_series_in_one_folder_do_not_touch_each_other(site: Site, found: FoundIn) -> None:
    mixed = [*stack(series=1), *stack(series=2)[:3], *stack(series=2)[4:]]
    put(site.store, mixed[::2] + mixed[1::2])

    assert found() == [("ready", 8, ""), ("waiting", 7, "missing-slices")]


def test_a_structure_set_beside_a_series_changes_nothing(
    ctx: Context, site: Site, found: FoundIn
) -> None:
    put(site.store / "a", stack())
    scan(ctx)
    put(site.store / "a", [awkward.structure_set()])

    done = scan(ctx)

    assert (done.jobs, done.changed_later) == ([], [])
    assert found() == [("ignored", 1, "not-an-image"), ("ready", 8, "")]


def test_what_cannot_be_read_is_counted_and_stops_nothing(
    ctx: Context, site: Site, found: FoundIn
) -> None:
    store = site.store
    put(store / "good", stack())
    odd = store / "odd"
    odd.mkdir()
    whole = as_bytes(stack(1)[0])
    (odd / "text.dcm").write_text("no image")
    (odd / "empty.dcm").touch()
    (odd / "zeros.dcm").write_bytes(bytes(4000))
    (odd / "cut.dcm").write_bytes(whole[:300])
    ct, mr = (b"\x08\0\x60\0CS\2\0" + value for value in (b"CT", b"MR"))
    (odd / "twice.dcm").write_bytes(whole.replace(ct, ct + mr))
    (odd / "loop").symlink_to(odd / "loop")
    (odd / "up").symlink_to(store)
    (odd / "nowhere").symlink_to(store / "missing")
    os.mkfifo(odd / "pipe")
    (odd / os.fsdecode(b"\xff\xfe\n.dcm")).write_text("a name in no encoding")

    done = scan(ctx)

    assert done.passed_over == {
        "not-dicom": 2,
        "empty-file": 1,
        "blank-file": 1,
        "truncated-header": 1,
        "unreadable-dicom": 1,
        "link-loop": 1,
        "broken-link": 1,
        "special-file": 1,
    }
    assert found() == [("ready", 8, "")]


def test_a_path_longer_than_the_system_takes_is_counted_and_stops_nothing(
    ctx: Context, site: Site, found: FoundIn
) -> None:
    put(site.store / "good", stack())
    here = Path.cwd()
    os.chdir(site.store)
    try:
        for _ in range(20):
            Path("x" * 250).mkdir()
            os.chdir("x" * 250)
    finally:
        os.chdir(here)

    done = scan(ctx)

    assert done.passed_over == {"path-too-long": 1}
    assert found() == [("ready", 8, "")]


def test_a_slice_without_preamble_and_meta_is_a_slice(site: Site, found: FoundIn) -> None:
    paths = put(site.store, stack(), "implicit")
    for path in paths[:4]:
        raw = path.read_bytes()
        length = int.from_bytes(raw[140:144], "little")
        path.write_bytes(raw[144 + length :])

    assert found() == [("ready", 8, "")]
