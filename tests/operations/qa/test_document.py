"""A document as HTML and as PDF."""

import base64
import builtins
import io
import re
import zlib
from typing import Any

import html5lib
import pytest
from PIL import Image
from reportlab.graphics.shapes import Circle, Group, Line

from drawcli.errors import ConfigError
from drawcli.operations.qa.document import (
    LOOKS,
    PALETTE,
    Cell,
    Figure,
    FigureRow,
    Heading,
    Paragraph,
    ReportDocument,
    Signatures,
    Table,
    Tone,
    as_html,
)
from drawcli.operations.qa.document_pdf import as_pdf
from drawcli.operations.qa.document_svg import as_drawing

_SVG = (
    '<svg viewBox="0 0 200 100"><g><line class="limit" x1="0" x2="200" y1="80" y2="80"/></g>'
    '<circle class="dot bad" cx="50" cy="20" r="4"><title>case 3</title></circle>'
    '<polyline class="trace" points="0,0 10,20 30,40"/><rect class="good" x="1" y="2" width="3" '
    'height="4"/><text class="small" x="10" y="30" text-anchor="end">0.95</text></svg>'
)


def _png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (40, 20), "red").save(out, "PNG")
    return out.getvalue()


def _document() -> ReportDocument:
    return ReportDocument(
        "Commissioning <of> a template",
        (("site", "a & b"),),
        (
            Heading("Result"),
            Paragraph("Each structure."),
            Table(
                ("structure", "result", "n"),
                [["Bladder", Cell("pass", Tone.GOOD), "20"], ["x<y", Cell("fail", Tone.BAD), "3"]],
                numbers_from=2,
            ),
            Figure("a chart", _SVG, "every case"),
            FigureRow((Figure("one", _png()), Figure("two", _png(), "the worst"))),
            Signatures(("Medical physicist",)),
        ),
        "Not for diagnosis.",
    )


def _drawn(document: ReportDocument) -> str:
    """Return the content of the pages of a PDF, decoded."""
    texts = []
    for one in re.findall(rb"stream\r?\n(.*?)endstream", as_pdf(document), re.DOTALL):
        try:
            packed = base64.a85decode(one.strip().removesuffix(b"~>"))
            texts.append(zlib.decompress(packed).decode("cp1252"))
        except (ValueError, zlib.error):  # a picture
            continue
    return "\n".join(texts)


def test_the_html_page_is_valid_and_holds_everything_as_text() -> None:
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)

    root = parser.parse(as_html(_document()))

    words = " ".join(root.itertext())
    for text in ("Commissioning <of> a template", "a & b", "x<y", "Medical physicist", "case 3"):
        assert text in words
    assert [cell.text for cell in root.iter("td") if cell.get("class") == "bad"] == ["fail"]
    assert [cell.text for cell in root.iter("td") if cell.get("class") == "n"] == ["20", "3"]
    assert len(list(root.iter("img"))) == 2


def test_a_document_gives_the_same_bytes_each_time() -> None:
    assert as_html(_document()) == as_html(_document())
    assert as_pdf(_document()) == as_pdf(_document())


def test_the_pdf_holds_texts_pages_and_the_colour_of_a_failure() -> None:
    drawn = _drawn(_document())

    for text in ("Bladder", "fail", "page 1 of 1", "signature", "0.95", "a & b"):
        assert text in drawn
    channels = (int(PALETTE["bad"][0][n : n + 2], 16) / 255 for n in (1, 3, 5))
    assert " ".join(f"{one:.6f}".lstrip("0") for one in channels) + " rg" in drawn


def test_a_long_table_repeats_its_titles_on_each_page() -> None:
    rows = [[f"ROI_{number}", "1.0"] for number in range(120)]

    drawn = _drawn(ReportDocument("Long", blocks=(Table(("structure", "Dice"), rows),)))

    assert drawn.count("(structure)") == 4
    assert "page 4 of 4" in drawn
    assert "ROI_119" in drawn


def test_letters_that_pdf_fonts_lack_are_told() -> None:
    drawn = _drawn(ReportDocument("Report", blocks=(Paragraph("膀胱"),)))

    assert "??" in drawn
    assert "the HTML page has them" in drawn
    assert "HTML page" not in _drawn(
        ReportDocument("Report", blocks=(Paragraph("Größe \N{EN DASH}"),))
    )


def test_a_drawing_has_the_shapes_of_its_svg() -> None:
    drawing = as_drawing(_SVG, 400)

    (group,) = drawing.contents
    assert isinstance(group, Group)
    kinds = [type(shape).__name__ for shape in group.contents]
    assert kinds == ["Line", "Circle", "PolyLine", "Rect", "Group"]
    assert (drawing.width, drawing.height) == (400, 200)
    limit, dot = group.contents[:2]
    assert isinstance(limit, Line)
    assert isinstance(dot, Circle)
    assert limit.strokeDashArray == list(LOOKS["limit"].dash or ())
    assert dot.fillColor is not None
    assert dot.fillColor.hexval() == "0x" + PALETTE["bad"][0][1:]  # the last class counts
    assert group.transform == (2, 0, 0, -2, 0, 200)


@pytest.mark.parametrize("text", ["no svg", "<svg/>"])
def test_what_is_no_figure_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="SVG"):
        as_drawing(text, 100)


def test_without_the_extra_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    imported = builtins.__import__

    def refuse(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.partition(".")[0] == "reportlab":
            raise ImportError(name)
        return imported(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)

    with pytest.raises(ConfigError, match="not installed") as caught:
        as_pdf(_document())

    assert "'qa'" in caught.value.hint
    assert "HTML" in caught.value.hint
