"""Each finding of the gate, with the smallest structure set that has it."""

from dataclasses import replace

import pytest

from drawcli.core.gate.acceptance import Roi, Severity, StructureSet
from drawcli.core.gate.structure_set_checks import check_origin, inspect
from drawcli.core.rtstruct.inspection import expect_finished, expect_received
from drawcli.core.series.crosswalk import Crosswalk, SourceFile

WANTED = ("Bladder", "Rectum")
CROSSWALK = Crosswalk(
    series_uid="1.1",
    study_uid="1.2",
    patient_id="PID-0815",
    patient_name="Muster^Maria",
    files=(SourceFile("/a", 1, 1, "1.5.1"), SourceFile("/b", 1, 1, "1.5.2", frames=40)),
    frame_uid="1.3",
    pseudonym="DEID-AAAA",
    study_id="PACKAGE-1",
    sop_class="1.2.840.10008.5.1.4.1.1.2",
    uids={
        "2.25.1": "1.1",
        "2.25.2": "1.2",
        "2.25.3": "1.3",  # the frame of reference
        "2.25.51": "1.5.1",
        "2.25.52": "1.5.2",
        "2.25.6": "1.6",  # an instance that the slices refer to, no slice itself
    },
)
SENT = expect_received(CROSSWALK, WANTED)
GOOD = StructureSet(
    sop_class="1.2.840.10008.5.1.4.1.1.481.3",
    sop_uid="9.1",
    series_uid="9.2",
    study_uid="2.25.2",
    patient_id="DEID-AAAA",
    patient_name="DEID^AAAA",
    study_id="PACKAGE-1",
    rois=(
        Roi(number=1, name="Bladder", contours=2),
        Roi(number=2, name="Rectum", contours=1),
    ),
    contoured=(1, 2),
    studies=frozenset({"2.25.2"}),
    referenced_series=frozenset({"2.25.1"}),
    frames=frozenset({"2.25.3"}),
    images=frozenset({("2.25.51", 1), ("2.25.52", 1)}),
    contour_images=frozenset({("2.25.51", 1), ("2.25.52", 40)}),
)
BLADDER, RECTUM = GOOD.rois


def rois(*wanted: Roi) -> dict[str, object]:
    return {"rois": wanted, "contoured": tuple(roi.number for roi in wanted)}


def findings(**facts: object) -> list[tuple[str, str]]:
    found = inspect(replace(GOOD, **facts), SENT)  # type: ignore[arg-type] # any fact
    return [(str(one.severity), one.code) for one in found]


def test_the_requested_structure_set_has_no_findings() -> None:
    assert findings() == []


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"sop_class": "1.2.840.10008.5.1.4.1.1.2"}, [("block", "no-structure-set")]),
        ({"sop_class": ""}, [("block", "no-structure-set")]),
        ({"contour_images": frozenset({("", 1)})}, [("block", "foreign-reference")]),
        ({"has_pixels": True}, [("block", "no-structure-set")]),
        ({"patient_id": "DEID-BBBB"}, [("block", "foreign-patient")]),
        ({"patient_id": ""}, [("block", "foreign-patient")]),
        ({"patient_name": "MUSTER^MARIA"}, [("block", "foreign-patient")]),
        ({"patient_name": ""}, []),
        ({"persons": frozenset({"4711"})}, [("block", "foreign-patient")]),
        ({"persons": frozenset({"DEID-AAAA", "DEID^AAAA"})}, []),
        ({"study_uid": "2.25.1"}, [("block", "foreign-study")]),
        ({"study_uid": ""}, [("block", "foreign-study")]),
        ({"study_uid": "1.2"}, [("block", "foreign-study")]),
        ({"studies": frozenset({"2.25.1"})}, [("block", "foreign-study")]),
        ({"studies": frozenset()}, []),
        ({"study_id": "PACKAGE-2"}, [("block", "foreign-package")]),
        ({"study_id": ""}, [("block", "package-unknown")]),
        ({"frames": frozenset({"2.25.3", "2.25.2"})}, [("block", "foreign-frame")]),
        ({"frames": frozenset({"2.25.1"})}, [("block", "foreign-frame")]),
        ({"frames": frozenset({"1.2.840.10008.1.4.1.1"})}, [("block", "foreign-frame")]),
        ({"referenced_series": frozenset({"2.25.2"})}, [("block", "foreign-series")]),
        ({"referenced_series": frozenset({"2.25.1", "2.25.3"})}, [("block", "foreign-series")]),
        ({"referenced_series": frozenset()}, []),  # the contours name its slices
        (
            {"referenced_series": frozenset(), "contour_images": frozenset()},
            [("block", "no-reference")],
        ),
        ({"series_uid": "2.25.1"}, [("block", "own-uid")]),
        ({"sop_uid": "2.25.51"}, [("block", "own-uid")]),
        ({"sop_uid": "1.2.840.10008.1.2"}, []),  # the delivered file gets another one
        ({"observed": (1, 2)}, []),
        ({"observed": (2,)}, []),
        ({"observed": (1, 3)}, [("block", "roi-numbers")]),
        ({"contour_images": frozenset({("2.25.51", 1)})}, []),
        ({"contour_images": frozenset()}, []),
        ({"contour_images": frozenset({("2.25.6", 1)})}, [("block", "foreign-image")]),
        ({"contour_images": frozenset({("2.25.3", 1)})}, [("block", "foreign-image")]),
        ({"images": frozenset({("2.25.6", 1)})}, [("block", "foreign-image")]),
        ({"contour_images": frozenset({("8.8", 1)})}, [("block", "foreign-reference")]),
        ({"contour_images": frozenset({("1.5.1", 1)})}, [("block", "foreign-reference")]),
        ({"images": frozenset({("1.2.840.10008.1.2", 1)})}, [("block", "foreign-reference")]),
        ({"contour_images": frozenset({("2.25.51", 2)})}, [("block", "foreign-frame-number")]),
        ({"contour_images": frozenset({("2.25.52", 0)})}, [("block", "foreign-frame-number")]),
        ({"contour_images": frozenset({("2.25.52", 41)})}, [("block", "foreign-frame-number")]),
        ({"unlisted": frozenset({"ROIObservationLabel"})}, [("warn", "elements-removed")]),
        ({"moving": frozenset({"ContourOffsetVector"})}, [("block", "contours-moved")]),
        ({"invalid_colors": frozenset({1})}, [("warn", "color-invalid")]),
        ({"too_long": frozenset({"StudyID"})}, [("warn", "value-too-long")]),
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
        ({"contoured": (1, 2, 2)}, [("block", "roi-numbers")]),
        ({"contoured": (1, 2, 3)}, [("block", "roi-numbers")]),
        ({"contoured": (1, -1)}, [("block", "roi-numbers")]),
        (rois(BLADDER, replace(RECTUM, contours=0)), [("warn", "structures-empty")]),
        (
            rois(replace(BLADDER, contours=0), replace(RECTUM, contours=0)),
            [("block", "all-empty")],
        ),
    ],
)
def test_each_fault_is_found_and_no_other(
    facts: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert findings(**facts) == expected


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"sop_class": ""}, "SOPClassUID is missing"),
        ({"patient_id": ""}, "PatientID is missing"),
        ({"study_uid": ""}, "StudyInstanceUID is missing"),
        ({"contour_images": frozenset({("", 1)})}, "has no ReferencedSOPInstanceUID"),
        (rois(replace(BLADDER, name="Bladder\x01"), RECTUM), r"not requested: Bladder\x01"),
        (rois(replace(BLADDER, name="Bladder\u200b"), RECTUM), r"not requested: Bladder\u200b"),
        (rois(replace(BLADDER, name=""), RECTUM), "not requested: (no name)"),
    ],
)
def test_a_refused_series_has_the_right_reason(facts: dict[str, object], said: str) -> None:
    found = inspect(replace(GOOD, **facts), SENT)  # type: ignore[arg-type] # any fact

    assert said in "; ".join(one.text for one in found)


NUMBERED = tuple(Roi(number=number, name=f"S{number}", contours=1) for number in range(12))


@pytest.mark.parametrize(
    ("facts", "code", "text"),
    [
        ({"sop_class": ""}, "no-structure-set", "SOPClassUID is missing"),
        ({"has_pixels": True}, "no-structure-set", "the file is not an RT Structure Set"),
        ({"patient_id": "X"}, "foreign-patient", "PatientID is not the one that was sent"),
        ({"patient_id": ""}, "foreign-patient", "PatientID is missing"),
        ({"patient_name": "X"}, "foreign-patient", "PatientName is not the one that was sent"),
        ({"persons": frozenset("X")}, "foreign-patient", "an item names another patient"),
        ({"study_uid": ""}, "foreign-study", "StudyInstanceUID is missing"),
        ({"study_uid": "1"}, "foreign-study", "the study is not the one that was sent"),
        (
            {"study_id": "X"},
            "foreign-package",
            (
                "StudyID is not the one that was sent: the structure set was made from another "
                "package, for another template or before the images changed"
            ),
        ),
        (
            {"study_id": ""},
            "package-unknown",
            "StudyID, which identifies the package, is missing",
        ),
        (
            {"referenced_series": frozenset("1")},
            "foreign-series",
            "the referenced series is not the one that was sent",
        ),
        (
            {"referenced_series": frozenset(), "contour_images": frozenset()},
            "no-reference",
            "neither the file nor its contours reference the series",
        ),
        (
            {"frames": frozenset("1")},
            "foreign-frame",
            "a frame of reference is not that of the images",
        ),
        (
            {"sop_uid": "2.25.51"},
            "own-uid",
            "the SOP or series instance UID of the file is not its own",
        ),
        (
            {"contour_images": frozenset({("", 1)})},
            "foreign-reference",
            "a reference to an image has no ReferencedSOPInstanceUID",
        ),
        (
            {"contour_images": frozenset({("1", 1), ("2", 1)}), "images": frozenset({("1", 1)})},
            "foreign-reference",
            "references outside this job: 2",
        ),
        (
            {"images": frozenset({("2.25.6", 1), ("2.25.3", 1)})},
            "foreign-image",
            "references to images outside the series: 2",
        ),
        (
            {"contour_images": frozenset({("2.25.51", 2), ("2.25.52", 0), ("2.25.52", 1)})},
            "foreign-frame-number",
            "2 references name frames that do not exist",
        ),
        (
            {"image_classes": frozenset({"1.2"})},
            "foreign-class",
            "the images are referenced with another SOP class",
        ),
        (rois(), "structures-missing", "missing: Bladder, Rectum"),
        (
            rois(BLADDER, RECTUM, *NUMBERED[3:]),
            "structures-extra",
            "not requested: S10, S11, S3, S4, S5, S6, S7, S8",
        ),
        (
            rois(BLADDER, RECTUM, replace(BLADDER, number=3), replace(RECTUM, number=4)),
            "structures-twice",
            "more than once: Bladder, Rectum",
        ),
        (
            {"contoured": (2, 1, 2, 1, 2)},
            "roi-numbers",
            "ROI numbers used for two structures or lists of contours: 1, 2",
        ),
        (
            {"contoured": (14, *range(3, 12)), "observed": (13,)},
            "roi-numbers",
            "contours or observations of ROI numbers without a structure: 3, 4, 5, 6, 7, 8, 9, 10",
        ),
        (
            rois(replace(BLADDER, contours=0), replace(RECTUM, contours=0)),
            "all-empty",
            "no structure has a contour",
        ),
        (
            rois(BLADDER, replace(RECTUM, contours=0)),
            "structures-empty",
            "without contours: Rectum",
        ),
        (
            {"moving": frozenset({"B", "A"})},
            "contours-moved",
            "elements that move the contours: A, B",
        ),
        (
            {"unlisted": frozenset({"B", "A"})},
            "elements-removed",
            "elements that are not delivered: A, B",
        ),
        (
            {"invalid_colors": frozenset({2, 9})},
            "color-invalid",
            "colours that are not three integers from 0 to 255: Rectum",
        ),
        (
            {"too_long": frozenset("ABCDEFGHI")},
            "value-too-long",
            "longer than planning systems accept: A, B, C, D, E, F, G, H",
        ),
    ],
)
def test_each_finding_says_what_is_wrong(facts: dict[str, object], code: str, text: str) -> None:
    found = inspect(
        replace(GOOD, **facts),  # type: ignore[arg-type] # any fact
        replace(SENT, image_class=CROSSWALK.sop_class),
    )

    assert [(one.code, one.text) for one in found] == [(code, text)]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 33, "x" * 32),
        ("\x1b[2J", r"\x1b[2J"),
        ("\u202eBladder", r"\u202eBladder"),
        ("Blåse", "Blåse"),
        ("", "(no name)"),
    ],
)
def test_a_name_of_the_server_is_reported_shortened_and_printable(name: str, said: str) -> None:
    extra = replace(RECTUM, name=name, number=3)

    (finding,) = inspect(replace(GOOD, **rois(BLADDER, RECTUM, extra)), SENT)  # type: ignore[arg-type] # any fact

    assert finding.text == f"not requested: {said}"


@pytest.mark.parametrize(
    ("structures", "found"),
    [
        ((), [("again", "missing: Rectum"), ("warn", "missing: Bladder")]),
        ((BLADDER,), [("again", "missing: Rectum")]),
        ((RECTUM,), [("warn", "missing: Bladder")]),
        ((BLADDER, replace(RECTUM, contours=0)), [("again", "without contours: Rectum")]),
        ((replace(BLADDER, contours=0), RECTUM), [("warn", "without contours: Bladder")]),
    ],
)
def test_a_required_structure_is_fetched_again_and_another_one_reported(
    structures: tuple[Roi, ...], found: list[tuple[str, str]]
) -> None:
    expected = replace(SENT, required={"Bladder": False, "Rectum": True})

    told = inspect(replace(GOOD, **rois(*structures)), expected)  # type: ignore[arg-type] # any fact

    assert [(str(one.severity), one.text) for one in told] == found


def test_a_name_may_end_with_empty_components() -> None:
    assert findings(patient_name="DEID^AAAA^^") == []
    assert findings(patient_name="^DEID^AAAA") == [("block", "foreign-patient")]
    assert findings(patient_name="DEID^AAAA ") == [("block", "foreign-patient")]


def test_a_structure_set_of_another_job_is_found_in_every_way() -> None:
    other = CROSSWALK._replace(pseudonym="DEID-ZZZZ", uids={"2.25.91": "7.1", "2.25.92": "7.2"})

    codes = {one.code for one in inspect(GOOD, expect_received(other, WANTED))}

    assert {
        *("foreign-patient", "foreign-study", "foreign-series", "foreign-frame"),
        "foreign-reference",
    } <= codes


def test_packages_of_earlier_versions_need_no_study_id() -> None:
    earlier = expect_received(CROSSWALK._replace(study_id=""), WANTED)

    assert inspect(replace(GOOD, study_id="ANYTHING"), earlier) == []


def test_a_finished_file_has_the_originals_and_its_own_uids() -> None:
    expected = expect_finished(CROSSWALK, frozenset({"2.25.1001", "2.25.1002"}), WANTED)
    finished = replace(
        GOOD,
        sop_uid="2.25.1001",
        series_uid="2.25.1002",
        study_uid="1.2",
        studies=frozenset({"1.2"}),
        referenced_series=frozenset({"1.1"}),
        frames=frozenset({"1.3"}),
        images=frozenset({("1.5.1", 1), ("1.5.2", 1)}),
        contour_images=frozenset({("1.5.1", 1), ("1.5.2", 40)}),
        image_classes=frozenset({"1.2.840.10008.5.1.4.1.1.2"}),
    )

    assert inspect(finished, expected) == []
    for other, code in (
        ({"sop_uid": "2.25.51"}, "own-uid"),
        ({"series_uid": "1.2.840.10008.5.1.4.1.1.2"}, "own-uid"),
        ({"referenced_series": frozenset({"1.2"})}, "foreign-series"),
        ({"contour_images": frozenset({("2.25.51", 1)})}, "foreign-reference"),
        ({"image_classes": frozenset({"1.2.840.10008.5.1.4.1.1.4"})}, "foreign-class"),
    ):
        found = check_origin(replace(finished, **other), expected)
        assert [one.code for one in found] == [code]


def test_a_finding_names_structures_and_no_value_of_the_patient() -> None:
    hostile = Roi(number=7, name="GEHEIM\x1b[2J" + "x" * 100, contours=1)

    found = inspect(
        replace(GOOD, rois=(BLADDER, hostile), patient_id="GEHEIM-1", study_uid="GEHEIM-2"),
        SENT,
    )

    texts = {one.code: one.text for one in found}
    assert texts["structures-missing"] == "missing: Rectum"
    assert texts["structures-extra"].isprintable()
    assert len(texts["structures-extra"]) < 60
    assert "GEHEIM" not in texts["foreign-patient"] + texts["foreign-study"]


def test_a_report_is_plain_data() -> None:
    (finding,) = inspect(replace(GOOD, patient_id="x"), SENT)

    assert finding.severity is Severity.BLOCK
    assert finding.as_plain() == {
        "severity": "block",
        "code": "foreign-patient",
        "text": "PatientID is not the one that was sent",
    }


PTV = Roi(number=3, name="PTV", contours=0)


@pytest.mark.parametrize(
    ("structures", "texts"),
    [
        ((BLADDER, RECTUM, PTV), []),
        ((BLADDER, RECTUM), ["empty structures missing: PTV"]),
        (
            (BLADDER, RECTUM, replace(PTV, contours=1)),
            ["contours in structures that must be empty: PTV"],
        ),
        (
            (replace(BLADDER, contours=0), replace(RECTUM, contours=0), PTV),
            ["no structure has a contour"],
        ),
        ((BLADDER, PTV), ["missing: Rectum"]),
    ],
)
def test_an_empty_structure_is_expected_to_be_listed_without_contours(
    structures: tuple[Roi, ...], texts: list[str]
) -> None:
    found = inspect(replace(GOOD, **rois(*structures)), replace(SENT, empty=frozenset({"PTV"})))  # type: ignore[arg-type] # any fact

    assert [finding.text for finding in found] == texts
    assert {one.code for one in found if "empty" in one.text} <= {"not-conformant"}
