"""The tables of multi-frame images are composed of the common one and those of the groups."""

from drawcli.core.deid.table_multiframe import converted_table, enhanced_table

GROUPS = "# PS3.3 C.8.0 Own Group\n00189301 SQ OwnSequence items 1\n  00180060 DS KVP keep 1\n"


def below(table: str, sequence: str, depth: int = 0) -> list[str]:
    """Return the lines of the items of a sequence, without what is deeper."""
    lines = iter(table.splitlines())
    for line in lines:
        if line.startswith(" " * depth) and line.split()[2:3] == [sequence]:
            break
    inside: list[str] = []
    for line in lines:
        if not line.startswith(" " * (depth + 2)):
            break
        inside.append(line[depth + 2 :])
    return inside


def test_groups_are_below_the_shared_and_the_per_frame_sequence() -> None:
    table = enhanced_table("00189999 CS OwnAttribute keep 3\n", GROUPS)

    top = {line.split()[2] for line in table.splitlines() if line[:1].isalnum()}
    assert {"OwnAttribute", "PatientID", "InstanceNumber"} <= top
    assert {"SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"} <= top
    assert not {"OwnSequence", "KVP", "PixelMeasuresSequence"} & top
    lines = table.splitlines()
    first = lines.index("52009229 SQ SharedFunctionalGroupsSequence items 1")
    assert lines[first - 1] == "# PS3.3 C.7.6.16 Multi-frame Functional Groups"
    for sequence in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        inside = below(table, sequence)
        assert inside[-3:] == GROUPS.splitlines()
        assert "00289110 SQ PixelMeasuresSequence items 1" in inside
        assert "" not in inside


def test_a_converted_image_has_unassigned_attributes_of_single_slices() -> None:
    table = converted_table("", GROUPS, "# PS3.3 C.8.1\n00180050 DS SliceThickness keep 1\n")

    for outer in ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"):
        groups = "\n".join(below(table, outer))
        assert GROUPS in groups
        assert "ConversionSourceAttributesSequence" in groups
        for kind in ("Shared", "PerFrame"):
            inside = below(groups, f"Unassigned{kind}ConvertedAttributesSequence")
            assert inside[-2:] == ["# PS3.3 C.8.1", "00180050 DS SliceThickness keep 1"]
            assert any(" ImagePositionPatient " in line for line in inside)
