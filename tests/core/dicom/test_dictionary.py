import pydicom.datadict
import pytest

from drawcli.core.dicom import dictionary

REPEATING = 0x60040010  # rows of an overlay: PS3.6 has them as 60xx


def test_every_element_is_as_pydicom_has_it() -> None:
    assert dictionary.keyword_dict == pydicom.datadict.keyword_dict
    for keyword, tag in dictionary.keyword_dict.items():
        assert dictionary.tag_for_keyword(keyword) == tag
    for tag in (*dictionary.keyword_dict.values(), REPEATING):
        for name in ("dictionary_VR", "dictionary_VM", "dictionary_description", "keyword_for_tag"):
            assert getattr(dictionary, name)(tag) == getattr(pydicom.datadict, name)(tag)


@pytest.mark.parametrize("tag", [0x00091001, 0x00100001], ids=["private", "not in PS3.6"])
def test_an_unknown_element_has_no_keyword_and_no_vr(tag: int) -> None:
    assert dictionary.keyword_for_tag(tag) == ""
    assert dictionary.tag_for_keyword("NoSuchKeyword") is None
    with pytest.raises(KeyError):
        dictionary.dictionary_VR(tag)
