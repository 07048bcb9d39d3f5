from typing import Any

import pytest
from pydicom import Dataset

from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.query import (
    BadQuery,
    check_upper_keys,
    entities,
    find,
    level_of,
    matches,
    select,
    unsupported_keys,
)
from tests.sandbox.pacs.conftest import of_patient, query


def key(keyword: str, value: Any) -> Dataset:
    dataset = Dataset()
    setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(
    ("keyword", "wanted", "value", "is_match"),
    [
        ("PatientID", "", "A1", True),
        ("PatientID", "*", None, True),
        ("PatientID", "A1", None, False),
        ("PatientID", "A1", "A1", True),
        ("PatientID", "a1", "A1", False),
        ("PatientID", "A?", "A1", True),
        ("PatientID", "A?", "A", False),
        ("PatientID", "A.", "A1", False),
        ("PatientID", "*1*", "A12", True),
        ("PatientName", "okon*", "Okonkwor^Grace", True),
        ("PatientName", "OKONKWOR^GRACE", "Okonkwor^Grace", True),
        ("StudyDate", "20260401-20260430", "20260402", True),
        ("StudyDate", "20260401-20260430", "20260501", False),
        ("StudyDate", "20260401-20260430", "20260331", False),
        ("StudyDate", "-20260402", "20260402", True),
        ("StudyDate", "20260402-", "20260401", False),
        ("StudyDate", "20260402", "20260402", True),
        ("StudyTime", "0900-1030", "103059.5", True),
        ("StudyTime", "0900-1030", "103100", False),
        ("StudyInstanceUID", ["1.2", "1.3"], "1.3", True),
        ("StudyInstanceUID", ["1.2", "1.3"], "1.4", False),
        ("StudyInstanceUID", "1.2", "1.20", False),
        ("ModalitiesInStudy", "SR", ["CT", "SR"], True),
        ("InstanceNumber", "7", 7, True),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")  # ranges are for queries only
def test_a_key_matches_as_the_standard_says(
    keyword: str, wanted: Any, value: Any, *, is_match: bool
) -> None:
    found = None if value is None else key(keyword, value)[keyword]

    assert matches(key(keyword, wanted)[keyword], found) is is_match


def test_the_items_of_a_sequence_are_matched() -> None:
    items = [key("CodeValue", "A"), key("CodeValue", "B")]
    found = key("ProcedureCodeSequence", items)["ProcedureCodeSequence"]

    def is_match(*wanted: Dataset) -> bool:
        return matches(key("ProcedureCodeSequence", list(wanted))["ProcedureCodeSequence"], found)

    assert is_match(key("CodeValue", "B"))
    assert is_match()
    assert is_match(Dataset())
    assert not is_match(key("CodeValue", "C"))


def test_each_level_has_its_entities(phantom_archive: PacsArchive) -> None:
    headers = phantom_archive.headers()

    counts = [len(entities(headers, level)) for level in ("STUDY", "SERIES", "IMAGE")]

    assert counts == [3, 5, 14]  # a scout and a dose report are series of their own


def test_an_empty_key_is_returned_and_an_absent_attribute_is_empty(
    phantom_archive: PacsArchive,
) -> None:
    asked = query("STUDY", PatientID="", PatientName="okon*", NameOfPhysiciansReadingStudy="")
    asked.add_new("OtherPatientIDs", "LO", "")

    (answer,) = find(phantom_archive.headers(), asked, "STUDY")

    assert answer.PatientID == "LUTH-0093318-X"
    assert answer["OtherPatientIDs"].is_empty
    assert "StudyInstanceUID" not in answer


def test_a_study_counts_its_series_instances_and_modalities(phantom_archive: PacsArchive) -> None:
    asked = query(
        "STUDY",
        PatientName="Okon*",
        ModalitiesInStudy="",
        NumberOfStudyRelatedSeries=None,
        NumberOfStudyRelatedInstances=None,
    )

    (answer,) = find(phantom_archive.headers(), asked, "STUDY")

    assert answer.NumberOfStudyRelatedSeries == 2
    assert answer.NumberOfStudyRelatedInstances == 5


def test_keys_of_a_lower_level_are_ignored(phantom_archive: PacsArchive) -> None:
    asked = query("STUDY", PatientName="Okon*", SeriesDescription="no such", InstanceNumber="1")

    (answer,) = find(phantom_archive.headers(), asked, "STUDY")

    assert "SeriesDescription" not in answer
    assert unsupported_keys(asked, "STUDY")
    assert not unsupported_keys(query("STUDY", PatientName="Okon*"), "STUDY")


def test_a_retrieval_takes_a_list_of_uids(phantom_archive: PacsArchive) -> None:
    headers = phantom_archive.headers()
    studies = sorted({header.StudyInstanceUID for header in headers})[:2]

    chosen = select(headers, query("STUDY", StudyInstanceUID=studies), "STUDY")

    assert sorted({header.StudyInstanceUID for header in chosen}) == studies


@pytest.mark.parametrize("study", ["", ["1.2", "1.3"], None])
def test_an_upper_level_is_named_by_a_single_uid(study: Any) -> None:
    keys = {} if study is None else {"StudyInstanceUID": study}

    with pytest.raises(BadQuery, match="StudyInstanceUID is not a single UID"):
        check_upper_keys(query("SERIES", **keys), "SERIES")


def test_a_retrieval_without_its_unique_key_is_refused(phantom_archive: PacsArchive) -> None:
    header = of_patient(phantom_archive, "Okon")
    asked = query("SERIES", StudyInstanceUID=header.StudyInstanceUID)

    with pytest.raises(BadQuery, match="SeriesInstanceUID is missing"):
        select(phantom_archive.headers(), asked, "SERIES")


@pytest.mark.parametrize("level", ["", "PATIENT", "SERIE"])
def test_other_levels_are_refused(level: str) -> None:
    with pytest.raises(BadQuery, match="QueryRetrieveLevel"):
        level_of(query(level))
