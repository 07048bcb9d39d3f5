"""Records of quality assurance: written, read, and compared with the one before."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.core.qa.records import PairRecord, PairStatus, drawn_structures, recordable

AT = datetime(2026, 11, 2, 12, tzinfo=UTC)
BLADDER = StructureComparison(
    name="Bladder",
    outcome=ContourOutcome.EDITED,
    dice=0.93,
    shift_mm=(0.1, -0.2, 3.0),
    ends_moved=(1, 0),
)
RECORD = PairRecord(
    job="0123456789ab-1",
    status=PairStatus.COMPARED,
    at=AT,
    delivered_at=AT - timedelta(days=3),
    template="Pelvis",
    template_digest="t",
    catalogue_digest="c",
    drawcli="1.4.2",
    structures=(BLADDER, replace(BLADDER, name="Rectum", outcome=ContourOutcome.REMOVED)),
)


def test_a_record_is_read_as_it_was_written() -> None:
    assert PairRecord.from_plain(RECORD.as_plain()) == RECORD


def test_a_record_of_a_later_version_is_read_without_its_new_fields() -> None:
    assert PairRecord.from_plain(RECORD.as_plain() | {"new": 1}) == RECORD


@pytest.mark.parametrize("name", [item.name for item in fields(PairRecord)][:5])
def test_a_record_without_a_needed_field_is_refused(name: str) -> None:
    plain = RECORD.as_plain()
    del plain[name]
    with pytest.raises(ValueError, match="not a record"):
        PairRecord.from_plain(plain)


@pytest.mark.parametrize(
    "wrong",
    [
        {"job": ["a"]},
        {"template": None},
        {"drawcli": None},
        {"delivered_at": "2026-11-01T00:00:00"},  # of no time zone
        {"others": "two"},
    ],
)
def test_a_line_with_another_type_of_value_is_no_record(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PairRecord.from_plain(RECORD.as_plain() | wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        *({"dice": 7}, {"dice": "x"}, {"hd95_mm": float("nan")}, {"apl_mm": -1.0}),
        *({"name": None}, {"shift_mm": 3}, {"slices_a": 0.5}),
    ],
)
def test_a_figure_that_is_not_possible_makes_no_comparison(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        StructureComparison.from_plain(BLADDER.as_plain() | wrong)


def test_the_version_changes_with_template_catalogue_and_release_but_not_with_a_patch() -> None:
    others = [
        replace(RECORD, template_digest="u"),
        replace(RECORD, catalogue_digest="d"),
        replace(RECORD, drawcli="1.5.0"),
    ]
    assert len({record.version for record in (RECORD, *others)}) == 4
    assert replace(RECORD, drawcli="1.4.3").version == RECORD.version


def test_the_content_digest_is_independent_of_the_time() -> None:
    later = replace(RECORD, at=AT + timedelta(days=1))
    assert later.content_digest == RECORD.content_digest
    assert replace(later, others=1).content_digest != RECORD.content_digest


def test_only_structures_with_contours_in_both_sets_count_in_charts() -> None:
    assert drawn_structures(RECORD) == [BLADDER]


def test_the_content_digest_is_of_the_kept_digits() -> None:
    close = replace(RECORD, structures=(replace(BLADDER, dice=0.93000001), RECORD.structures[1]))
    assert close.content_digest == PairRecord.from_plain(RECORD.as_plain()).content_digest
    assert replace(RECORD, passed_over=("older",)).content_digest != RECORD.content_digest


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        *(("Bladder", True), ("Femur_Head_L", True), ("SpinalCord_PRV05", True), ("PTV", True)),
        *(("PTV_High", True), ("CTVn_L", True), ("GTVp1", True), ("PTV_5040", True)),
        *(("enddarm", True), ("Kowalski", False), ("Bladder^Kowalski", False)),
        *(("PTV_KOWALSKI", False), ("PTV_19400101", False), ("PTVKowalski", False)),
        *(("GTV 4711", False), ("", False)),
    ],
)
def test_a_clinical_name_is_recorded_only_if_it_cannot_be_that_of_a_person(
    name: str, *, kept: bool
) -> None:
    added = StructureComparison(name=name, outcome=ContourOutcome.ADDED)
    renamed = replace(BLADDER, outcome=ContourOutcome.RENAMED, name_b=name)

    structures, unpaired = recordable([added, renamed], ["Enddarm"])

    assert unpaired == (0 if kept else 1)
    (edited,) = (one for one in structures if one.outcome is ContourOutcome.RENAMED)
    assert edited.name_b == (name if kept else None)


def test_the_parts_of_a_split_structure_are_recorded_if_all_names_are_clear() -> None:
    split = replace(BLADDER, outcome=ContourOutcome.SPLIT)
    names = ("Femur_Head_L, Femur_Head_R", "Femur_Head_L, Anna", "BLADDER, bladder")
    structures, _ = recordable([replace(split, name_b=one) for one in names])
    assert [one.name_b for one in structures] == [names[0], None, names[2]]
