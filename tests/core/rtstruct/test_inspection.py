"""The gate's verdicts on whole files: received, finished and delivered, and how to accept one."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from pydicom import Dataset

from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.rtstruct.contour_table import CHECKS
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    accept_hint,
    expect_finished,
    expect_received,
    inspect_delivered,
    inspect_finished,
    inspect_received,
)
from drawcli.core.rtstruct.measured_structure import MeasuredStructure
from drawcli.core.series.crosswalk import RESTORED
from tests.core.gate.test_structure_set import NAMES, OWN, Trip

BLOCK, WARN = Severity.BLOCK, Severity.WARN
Change = Callable[[Dataset], None]


@pytest.fixture
def trip() -> Trip:
    return Trip()


def received(
    trip: Trip, change: Change | None = None, **wanted: Any
) -> tuple[list[Finding], list[MeasuredStructure]]:
    expected = expect_received(trip.crosswalk, NAMES)
    data = trip.received(change).data
    return inspect_received(data, expected, trip.crosswalk, StructureCriteria(**wanted))


def finished(trip: Trip, data: bytes, **wanted: Any) -> list[Finding]:
    expected = expect_finished(trip.crosswalk, frozenset(OWN), NAMES)
    return inspect_finished(data, expected, trip.crosswalk, StructureCriteria(**wanted))


def verdicts(found: list[Finding]) -> list[tuple[Severity, str]]:
    return [(finding.severity, finding.code) for finding in found]


def crossed(number: int) -> Change:
    """Return a change that makes an outline of a structure cross itself."""

    def change(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[number].ContourSequence[1]
        x, y, z = contour.ContourData[:3]
        corners = ((0, 0), (40, 40), (40, 0), (0, 20))
        contour.ContourData = [value for u, v in corners for value in (x + u, y + v, z)]

    return change


def lifted(number: int) -> Change:
    """Return a change that moves an outline of a structure to another slice."""

    def change(dataset: Dataset) -> None:
        contour = dataset.ROIContourSequence[number].ContourSequence[0]
        contour.ContourData[2::3] = [float(contour.ContourData[2]) + 3] * 4

    return change


def nameless(dataset: Dataset) -> None:
    del dataset.StudyID


# --- received ---------------------------------------------------------------------------------


def test_a_file_that_cannot_be_read_is_not_measured(trip: Trip) -> None:
    data = trip.received().data[:-1]

    ((finding,), measured) = inspect_received(
        data, expect_received(trip.crosswalk, NAMES), trip.crosswalk, StructureCriteria()
    )

    assert (finding.severity, finding.code, measured) == (BLOCK, "not-dicom", [])
    assert "from the server" in finding.text


def test_a_site_decides_the_effect_of_findings_about_contours_and_package(trip: Trip) -> None:
    package, crossing = "package-unknown", "contour-crossing"

    assert verdicts(received(trip, crossed(0))[0]) == [(WARN, crossing)]
    assert verdicts(received(trip, crossed(0), severities={crossing: BLOCK})[0]) == [
        (BLOCK, crossing)
    ]
    assert received(trip, crossed(0), severities={crossing: None})[0] == []
    trip.crosswalk = trip.crosswalk._replace(study_id="PACKAGE-1")
    assert verdicts(received(trip, nameless)[0]) == [(BLOCK, package)]
    assert verdicts(received(trip, nameless, severities={package: WARN})[0]) == [(WARN, package)]
    assert received(trip, nameless, severities={package: None})[0] == []


def test_findings_that_a_site_cannot_set_keep_their_effect(trip: Trip) -> None:
    def foreign(dataset: Dataset) -> None:
        dataset.PatientID = "4711"

    found, measured = received(trip, foreign, severities={"foreign-patient": WARN})

    assert (verdicts(found), measured) == ([(BLOCK, "foreign-patient")], [])


def test_contours_are_measured_beside_warnings_of_the_file(trip: Trip) -> None:
    def colored(dataset: Dataset) -> None:
        dataset.ROIContourSequence[0].ROIDisplayColor = [300, 0, 0]
        crossed(1)(dataset)

    found, measured = received(trip, colored)

    assert [severity for severity, _ in verdicts(found)] == [WARN, WARN]
    assert [code for _, code in verdicts(found)][1] == "contour-crossing"
    assert [(one.name, one.contours) for one in measured] == [(name, 3) for name in NAMES]


def test_a_volume_beyond_the_bounds_of_the_template_is_found(trip: Trip) -> None:
    found, _ = received(trip, bounds={"Bladder": (9.0, 100.0)})

    assert verdicts(found) == [(BLOCK, "structure-volume")]


def test_without_the_positions_of_the_slices_no_contour_is_judged(trip: Trip) -> None:
    home = trip.home(trip.received())
    trip.crosswalk = trip.crosswalk._replace(orientation=())

    found, measured = received(trip)

    assert (verdicts(found), measured) == ([(BLOCK, "no-grid")], [])
    assert "drawcli assign" in found[0].text
    assert verdicts(finished(trip, home)) == [(BLOCK, "no-grid")]


# --- finished ---------------------------------------------------------------------------------


def test_structures_that_drawcli_derives_are_checked_only_for_its_own_choices(
    trip: Trip,
) -> None:
    derived = frozenset({"Bladder"})
    crossing, off = (trip.home(trip.received(change(0))) for change in (crossed, lifted))

    assert verdicts(finished(trip, crossing)) == [(WARN, "contour-crossing")]
    assert finished(trip, crossing, derived=derived) == []
    assert verdicts(finished(trip, off, derived=derived)) == [(BLOCK, "contour-off-slice")]
    assert finished(trip, off, derived=derived, severities={"contour-off-slice": None}) == []


def test_a_derived_structure_is_not_measured_against_bounds(trip: Trip) -> None:
    home = trip.home(trip.received())
    bounds = {"Bladder": (9.0, 100.0)}

    assert verdicts(finished(trip, home, bounds=bounds)) == [(BLOCK, "structure-volume")]
    assert finished(trip, home, bounds=bounds, derived=frozenset({"Bladder"})) == []


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        ({}, []),
        ({"name": "of the template"}, []),
        ({"contours": 4}, ["not-conformant"]),
        ({"volume_cm3": 0.0}, ["not-conformant"]),
        ({"left_mm": None}, ["not-conformant"]),
    ],
)
def test_a_delivered_file_has_the_measurements_of_the_received_one(
    trip: Trip, change: Mapping[str, object], codes: list[str]
) -> None:
    _, measured = received(trip)
    before = {one.name: one.as_plain() for one in measured}
    before["Bladder"] |= change  # type: ignore[arg-type] # any fact

    found = finished(trip, trip.home(trip.received()), measured=before)

    assert verdicts(found) == [(BLOCK, code) for code in codes]


def test_reports_of_earlier_versions_are_not_compared(trip: Trip) -> None:
    home = trip.home(trip.received())

    assert finished(trip, home, measured={"Bladder": {"volume_cm3": 1.0}, "Rectum": {}}) == []


def test_a_blocked_file_is_reported_with_all_its_faults(trip: Trip) -> None:
    home = trip.home(trip.received())
    foreign = home.replace(b"PID-0815", b"PID-0816").replace(b"UNAPPROVED", b"APPROVED  ")

    found = finished(trip, foreign)

    assert verdicts(found) == [(BLOCK, "not-conformant")] * 2
    assert found[-1].text == "PatientID (0010,0020) differs from that of the images"


def test_contours_are_checked_beside_warnings_of_a_finished_file(trip: Trip) -> None:
    identity = {**trip.crosswalk.identity, 0x00200010: b"STUDY-WITH-17-LET"}
    trip.crosswalk = trip.crosswalk._replace(identity=identity)

    found = finished(trip, trip.home(trip.received(crossed(0))))

    assert verdicts(found) == [(WARN, "value-too-long"), (WARN, "contour-crossing")]


def test_a_finished_file_that_cannot_be_read_is_blocked(trip: Trip) -> None:
    assert verdicts(finished(trip, trip.home(trip.received())[:-1])) == [(BLOCK, "not-dicom")]


@pytest.mark.parametrize("derived", [frozenset(), frozenset({"Bladder"})])
def test_numbers_that_are_known_to_be_a_ds_are_not_compared_again(
    trip: Trip, derived: frozenset[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, compared = trip.home(trip.received()), set[str]()

    def compare(vr: str, _: bytes) -> bool:
        compared.add(vr)
        return True

    monkeypatch.setattr("drawcli.core.rtstruct.contour_batches._CONTOURS", 2)
    monkeypatch.setattr("drawcli.core.gate.rtstruct_table.form_fits", compare)

    assert finished(trip, home, derived=derived) == []
    assert "UI" in compared
    assert "DS" not in compared


@pytest.mark.parametrize("derived", [frozenset(), frozenset({"Bladder"})])
def test_a_number_that_is_no_ds_is_found(trip: Trip, derived: frozenset[str]) -> None:
    def lengthen(dataset: Dataset) -> None:
        data = dataset.ROIContourSequence[1].ContourSequence[2].ContourData
        data[1:3] = [f"{data[1]}.00", "6.00000000000001"]

    home = trip.home(trip.received(lengthen))
    too_long = home.replace(b".00\\6.00000000000001\\", b".0\\6.000000000000001\\")

    assert finished(trip, home, derived=derived) == []
    assert [one.text for one in finished(trip, too_long, derived=derived)] == [
        "ContourData (3006,0050) is not a valid DS"
    ]


def test_findings_of_derived_structures_are_beside_those_of_others(trip: Trip) -> None:
    home = trip.home(trip.received(crossed(0)))

    found = finished(trip, home, derived=frozenset({"Femur_Head_L"}))

    assert verdicts(found) == [(WARN, "contour-crossing")]


# --- delivered --------------------------------------------------------------------------------


def delivered(trip: Trip, data: bytes) -> list[Finding]:
    return inspect_delivered(data, expect_finished(trip.crosswalk, frozenset(OWN)), trip.crosswalk)


def test_a_delivered_file_of_another_patient_or_study_is_reported(trip: Trip) -> None:
    home = trip.home(trip.received())
    other = trip.crosswalk._replace(study_uid="1.2.9")

    assert delivered(trip, home) == []
    assert verdicts(delivered(trip, home[:-1])) == [(BLOCK, "not-dicom")]
    assert verdicts(delivered(trip, home.replace(b"PID-0815", b"PID-0816"))) == [
        (BLOCK, "foreign-patient")
    ]
    trip.crosswalk = other
    assert (BLOCK, "foreign-study") in verdicts(delivered(trip, home))


@pytest.mark.parametrize("tag", RESTORED)
def test_each_value_of_patient_and_study_is_compared(trip: Trip, tag: int) -> None:
    home = trip.home(trip.received())
    identity = dict(trip.crosswalk.identity)
    trip.crosswalk = trip.crosswalk._replace(identity=identity | {tag: b"19000101"})

    (finding,) = delivered(trip, home)

    assert (finding.severity, finding.code) == (BLOCK, "foreign-patient")
    assert "19000101" not in finding.text


def test_padding_and_character_set_of_a_value_do_not_matter() -> None:
    trip = Trip(PatientName="Müller^Zoë")

    def rename(dataset: Dataset) -> None:
        dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.StructureSetROISequence[0].ROIName = "Lèvre"

    home = trip.home(trip.received(rename))
    identity = {tag: value + b" \0" for tag, value in trip.crosswalk.identity.items()}
    trip.crosswalk = trip.crosswalk._replace(identity=identity)

    assert "Müller^Zoë".encode() in home
    assert delivered(trip, home) == []


@pytest.mark.parametrize("character_set", [b"", b"ISO_IR 192\0", b"ISO_IR 192 "])
def test_bytes_that_no_character_set_explains_are_compared_as_they_are(
    trip: Trip, character_set: bytes
) -> None:
    identity = {**trip.crosswalk.identity, 0x00100010: b"M\xfcster^Maria"}
    trip.crosswalk = trip.crosswalk._replace(identity=identity, character_set=character_set)

    home = trip.home(trip.received())

    assert delivered(trip, home) == []
    assert verdicts(delivered(trip, home.replace(b"M\xfcster", b"M\xfdster"))) == [
        (BLOCK, "foreign-patient")
    ]


def test_the_name_of_the_character_set_may_be_padded_with_a_zero_byte(trip: Trip) -> None:
    identity = {**trip.crosswalk.identity, 0x00100010: b"M\xfcster^Maria"}
    trip.crosswalk = trip.crosswalk._replace(identity=identity, character_set=b"ISO_IR 13")

    home = trip.home(trip.received()).replace(b"ISO_IR 13 ", b"ISO_IR 13\0")

    assert delivered(trip, home) == []
    assert verdicts(delivered(trip, home.replace(b"M\xfcster", b"M\xfdster"))) == [
        (BLOCK, "foreign-patient")
    ]


@pytest.mark.parametrize("source", [b"PID-081 ", b"PID-081\0", b"PID-081"])
def test_a_value_may_be_padded_with_zero_bytes(trip: Trip, source: bytes) -> None:
    home = trip.home(trip.received()).replace(b"PID-0815", b"PID-081\0")
    identity = {**trip.crosswalk.identity, 0x00100020: source}
    trip.crosswalk = trip.crosswalk._replace(identity=identity)

    assert delivered(trip, home) == []


# --- expected ---------------------------------------------------------------------------------


def test_the_expected_facts_name_every_image_with_its_frames(trip: Trip) -> None:
    files = tuple(file._replace(frames=2) for file in trip.crosswalk.files)
    crosswalk = trip.crosswalk._replace(files=files)

    home = expect_finished(crosswalk, frozenset(OWN), ["A"], frozenset({"B"}))
    away = expect_received(crosswalk, ["A"], {"A": True})

    assert home.images == {file.sop_uid: 2 for file in files}
    assert (home.patient_id, home.patient_name, home.study_id) == (None, None, "")
    assert (home.image_class, home.own) == (crosswalk.sop_class, frozenset(OWN))
    assert (home.structures, home.empty) == (("A",), frozenset({"B"}))
    assert home.required == {"A": False}
    assert home.known == set(crosswalk.uids.values())
    assert away.known == set(crosswalk.uids)
    assert (away.structures, away.required) == (("A",), {"A": True})
    assert away.patient_name == crosswalk.pseudonym.replace("-", "^", 1)


def test_only_the_first_dash_of_a_pseudonym_is_a_caret_in_the_name(trip: Trip) -> None:
    away = expect_received(trip.crosswalk._replace(pseudonym="DEID-A-B-C"), [])

    assert (away.patient_id, away.patient_name) == ("DEID-A-B-C", "DEID^A-B-C")


def test_stand_ins_that_are_not_known_are_expected_to_be_empty(trip: Trip) -> None:
    away = expect_received(trip.crosswalk._replace(uids={}), [])

    assert (away.study_uid, away.series_uid, away.frame_uid) == ("", "", "")


# --- how to accept ----------------------------------------------------------------------------


def hint(*codes: str) -> str:
    return accept_hint([Finding(BLOCK, code, "") for code in codes], "0123abcd")


def test_only_findings_that_a_site_may_weigh_have_a_hint() -> None:
    assert hint() == ""
    assert hint("foreign-patient") == ""
    assert hint("contour-type", "foreign-patient") == ""


def test_the_hint_names_the_settings_that_accept_the_structure_set() -> None:
    text = hint("contour-type", "contour-points", "contour-type")

    assert text == (
        "View it with 'drawcli preview 0123abcd'. To accept it, set accept.checks: "
        "{contour-type: warn, contour-points: warn} in drawcli.yaml, then run "
        "'drawcli retry 0123abcd'. The setting then holds for every job."
    )


def test_bounds_of_a_volume_may_also_be_widened() -> None:
    text = hint("structure-volume")

    assert "To accept it, widen volume_cm3 of it in templates.yaml, or set accept.checks:" in text


def test_every_check_of_a_site_at_once_still_has_a_hint() -> None:
    assert hint(*CHECKS)
