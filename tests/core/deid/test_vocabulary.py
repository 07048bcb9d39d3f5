"""Words that stay in kept texts, and words that are removed because they name someone."""

import pytest

from drawcli.core.deid.vocabulary import every_word, keep_known_words, kind_of

NAMES = frozenset(
    {b"soft", b"wu", b"elekta", b"axial", b"sensation", b"64", b"x", b"b", b"measured"}
)


def named(word: bytes) -> bool:
    assert word == word.lower()
    return word in NAMES


@pytest.mark.parametrize(
    ("keyword", "vr", "kind"),
    [
        ("ImageType", "CS", "image"),
        ("Manufacturer", "LO", "maker"),
        ("ImagedNucleus", "SH", "nucleus"),
        ("RotationDirection", "CS", "terms"),
        ("BodyPartExamined", "CS", ""),
        ("StationName", "SH", ""),
    ],
)
def test_an_attribute_has_its_kind_of_words(keyword: str, vr: str, kind: str) -> None:
    assert kind_of(keyword, vr) == kind


@pytest.mark.parametrize(
    ("kind", "said", "left"),
    [
        # nuclei: the whole value
        ("nucleus", b"1h \0", b"1h \0"),
        ("nucleus", b"31P Muster", b""),
        ("nucleus", b"1H\\Muster\\ ", b"1H\\\\ "),
        # terms: each word of a value, or nothing of it
        ("terms", b"OFF_RESONANCE ", b"OFF_RESONANCE "),
        ("terms", b"soft_tissue  bone_detail", b""),
        ("terms", b"soft  bone_ct", b"soft  bone_ct"),
        ("terms", b"AXIAL MUSTER", b""),
        ("terms", b"MUSTER\\CW", b"\\CW"),
        ("terms", b"MUSTER\\MUSTER", b""),
        ("terms", b" \0", b" \0"),
        # whole values of a vocabulary, also if they are names
        ("kernel", b"soft ", b"soft "),
        ("kernel", b"SOFT bone", b"bone"),
        ("image", b"axial\\WU\\M", b"axial\\\\M"),
        ("filter", b"TUKEY", b"TUKEY"),
        ("filter", b"TUKEY MUSTER", b"TUKEY"),
        # makers stay even if they are names; models do not
        ("maker", b"Elekta of Wu", b"Elekta"),
        ("model", b"Elekta Sensation", b"Elekta"),
        ("model", b"Sensation", b""),
        ("pet", b"measured scatter", b"scatter"),
        # words with digits
        ("kernel", b"Br40f", b"Br40f"),
        ("kernel", b"Wu40", b""),
        ("kernel", b"Abc40", b""),
        ("kernel", b"bone40", b"bone40"),
        ("kernel", b"Ab1234", b"Ab1234"),
        ("kernel", b"Ab12345", b""),
        ("kernel", b"Q64Q", b""),
        ("model", b"64", b""),
        ("model", b"65", b"65"),
        ("model", b"X", b""),
        ("model", b"Q", b"Q"),
        ("model", b"Qz", b""),
        # letter by letter
        ("kernel", b"B30f Q U", b"B30f Q U"),
        ("kernel", b"B30f Q U Z", b"B30f"),
        ("model", b"CT 1 2 3", b"CT 1 2 3"),
        ("model", b"CT m u 3", b"CT 3"),
        # what is between the words stays only with all of them
        ("model", b"CT-580 (RT) ", b"CT-580 (RT) "),
        ("model", b"CT-580 (Mehta) ", b"CT 580"),
        ("image", b"CT_SOM5 SPI", b"CT_SOM5 SPI"),
    ],
)
def test_a_value_keeps_its_known_words(kind: str, said: bytes, left: bytes) -> None:
    assert keep_known_words(kind, said, named) == left


def test_words_of_scanners_and_manufacturers_stay_wherever_they_are_names() -> None:
    words = list(every_word())

    assert words == sorted(set(words))
    assert {"axial", "siemens", "detail", "resonance"} <= set(words)
    assert not {"AXIAL", "fermi", "br40f", "aquilion"} & set(words)
