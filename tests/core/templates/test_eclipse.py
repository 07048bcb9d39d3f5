"""Structure templates of Eclipse are read for names, types and colours, and for nothing else."""

import pytest

from drawcli.core.templates.eclipse import EclipseStructure, parse_colour, parse_type, read_eclipse

HEAD = b'<?xml version="1.0" encoding="UTF-8"?>'


def template(*structures: str, name: str = "Pelvis") -> bytes:
    body = f'<Preview ID="{name}" Type="Structure"/><Structures>{"".join(structures)}</Structures>'
    return HEAD + f'<StructureTemplate Version="1.2">{body}</StructureTemplate>'.encode()


def structure(name: str, kind: str = "Organ", colour: str = "Red") -> str:
    return (
        f'<Structure ID="{name}" Name=""><Identification><VolumeType>{kind}</VolumeType>'
        f'<StructureCode Code="15900" CodeScheme="FMA"/></Identification>'
        f"<ColorAndStyle>{colour}</ColorAndStyle><DVHLineWidth>1</DVHLineWidth></Structure>"
    )


def test_names_types_and_colours_are_read() -> None:
    data = template(structure("Bladder"), structure("Body", "Body", "Skin"), structure("Üb", "X"))

    read = read_eclipse(data)

    assert read.name == "Pelvis"
    assert read.structures == (
        EclipseStructure("Bladder", "ORGAN", (255, 0, 0)),
        EclipseStructure("Body", "EXTERNAL", None),
        EclipseStructure("Üb", None, (255, 0, 0)),
    )


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("Yellow", (255, 255, 0)),
        ("Segment - Cyan", (0, 255, 255)),
        ("RGB 255 0 0", (255, 0, 0)),
        ("RGB255  0  0", (255, 0, 0)),
        ("RGB255228181", (255, 228, 181)),
        ("RGB  0 64128", (0, 64, 128)),
        ("RGB 300 0 0", None),
        ("Skin Rendering", None),
        ("", None),
    ],
)
def test_a_colour_is_read_in_every_way_it_is_written(
    text: str, colour: tuple[int, int, int] | None
) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("PTV", "PTV"),
        ("organ ", "ORGAN"),
        ("Irrad Volume", "IRRAD_VOLUME"),
        ("", None),
        ("?", None),
    ],
)
def test_a_volume_type_is_one_of_dicom_or_none(text: str, kind: str | None) -> None:
    assert parse_type(text) == kind


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<a", "not XML"),
        (b"<Plan/>", "a Plan, not a StructureTemplate"),
        (template(), "without structures"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><StructureTemplate/>', "XML with declarations"),
        ('<!DOCTYPE a [<!ENTITY b "c">]><a/>'.encode("utf-16"), "XML with declarations"),
        (b'<?xml version="1.0" encoding="klingon"?><a/>', "not XML"),
        (b"x" * 10_000_001, "larger than"),
    ],
)
def test_what_is_no_template_is_told(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_eclipse(data)
