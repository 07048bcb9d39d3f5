"""The eyes of the gate on their own; what they see in whole packages is in test_gate.py."""

from datetime import date, timedelta

import pytest

from drawcli.core.known import Known
from drawcli.core.leaks import Finding, Search
from drawcli.core.profile import (
    CT_IMAGE,
    IMAGE_CLASSES,
    Action,
    Choices,
    every_row,
    policy_for,
    table_of,
)
from tests.core.files import ROOT, as_bytes, ct_slice, parsed

STUDY = date(2026, 3, 14)


def known(**values: object) -> Known:
    """Return what one source file says."""
    made = Known()
    made.learn("/store/ward/Muster_Maria/1.dcm", parsed(as_bytes(ct_slice(**values))))
    return made


@pytest.mark.parametrize(
    ("sent", "moved"),
    [
        (f"{STUDY - timedelta(weeks=52):%Y%m%d}", True),
        (f"{STUDY - timedelta(weeks=520):%Y%m%d}", True),
        ("20000101", True),
        (f"{STUDY:%Y%m%d}", False),
        (f"{STUDY - timedelta(weeks=51):%Y%m%d}", False),
        (f"{STUDY - timedelta(weeks=521):%Y%m%d}", False),
        (f"{STUDY - timedelta(days=365):%Y%m%d}", False),
        (f"{STUDY + timedelta(weeks=52):%Y%m%d}", False),
        ("", True),
        ("soon", False),
    ],
)
def test_a_date_is_moved_as_far_as_the_policy_asks_or_gone(sent: str, *, moved: bool) -> None:
    assert known().is_moved(sent) is moved


def test_a_date_that_the_source_does_not_have_cannot_be_moved() -> None:
    without = known(StudyDate="")

    assert without.is_moved("")
    assert not without.is_moved("20250315")


def test_what_the_shift_makes_of_a_date_may_stand_and_everything_else_not() -> None:
    said = known(PatientBirthDate="20250314", SeriesDate="20260315")

    days = said.days_to_find("20250315")  # 52 weeks before the study

    close = {f"{STUDY + timedelta(days=n):%Y%m%d}" for n in range(-14, 15)}
    assert days == {"20250314", *close}


def test_a_day_close_to_the_study_may_stand_where_the_shift_makes_it_of_another() -> None:
    long_after = f"{STUDY + timedelta(weeks=52, days=3):%Y%m%d}"

    days = known(SeriesDate=long_after).days_to_find("20250315")  # 52 weeks before the study

    assert f"{STUDY + timedelta(days=3):%Y%m%d}" not in days


def test_words_of_scanners_and_bodies_are_not_looked_for() -> None:
    said = known(StudyDescription="pelvis boost in ward Rosenhof", StationName="SIEMENS_4711")

    words = said.words_to_find()

    assert {"boost", "rosenhof", "muster", "maria", "ward"} <= words | {"muster", "maria"}
    assert not {"pelvis", "siemens", "4711", "acme"} & words


def test_a_word_that_the_scanner_itself_says_is_not_looked_for() -> None:
    said = known(StudyDescription="axial acme study", StationName="ACME")

    assert not {"acme", "axial"} & said.words_to_find()


def test_every_text_that_the_policy_keeps_may_say_what_it_said_in_the_source() -> None:
    """A kept element whose words the gate would hold against it would block every series."""
    texts = {"CS": "SOMEWORD", "LO": "Someword", "SH": "Someword"}
    rows = [row for one in IMAGE_CLASSES for row in every_row(table_of(one))]
    kept = {row.tag: row for row in rows if row.action is Action.KEEP and row.vr in texts}
    assert len(kept) > 20

    for row in kept.values():
        if row.keyword in ("BurnedInAnnotation", "SpecificCharacterSet"):
            continue  # the one has a form of its own, the other must be a real one
        said = known(**{row.keyword: texts[row.vr], "StationName": "ELSEWHERE"})
        search = Search(said, said.words_to_find(), set())
        search.slice(parsed(as_bytes(ct_slice(**{row.keyword: texts[row.vr]}))))
        assert Finding("source-text", row.keyword) not in search.found, row.keyword


def test_descriptions_are_those_of_the_policy() -> None:
    words = frozenset({"StudyDescription", "SeriesDescription", "ProtocolName"})
    rows = policy_for(CT_IMAGE, Choices(descriptors=words)).values()
    descriptions = [row for row in rows if row.action is Action.CLEAN]
    assert {row.keyword for row in descriptions} == words

    for row in descriptions:
        said = known(**{row.keyword: "Rosenhof"})
        search = Search(said, said.words_to_find(), set())
        search.slice(parsed(as_bytes(ct_slice(**{row.keyword: "Rosenhof Muster"}))))
        assert Finding("source-text", row.keyword) not in search.found
        assert Finding("personal", row.keyword) in search.found


def test_the_hospital_is_found_even_where_the_scanner_says_its_name() -> None:
    place = {"InstitutionName": "Rosenhof Klinik", "ImageType": ["ORIGINAL", "PRIMARY", "ROSENHOF"]}

    said = known(**place)
    search = Search(said, said.words_to_find(), set())
    search.slice(parsed(as_bytes(ct_slice(ImageType=place["ImageType"]))))

    assert Finding("source-text", "ImageType") in search.found


@pytest.mark.parametrize(
    ("text", "checks"),
    [
        ("ward-7_2.25.123456789012.zip", []),
        ("muster.zip", ["personal"]),
        ("PID0815", ["personal"]),
        ("x 29.2.1964", ["date"]),
        (f"{ROOT}.3", ["uid"]),
        ("a@b.org", ["mail"]),
        ("name: Bladder", []),
    ],
)
def test_a_text_of_the_site_is_looked_at(text: str, checks: list[str]) -> None:
    said = known()
    search = Search(said, said.words_to_find(), said.days_to_find("20250315"))

    search.site_text(text, "form")

    assert sorted(search.found) == [Finding(check, "form") for check in checks]


def test_an_id_that_stands_by_chance_in_the_digits_of_a_stand_in_is_no_finding() -> None:
    said = known(PatientID="456789")
    search = Search(said, set(), set())

    search.site_text("ward-7_2.25.123456789012.zip", "form")

    assert not search.found
