import hmac
from base64 import b32encode
from datetime import date, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom._uid_dict import UID_dictionary
from pydicom.uid import UID

from drawcli.core.deid.pseudonyms import (
    StandIns,
    is_registered,
    registered_as,
    shift_date,
    shift_datetime,
)

KEYS = st.binary(min_size=32, max_size=32)
UIDS = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
IDS = st.text(max_size=20)
OURS, THEIRS = StandIns(b"k" * 32), StandIns(b"K" * 32)
DAYS = st.dates(date(1900, 1, 1), date(2199, 12, 31))
SHIFTS = st.integers(52, 520).map(lambda weeks: timedelta(weeks=weeks))


@given(KEYS, UIDS)
def test_the_same_key_gives_the_same_stand_in_in_another_run(key: bytes, uid: str) -> None:
    assert StandIns(key).uid(uid) == StandIns(key).uid(uid)


@given(KEYS, KEYS, UIDS)
def test_another_key_gives_another_stand_in(one: bytes, other: bytes, uid: str) -> None:
    assert (StandIns(one).uid(uid) == StandIns(other).uid(uid)) == (one == other)


@given(st.sets(UIDS, max_size=30))
def test_two_uids_never_share_a_stand_in(uids: set[str]) -> None:
    assert len({OURS.uid(uid) for uid in uids}) == len(uids)


@given(UIDS)
def test_a_stand_in_is_a_valid_uid_of_at_most_44_characters(uid: str) -> None:
    stand_in = OURS.uid(uid)

    assert stand_in.startswith("2.25.")
    assert len(stand_in) <= 44
    assert UID(stand_in).is_valid


def test_registered_uids_have_their_type() -> None:
    known = {uid: registered_as(uid) for uid in UID_dictionary if uid.startswith("1.2.840.10008.")}

    assert len(known) > 400
    assert known == {uid: entry[1] for uid, entry in UID_dictionary.items() if uid in known}
    assert all(map(is_registered, known))


def test_a_registered_uid_gets_a_stand_in_too() -> None:
    assert OURS.uid("1.2.840.10008.1.4.1.1").startswith("2.25.")  # an atlas's frame of reference


@pytest.mark.parametrize(
    "uid",
    [
        "1.2.840.100080.1",
        "1.2.840.10008",
        "1.2.840.10008.20260314.083000.1",
        "1.2.840.10008.5.1.4.1.1.2.471108150815",
        "1.2.840.10008.MUSTER^MARIA",
        "1.2.840.10008.1.2\n",
        "1.2.840.10008.01.2",
        "1.2.840.10008." + ".".join("1234567890"),
        "1.2.840.10008.2026.3.14.10.15.30.4711.815",
        "1.2.840.10008.5.1.4.1.1.2.4711",
        "1.2.840.10008.1.4.1.99",
        "",
    ],
)
def test_an_unregistered_uid_under_the_dicom_root_is_not_registered(uid: str) -> None:
    assert not is_registered(uid)
    assert registered_as(uid) == ""


@given(IDS, IDS)
def test_the_shift_is_whole_weeks_from_52_to_520(patient: str, issuer: str) -> None:
    shift = OURS.shift(patient, issuer)

    assert shift % timedelta(weeks=1) == timedelta()
    assert timedelta(weeks=52) <= shift <= timedelta(weeks=520)


def test_shift_and_pseudonym_are_what_they_always_were() -> None:
    """Another value would shift the dates of patients sent before differently."""
    key = StandIns(bytes(32))

    assert key.shift("PID-0815", "KH-2") == timedelta(weeks=496)
    assert key.shift("KH-2", "PID-0815") == timedelta(weeks=143)
    assert key.pseudonym("PID-0815", "KH-2") == "JDY22XZGC7BORXZE"


def digest(*parts: bytes) -> bytes:
    return hmac.new(bytes(32), b"\0".join(parts), "sha256").digest()


def test_what_is_derived_from_a_key_is_what_it_always_was() -> None:
    """Jobs, vaults and structure sets of earlier versions are found by these values."""
    key = StandIns(bytes(32))
    number = UUID(bytes=digest(b"frame", b"1.2", b"7")[:16], version=5).int

    assert key.key_id == digest(b"key-id").hex()[:8]
    assert key.subkey("vault") == digest(b"subkey", b"vault")
    assert key.own_uid("frame", "1.2", "7") == f"2.25.{number}"
    assert key.own_uid("frame", "1.2", "7", root="1.9") == f"1.9.{number}"
    assert key.uid("1.2") == key.uid("1.2") == key.own_uid("uid", "1.2")
    assert key.pseudonym("P") == b32encode(digest(b"patient", b"P", b"")[:10]).decode()
    assert key.study_id("1.2") == b32encode(digest(b"study-id", b"1.2")).decode()[:12]
    assert key.package_id("1", "2") == b32encode(digest(b"package-id", b"1", b"2")).decode()[:12]
    assert key.series_key("1.2") == digest(b"series", b"1.2").hex()[:12]
    assert key.digest("source", "a", "b") == digest(b"source", b"a", b"b").hex()[:16]
    assert key.shift("P") == key.shift("P", "")
    assert key.pseudonym("M\udcfcller") == key.pseudonym("M\udcfcller", "")
    assert key.series_key("M\udcfc\u00e4") == digest(b"series", b"M\xfc\xc3\xa4").hex()[:12]


def test_every_shift_occurs_and_none_much_more_often() -> None:
    weeks = [OURS.shift(str(number)) // timedelta(weeks=1) for number in range(20_000)]

    assert set(weeks) == set(range(52, 521))
    assert max(weeks.count(week) for week in range(52, 521)) < 90  # about 43 each


def test_patient_and_issuer_are_not_mixed_up() -> None:
    assert OURS.pseudonym("AB", "C") != OURS.pseudonym("A", "BC")
    assert OURS.pseudonym("AB") != OURS.pseudonym("ab")


@given(IDS, IDS)
def test_a_pseudonym_is_16_characters_and_needs_the_key(patient: str, issuer: str) -> None:
    ours = OURS.pseudonym(patient, issuer)

    assert len(ours) == 16
    assert set(ours) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
    assert ours != THEIRS.pseudonym(patient, issuer)


def test_bytes_that_are_no_text_have_a_pseudonym_too() -> None:
    one, other = (raw.decode("ascii", "surrogateescape") for raw in (b"M\xfcller", b"M\xe4ller"))

    assert OURS.pseudonym(one) != OURS.pseudonym(other)


@given(UIDS)
def test_subkeys_of_different_purposes_are_unrelated(uid: str) -> None:
    derived = {
        OURS.study_id(uid)[:8].lower(),
        OURS.series_key(uid)[:8],
        OURS.digest("source", uid)[:8],
        OURS.pseudonym(uid)[:8].lower(),
    }

    assert len(derived) == 4
    assert len(OURS.study_id(uid)) == len(OURS.series_key(uid)) == 12


def test_key_ids_differ_and_do_not_reveal_the_key() -> None:
    assert OURS.key_id != THEIRS.key_id
    assert OURS.subkey("vault") != OURS.subkey("other")
    assert b"k" * 4 not in OURS.subkey("vault")


@given(DAYS, DAYS, SHIFTS)
def test_weekdays_and_intervals_are_kept(one: date, other: date, shift: timedelta) -> None:
    moved = [
        datetime.strptime(shift_date(f"{day:%Y%m%d}", shift), "%Y%m%d").date()  # noqa: DTZ007
        for day in (one, other)
    ]

    assert [day.weekday() for day in moved] == [one.weekday(), other.weekday()]
    assert moved[1] - moved[0] == other - one
    assert one - moved[0] == shift


@given(DAYS, SHIFTS)
def test_a_date_comes_back_by_the_inverse_shift(day: date, shift: timedelta) -> None:
    written = f"{day:%Y%m%d}"

    assert shift_date(shift_date(written, shift), -shift) == written


@given(DAYS, st.times(), SHIFTS)
def test_a_moment_keeps_its_time_of_day(day: date, time: object, shift: timedelta) -> None:
    clock = f"{time:%H%M%S.%f}"

    moved = shift_datetime(f"{day:%Y%m%d}{clock}", shift)

    assert moved == f"{day - shift:%Y%m%d}{clock}"


@given(st.text(max_size=40), SHIFTS)
def test_an_invalid_date_is_emptied(text: str, shift: timedelta) -> None:
    day, moment = shift_date(text, shift), shift_datetime(text, shift)

    assert day == "" or day.isdecimal()
    assert moment == "" or set(moment) <= set("0123456789.")


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("20260314083000.123456", "20250315083000.123456"),
        ("2026031408", "2025031508"),
        ("20260314083000-0500", "20250315083000"),
        ("202603140830000815471199", "20250315"),
        ("20260314MUSTER", "20250315"),
        ("20260230", ""),
        ("0000", ""),
        ("10000101", ""),
        ("10001230", ""),
        ("10001231", "10000101"),
        ("99991231", "99990101"),
        (" 20260314 ", "20250315"),
        ("20260314-08", "20250315"),
        ("2026031408-05", "2025031508"),
        ("2026031408+05-1", "2025031508"),
        ("20260314240000", "20250315"),
        ("20260314236060", "20250315"),
        ("20260314235960.1", "20250315235960.1"),
        ("2026031", ""),
        ("٢٠٢٦٠٣١٤", ""),
        ("-20260314", ""),
    ],
)
def test_only_a_date_and_a_time_of_day_are_sent(value: str, moved: str) -> None:
    assert shift_datetime(value, timedelta(weeks=52)) == moved


@pytest.mark.parametrize(
    ("value", "moved"),
    [
        ("2026.03.14", "20250315"),
        (" 20260314 ", "20250315"),
        ("20260314.", "20250315"),
        ("202603145", ""),
        ("2026-03-14", ""),
        ("202603xx", ""),
        ("\u0662\u0660\u0662\u0666\u0660\u0663\u0661\u0664", ""),
        ("00010101", ""),
        ("", ""),
    ],
)
def test_only_a_date_of_eight_digits_is_shifted(value: str, moved: str) -> None:
    assert shift_date(value, timedelta(weeks=52)) == moved
