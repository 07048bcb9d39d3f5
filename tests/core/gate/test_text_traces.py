from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.gate.text_traces import (
    Traces,
    day_of,
    days,
    fold,
    foreign_parts,
    has_long_number,
    has_mail,
    words,
)


def traces(*texts: str) -> Traces:
    made = Traces()
    for text in texts:
        made.learn(text)
    return made


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("LINDQVIST", "Lindqvíst"),
        ("OHRNSTROM", "Öhrnström"),
        ("strauss", "Strauß"),
        ("Kulkarnee", "KULKARNEE"),
        ("e\u0301", "é"),
        ("ＡＢＣ", "abc"),  # noqa: RUF001 - the wide letters are the point
    ],
)
def test_spellings_of_one_name_are_folded_to_one(one: str, other: str) -> None:
    assert fold(one) == fold(other)


def test_words_are_letters_and_digits_and_not_too_short() -> None:
    assert words("mrn-in_7734021, of h.smith") == {"7734021", "smith"}
    assert words("li na 12", 2) == {"li", "na", "12"}


@pytest.mark.parametrize(
    "text",
    [
        "19540819",
        "19540819091241.5+0530",
        "1954-08-19",
        "1954.08.19",
        "1954/08/19",
        "1954 08 19",
        "19.08.1954",
        "19.8.1954",
        "8/19/1954",
        "19-08-1954",
        "19081954",
        "08191954",
        "19 aug 1954",
        "19aug1954",
        "19th of august, 1954",
        "august 19, 1954",
        "aug 19th, 1954",
        "born:19540819.",
        "x19540819y",
    ],
)
def test_a_day_is_read_however_it_is_spelt(text: str) -> None:
    assert "19540819" in set(days(text))


@pytest.mark.parametrize(
    "text", ["", "no day", "119540819", "19541319", "19540832", "2.25.1", "30.2.1954", "1954"]
)
def test_an_invalid_date_is_none(text: str) -> None:
    assert list(days(text)) == []


@given(st.dates(date(1800, 1, 1), date(2199, 12, 31)))
def test_any_day_is_read_from_any_usual_spelling(day: date) -> None:
    for form in ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d%m%Y", "%d %b %Y", "%B %d, %Y"):
        assert f"{day:%Y%m%d}" in set(days(f"{day:{form}}".lower()))


def test_the_date_of_a_value_is_its_start() -> None:
    assert day_of("20260314083000.5") == date(2026, 3, 14)
    assert day_of("2026.03.14") == date(2026, 3, 14)
    for nonsense in ("", "soon", "202603", "20261314"):
        assert day_of(nonsense) is None


@pytest.mark.parametrize(
    "text",
    [
        "kulkarnee",
        "xxkulkarneexx",
        "mr ashok k",
        "mrn-in-7734021",
        "7734021",
        "mrn in 7734021",
        "77 34-021",
        "id 417",
        "mr li",
        "कुलकर्णी",
        "小东",
    ],
)
def test_a_name_or_an_id_is_found_in_a_text(text: str) -> None:
    known = traces("Kulkarnee^Ashok=कुलकर्णी^अशोक", "MRN-IN-7734021", "417", "Li^Na", "王^小东")

    assert known.in_text(fold(text))


@pytest.mark.parametrize("text", ["", "pelvis", "lining of the ashlar", "41 7", "1417", "in ct"])
def test_texts_without_identifiers_are_no_match(text: str) -> None:
    known = traces("Kulkarnee^Ashok", "MRN-IN-7734021", "417", "Li^Na", "In^Ct")

    assert not known.in_text(text)


def test_among_the_scanners_words_a_name_counts_as_a_whole_word() -> None:
    known = traces("Axia^Siemens")

    assert known.in_words("original axia")
    assert not known.in_words("axial")
    assert not known.in_words("siemens", but=frozenset({"siemens"}))


@pytest.mark.parametrize(
    ("text", "found"),
    [("b30f wu", True), ("b30f lee", True), ("wu30f", True), ("b30fwu", False), ("wuhan", False)],
)
def test_a_name_of_two_or_three_letters_counts_as_a_whole_word(text: str, *, found: bool) -> None:
    assert traces("Wu^Lee").in_short(text) is found


def test_a_short_name_that_is_an_ordinary_word_is_no_finding() -> None:
    assert traces("Hu^Wei").in_short("hu")
    assert not traces("Hu^Wei").in_short("hu", but=frozenset({"hu"}))


@pytest.mark.parametrize("text", ["ohrstrom", "oehrstroem", "øhrstrom"])
def test_a_name_is_found_in_every_spelling_of_its_letters(text: str) -> None:
    assert traces("Øhrström^Åsa").in_text(text)


def test_only_parts_beyond_ascii_are_kept_as_bytes() -> None:
    name = "Lindqvíst^Asa=Kalle^Ö".encode("latin-1")
    japanese = "Yamada^Tarou=山田^太郎".encode("iso2022_jp")

    assert list(foreign_parts(name)) == ["Lindqvíst".encode("latin-1")]
    assert all(b"\x1b" in part for part in foreign_parts(japanese))
    assert list(foreign_parts(japanese))
    assert list(foreign_parts(b"Smith^John")) == []


def test_a_mail_address_is_recognised() -> None:
    assert has_mail("ask okonkwor@example.org please")
    assert not has_mail("at @ noon, 3@4")


def test_the_record_holds_nothing_until_it_learns() -> None:
    empty = Traces()

    assert not empty.in_text("anything at all 123456")
    assert not empty.figures
    assert not empty.in_ids("123456")


def test_a_long_name_is_found_within_a_longer_word_unless_that_is_an_ordinary_one() -> None:
    traces = Traces()
    traces.learn("Kulkarnee^Philip^Li")

    assert traces.in_longer_words("ct-kulkarneeashok")
    assert not traces.in_longer_words("philips brilliance", but=frozenset({"philips"}))
    assert not traces.in_longer_words("ct list")


@pytest.mark.parametrize(
    "text",
    ["123-45-6789", "943 476 5919", "2345 6789 0123", "tel 040/741055-12", "19540819", "x12345678"],
)
def test_a_number_as_long_as_national_ids_is_found(text: str) -> None:
    assert has_long_number(text)


@pytest.mark.parametrize("text", ["", "1234567", "0.12345678", "b31f 512 512", "1.2.840.10008.1"])
def test_the_numbers_of_scanners_are_no_numbers_of_persons(text: str) -> None:
    assert not has_long_number(text)


@pytest.mark.parametrize(
    ("text", "names", "short", "ids"),
    [
        ("12", "", "", ""),
        ("123", "", "123", ""),
        ("12345", "", "12345", ""),
        ("123456", "123456", "", "123456"),
        ("a", "", "", ""),
        ("Li", "", "li", ""),
        ("Kim", "", "kim", ""),
        ("Smit", "smit", "", ""),
        ("山", "", "", ""),
        ("山田", "山田", "", ""),
        ("Smit^Anna Li", "smit anna", "li", ""),
        ("-smit-kim.", "smit-kim smit", "kim", ""),
        ("ab123", "ab123", "", ""),
        ("ab1234", "ab1234", "", "ab1234"),
        ("ab-12-34", "ab-12-34", "ab", "ab1234"),
        ("abcdef", "abcdef", "", ""),
    ],
)
def test_a_part_is_learnt_as_a_name_a_short_one_or_an_id(
    text: str, names: str, short: str, ids: str
) -> None:
    traces = Traces()
    traces.learn("Earlier^Ng 7654321")
    traces.learn(text)

    assert traces.names == {"earlier", "7654321", *names.split()}
    assert traces.short == {"ng", *short.split()}
    assert traces.ids == {"7654321", "earlierng7654321", *ids.split()}


def test_each_kind_of_trace_identifies_the_patient_in_a_text() -> None:
    patient = Traces(names={"kulkarnee"}, short={"li"}, ids={"ab1234"})

    assert patient.in_text("xkulkarneex")
    assert patient.in_text("id ab-12.34")
    assert patient.in_text("scan of li")
    assert patient.in_text("li30")
    assert not patient.in_text("list ab12 kulkarni")


def test_a_word_has_at_least_four_characters_and_a_longer_one_six() -> None:
    patient = Traces(names={"kim", "smit", "smith", "smithe"})

    assert [patient.in_words(text) for text in ("kim", "smit", "x smith", "smithes")] == [
        *(False, True, True, False)
    ]
    assert [patient.in_longer_words(text) for text in ("xsmith", "xsmithe", "kim")] == [
        *(False, True, False)
    ]
    assert not patient.in_words("smit", but=frozenset({"smit"}))


def test_encoded_parts_of_three_bytes_count() -> None:
    assert list(foreign_parts("Ö^Öl^Öle=A\0\x1b$B^\x1bB".encode("latin-1"))) == [
        *("Öle".encode("latin-1"), b"\x1b$B")
    ]


def test_letters_that_are_no_marks_keep_their_place_when_folded() -> None:
    assert (fold("ÁÉ"), fold("ABC"), fold("山É")) == ("ae", "abc", "山e")
    assert fold("ﬁn") == "fin"


def test_the_date_at_the_start_of_a_value_has_eight_digits() -> None:
    assert day_of("2026.03.14") == date(2026, 3, 14)
    assert day_of("202603149") == date(2026, 3, 14)
    assert day_of("2026121") == date(2026, 12, 1)
    assert day_of("202612") is None
    assert day_of("20261301") is None
