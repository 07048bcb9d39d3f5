"""Which series are whole: tables of what can be wrong, and the real series."""

from dataclasses import replace
from math import cos, radians, sin
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset

from drawcli.core.dicom.geometry import offsets_mm
from drawcli.core.dicom.header import Incomplete, NotDicom, read_header
from drawcli.core.dicom.instance import Slice, slice_of
from drawcli.core.series.instance_kind import slice_kind
from drawcli.core.series.members import (
    count_non_slices,
    counts_text,
    drop_copies,
    main_folder,
    main_modality,
    scan_slices,
)
from drawcli.core.series.readiness import Criteria, SettlingTimes, assess, check_settled
from drawcli.core.series.verdict import Readiness, Verdict
from tests.core.files import as_bytes, ct_slice
from tests.core.real_data import REAL, needs_real, unpacked

DEMANDS = Criteria(modalities=frozenset({"CT", "MR", "PT"}), min_slices=3, quiet_seconds=600)
HOUR = 3600 * 10**9
NOW = 1_000_000 * HOUR
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
CORONAL = (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)


def slice_from(dataset: Dataset, syntax: str = "explicit", *, cut: int = 0) -> Slice:
    """Return what the scan would see of a data set; `cut` bytes of the file are missing."""
    data = as_bytes(dataset, syntax)
    header = read_header(data, complete=True)
    return slice_of(header, path="x", size=len(data) - cut, mtime_ns=NOW - HOUR)


def stack(
    count: int = 10, step: float = 3.0, orientation: tuple[float, ...] = AXIAL
) -> list[Slice]:
    """Return a good series whose slices are `step` mm apart along their normal."""
    rx, ry, rz, cx, cy, cz = orientation
    normal = (ry * cz - rz * cy, rz * cx - rx * cz, rx * cy - ry * cx)
    first = slice_from(ct_slice())
    return [
        replace(
            first,
            path=f"{number}.dcm",
            sop_uid=f"1.2.3.{number}",
            position=(
                -250 + normal[0] * step * number,
                -250 + normal[1] * step * number,
                -250 + normal[2] * step * number,
            ),
            orientation=orientation,
        )
        for number in range(count)
    ]


def changed(number: int = 4, **facts: object) -> list[Slice]:
    """Return a good series with one slice changed."""
    slices = stack()
    slices[number] = replace(slices[number], **facts)  # type: ignore[arg-type] # any fact
    return slices


def every(**facts: object) -> list[Slice]:
    """Return a good series with every slice changed."""
    return [replace(one, **facts) for one in stack()]  # type: ignore[arg-type] # any fact


def phases(count: int) -> list[Slice]:
    """Return a 4D scan whose phases are all in one series."""
    return [
        replace(one, sop_uid=f"{one.sop_uid}.{phase}", path=f"{phase}/{one.path}")
        for phase in range(count)
        for one in stack()
    ]


def three_planes(each: int = 1) -> list[Slice]:
    """Return an axial, a sagittal and a coronal stack in one series."""
    return [
        replace(one, sop_uid=f"{one.sop_uid}.{number}")
        for number, lies in enumerate([AXIAL, (0.0, 1.0, 0.0, 0.0, 0.0, -1.0), CORONAL])
        for one in stack(each, orientation=lies)
    ]


def verdict(slices: list[Slice], demands: Criteria = DEMANDS) -> tuple[str, str]:
    found = assess(slices, demands)
    return str(found.readiness), found.code


TILT = radians(18.5)
OBLIQUE = (cos(0.3), sin(0.3), 0.0, -sin(0.3) * cos(0.2), cos(0.3) * cos(0.2), sin(0.2))


@pytest.mark.parametrize(
    "orientation",
    [
        AXIAL,
        (-1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # head first prone
        (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0),  # feet first supine
        (1.0, 0.0, 0.0, 0.0, -1.0, 0.0),  # feet first prone
        (0.0, 1.0, 0.0, 0.0, 0.0, -1.0),  # sagittal
        (1.0, 0.0, 0.0, 0.0, 0.0, -1.0),  # coronal
        (1.0, 0.0, 0.0, 0.0, cos(TILT), sin(TILT)),
        OBLIQUE,
        (0.99999, 0.00012, 0.0, -0.00012, 0.99999, 0.00003),  # rounded by the scanner
    ],
)
@pytest.mark.parametrize("step", [0.5, 3.0, -3.0])
def test_a_gapless_stack_is_ready_however_it_lies(
    orientation: tuple[float, ...], step: float
) -> None:
    slices = stack(step=step, orientation=orientation)

    assert verdict(slices) == ("ready", "")
    assert verdict(slices[::-1]) == ("ready", "")
    assert verdict(slices[:4] + slices[5:]) == ("waiting", "missing-slices")


def test_a_tilted_gantry_shears_the_stack_and_that_is_whole() -> None:
    tilted = (1.0, 0.0, 0.0, 0.0, cos(TILT), sin(TILT))
    slices = [
        replace(one, position=(-250.0, -250.0, 3.0 * number))
        for number, one in enumerate(stack(orientation=tilted))
    ]

    assert verdict(slices) == ("ready", "")


@pytest.mark.parametrize(
    ("slices", "expected"),
    [
        # kind
        (every(sop_class="1.2.840.10008.5.1.4.1.1.481.3"), ("ignored", "not-an-image")),
        (every(sop_class="1.2.840.10008.5.1.4.1.1.7"), ("ignored", "not-an-image")),
        (every(sop_class="1.3.12.2.1107.5.9.1"), ("ignored", "not-an-image")),
        (every(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), ("ignored", "localizer")),
        (every(image_type=("DERIVED", "SECONDARY", "SCREEN SAVE")), ("ignored", "localizer")),
        (every(sop_uid=""), ("refused", "no-uid")),
        (every(sop_class="1.2.840.10008.5.1.4.1.1.4.3"), ("refused", "colour")),
        (every(sop_class="1.2.840.10008.5.1.4.1.1.4.2"), ("refused", "spectroscopy")),
        (every(burned_in=True), ("refused", "burned-in")),
        (changed(burned_in=True), ("refused", "burned-in")),
        (every(samples=3), ("refused", "colour")),
        (every(transfer_syntax="1.2.840.10008.1.2.4.70"), ("ready", "")),
        (every(transfer_syntax="1.2.840.10008.1.2.4.55"), ("refused", "compressed")),
        (changed(pixels_extra=24), ("refused", "extra-pixels")),
        (changed(overlay_in_pixels=True), ("refused", "overlay-in-pixels")),
        # what the site asks for
        (every(modality="US"), ("ignored", "modality")),
        (stack(2), ("ignored", "few-slices")),
        (stack(3), ("ready", "")),
        # one series of one patient
        (changed(person=("4711", "", "another", "")), ("waiting", "mixed-patients")),
        (changed(study_uid="1.9"), ("waiting", "mixed-studies")),
        (changed(sop_class="1.2.840.10008.5.1.4.1.1.4"), ("waiting", "mixed-kinds")),
        (changed(sop_class="1.2.840.10008.5.1.4.1.1.7"), ("waiting", "missing-slices")),
        (changed(modality="OT"), ("waiting", "mixed-kinds")),
        (changed(sop_uid=""), ("waiting", "mixed-kinds")),
        (changed(frame_of_reference="1.9"), ("waiting", "mixed-frames")),
        (changed(shape=(256, 512)), ("waiting", "mixed-shapes")),
        (changed(pixels_missing=12), ("waiting", "truncated")),
        (changed(pixels_missing=-1), ("waiting", "truncated")),
        (changed(sop_uid="1.2.3.5"), ("waiting", "duplicates")),
        # a gapless stack
        (changed(position=None), ("waiting", "no-geometry")),
        (every(orientation=None), ("waiting", "no-geometry")),
        (every(spacing=None), ("waiting", "no-geometry")),
        (changed(orientation=OBLIQUE), ("waiting", "mixed-orientations")),
        (changed(orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0009)), ("ready", "")),
        (changed(spacing=(0.9765625, 1.0)), ("waiting", "mixed-spacings")),
        (changed(spacing=(0.97656, 0.97656)), ("ready", "")),
        (changed(position=(-250.0, -250.0, -235.0)), ("waiting", "same-position")),
        # one series for all phases, echoes or b-values of a scan
        ([*stack(), *every(sop_uid="")], ("waiting", "mixed-kinds")),
        (phases(4), ("waiting", "phases")),
        (phases(4)[:-1], ("waiting", "same-position")),
        # a localizer that does not say so
        (three_planes(), ("ignored", "localizer")),
        (three_planes(5), ("waiting", "mixed-orientations")),
        ([replace(one, called_scout=True) for one in three_planes(5)], ("ignored", "localizer")),
        (every(called_scout=True), ("ready", "")),
        ([replace(one, called_scout=True) for one in stack(3)], ("ignored", "localizer")),
        (changed(position=(-250.0, -250.0, -236.4)), ("waiting", "uneven-spacing")),
        (changed(position=(-250.0, -250.0, -236.6)), ("ready", "")),
        (changed(position=(-251.0, -250.0, -238.0)), ("waiting", "crooked")),
        (changed(position=(-250.4, -250.0, -238.0)), ("ready", "")),
    ],
)
def test_each_thing_that_can_be_wrong_is_told(
    slices: list[Slice], expected: tuple[str, str]
) -> None:
    assert verdict(slices) == expected


@given(st.permutations(range(10)))
def test_the_order_of_the_files_does_not_matter(order: list[int]) -> None:
    whole, gap = stack(), [*stack(11)[:5], *stack(11)[6:]]

    assert verdict([whole[number] for number in order]) == ("ready", "")
    assert verdict([gap[number] for number in order]) == ("waiting", "missing-slices")


def test_missing_slices_are_counted_and_placed() -> None:
    slices = stack(57)
    del slices[30:32]

    found = assess(slices, DEMANDS)

    assert found.text == "missing slices: 57 expected, 55 present, gap at -160.0 mm"
    assert slices[29].position == (-250.0, -250.0, -163.0)


def test_repeated_instances_and_short_files_are_counted() -> None:
    twice = [*stack(), *stack()[:2]]
    short = [
        replace(one, pixels_missing=2) if number < 3 else one for number, one in enumerate(stack())
    ]

    assert assess(twice, DEMANDS).text.startswith("2 files repeat")
    assert assess(short, DEMANDS).text.startswith("3 of 10 files end")


def test_a_file_that_lies_there_twice_is_taken_once_if_it_is_the_same() -> None:
    copies = [replace(one, path=f"copy/{one.path}") for one in stack()[:2]]

    same = drop_copies([*copies, *stack()], lambda _one, _other: True)
    other = drop_copies([*copies, *stack()], lambda _one, _other: False)

    assert sorted(one.sop_uid for one in same) == sorted(one.sop_uid for one in stack())
    assert verdict(same) == ("ready", "")
    assert not any(one.path.startswith("copy/") for one in same)  # most of it lies elsewhere
    assert verdict(other) == ("waiting", "duplicates")


def test_a_file_lies_in_its_folder_and_not_in_the_first_letter_of_its_name() -> None:
    """Each file of the series begins with another letter; two copies begin with the same."""
    series = [
        replace(one, path=f"store/series/{letter}.dcm")
        for letter, one in zip("abcdefghijkl", stack(), strict=False)
    ]
    copies = [replace(one, path=f"store/stray/x{n}.dcm") for n, one in enumerate(series[:2])]

    kept = drop_copies([*copies, *series], lambda _one, _other: True)

    assert {one.path for one in kept} == {one.path for one in series}
    assert main_folder(series) == "store/series/"
    assert main_folder([replace(one, path="C:\\store\\a.dcm") for one in series]) == "C:\\store\\"


def test_a_site_may_ask_for_sop_classes_and_for_a_largest_size() -> None:
    mr = "1.2.840.10008.5.1.4.1.1.4"
    size = sum(one.size for one in stack())

    assert verdict(stack(), DEMANDS._replace(sop_classes=frozenset({mr})))[1] == "sop-class"
    assert verdict(stack(), DEMANDS._replace(largest_bytes=size - 1))[1] == "over-size"
    assert verdict(stack(), DEMANDS._replace(largest_bytes=size)) == ("ready", "")


def test_a_site_chooses_what_it_calls_a_gap() -> None:
    wide = changed(position=(-250.0, -250.0, -236.4))

    assert verdict(wide)[1] == "uneven-spacing"
    assert verdict(wide, DEMANDS._replace(largest_step=1.9)) == ("ready", "")


def test_phases_are_counted() -> None:
    assert assess(phases(4), DEMANDS).text.startswith("4 images at each of 10 positions")


def test_a_localizer_in_the_series_is_left_out_and_does_not_hurt() -> None:
    scout = replace(stack()[0], sop_uid="1.2.9", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    scout = replace(scout, orientation=(1.0, 0.0, 0.0, 0.0, 0.0, -1.0), shape=(888, 512))

    assert verdict([scout, *stack()]) == ("ready", "")
    assert scan_slices([scout, *stack()]) == stack()


REPORT = "1.2.840.10008.5.1.4.1.1.88.67"
ONE_OF_TEN: list[tuple[dict[str, object], tuple[str, str]]] = [
    ({"modality": "SR", "sop_class": REPORT, "pixels_missing": -1}, ("waiting", "missing-slices")),
    ({"modality": "OT"}, ("waiting", "mixed-kinds")),
    ({"sop_class": "1.2.840.10008.5.1.4.1.1.4"}, ("waiting", "mixed-kinds")),
    ({"study_date": "19990101"}, ("ready", "")),
    ({"study_date": ""}, ("ready", "")),
    ({"called_scout": True}, ("ready", "")),
    ({"called_scout": True, "orientation": CORONAL}, ("waiting", "mixed-orientations")),
    ({"study_uid": "1.9"}, ("waiting", "mixed-studies")),
    ({"person": ("another", "", "", "")}, ("waiting", "mixed-patients")),
    ({"shape": (2, 1)}, ("waiting", "mixed-shapes")),
    ({"spacing": (1.0, 2.0)}, ("waiting", "mixed-spacings")),
    ({"orientation": CORONAL}, ("waiting", "mixed-orientations")),
    ({"frame_of_reference": ""}, ("ready", "")),
    ({"frame_of_reference": "1.9"}, ("waiting", "mixed-frames")),
    ({"image_type": ("ORIGINAL", "PRIMARY", "LOCALIZER")}, ("waiting", "missing-slices")),
    ({"image_type": ("DERIVED", "SECONDARY", "MIP")}, ("waiting", "mixed-image-types")),
    ({"image_type": ("DERIVED", "PRIMARY", "AXIAL")}, ("ready", "")),
    ({"image_type": ("ORIGINAL", "PRIMARY")}, ("ready", "")),
    ({"samples": 3}, ("waiting", "missing-slices")),
    ({"burned_in": True}, ("refused", "burned-in")),
    ({"transfer_syntax": "1.2.840.10008.1.2.4.55"}, ("refused", "compressed")),
    ({"thickness": 7.0}, ("ready", "")),
    ({"number": 77}, ("ready", "")),
]


@pytest.mark.parametrize(("facts", "expected"), ONE_OF_TEN, ids=[str(one[0]) for one in ONE_OF_TEN])
def test_one_file_decides_nothing_by_where_it_stands(
    facts: dict[str, object], expected: tuple[str, str]
) -> None:
    slices = [replace(one, study_date="20260314") for one in changed(4)]
    slices[4] = replace(slices[4], **facts)  # type: ignore[arg-type] # any fact
    asked = DEMANDS._replace(studied_after="20260101")

    turned = {verdict(slices[first:] + slices[:first], asked) for first in range(len(slices))}

    assert turned == {expected}


def test_files_that_are_no_slices_say_nothing_about_the_scan_and_are_counted() -> None:
    report = replace(stack()[0], modality="SR", sop_class=REPORT, pixels_missing=-1, position=None)
    others = [replace(report, sop_uid=f"1.2.9.{n}", study_date="", shape=(0, 0)) for n in range(40)]
    scout = replace(stack()[0], sop_uid="1.2.8", image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))
    picture = replace(stack()[0], sop_uid="1.2.7", samples=3)
    everything = [*others, scout, *stack(), picture]

    assert verdict(everything) == verdict(everything[::-1]) == ("ready", "")
    assert scan_slices(everything) == stack()
    assert counts_text(count_non_slices(everything)) == "1 colour, 1 localizer, 40 not-an-image"
    assert main_modality([*stack(), report]) == "CT"
    assert not count_non_slices(others)  # then they are the series


@pytest.mark.parametrize("number", [0, 4, 9])
@pytest.mark.parametrize("damaged", ["1.2.840.10008.5.1.4.1.1.9999", "1.2.840.1000\xe3.5", "CT"])
def test_a_slice_whose_sop_class_is_damaged_is_not_left_out_of_the_scan(
    number: int, damaged: str
) -> None:
    """The last slice of a stack would be missed by nobody."""
    assert verdict(changed(number, sop_class=damaged)) == ("waiting", "mixed-kinds")
    assert verdict(every(sop_class=damaged)) == ("ignored", "unknown-class")


def test_of_many_files_that_are_no_slices_the_most_common_kind_is_told() -> None:
    report = replace(stack()[0], modality="SR", sop_class=REPORT)
    scout = replace(stack()[0], image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"))

    assert verdict([report, scout, scout]) == verdict([scout, report, scout])
    assert verdict([report, scout, scout])[1] == "localizer"


@pytest.mark.parametrize(
    ("person", "same"),
    [
        (("4711", "", "Muster^Maria^^^", "19540819"), True),
        (("4711", "", "MUSTER^MARIA", "19540819"), True),
        (("4711", "", "Muster ^Maria=", "19540819"), True),
        (("4711", "ward", "Muster^Maria", ""), True),
        (("4711", "", "", "19540819"), True),
        (("4711", "", "Muster^Mario", "19540819"), False),
        (("4711", "", "Maria^Muster", "19540819"), False),
        (("4711", "", "Muster^Maria", "19540820"), False),
        (("0815", "", "Muster^Maria", "19540819"), False),
        (("", "", "Muster^Maria", "19540819"), False),
    ],
)
def test_one_person_is_one_person_however_the_name_is_written(
    *, person: tuple[str, ...], same: bool
) -> None:
    slices = every(person=("4711", "", "Muster^Maria", "19540819"))
    slices[4] = replace(slices[4], person=person)

    assert verdict(slices)[1] == ("" if same else "mixed-patients")


def test_what_names_nobody_is_not_taken_for_one_person() -> None:
    slices = every(person=("", "", "Muster^Maria", ""))
    slices[4] = replace(slices[4], person=("", "", "", ""))

    assert verdict(slices) == ("waiting", "mixed-patients")
    assert verdict(every(person=("", "", "", ""))) == ("ready", "")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("M", "ND"), ("P", "ND"), False),
        (("M_FFE", "M", "FFE"), ("PHASE MAP", "P", "FFE"), False),
        (("M", "DIXON", "WATER"), ("M", "DIXON", "FAT"), False),
        (("M", "ND"), ("M", "ND", "NORM"), True),
        (("M", "ND"), (), True),
    ],
)
def test_parts_of_an_mr_signal_in_one_series_are_no_scan(
    *, one: tuple[str, ...], other: tuple[str, ...], same: bool
) -> None:
    slices = every(modality="MR", image_type=("ORIGINAL", "PRIMARY", *one))
    slices[4] = replace(slices[4], image_type=("ORIGINAL", "PRIMARY", *other))

    assert verdict(slices)[1] == ("" if same else "mixed-image-types")


def test_what_a_person_lets_pass_does_not_hide_what_comes_after_it() -> None:
    crooked = [*stack()[:3], *changed(4, position=(-252.0, -250.0, -238.0))[4:]]

    passed = assess(crooked, DEMANDS, frozenset({"missing-slices"}))
    both = assess(crooked, DEMANDS, frozenset({"missing-slices", "crooked"}))
    never = assess(changed(study_uid="1.9"), DEMANDS, frozenset({"missing-slices"}))

    assert verdict(crooked) == ("waiting", "missing-slices")
    assert (passed.code, both.code, never.code) == ("crooked", "", "mixed-studies")


def test_instance_numbers_that_leave_none_out_say_that_none_is_missing() -> None:
    def of(numbers: list[int | None]) -> str:
        places = [3.0 * n if n < 6 else 15.0 + 6.0 * (n - 5) for n in range(10)]
        facts = zip(stack(), places, numbers, strict=True)
        return verdict([replace(s, position=(0.0, 0.0, z), number=n) for s, z, n in facts])[1]

    assert of([*range(10)]) == of([*range(10, 0, -1)]) == ""
    assert of([0, 1, 2, 3, 4, 5, 7, 9, 11, 13]) == "missing-slices"
    assert of([None, *range(9)]) == of([None] * 10) == of([1] * 10) == "missing-slices"


@pytest.mark.parametrize(
    ("folder", "copy", "ages", "home"),
    [
        ("a/CT/", "a/CT - copy/", (9, 5), "a/CT/"),
        ("a/CT/", "a/CT - copy/", (5, 5), "a/CT/"),
        ("b/CT/", "a/CT (2)/", (5, 5), "b/CT/"),
        ("z/", "backup/z/", (5, 5), "z/"),
        ("z/", "backup/z/", (5, 9), "backup/z/"),
    ],
)
def test_of_a_folder_and_its_copy_the_older_is_home_then_the_shorter_name(
    folder: str, copy: str, ages: tuple[int, int], home: str
) -> None:
    both = [
        replace(one, path=f"{here}{one.path}", mtime_ns=NOW - age * HOUR)
        for here, age in zip((folder, copy), ages, strict=True)
        for one in stack()
    ]

    kept = drop_copies(both[::-1], lambda _one, _other: True)

    assert {one.path.rpartition("/")[0] + "/" for one in kept} == {home}
    assert main_folder(both) == main_folder(both[::-1]) == home


def test_older_studies_are_left_alone_where_the_site_says_so() -> None:
    def since(day: str) -> str:
        return verdict(stack(), DEMANDS._replace(studied_after=day))[1]

    assert [since("20260314"), since("20260315"), since("")] == ["", "too-old", ""]


READY = Verdict(Readiness.READY)
MINUTE = HOUR // 60


@pytest.mark.parametrize(
    ("seen_ago", "newest_ago", "code"),
    [
        (11, 11, ""),
        (11, 9, "arriving"),
        (9, 11, "arriving"),  # our own clock counts as much
        (9, 9_000_000, "arriving"),  # a copy that kept the time of its source
        (11, -60, ""),  # the clock of the datastore is ahead of ours
        (9, -60, "arriving"),
        (0, 11, "arriving"),  # only this scan has seen the files as they are now
        (-5, 11, "arriving"),  # our clock was put back
    ],
)
def test_a_series_is_settled_when_both_clocks_have_seen_nothing_change(
    seen_ago: float, newest_ago: float, code: str
) -> None:
    calm = SettlingTimes(
        first_ns=0,
        since_ns=NOW - int(seen_ago * MINUTE),
        newest_ns=NOW - int(newest_ago * MINUTE),
    )

    assert check_settled(READY, DEMANDS, calm, NOW).code == code
    assert check_settled(READY, DEMANDS._replace(quiet_seconds=0), calm, NOW) == READY


def test_a_minimum_age_counts_from_the_first_file_that_was_seen() -> None:
    asked = DEMANDS._replace(min_age_seconds=7200)
    young = SettlingTimes(first_ns=NOW - HOUR, since_ns=NOW - HOUR, newest_ns=0)
    old = young._replace(first_ns=NOW - 2 * HOUR)

    assert check_settled(READY, asked, young, NOW).code == "too-young"
    assert check_settled(READY, asked, old, NOW) == READY


def test_what_is_left_alone_need_not_settle() -> None:
    scout = Verdict(Readiness.IGNORED, "localizer")
    now = SettlingTimes(first_ns=NOW, since_ns=NOW, newest_ns=NOW)

    assert check_settled(scout, DEMANDS, now, NOW) == scout


def test_one_slice_is_a_series_where_the_site_says_so() -> None:
    assert verdict(stack(1), DEMANDS._replace(min_slices=1)) == ("ready", "")


def test_no_verdict_holds_a_value_of_the_patient() -> None:
    cases = [changed(person=("GEHEIM",)), changed(study_uid="GEHEIM"), every(modality="GEHEIM")]

    texts = [assess(slices, DEMANDS).text for slices in cases]

    assert "GEHEIM" not in " ".join(texts)
    assert all(texts)


# --- from headers -----------------------------------------------------------------------------


def test_a_slice_is_read_from_a_header() -> None:
    one = slice_from(ct_slice(BurnedInAnnotation="NO", NumberOfFrames="1"))

    assert (one.modality, one.patient_id, one.patient_name) == ("CT", "PID-0815", "Muster^Maria")
    assert (one.shape, one.samples, one.spacing) == ((2, 2), 1, (0.9765625, 0.9765625))
    assert one.position == (-250, -250, 0.5)
    assert one.orientation == AXIAL
    assert one.image_type == ("ORIGINAL", "PRIMARY", "AXIAL")
    assert (one.study_date, one.burned_in, one.pixels_missing) == ("20260314", False, 0)
    assert slice_kind(one) == Verdict(Readiness.READY)


def test_burned_in_annotation_and_old_dates_are_understood() -> None:
    one = slice_from(ct_slice(BurnedInAnnotation="YES"))

    assert one.burned_in
    assert slice_kind(one).code == "burned-in"


def raw_ds(tag: int, value: bytes) -> Slice:
    """Return a slice whose element holds exactly these bytes."""
    data = as_bytes(ct_slice(), "implicit")
    header = read_header(data, complete=True)
    old = header.elements[tag]
    head = data[old.start : old.start + 4] + len(value).to_bytes(4, "little")
    spoilt = data[: old.start] + head + value + data[old.end :]
    return slice_of(read_header(spoilt, complete=True), path="", size=len(spoilt), mtime_ns=0)


@pytest.mark.parametrize(
    "value",
    [b"1\\2\\nan", b"1\\2\\inf ", b"1\\2\\-1e999", b"1\\2 ", b"1\\2\\3\\4", b"", b"a\\b\\c "],
)
def test_a_position_that_is_no_three_numbers_is_no_position(value: bytes) -> None:
    assert raw_ds(0x00200032, value).position is None


@pytest.mark.parametrize(
    "value",
    [b"0\\0\\0\\0\\0\\0 ", b"1\\0\\0\\1\\0\\0 ", b"2\\0\\0\\0\\1\\0 ", b"1\\0\\0\\nan\\1\\0 "],
)
def test_an_orientation_that_is_no_right_angle_of_unit_vectors_is_none(value: bytes) -> None:
    assert raw_ds(0x00200037, value).orientation is None


@pytest.mark.parametrize(
    ("values", "cut", "missing"),
    [
        ({}, 0, 0),
        ({}, 3, 3),
        ({"PixelData": bytes(6)}, 0, 2),
        ({"PixelData": bytes(16)}, 3, 3),
        ({"PixelData": bytes(10)}, 0, 0),
        ({"Rows": 4}, 0, 8),
        ({"NumberOfFrames": "2"}, 0, 8),
        ({"SamplesPerPixel": 3, "PixelData": bytes(24)}, 0, 0),
    ],
)
@pytest.mark.parametrize("syntax", ["explicit", "implicit"])
def test_pixels_that_a_file_lacks_are_counted(
    values: dict[str, object], cut: int, missing: int, syntax: str
) -> None:
    assert slice_from(ct_slice(**values), syntax, cut=cut).pixels_missing == missing


def test_a_file_without_pixels_says_so() -> None:
    one = ct_slice()
    del one.PixelData

    assert slice_from(one).pixels_missing == -1


def test_a_number_of_frames_that_no_one_could_store_is_not_believed() -> None:
    one = ct_slice()
    one.add_new(0x00280008, "UT", "9" * 6000)
    data = as_bytes(one, "implicit")

    found = slice_of(read_header(data, complete=True), path="", size=len(data), mtime_ns=0)

    assert found.pixels_missing == 0


@given(
    st.lists(st.tuples(*[st.floats(-500, 500)] * 3), min_size=1, max_size=5),
    st.tuples(*[st.floats(-500, 500)] * 3),
)
def test_moving_everything_moves_every_offset_alike(
    positions: list[tuple[float, float, float]], by: tuple[float, float, float]
) -> None:
    moved = [(x + by[0], y + by[1], z + by[2]) for x, y, z in positions]

    change = [
        b - a
        for a, b in zip(offsets_mm(positions, OBLIQUE), offsets_mm(moved, OBLIQUE), strict=True)
    ]

    assert change == pytest.approx([change[0]] * len(change), abs=1e-6)


# --- real series ------------------------------------------------------------------------------


def slice_from_file(path: Path) -> Slice:
    data = path.read_bytes()
    header = read_header(data, complete=True)
    return slice_of(header, path=str(path), size=len(data), mtime_ns=0)


def found_in(folder: Path) -> dict[tuple[str, int], str]:
    """Return the verdict on every series of at least three files below a folder."""
    series: dict[str, list[Slice]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            one = slice_from_file(path)
        except (NotDicom, Incomplete):
            continue
        series.setdefault(one.series_uid, []).append(one)
    return {
        (slices[0].modality, len(slices)): " ".join(verdict(slices)).strip()
        for slices in series.values()
        if len(slices) > 2
    }


JUDGED: dict[str, dict[tuple[str, int], str]] = {
    "rt/cerr_pyCERR_pat_2": {("CT", 41): "ready"},
    "rt/eclipse_ariartm_anondicom": {("CT", 4): "ready"},
    "rt/monaco_proknow_nopreamble": {("CT", 5): "ready"},
    "rt/oncentra_rtkit": {
        ("CT", 5): "ready",
        ("RTDOSE", 4): "ignored not-an-image",
        ("RTIMAGE", 6): "ignored not-an-image",
    },
    "rt/mim_ibsi_sts002": {("CT", 48): "ready", ("MR", 35): "ready", ("PT", 48): "ready"},
    "odd/dicom2nifti/failing/gantrytilting": {("CT", 3): "ready"},
    "odd/dicom2nifti/failing/sliceincrement": {("CT", 4): "waiting missing-slices"},
    "odd/dicom2nifti/failing/sliceorientation": {("MR", 4): "waiting mixed-orientations"},
    "odd/dicom2nifti/generic/compressed_j2k": {("MR", 4): "ready"},
    "odd/dicom2nifti/generic/compressed_rle": {("MR", 4): "ready"},
    "odd/dicom2nifti/hitachi": {("MR", 4): "ready"},
    "odd/dicomautomaton_mr_noseriesuid": {("MR", 11): "ignored not-an-image"},
    "odd/oro_dicom/sphere3": {("XX", 32): "ignored not-an-image"},
    "derived": {("CT", 7): "waiting mixed-patients"},
    "phi/flywheel_penn_prisma/dicom/1_anat": {("MR", 3): "ignored localizer"},
}


@needs_real
@pytest.mark.parametrize("folder", JUDGED)
def test_a_real_series_is_judged_as_a_person_would(folder: str) -> None:
    assert found_in(REAL / folder) == JUDGED[folder]


@needs_real
def test_a_study_of_four_kinds_is_told_apart(tmp_path: Path) -> None:
    unpacked("series/philips_ct_study_S21610.tar.xz", tmp_path)

    found = {
        path.parent.name: slice_kind(slice_from_file(path)).code
        for path in sorted(tmp_path.rglob("I*"))
    }

    assert found == {"S1000": "localizer", "S2010": "", "S4010": "not-an-image"}
    assert found_in(tmp_path) == {("CT", 23): "waiting missing-slices"}  # I40 to I90 are not there
