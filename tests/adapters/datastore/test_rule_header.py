import warnings
from collections.abc import Callable, Iterator
from copy import deepcopy
from io import BytesIO
from itertools import product
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from drawcli.adapters.datastore import compared_files, series_elements
from drawcli.adapters.datastore.element_texts import Texts, texts_of_elements, texts_of_file
from drawcli.adapters.datastore.rule_header import shared_elements
from drawcli.adapters.datastore.series_elements import SeriesElements
from drawcli.errors import SeriesRefused, SourceUnsettled
from tests.conftest import PELVIS
from tests.core.files import as_bytes, ct_slice, item

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


@pytest.mark.parametrize("beyond", [0, 1])
def test_values_that_differ_between_slices_have_a_bound(
    slices: list[Path], beyond: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One slice with thousands of items would be compared with thousands of slices."""
    last = dcmread(slices[-1])
    last.SourceImageSequence = [item(ReferencedSOPInstanceUID=f"1.2.{n}") for n in range(9)]
    last.save_as(slices[-1])
    paths = 9 + 1  # each item, and all of them
    monkeypatch.setattr(series_elements, "MOST_DIFFERING", paths * len(slices) - beyond)

    shared = shared_elements(map(str, slices))

    if beyond:
        with pytest.raises(SeriesRefused, match="values of SourceImageSequence"):
            shared.mixed.get("SourceImageSequence.*.ReferencedSOPInstanceUID")
    else:
        found = shared.mixed["SourceImageSequence.*.ReferencedSOPInstanceUID"]
        assert [len(one) for one in found] == [0] * (len(slices) - 1) + [9]


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


def test_each_file_is_read_when_its_path_is_taken(slices: list[Path]) -> None:
    def vanishing() -> Iterator[str]:
        for path in slices:
            yield str(path)
            path.unlink()

    assert SeriesElements.of(vanishing()).header.values["Modality"] == ("CT",)


def decoded_whole(paths: list[Path]) -> tuple[Texts, dict[str, list[tuple[str, ...]]]]:
    """Return what the files share and where they differ, with every element of each decoded."""
    first, *others = each = [texts_of_file(BytesIO(path.read_bytes())) for path in paths]
    shared = {
        path: values
        for path, values in first.items()
        if all(one.get(path) == values for one in others)
    }
    other = {path for one in each for path in one if path not in shared}
    return shared, {path: [one.get(path, ()) for one in each] for path in other}


def agrees(paths: list[Path]) -> bool:
    """Compare the elements of files with what decoding each of them whole gives."""
    found = shared_elements(map(str, paths))
    return (dict(found.values), dict(found.mixed)) == decoded_whole(paths)


def add_private(image: Dataset, creator: str) -> None:
    block = image.private_block(0x0009, creator, create=True)
    block.add_new(0x03, "LO", "a private text")


SEVERAL = Dataset()
SEVERAL.WindowCenter = ["40", "400"]
SEVERAL.AcquisitionTime = "101112"
SEVERAL.ConvolutionKernel = ["B30", "x"]
FURTHER = Dataset()
FURTHER.EthnicGroup = "none"
FURTHER.ImageComments = "further"
CHANGES: dict[str, Callable[[Dataset], object]] = {
    "longer": lambda image: setattr(image, "SeriesDescription", "a longer text than the others"),
    "empty": lambda image: setattr(image, "SeriesDescription", ""),
    "padding": lambda image: setattr(image, "SliceThickness", "3.0 "),
    "missing": lambda image: image.pop("ProtocolName"),
    "another before the pixels": lambda image: image.add_new(0x60000010, "US", 7),
    "further elements": lambda image: image.update(FURTHER),
    "signed": lambda image: setattr(image["SmallestImagePixelValue"], "value", 4),
    "charset": lambda image: setattr(image, "SpecificCharacterSet", "ISO_IR 192"),
    "sequence": lambda image: image.ContributingEquipmentSequence.append(item(StationName="B")),
    "no items": lambda image: setattr(image, "ContributingEquipmentSequence", []),
    "sign": lambda image: setattr(image, "PixelRepresentation", 0),
    "creator": lambda image: add_private(image, "ANOTHER"),
    "private": lambda image: add_private(image, "DRAWCLI TEST"),
    "several": lambda image: image.update(SEVERAL),
}


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_comparing_bytes_gives_what_decoding_all_gives(slices: list[Path], syntax: UID) -> None:
    images = [dcmread(path) for path in slices]
    for image in images:
        add_private(image, "DRAWCLI TEST")
        image.add_new("SmallestImagePixelValue", "US", 3)
        image.file_meta.TransferSyntaxUID = syntax
    wrong = []
    for change, at in product(CHANGES, (0, -1)):
        changed = deepcopy(images)
        CHANGES[change](changed[at])
        for path, image in zip(slices, changed, strict=True):
            image.save_as(path, enforce_file_format=True)
        wrong += [] if agrees(slices) else [(change, at)]

    assert wrong == []


def test_a_differing_text_is_decoded_with_the_character_set_of_the_file(store: Path) -> None:
    paths = [store / "1.dcm", store / "2.dcm"]
    for path, text in zip(paths, ("Голова", "Таз"), strict=True):
        one = ct_slice(SpecificCharacterSet="ISO_IR 144", SeriesDescription=text)
        path.write_bytes(as_bytes(one))

    found = shared_elements(map(str, paths)).mixed["SeriesDescription"]
    assert found == [("Голова",), ("Таз",)]


def test_slices_in_another_transfer_syntax_are_compared_as_text(slices: list[Path]) -> None:
    image = dcmread(slices[1])
    image.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    image.save_as(slices[1], implicit_vr=True, little_endian=True)

    assert agrees(slices)
    assert shared_elements(map(str, slices)).values["ProtocolName"] == (PELVIS.protocol,)


def test_only_what_differs_and_is_asked_for_is_decoded(
    slices: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = []
    real = texts_of_elements

    def counted(data: bytes, *, explicit: bool) -> Texts:
        decoded.append(data)
        return real(data, explicit=explicit)

    monkeypatch.setattr(compared_files, "texts_of_elements", counted)
    found = shared_elements(map(str, slices))

    assert found.values["Modality"] == ("CT",)
    assert "ProtocolName" not in found.mixed
    assert decoded == []
    assert found.mixed["InstanceNumber"][1] == ("2",)
    assert len(decoded) == len(slices) - 1
    assert "InstanceNumber" not in found.values
    assert len(decoded) == len(slices) - 1
