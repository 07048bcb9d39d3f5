"""The identifiers of a patient that the gate reads from the sources."""

import io
from collections import Counter
from dataclasses import fields
from datetime import date, timedelta

import pytest
from pydicom import Dataset, dcmread

from drawcli.core.gate.identifiers import (
    COMMON,
    KnownIdentifiers,
    StoredPixels,
    is_coded,
    is_numbered,
)
from drawcli.core.gate.needed import needed_keywords
from drawcli.core.gate.pydicom_elements import pixel_digest, pixel_key
from drawcli.core.gate.similar_headers import SimilarHeaders
from drawcli.core.gate.slices import PackageForm
from tests.core.files import CT, ROOT, as_bytes, ct_slice, item

PATH = "/store/Rosenhof/1.dcm"


def read(one: Dataset) -> Dataset:
    return dcmread(io.BytesIO(as_bytes(one)))


def source(number: int = 1, **values: object) -> Dataset:
    return ct_slice(
        InstanceNumber=str(number),
        SOPInstanceUID=f"{ROOT}.1.{number}",
        InstitutionName="Klinik Waldhaus",
        StationName="CTAWP68001",
        StudyDescription="Nachsorge 27.2.2026 Station 4711",
        ImageType=["ORIGINAL", "PRIMARY", "SPIRAL"],
        PatientTelephoneNumbers="040 7410-55",
        AnatomicRegionSequence=[item(CodeMeaning="Thoraxwand")],
        SpecificCharacterSet="ISO_IR 192",
        OperatorsName="Müller^Ö",
        **values,
    )


def test_each_element_is_learnt_by_its_kind() -> None:
    known = KnownIdentifiers()
    known.learn(PATH, read(source(ContentDate="20260315")))

    assert known.personal.names >= {"muster", "maria", "muller", "mueller", "hausarzt", "acc4711"}
    assert known.personal.ids == {"pid0815", "acc4711", "040741055"}
    assert known.foreign == {"Müller".encode()}
    words = {"store", "rosenhof", "klinik", "waldhaus", "nachsorge", "station", "ctawp68001"}
    assert known.words == words | {"2026", "4711", "pydicom"}
    assert known.places == {"klinik", "waldhaus"}
    assert known.labels.ids == {"ctawp68001"}
    words_of_the_scanner = {"acme", "spiral", "original", "primary", "thoraxwand", "monochrome2"}
    assert known.open_words == words_of_the_scanner
    assert {one for one in known.uids if one.startswith((ROOT, CT))} == {
        *(CT, f"{ROOT}.1.1", f"{ROOT}.2", f"{ROOT}.3", f"{ROOT}.4")
    }
    assert known.days == {"19640229", "20260227"}
    assert known.shifted_days == {"20260314", "20260315"}
    assert known.dates == {"19640229", "20260314", "20260315"}
    assert known.study_date == "20260314"
    assert known.sop_classes == {CT}
    assert known.needed == Counter(needed_keywords(read(source())))


def test_identifiers_of_all_sources_are_collected() -> None:
    known = KnownIdentifiers()
    for number, values in enumerate(
        (
            {"StationName": "FIRST1", "InstitutionName": "Waldhaus"},
            {"StationName": "SECOND2", "PatientID": "OTHER-4712", "InstitutionName": "Seehaus"},
        ),
        start=1,
    ):
        one = source(number)
        for keyword, value in values.items():
            setattr(one, keyword, value)
        if number == 1:
            del one.StudyDate
        known.learn(f"/ward{number}/x.dcm", read(one))

    assert known.words >= {"first1", "second2", "ward1", "ward2"}
    assert known.places == {"waldhaus", "seehaus"}
    assert known.labels.ids == {"first1", "second2"}
    assert known.personal.ids >= {"pid0815", "other4712"}
    assert known.uids >= {f"{ROOT}.1.1", f"{ROOT}.1.2"}
    assert known.study_date == "20260314"  # the first that there is
    assert known.needed["Rows"] == 2
    assert known.pixels == {pixel_digest(read(source())): 2}


def test_pixels_that_are_stored_need_no_digest() -> None:
    known, key = KnownIdentifiers(), pixel_key(read(source()))
    places = [StoredPixels(f"/{number}", 100, 8) for number in range(2)]
    for place in places:
        known.learn(PATH, read(source()), stored=place)

    assert known.stored == {key: places}
    assert known.pixels == {}
    assert known.needed["Rows"] == 2


def test_a_header_that_differs_in_few_values_is_learnt_as_if_it_was_read() -> None:
    raws = [as_bytes(source(n, ContentTime=f"12000{n}", StudyTime=f"1{n}")) for n in range(1, 6)]
    whole, quick, like, similar_ones = KnownIdentifiers(), KnownIdentifiers(), SimilarHeaders(), 0
    for number, raw in enumerate(raws):
        path = f"/ward{number}/x.dcm"
        dataset = dcmread(io.BytesIO(raw))
        at = len(raw) - 8
        whole.learn(path, dcmread(io.BytesIO(raw)), stored=StoredPixels(path, at, 8))
        similar = like.match(raw)
        if similar is None:
            like.learn(raw, dataset)
            quick.learn(path, dataset, stored=StoredPixels(path, at, 8))
        else:
            similar_ones += 1
            quick.learn_similar(path, similar)

    assert similar_ones == 3
    for field in fields(KnownIdentifiers):
        if field.name not in {"seen", "form"}:
            assert getattr(quick, field.name) == getattr(whole, field.name), field.name


def test_a_site_that_retains_an_element_may_send_its_words() -> None:
    form = PackageForm(CT, "1.2.840.10008.1.2")

    known = KnownIdentifiers.for_site({"StudyDescription"}, form)
    known.learn(PATH, read(source()))

    assert known.form == form
    assert "StudyDescription" in known.open
    assert "ImageType" in known.open
    assert "StudyDescription" not in KnownIdentifiers().open
    assert "nachsorge" in known.open_words
    assert "nachsorge" not in known.words_to_find()


def test_words_of_scanners_and_places_and_short_words_are_not_searched() -> None:
    known = KnownIdentifiers(
        words={"rosenhof", "spiral", "waldhaus", "axial", "4711", "12345", "123456", "a1234"},
        open_words={"spiral"},
        places={"waldhaus"},
    )

    assert "axial" in COMMON
    assert known.words_to_find() == {"rosenhof", "123456", "a1234"}


def test_days_near_the_study_are_searched_only_if_the_date_was_shifted() -> None:
    known = KnownIdentifiers(days={"19640229"}, shifted_days={"20260314"}, study_date="20260314")

    assert known.days_to_find("20260313") == {"19640229", "20260314"}
    assert known.days_to_find("") == {"19640229", "20260314"}
    moved = known.days_to_find("20250315")
    close = {f"{date(2026, 3, 14) + timedelta(days=n):%Y%m%d}" for n in range(-14, 15)}
    assert moved == {"19640229", *close}


def test_a_frame_is_learnt_by_its_slice() -> None:
    whole = source(SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1", NumberOfFrames=2, PixelData=bytes(16))
    whole.PerFrameFunctionalGroupsSequence = [
        item(CardiacSynchronizationSequence=[item(NominalPercentageOfCardiacPhase=1.0)])
        for _ in range(2)
    ]
    known = KnownIdentifiers(form=PackageForm(CT, "1.2.840.10008.1.2.1"))

    known.learn(PATH, read(whole))
    known.learn(PATH, read(source()))

    assert (known.by_slice, known.split) == (True, True)
    assert sorted(known.pixels.values()) == [1, 2]  # two frames are the same
    assert [facts[0] for facts in known.facts.values()] == [b"2"]
    assert known.of_frames >= {0x00189118, 0x52009230, 0x00280008}
    assert known.sop_classes == {CT}
    assert known.needed["Rows"] == 3
    assert known.needed["KVP"] == 3
    assert known.needed["NumberOfFrames"] == 0
    known.learn(PATH, compressed())
    assert known.split


def compressed() -> Dataset:
    image = read(source())
    image.compress("1.2.840.10008.1.2.5", generate_instance_uid=False)
    out = io.BytesIO()
    image.save_as(out)
    return dcmread(io.BytesIO(out.getvalue()))


def test_a_source_may_lack_its_file_meta() -> None:
    one = read(source())
    del one.file_meta
    known = KnownIdentifiers()

    known.learn(PATH, one)

    assert known.personal.ids == {"pid0815", "acc4711", "040741055"}


def test_a_compressed_source_is_learnt_by_its_slice_and_is_no_frame() -> None:
    known = KnownIdentifiers(form=PackageForm(CT, "1.2.840.10008.1.2.1"))

    known.learn(PATH, compressed())

    assert (known.by_slice, known.split) == (True, False)
    assert (len(known.pixels), known.facts) == (1, {})


@pytest.mark.parametrize(
    ("where", "text", "numbered"),
    [
        ("AnatomicRegionSequence/CodeValue", "51185008", True),  # thorax
        ("AnatomicRegionSequence/CodeValue", "39607008", True),  # lung
        ("AnatomicRegionSequence/CodeValue", "39607009", False),
        ("AnatomicRegionSequence/CodeMeaning", "51185008", False),
        ("ProcedureCodeSequence/CodeValue", "51185008", False),
        ("CodeValue", "51185008", False),
    ],
)
def test_a_number_of_snomed_is_one_in_a_code_that_may_be_sent(
    where: str, text: str, *, numbered: bool
) -> None:
    assert is_numbered(where, text) is numbered
    assert is_coded("AnatomicRegionSequence/CodeValue")
