"""Which structure set is the clinical one: the order of preference, and when there is none."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.gate.acceptance import FileContour
from drawcli.core.qa.candidates import (
    WHY,
    DeliveredSeries,
    PassedOver,
    SetChoice,
    StructureSetFacts,
    Waiting,
    choose,
    needs_comparison,
)
from drawcli.core.qa.records import PairStatus
from drawcli.core.qa.structures import lie_on_slices
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.slice_grid import Grid

NOON = datetime(2026, 11, 14, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERIES = DeliveredSeries(
    instance="ours",
    patient="anna",
    born="1940",
    series="ct",
    frame="room",
    images=frozenset({"1", "2", "3"}),
    own=frozenset({"ours", "sibling"}),
    own_digests=frozenset({"delivered"}),
    delivered_at=NOON,
    made_at=NOON - timedelta(hours=1),
)
SET = StructureSetFacts(
    digest="a",
    instance="a",
    contours="a",
    patient="anna",
    series=frozenset({"ct"}),
    frames=frozenset({"room"}),
    images=frozenset({"1", "2"}),
    made_at=NOON + DAY,
)
WEEKS_LATER = Waiting(now=NOON + 30 * DAY, wait=14 * DAY, since={"a": NOON + DAY, "b": NOON + DAY})
OLD = {"made_at": NOON - DAY, "reviewed_at": NOON - DAY}
AT_ONCE = Waiting(now=NOON + 2 * DAY, wait=14 * DAY)


def made(name: str, **changes: Any) -> StructureSetFacts:
    return replace(SET, digest=name, instance=name, contours=name, **changes)


def approved(name: str, **changes: Any) -> StructureSetFacts:
    return made(name, **{"approval": "APPROVED", "reviewed_at": NOON + DAY, **changes})


def passed(choice: SetChoice) -> dict[str, PassedOver]:
    return {one.digest: why for one, why in choice.passed_over}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"patient": "berta"}, PassedOver.OTHER_PATIENT),
        ({"born": "1941"}, PassedOver.OTHER_PATIENT),
        ({"series": frozenset({"mr"})}, PassedOver.OTHER_SERIES),
        ({"series": frozenset(), "frames": frozenset({"hall"})}, PassedOver.OTHER_SERIES),
        ({"series": frozenset()}, PassedOver.OTHER_PLANES),
        ({"series": frozenset({"ct", "mr"})}, PassedOver.OTHER_PLANES),
        (
            {"series": frozenset({"ct", "mr"}), "contoured": frozenset({"mr1"}), "on_slices": True},
            PassedOver.OTHER_SERIES,
        ),
        ({"drawn": False}, PassedOver.NO_CONTOURS),
        ({"approval": "REJECTED"}, PassedOver.REJECTED),
        (OLD, PassedOver.OLDER),
        ({"images": frozenset({"1", "4"})}, PassedOver.OTHER_IMAGES),
    ],
)
def test_a_set_that_cannot_be_the_clinical_one_is_named_with_its_reason(
    changes: dict[str, Any], why: PassedOver
) -> None:
    choice = choose(SERIES, [approved("a", **changes)], WEEKS_LATER)

    assert passed(choice) == {"a": why}
    is_changed = why is PassedOver.OTHER_IMAGES
    assert choice.status is (PairStatus.CHANGED if is_changed else PairStatus.MISSING)
    assert choice.chosen is None


@pytest.mark.parametrize("changes", [{"instance": "ours"}, {"instance": "sibling"}])
def test_a_delivered_file_is_no_second_source_and_is_not_listed(changes: dict[str, Any]) -> None:
    assert choose(SERIES, [replace(approved("a"), **changes)], WEEKS_LATER).passed_over == ()
    assert choose(SERIES, [approved("delivered")], WEEKS_LATER).status is PairStatus.MISSING


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"series": frozenset(), "on_slices": True}, "the frame and the planes of a set without"),
        ({"series": frozenset({"ct", "mr"}), "contoured": frozenset({"1", "m"})}, "several series"),
        ({"series": frozenset({"ct", "mr"}), "on_slices": True}, "several series, by its planes"),
        (OLD | {"predecessors": frozenset({"ours"})}, "a clock that is slow"),
        (
            {"made_at": NOON - timedelta(hours=1), "reviewed_at": None},
            "the time of the delivered set",
        ),
        ({"made_at": NOON - timedelta(minutes=5), "reviewed_at": None}, "clocks a little apart"),
        ({"made_at": NOON - DAY}, "approved after the delivery"),
        ({"born": ""}, "no date of birth"),
        ({"made_at": None, "reviewed_at": None}, "no time at all"),
    ],
)
def test_a_set_counts_with(changes: dict[str, Any], fits: str) -> None:
    choice = choose(SERIES, [approved("a", **changes)], WEEKS_LATER)

    assert (choice.status, choice.by) == (None, "only"), fits
    assert choice.chosen is not None


# The better set first: it is chosen by this criterion, whatever the later ones say.
PREFERENCES: list[tuple[StructureSetFacts, StructureSetFacts, str]] = [
    (approved("a"), made("b", made_at=NOON + 9 * DAY, planned=True), "approved"),
    (approved("a", reviewed_at=None), made("b", planned=True), "approved"),
    (approved("a", reviewed_at=None), approved("b", unchanged=True, planned=True), "edited"),
    (made("a"), made("b", unchanged=True, made_at=NOON + 9 * DAY), "edited"),
    (approved("a"), approved("b", reviewed_at=None, planned=True), "approved"),
    (made("a", predecessors=frozenset({"ours"})), made("b", planned=True), "predecessor"),
    (made("a", planned=True), made("b", made_at=NOON + 9 * DAY), "plan"),
    (made("a", made_at=NOON + 2 * DAY), made("b"), "newest"),
    (approved("a", reviewed_at=NOON + 9 * DAY), approved("b"), "newest"),
    (made("a"), made("b", made_at=None), "newest"),
]


@pytest.mark.parametrize(("better", "other", "by"), PREFERENCES)
@pytest.mark.parametrize("order", [1, -1])
def test_the_preferred_set_is_chosen_and_the_other_named(
    better: StructureSetFacts, other: StructureSetFacts, by: str, order: int
) -> None:
    choice = choose(SERIES, [better, other][::order], WEEKS_LATER)

    assert (choice.chosen, choice.by, choice.status) == (better, by, None)
    assert passed(choice) == {"b": PassedOver.LESS_PREFERRED}


def test_a_revision_of_a_revision_of_ours_is_a_successor_too() -> None:
    first = approved("b", predecessors=frozenset({"ours"}))
    second = approved("a", predecessors=frozenset({"b"}), made_at=NOON + 3 * DAY)

    assert choose(SERIES, [first, second], AT_ONCE).chosen == second


def test_without_a_preference_there_is_no_pair_and_both_are_named() -> None:
    choice = choose(SERIES, [approved("a"), approved("b"), made("c")], WEEKS_LATER)

    assert (choice.status, choice.chosen) == (PairStatus.UNCLEAR, None)
    assert passed(choice) == {
        "a": PassedOver.UNDECIDED,
        "b": PassedOver.UNDECIDED,
        "c": PassedOver.LESS_PREFERRED,
    }


def test_of_several_unchanged_copies_any_will_do() -> None:
    copies = [made("a", unchanged=True), made("b", unchanged=True)]
    assert choose(SERIES, copies, WEEKS_LATER).status is None


@pytest.mark.parametrize("series", [frozenset(), frozenset({"ct", "mr"})])
def test_planes_do_not_decide_between_two_delivered_series(series: frozenset[str]) -> None:
    shared = replace(SERIES, frame_is_shared=True)
    by_planes = approved("a", series=series, on_slices=True)

    choice = choose(shared, [by_planes], WEEKS_LATER)

    assert (choice.status, choice.chosen) == (PairStatus.UNCLEAR, None)
    assert passed(choice) == {"a": PassedOver.SEVERAL_SERIES}
    named = replace(by_planes, contoured=frozenset({"1"}))
    assert choose(shared, [named], WEEKS_LATER).chosen == named


def test_an_approval_that_was_withdrawn_does_not_count() -> None:
    before = replace(approved("a"), instance="one")
    after = replace(made("b", made_at=NOON + 2 * DAY), instance="one")

    choice = choose(SERIES, [before, after], AT_ONCE)

    assert (choice.chosen, choice.status) == (after, PairStatus.WAITING)
    assert passed(choice) == {"a": PassedOver.LESS_PREFERRED}


def test_the_same_file_in_two_places_is_one_set() -> None:
    choice = choose(SERIES, [approved("a"), approved("a")], AT_ONCE)
    assert (choice.by, choice.passed_over) == ("only", ())
    assert not needs_comparison(SERIES, [approved("a"), approved("a")])
    assert needs_comparison(SERIES, [approved("a"), approved("b")])
    assert not needs_comparison(SERIES, [approved("a"), approved("b", patient="berta")])


def test_a_set_that_is_not_approved_waits_from_when_it_was_first_seen() -> None:
    def status(**changes: Any) -> PairStatus | None:
        waiting = replace(Waiting(now=NOON, wait=14 * DAY), **changes)
        return choose(SERIES, [made("a")], waiting).status

    assert status() is PairStatus.WAITING
    assert status(since={"a": NOON - 13 * DAY}) is PairStatus.WAITING
    assert status(since={"a": NOON - 14 * DAY}) is None
    assert status(since={"b": NOON - 99 * DAY}) is PairStatus.WAITING
    assert status(wait=timedelta()) is None


def test_a_newer_set_that_waits_is_not_overtaken_by_an_older_one() -> None:
    waiting = replace(WEEKS_LATER, since={"a": NOON})
    choice = choose(SERIES, [made("a"), made("b", made_at=NOON + 20 * DAY)], waiting)

    assert (choice.status, choice.chosen and choice.chosen.digest) == (PairStatus.WAITING, "b")


def test_a_series_that_changed_has_no_pair() -> None:
    choice = choose(replace(SERIES, changed=True), [approved("a")], WEEKS_LATER)
    assert (choice.status, choice.chosen) == (PairStatus.CHANGED, None)


def test_a_set_without_a_common_structure_is_unclear_and_the_next_is_chosen() -> None:
    nodes, organs = approved("a", made_at=NOON + 9 * DAY), approved("b")

    choice = choose(SERIES, [nodes, organs], AT_ONCE, [nodes])
    assert (choice.chosen, passed(choice)) == (organs, {"a": PassedOver.NOTHING_IN_COMMON})
    assert choose(SERIES, [nodes], AT_ONCE, [nodes]).status is PairStatus.UNCLEAR


words = st.sampled_from
facts = st.builds(
    StructureSetFacts,
    digest=words("abcdefgh"),
    instance=words(["ours", "sibling", "x", "y"]),
    contours=words("abc"),
    patient=words(["anna", "anna", "berta"]),
    born=words(["", "1940", "1941"]),
    series=words([frozenset({"ct"}), frozenset({"mr"}), frozenset()]),
    frames=words([frozenset({"room"}), frozenset({"hall"})]),
    images=words([frozenset({"1"}), frozenset({"1", "9"})]),
    predecessors=words([frozenset(), frozenset({"ours"}), frozenset({"x"})]),
    approval=words(["APPROVED", "UNAPPROVED", "REJECTED", ""]),
    reviewed_at=words([None, NOON - DAY, NOON + DAY]),
    made_at=words([None, NOON - DAY, NOON + DAY]),
    on_slices=st.booleans(),
    planned=st.booleans(),
    unchanged=st.booleans(),
)


@given(st.lists(facts, max_size=6, unique_by=lambda one: one.digest))
def test_whatever_is_found_no_set_of_another_patient_or_series_is_chosen(
    sets: Sequence[StructureSetFacts],
) -> None:
    choice = choose(SERIES, sets, WEEKS_LATER)

    if choice.chosen is not None:
        assert choice.chosen.patient == "anna"
        assert choice.chosen.born != "1941"
        assert choice.chosen.instance not in SERIES.own
        assert "ct" in choice.chosen.series or (
            not choice.chosen.series and choice.chosen.on_slices and "room" in choice.chosen.frames
        )
    ours = {one.digest for one in sets if one.instance in SERIES.own}
    chosen = {choice.chosen.digest} if choice.chosen else set()
    assert {one.digest for one in sets} == ours | chosen | passed(choice).keys()


def test_every_reason_has_a_sentence() -> None:
    assert set(WHY) == set(PassedOver)


GRID = Grid.of(
    Crosswalk(
        series_uid="1",
        study_uid="1",
        patient_id="",
        patient_name="",
        files=tuple(
            SourceFile(f"{z}", 1, 0, f"{z}", positions=((0.0, 0.0, 3.0 * z),)) for z in range(4)
        ),
        orientation=(1, 0, 0, 0, 1, 0),
        spacing=(1, 1),
        shape=(64, 64),
    )
)


@pytest.mark.parametrize(
    ("levels", "kind", "expected"),
    [
        ([0, 3, 9], "CLOSED_PLANAR", True),
        ([0.15], "CLOSED_PLANAR", True),
        ([0, 4.5], "CLOSED_PLANAR", False),
        ([12], "CLOSED_PLANAR", False),
        ([0], "POINT", False),
        ([], "CLOSED_PLANAR", False),
    ],
)
def test_contours_lie_on_slices_or_not(levels: list[float], kind: str, *, expected: bool) -> None:
    contours = [
        FileContour(1, kind, "3", (), f"0\\0\\{z}\\5\\0\\{z}\\5\\5\\{z}".encode()) for z in levels
    ]
    assert GRID is not None
    assert lie_on_slices(contours, GRID) is expected
