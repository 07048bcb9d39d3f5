"""qa compare: files, folders of pairs, the page, and what is said where nothing can be compared."""

import csv
import io
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread

from drawcli.operations.qa import compare
from tests.cli.conftest import Run
from tests.structure_sets import structure_set


def _larger(dataset: Dataset) -> None:
    """Move one edge of the first structure by 6 mm, and rename the second."""
    for contour in dataset.ROIContourSequence[0].ContourSequence:
        points = [float(number) for number in contour.ContourData]
        right = max(points[::3])
        points[::3] = [x + 6 if x == right else x for x in points[::3]]
        contour.ContourData = points
    dataset.StructureSetROISequence[1].ROIName = "rectum"
    del dataset.ROIContourSequence[2].ContourSequence


@pytest.fixture
def pair(pelvis: list[Path], tmp_path: Path) -> tuple[Path, Path]:
    slices = sorted((dcmread(path) for path in pelvis), key=lambda one: one.InstanceNumber)
    slices[0].PatientName = "Doe^Jane"  # in the character set of the structure set
    a, b = tmp_path / "pairs" / "one" / "a.dcm", tmp_path / "pairs" / "one" / "b.dcm"
    a.parent.mkdir(parents=True)
    names = ("Bladder", "Rectum", "Prostate")
    a.write_bytes(structure_set(slices, names))
    b.write_bytes(structure_set(slices, names, change=_larger))
    return a, b


def test_two_files_are_compared_without_a_site(
    drawcli: Run, pair: tuple[Path, Path], pelvis: list[Path], tmp_path: Path
) -> None:
    a, b = map(str, pair)
    page = tmp_path / "changes.html"

    shown = drawcli("qa", "compare", a, b, "--images", str(pelvis[0].parent), "--html", str(page))
    data = drawcli("qa", "compare", a, b, "--json").answer["data"]
    rows = list(csv.DictReader(io.StringIO(drawcli("qa", "compare", a, b, "--csv").out)))

    assert shown.code == 0
    bladder, rectum, prostate = data["structures"]
    assert [one["outcome"] for one in data["structures"]] == ["edited", "untouched", "emptied"]
    assert bladder["hd_mm"] == pytest.approx(6, abs=0.3)
    assert bladder["shift_mm"] == pytest.approx([3, 0, 0], abs=0.01)  # half of the edge's way
    assert rectum["name_b"] == "rectum"
    assert prostate["dice"] is None
    assert [row["outcome"] for row in rows] == ["edited", "untouched", "emptied"]
    assert rows[2]["dice"] == ""
    assert float(rows[0]["shift_left_mm"]) == pytest.approx(3, abs=0.01)
    assert float(rows[1]["slices_added_below"]) == 0
    back = list(csv.DictReader(io.StringIO(drawcli("qa", "compare", b, a, "--csv").out)))
    assert float(back[0]["shift_left_mm"]) == pytest.approx(-3, abs=0.01)  # no text
    assert "HD95, mean, APL, shift in mm. A is the reference." in shown.out
    html = page.read_text()
    assert html.count("<img") == 6  # three planes of what was edited and of what was emptied
    assert "Bladder, axial" in html


def test_folders_are_compared_pair_by_pair_and_one_that_fails_stops_no_other(
    drawcli: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = pair
    second = tmp_path / "pairs" / "two"
    second.mkdir()
    (second / "a.dcm").write_bytes(a.read_bytes())
    whole = dcmread(b)
    whole.StructureSetROISequence[0].ROINumber = None
    whole.save_as(second / "b.dcm")

    folders = drawcli("qa", "compare", str(tmp_path / "pairs"), "--json")
    table = drawcli("qa", "compare", str(tmp_path / "pairs"))

    assert [len(one["structures"]) for one in folders.answer["data"]["pairs"]] == [3, 0]
    assert folders.answer["status"] == "partial"
    assert "cannot be read" in table.err
    assert "Bladder" in table.out


def test_without_scipy_the_table_says_how_to_get_distances(
    drawcli: Run, pair: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compare, "has_scipy", lambda: False)

    shown = drawcli("qa", "compare", *map(str, pair))

    assert "distances need SciPy, which is not installed\n  Install it: " in shown.out
    assert "pip install scipy" in shown.out


def test_of_many_pairs_the_worst_are_named_and_the_columns_explained(
    drawcli: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = pair
    same = tmp_path / "pairs" / "same"
    same.mkdir()
    (same / "a.dcm").write_bytes(a.read_bytes())
    (same / "b.dcm").write_bytes(a.read_bytes())

    shown = drawcli("qa", "compare", str(tmp_path / "pairs"))

    assert f"pair 1: {a} and {b}" in shown.out
    assert "Dice, HD95 (mm): medians." in shown.out
    assert "sDice" not in shown.out
    assert "2 pairs; --csv and --json" in shown.out


def test_pages_have_the_numbers_of_their_pairs_and_csv_keeps_the_exit_code(
    drawcli: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    broken, pages = tmp_path / "pairs" / "broken", tmp_path / "pages"
    broken.mkdir()
    (broken / "a.dcm").write_bytes(pair[0].read_bytes())
    whole = dcmread(pair[1])
    whole.StructureSetROISequence[0].ROINumber = None
    whole.save_as(broken / "b.dcm")

    ended = drawcli("qa", "compare", str(tmp_path / "pairs"), "--csv", "--html", str(pages))

    assert [path.name for path in pages.iterdir()] == ["pair-002.html"]
    assert ended.code == 6
    assert "Bladder" in ended.out


@pytest.mark.parametrize(
    ("tag", "warning"),
    [
        ("PatientID", "different patient IDs"),
        ("SeriesInstanceUID", "different series"),
    ],
)
def test_structure_sets_that_do_not_belong_together_are_compared_with_a_warning(
    tag: str, warning: str, drawcli: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    a, other, page = pair[0], tmp_path / "other.dcm", tmp_path / "page.html"
    dataset = dcmread(a)
    frame = dataset.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    setattr(series if tag in series else dataset, tag, "1.2.3")
    dataset.save_as(other)

    shown = drawcli("qa", "compare", str(a), str(other), "--html", str(page))

    assert "warning: A and B" in shown.out
    assert warning in shown.out
    assert warning in page.read_text()
    assert "warning" not in drawcli("qa", "compare", str(a), str(a)).out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["{images}", "{a}"], "two files or two folders"),
        (["{a}"], "B is missing"),
        (["{a}", "gone.dcm"], "no such file"),
        (["{image}", "{a}"], "is not an RT Structure Set"),
        (["{a}", "{a}", "--images", "{images}"], "needs --html"),
    ],
)
def test_what_cannot_be_compared_is_said(
    words: list[str], message: str, drawcli: Run, pair: tuple[Path, Path], pelvis: list[Path]
) -> None:
    places = {"a": pair[0], "images": pelvis[0].parent, "image": pelvis[0]}

    ended = drawcli("qa", "compare", *(word.format(**places) for word in words))

    assert (ended.code != 0, ended.out) == (True, "")
    assert message in ended.err


def test_damaged_references_do_not_stop_a_comparison(
    drawcli: Run, pair: tuple[Path, Path], tmp_path: Path
) -> None:
    a, b = pair
    whole, frame = b.read_bytes(), b"\x20\x00\x52\x00"  # FrameOfReferenceUID, in the first item
    at = whole.index(frame, whole.index(b"\x06\x30\x10\x00"))
    bad = tmp_path / "bad.dcm"
    bad.write_bytes(whole[: at + 4] + b"\xf0\x7f\x00\x00" + whole[at + 8 :])

    ended = drawcli("qa", "compare", str(a), str(bad), "--json")

    assert ended.code == 0
    assert [one["outcome"] for one in ended.answer["data"]["structures"]][:1] == ["edited"]
