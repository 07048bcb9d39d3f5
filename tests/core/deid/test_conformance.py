import re
from pathlib import Path

from drawcli.core.deid.conformance import statement
from drawcli.core.deid.profile import Choices, every_row, fingerprint, policy_for
from drawcli.core.dicom.sop_classes import CT_IMAGE, IMAGE_CLASSES, MR_IMAGE, MULTI_FRAME, PT_IMAGE


def lines_of(text: str) -> list[list[str]]:
    """Return the cells of every line of the tables."""
    rows = re.findall(r"^\| (.+) \|$", text, re.MULTILINE)
    return [row.split(" | ") for row in rows if not row.startswith("attribute")]


def test_every_attribute_that_is_sent_is_listed() -> None:
    text = statement(Choices())

    named = {cells[0].lstrip("> ") for cells in lines_of(text)}
    sent = IMAGE_CLASSES.keys() - MULTI_FRAME  # frames of the others are sent as images of these
    assert named == {row.keyword for one in sent for row in every_row(policy_for(one))}
    assert all(re.fullmatch(r"PS3\.(3|15) [A-Z]\.\d.*", cells[4]) for cells in lines_of(text))
    for sop_class in IMAGE_CLASSES:
        assert f"({sop_class})" in text


def test_the_statement_without_choices_is_the_page_of_the_documentation() -> None:
    page = Path(__file__).parents[3] / "docs/deidentification.md"

    assert statement(Choices()) == page.read_text(encoding="utf-8")


def test_the_claims_follow_the_choices() -> None:
    claimed = re.compile(r"^- (1131?\d+|113100) ", re.MULTILINE)
    least = Choices(fixed_dates=True, characteristics=False)

    assert claimed.findall(statement(Choices()).partition("Not claimed")[0]) == [
        "113100",
        "113108",
        "113107",
    ]
    assert claimed.findall(statement(least).partition("Not claimed")[0]) == ["113100"]
    assert "PatientAge" not in statement(least).partition("## The tables")[2]
    assert "2000-01-01" in statement(least)


def test_it_says_in_which_form_images_are_sent() -> None:
    usual = statement(Choices())
    other = statement(Choices(multiframe="hold", decompress=False))

    assert "Each frame is sent as an image of the single-frame class" in usual
    assert "Codings other than RLE, JPEG 2000 and JPEG baseline are decompressed" in usual
    assert "**Multi-frame images.** Refused" in other
    assert "No value is changed. Compressed images are sent as they are. In images" in other


def test_choices_of_a_site_are_listed_with_their_reasons() -> None:
    assert "this site" not in statement(Choices())

    own = Choices(
        remove=frozenset({"ManufacturerModelName"}),
        retain=(("StationName", "tells the scanners apart"),),
        descriptors=frozenset({"SeriesDescription"}),
    )
    text = statement(own)

    assert text.partition("## Choices of this site\n")[2].partition("## The tables")[0] == (
        "\n"
        "- also removed: ManufacturerModelName\n"
        "- sent, cleaned word by word: SeriesDescription\n"
        "- **also retained**: StationName, because: tells the scanners apart. If table E.1-1 "
        "removes this attribute, the site departs from the profile.\n"
        "\n"
    )
    for uid in (CT_IMAGE, MR_IMAGE, PT_IMAGE):
        assert f"({uid}), policy {fingerprint(uid, own)}\n" in text
    tables = {cells[0]: cells[3:] for cells in lines_of(text)}
    assert "ManufacturerModelName" not in tables
    assert tables["StationName"] == ["kept", "the site: tells the scanners apart"]
