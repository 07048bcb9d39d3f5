import pytest

from drawcli.core.deid.value_shapes import body_parts, fits, has_shape


def test_body_parts_are_those_that_fit() -> None:
    parts = body_parts()

    assert {"PELVIS", "HEADNECK", "WHOLEBODY", "CHESTABDPELVIS"} <= set(parts)
    assert all(fits("BodyPartExamined", "CS", part.encode()) for part in parts)
    assert not fits("BodyPartExamined", "CS", b"MUSTER")


@pytest.mark.parametrize(
    ("vr", "known"), [("CS", True), ("DS", True), ("PN", False), ("UT", False)]
)
def test_values_of_a_vr_can_be_kept_if_it_has_a_format(vr: str, *, known: bool) -> None:
    assert has_shape(vr) == known


def test_a_format_of_the_attribute_replaces_that_of_its_vr() -> None:
    assert fits("StackID", "SH", b"12")
    assert not fits("StackID", "SH", b"Mu")
    assert fits("ConvolutionKernel", "SH", b"Mu")
