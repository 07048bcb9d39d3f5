import pytest

from drawcli.sandbox.patients import PEOPLE, Person, identifying_values

SHORT = ("patient_id", "accession", "study_id", "station", "phone", "procedure_id")


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)
def test_the_identifying_values_hold_the_name_whole_and_in_parts(person: Person) -> None:
    values = identifying_values(person)

    family, given, *_ = person.name.split("=")[0].split("^")
    assert {person.name, family, given, person.patient_id, person.birth_date} <= set(values)
    assert len(values) == len(set(values))
    assert all(len(value) > 2 for value in values)


def test_one_name_is_written_in_another_script() -> None:
    assert any(not person.name.isascii() and "ISO_IR 192" in person.charset for person in PEOPLE)
    assert "कुलकर्णी" in identifying_values(PEOPLE[0])


def test_no_two_people_share_an_identifying_value() -> None:
    everything = [value for person in PEOPLE for value in identifying_values(person)]

    assert len(everything) == len(set(everything))


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)
def test_a_uid_is_the_same_at_every_call_and_differs_by_what_it_names(person: Person) -> None:
    assert person.uid("CT", 0) == person.uid("CT", 0)
    assert len({person.uid("CT", 0), person.uid("CT", 1), person.uid("MR", 0)}) == 3
    assert len(person.uid("CT", 0)) <= 64


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.site)
def test_texts_fit_into_their_elements(person: Person) -> None:
    assert all(len(getattr(person, name)) <= 16 for name in SHORT)
    assert all(len(value) <= 64 for value in (person.study_description, person.series_description))
