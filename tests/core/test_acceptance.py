"""Each finding of the gate, with the smallest structure set that has it."""

from dataclasses import replace

import pytest

from drawcli.core.acceptance import Roi, Severity, StructureSet, inspect
from drawcli.core.crosswalk import Crosswalk, SourceFile

WANTED = ("Bladder", "Rectum")
CROSSWALK = Crosswalk(
    series_uid="1.1",
    study_uid="1.2",
    patient_id="PID-0815",
    patient_name="Muster^Maria",
    files=(SourceFile("/a", 1, 1, "1.5.1"), SourceFile("/b", 1, 1, "1.5.2", frames=40)),
    frame_uid="1.3",
    pseudonym="DEID-AAAA",
    uids={
        "2.25.1": "1.1",
        "2.25.2": "1.2",
        "2.25.3": "1.3",  # the frame of reference
        "2.25.51": "1.5.1",
        "2.25.52": "1.5.2",
        "2.25.6": "1.6",  # an instance that the slices refer to, no slice itself
    },
)
GOOD = StructureSet(
    sop_class="1.2.840.10008.5.1.4.1.1.481.3",
    sop_uid="9.1",
    series_uid="9.2",
    study_uid="2.25.2",
    patient_id="DEID-AAAA",
    has_pixels=False,
    rois=(
        Roi(number=1, name="Bladder", contours=2),
        Roi(number=2, name="Rectum", contours=1),
    ),
    contoured=(1, 2),
    referenced_series=frozenset({"2.25.1"}),
    frames=frozenset({"2.25.3"}),
    contour_images=frozenset({"2.25.51", "2.25.52"}),
    uids=frozenset({"9.1", "9.2", "2.25.1", "2.25.2", "2.25.3", "2.25.51", "2.25.52"}),
)
BLADDER, RECTUM = GOOD.rois


def rois(*wanted: Roi) -> dict[str, object]:
    return {"rois": wanted, "contoured": tuple(roi.number for roi in wanted)}


def findings(**facts: object) -> list[tuple[str, str]]:
    found = inspect(replace(GOOD, **facts), CROSSWALK, WANTED)  # type: ignore[arg-type] # any fact
    return [(str(one.severity), one.code) for one in found]


def test_nothing_speaks_against_the_structure_set_that_was_asked_for() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.2"}, [("block", "no-structure-set")]),
        ({"sop_class": ""}, [("block", "no-structure-set")]),
        ({"has_pixels": True}, [("block", "no-structure-set")]),
        ({"patient_id": "DEID-BBBB"}, [("block", "foreign-patient")]),
        ({"patient_id": ""}, [("block", "foreign-patient")]),
        ({"study_uid": "2.25.1"}, [("block", "foreign-study")]),
        ({"study_uid": ""}, [("block", "foreign-study")]),
        ({"study_uid": "1.2"}, [("block", "foreign-study")]),
        ({"frames": frozenset({"2.25.3", "2.25.2"})}, [("block", "foreign-frame")]),
        ({"frames": frozenset({"2.25.1"})}, [("block", "foreign-frame")]),
        ({"referenced_series": frozenset()}, [("block", "foreign-series")]),
        ({"referenced_series": frozenset({"2.25.2"})}, [("block", "foreign-series")]),
        ({"referenced_series": frozenset({"2.25.1", "2.25.3"})}, [("block", "foreign-series")]),
        ({"sop_uid": ""}, [("block", "own-uid"), ("block", "foreign-reference")]),
        ({"series_uid": ""}, [("block", "own-uid"), ("block", "foreign-reference")]),
        ({"series_uid": "2.25.1"}, [("block", "own-uid"), ("block", "foreign-reference")]),
        ({"uids": GOOD.uids | {"8.8"}}, [("block", "foreign-reference")]),
        ({"uids": GOOD.uids | {"1.5.1"}}, [("block", "foreign-reference")]),  # an original
        ({"uids": GOOD.uids | {"2.25.6"}}, []),
        ({"observed": (1, 2)}, []),
        ({"observed": (2,)}, []),
        ({"observed": (1, 3)}, [("block", "roi-numbers")]),
        ({"contour_images": frozenset({"2.25.51"})}, []),
        ({"contour_images": frozenset()}, []),
        ({"contour_images": frozenset({"2.25.6"})}, [("block", "foreign-image")]),
        ({"contour_images": frozenset({"2.25.3"})}, [("block", "foreign-image")]),
        ({"contour_frames": frozenset({("2.25.51", 1), ("2.25.52", 40)})}, []),
        (
            {"contour_frames": frozenset({("2.25.51", 2)})},  # of a single slice
            [("block", "foreign-frame-number")],
        ),
        (
            {"contour_frames": frozenset({("2.25.52", 0)})},
            [("block", "foreign-frame-number")],
        ),
        (
            {"contour_frames": frozenset({("2.25.52", 41)})},
            [("block", "foreign-frame-number")],
        ),
        (rois(BLADDER), [("again", "structures-missing")]),
        (rois(), [("again", "structures-missing")]),
        (
            rois(BLADDER, RECTUM, Roi(number=3, name="GTV", contours=1)),
            [("block", "structures-extra")],
        ),
        (
            rois(replace(BLADDER, name="bladder"), RECTUM),
            [("again", "structures-missing"), ("block", "structures-extra")],
        ),
        (rois(BLADDER, RECTUM, replace(RECTUM, number=3)), [("block", "structures-twice")]),
        (rois(BLADDER, replace(RECTUM, number=1)), [("block", "roi-numbers")]),
        ({"contoured": (1, 2, 3)}, [("block", "roi-numbers")]),
        ({"contoured": (1, -1)}, [("block", "roi-numbers")]),
        (rois(BLADDER, replace(RECTUM, contours=0)), [("warn", "structures-empty")]),
    ],
)
def test_each_fault_is_found_and_no_other(
    facts: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert findings(**facts) == expected


def test_an_image_that_is_not_of_the_job_is_told_once() -> None:
    foreign = frozenset({"8.8"})

    found = findings(uids=GOOD.uids | foreign, contour_images=foreign)

    assert found == [("block", "foreign-reference")]


def test_a_structure_set_of_another_job_is_found_in_every_way() -> None:
    other = replace(CROSSWALK, pseudonym="DEID-ZZZZ", uids={"2.25.91": "7.1", "2.25.92": "7.2"})

    codes = [one.code for one in inspect(GOOD, other, WANTED)]

    assert codes[:3] == ["foreign-patient", "foreign-study", "foreign-series"]
    assert {"foreign-frame", "foreign-reference"} <= set(codes)


def test_a_finding_says_which_structures_and_no_value_of_the_patient() -> None:
    hostile = Roi(number=7, name="GEHEIM\x1b[2J" + "x" * 100, contours=1)

    found = inspect(
        replace(GOOD, rois=(BLADDER, hostile), patient_id="GEHEIM-1", study_uid="GEHEIM-2"),
        CROSSWALK,
        WANTED,
    )

    texts = {one.code: one.text for one in found}
    assert texts["structures-missing"] == "missing: Rectum"
    assert texts["structures-extra"].isprintable()
    assert len(texts["structures-extra"]) < 60
    assert "GEHEIM" not in texts["foreign-patient"] + texts["foreign-study"]


def test_a_report_is_plain_data() -> None:
    (finding,) = inspect(replace(GOOD, patient_id="x"), CROSSWALK, WANTED)

    assert finding.severity is Severity.BLOCK
    assert finding.as_plain() == {
        "severity": "block",
        "code": "foreign-patient",
        "text": "PatientID is not the one that was sent",
    }
