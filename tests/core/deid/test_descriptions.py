import pytest
from hypothesis import given
from hypothesis import strategies as st

from drawcli.core.deid.descriptions import clean_description


@pytest.mark.parametrize(
    ("description", "left"),
    [
        ("CT Pelvis planning 3 mm", "CT Pelvis planning 3 mm"),
        ("Prostata fuer Herrn Muster", ""),
        ("PELVIS^MUSTER", ""),
        ("Thorax_native_(with contrast)", "Thorax native with contrast"),
        ("CT Thorax Dr. Smith, 14.03.1964", "CT Thorax"),
        ("CT 14 03 64", "CT"),
        ("CT 12 mm", "CT 12 mm"),
        ("CT 123 mm", "CT mm"),
        ("Xspine spineX", ""),
        ("[spine], (hip); neck:", "spine hip neck"),
        ("CT 1964 mm", "CT mm"),
        ("head\\Muster", ""),
        ("M\udcfcller brain", "brain"),
        ("\u0663 mm \u017fpine", "mm"),
        ("", ""),
    ],
)
def test_a_description_keeps_words_of_the_vocabulary_only(description: str, left: str) -> None:
    assert clean_description(description) == left


@given(st.text(max_size=60))
def test_cleaning_adds_nothing_and_is_idempotent(description: str) -> None:
    once = clean_description(description)

    assert once.isascii()
    assert clean_description(once) == once
    assert set(once.split()) <= {
        word.strip(",;:()[]") for word in description.replace("_", " ").split()
    }
