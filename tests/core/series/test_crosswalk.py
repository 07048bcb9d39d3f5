import json

from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.series.crosswalk import RESTORED, Crosswalk, SourceFile, read_identity
from tests.core.files import ct_slice, header_of

TEXT = st.text(max_size=20)
ASCII_WITH_SURROGATES = st.binary(max_size=20).map(
    lambda raw: raw.decode("ascii", "surrogateescape")
)
FILES = st.builds(SourceFile, TEXT, st.integers(0), st.integers(0), TEXT)
CROSSWALKS = st.builds(
    Crosswalk,
    series_uid=TEXT,
    study_uid=TEXT,
    patient_id=ASCII_WITH_SURROGATES,
    patient_name=ASCII_WITH_SURROGATES,
    files=st.lists(FILES, max_size=3).map(tuple),
    pseudonym=TEXT,
    uids=st.dictionaries(TEXT, ASCII_WITH_SURROGATES, max_size=3),
    policy=TEXT,
    frame_numbers=st.dictionaries(TEXT, st.integers(), max_size=3),
    orientation=st.just((1.0, 0.0, 0.0, 0.0, 1.0, 0.0)),
    spacing=st.just((0.98, 0.98)),
    dates=st.dictionaries(TEXT, TEXT, max_size=3),
    identity=st.dictionaries(st.sampled_from(sorted(RESTORED)), st.binary(max_size=20)),
    character_set=st.binary(max_size=20),
)


@given(CROSSWALKS)
def test_a_crosswalk_comes_back_from_json_as_it_was(crosswalk: Crosswalk) -> None:
    stored = json.dumps(crosswalk.as_plain()).encode("utf-8")

    assert Crosswalk.from_plain(json.loads(stored)) == crosswalk


def test_a_crosswalk_from_before_policies_had_numbers_can_be_read() -> None:
    one = Crosswalk(series_uid="1", study_uid="2", patient_id="3", patient_name="4", files=())
    plain = {key: value for key, value in one.as_plain().items() if key != "policy"}

    assert Crosswalk.from_plain(plain) == one


def test_identity_is_taken_byte_for_byte_and_only_what_is_there() -> None:
    one = ct_slice(PatientName="Müller^Zoë", StudyDescription="Becken")
    del one.AccessionNumber

    identity = read_identity(header_of(one))

    assert identity[0x00100010] == "Müller^Zoë".encode("latin-1")
    assert identity[0x00081030] == b"Becken"
    assert identity[0x00100020] == b"PID-0815"
    assert 0x00080050 not in identity


def test_patient_and_study_come_home_and_nothing_of_the_image() -> None:
    assert {f"{tag:08X}" for tag in RESTORED} == {
        *("00080020", "00080030", "00080050", "00080090", "00081030"),
        *("00100010", "00100020", "00100021", "00100030", "00100032", "00100040"),
        *("00120062", "00120063", "00200010"),
    }
