import warnings
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.errors import SourceUnsettled
from tests.conftest import PELVIS
from tests.core.files import as_bytes, ct_slice

BITS_STORED = b"\x28\x00\x01\x01US\x02\x00"
SERIES_NUMBER = b"\x20\x00\x11\x00IS\x02\x00"


def test_shared_elements_are_text_by_keyword(slices: list[Path]) -> None:
    shared = shared_elements(map(str, slices))

    assert shared.values["Modality"] == ("CT",)
    assert shared.values["ImageType"] == tuple(dcmread(slices[0]).ImageType)
    assert shared.values["ProtocolName"] == (PELVIS.protocol,)
    assert shared.values["PatientName"] == (PELVIS.name,)
    assert shared.values["Rows"] == ("16",)
    assert "InstanceNumber" not in shared.values
    assert "ImagePositionPatient" not in shared.values
    assert "PixelData" not in shared.values
    assert "InstanceNumber" in shared.mixed
    purpose = "PurposeOfReferenceCodeSequence"
    one = shared.values[f"ContributingEquipmentSequence.0.{purpose}.0.CodeMeaning"]
    assert shared.values[f"ContributingEquipmentSequence.*.{purpose}.*.CodeMeaning"][:1] == one


def test_an_element_that_one_slice_lacks_is_not_shared(slices: list[Path]) -> None:
    last = dcmread(slices[-1])
    del last.ProtocolName
    last.BodyPartExamined = "HEAD"
    last.save_as(slices[-1])

    shared = shared_elements(map(str, slices))

    assert "ProtocolName" not in shared.values
    assert "BodyPartExamined" not in shared.values
    assert shared.mixed["ProtocolName"] == [(PELVIS.protocol,)] * (len(slices) - 1) + [()]
    assert shared.mixed["BodyPartExamined"][-1] == ("HEAD",)


@pytest.mark.parametrize(
    ("charset", "name"),
    [
        ("ISO_IR 100", "Lindqvíst^Åsa"),
        ("ISO_IR 192", "Kulkarnee^Ashok=कुलकर्णी^अशोक"),
        ("ISO_IR 144", "Иванов^Дмитрий"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
        ("GB18030", "Wang^XiaoDong=王^小东"),
    ],
)
def test_names_are_decoded_with_the_character_set_of_the_file(
    store: Path, charset: str | list[str], name: str
) -> None:
    one = ct_slice(SpecificCharacterSet=charset, PatientName=name, StudyDescription="plain")
    (store / "one.dcm").write_bytes(as_bytes(one))

    shared = shared_elements([str(store / "one.dcm")])

    assert shared.values["PatientName"] == (name,)
    assert shared.values["StudyDescription"] == ("plain",)


def test_a_value_that_its_vr_forbids_matches_no_rule_and_causes_no_warning(
    slices: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for path in slices:
        raw = path.read_bytes()
        assert (raw.count(BITS_STORED), raw.count(SERIES_NUMBER)) == (1, 1)
        at = raw.index(SERIES_NUMBER) + len(SERIES_NUMBER)
        raw = raw[:at] + b"xy" + raw[at + 2 :]
        path.write_bytes(raw.replace(BITS_STORED, BITS_STORED[:6] + b"\x03\x00?"))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shared = shared_elements(map(str, slices))

    assert "BitsStored" not in shared.values
    assert shared.values["SeriesNumber"] == ("xy",)
    assert shared.values["Modality"] == ("CT",)
    assert capsys.readouterr().err == ""


def test_a_series_of_one_file_is_shared_with_itself(slices: list[Path]) -> None:
    assert shared_elements([str(slices[0])]).values["InstanceNumber"] == ("1",)


def test_a_slice_missing_at_matching_is_retried(slices: list[Path]) -> None:
    slices[-1].unlink()

    with pytest.raises(SourceUnsettled) as caught:
        shared_elements(map(str, slices))

    assert "KULKARNEE" not in str(caught.value)
