"""Names and numbers of persons, cases and places in a header, and where they are found."""

import pytest

from drawcli.core.deid.persons import Persons
from drawcli.core.dicom.header import read_header
from tests.deidentification.writing import Cell, Tree, text, written

NAME, RECORD, PLACE, BORN, MOMENT = 0x00100010, 0x00100020, 0x00080080, 0x00100030, 0x0008002A


def known(tag: int, vr: str, value: bytes, charset: str = "") -> Persons:
    """Return the identifiers in a header that has one element besides its character set."""
    tree: Tree = {0x00080005: text("CS", charset), tag: Cell(vr, value + b" " * (len(value) % 2))}
    return Persons.of(read_header(written(tree, explicit=True), complete=True))


def words_of(value: str, encoding: str = "ascii", charset: str = "") -> set[str]:
    return {word.decode() for word in known(NAME, "PN", value.encode(encoding), charset).words}


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Wu^Al-Sayed^B", {"wu", "al", "sayed", "alsayed"}),
        ("O'Brien=Mary Ann", {"brien", "obrien", "mary", "ann"}),
        ("Lee\\Roe", {"lee", "roe"}),
        ("Zo4x", {"zo", "zo4x"}),
        ("van_der", {"van", "der", "vander"}),
        ("Dr 12", {"dr", "12"}),
    ],
)
def test_a_name_is_known_by_its_parts_and_without_separators(name: str, words: set[str]) -> None:
    assert words_of(name) == words


@pytest.mark.parametrize(
    ("name", "encoding", "charset", "words"),
    [
        ("Müller", "latin-1", "ISO_IR 100", {"muller", "mueller"}),
        ("Mu\u0308ller", "utf-8", "ISO_IR 192", {"muller", "mueller"}),
        ("Øster", "utf-8", "ISO_IR 192", {"oster", "oester"}),
        ("Åse", "latin-1", "ISO_IR 100", {"ase", "aase"}),
        ("Łuk Đok Ðor", "utf-8", "ISO_IR 192", {"luk", "dok", "dor"}),
        ("Strauß Æra Þor œx", "utf-8", "ISO_IR 192", {"strauss", "aera", "thor", "oex"}),
        ("I\u015f\u0131l", "utf-8", "ISO_IR 192", {"isil"}),
        ("Müller", "utf-8", "", {"muller", "mueller"}),  # not in the default character set
        ("Müller", "utf-8", "ISO_IR 999", {"muller", "mueller"}),
        ("Bjørk", "latin-1", "ISO_IR 192", {"bjork", "bjoerk"}),
        ("Иванов^Ivan", "iso8859-5", "ISO_IR 144", {"ivan"}),
        ("\x1b$B#W#u\x1b(B", "ascii", "\\ISO 2022 IR 87", {"wu"}),  # in wide letters
        ("Yamada=\x1b$B;3ED\x1b(B^Tarou", "ascii", "ISO 2022 IR 6\\ISO 2022 IR 87", {"tarou"}),
    ],
)
def test_a_name_is_known_in_each_spelling_of_plain_letters(
    name: str, encoding: str, charset: str, words: set[str]
) -> None:
    assert words_of(name, encoding, charset) >= words


def test_a_name_in_its_character_set_has_no_other_spellings() -> None:
    assert words_of("Müller", "latin-1", "ISO_IR 100") == {"muller", "mueller"}


def test_a_record_number_is_known_with_and_without_its_separators() -> None:
    patient = known(RECORD, "LO", b"A1-B2C3/0417\\X 071")

    assert patient.ids == {b"a1b2c30417"}
    assert patient.words == {b"a1", b"b2c3", b"a1b2c30417", b"071"}
    assert patient.numbers == {"417", "1230417"}
    assert patient.clocks == {"1230417"}


@pytest.mark.parametrize(
    ("record", "ids", "numbers"),
    [
        (b"AB-123", set(), {"123"}),
        (b"AB-1234", {b"ab1234"}, {"1234"}),
        (b"123456", {b"123456"}, {"123456"}),
        (b"ABCDEF", set(), set()),
        (b"7-8-9", set(), {"789"}),
        (b"47 11\\815", set(), {"4711", "815"}),
        (b"0042", set(), set()),
        (b"000123", {b"000123"}, set()),  # as short as a day without its zeros
        (b"0000123", {b"0000123"}, {"123"}),
        (b"012345", {b"012345"}, {"12345"}),
    ],
)
def test_a_record_number_is_searched_if_it_is_long_enough(
    record: bytes, ids: set[bytes], numbers: set[str]
) -> None:
    patient = known(RECORD, "LO", record)

    assert patient.ids == ids
    assert patient.numbers == numbers


def test_a_day_is_known_in_every_order_of_its_parts() -> None:
    days = known(BORN, "DA", b"19610405")

    assert days.clocks == {
        *("19610405", "05041961", "04051961", "610405", "050461", "040561", "19610504"),
    }
    assert days.numbers == {
        *("19610405", "5041961", "4051961", "610405", "50461", "40561", "19610504"),
    }
    assert not days.words | days.places | days.ids


def test_a_day_of_the_year_2000_is_not_searched_as_a_short_number() -> None:
    days = known(BORN, "DA", b"20000105")

    assert days.numbers == {"20000105", "5012000", "1052000", "50100", "10500", "20000501"}
    assert days.clocks >= {"000105", "050100", "010500", "05012000", "01052000"}


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("DA", b"1961.04.05"),
        ("DA", b"1961-04-05"),
        ("DA", b"\x00 19610405 \x00"),
        ("DA", b"soon\\19610405"),
        ("DA", b"\xff\\19610405"),
        ("DT", b"19610405101112.5+0530"),
    ],
)
def test_a_day_is_read_in_each_form(vr: str, value: bytes) -> None:
    tag = BORN if vr == "DA" else MOMENT

    assert known(tag, vr, value) == known(BORN, "DA", b"19610405")


def test_a_place_is_known_by_its_words_of_four_letters_and_more() -> None:
    hospital = known(PLACE, "LO", "St. Ann Rosenhof Ötz 3".encode("latin-1"), "ISO_IR 100")

    assert hospital.places == {b"rosenhof", b"oetz"}
    assert not hospital.words | hospital.ids | hospital.numbers | hospital.clocks


def test_elements_after_an_unreadable_one_are_ignored() -> None:
    tree = {
        NAME: text("PN", "Zo^Qa"),
        0x00101002: Cell("SQ", b"Muster"),
        0x00104000: text("PN", "Later"),
    }

    whole = written(tree | {0x00080005: text("CS", "")}, explicit=True)
    patient = Persons.of(read_header(whole, complete=True))

    assert patient.words == {b"zo", b"qa"}


# --- where it is found ----------------------------------------------------------------------------

PATIENT = Persons(
    words=frozenset({b"wu", b"mehta", b"axial", b"07"}),
    places=frozenset({b"rosenhof", b"abdomen", b"weiher"}),
    ids=frozenset({b"a1b2c3"}),
    numbers=frozenset({"4711", "417", "5041961"}),
    clocks=frozenset({"110405"}),
)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        (b"wu", True),
        (b"weiher", True),
        (b"4711", True),
        (b"004711", True),
        (b"47", False),
        (b"07", False),
        (b"4711x", False),
        (b"meh", False),
    ],
)
def test_a_word_names_someone_if_it_is_a_whole_name_or_number(word: bytes, *, found: bool) -> None:
    assert PATIENT.names_someone(word) == found


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("WU", True),
        ("Mehta", True),
        ("4711", True),
        ("0417", True),
        ("Rosenhof", False),  # a place; descriptions hold words of a vocabulary only
        ("12", False),
        ("W\xfc", False),
    ],
)
def test_a_word_of_a_description_is_a_name_of_a_person(word: str, *, found: bool) -> None:
    assert PATIENT.is_name(word) == found


@pytest.mark.parametrize(
    ("said", "found"),
    [
        (b"for Wu", True),
        (b"wunder", False),  # two letters are searched as a word only
        (b"DrMehtaCT", True),
        (b"me\\hta", True),
        (b"AXIALLY", True),  # a name, even if it is also a term
        (b"xrosenhofx", True),
        (b"ABDOMENS", False),  # a term within a word, even if the hospital has its name
        (b"ABDOMEN", True),
        (b"no A1.B2-C3", True),
        (b"scan 0417", True),
        (b"scan 4712", False),
        (b"", False),
    ],
)
def test_a_free_text_is_searched_for_names_and_numbers(said: bytes, *, found: bool) -> None:
    assert PATIENT.in_text(said) == found


@pytest.mark.parametrize(
    ("said", "found"), [(b"xA1 b2/C3x", True), (b"a1b2\\c3", True), (b"a1b2c4", False)]
)
def test_a_record_number_is_found_with_any_separators(said: bytes, *, found: bool) -> None:
    assert PATIENT.in_ids(said) == found


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("4711", True),
        ("+004711", True),
        ("-4711.000", True),
        ("4711.", True),
        ("417", False),
        ("4711.1", False),
        ("47.11", False),
        ("504.1961", True),
        ("0.5041961", True),
        ("0.005041961", True),
        ("5041.96100", True),
        ("4.711e3", True),
        ("-4711E0", True),
        ("47115e-1", False),
        ("1e18", False),
        ("5041961e300", False),
        ("inf", False),
        ("nan", False),
        ("4711 x", False),
        ("", False),
        (".", False),
    ],
)
def test_a_decimal_number_is_compared_by_its_digits(number: str, *, found: bool) -> None:
    assert PATIENT.in_number(number) == found


def test_the_least_length_of_a_number_is_that_of_its_attribute() -> None:
    assert PATIENT.in_number("417", 3)
    assert PATIENT.in_number("4.17e2", 3)
    assert not PATIENT.in_number("417", 4)
    assert not PATIENT.in_number("4711", 5)


def test_a_number_with_a_point_or_an_exponent_is_searched_up_to_what_is_exact() -> None:
    assert not Persons(numbers=frozenset({"471181"})).in_number("471.181", 3)
    assert Persons(numbers=frozenset({"100000000000000000"})).in_number("1e17")
    assert not Persons(numbers=frozenset({"1000000000000000000"})).in_number("1e18")


def test_a_time_is_compared_with_its_zeros() -> None:
    assert PATIENT.in_clock("110405")
    assert not PATIENT.in_clock("11040")
