"""Documents as PDF, A4, by ReportLab (extra 'qa').

The fonts are those that every PDF reader has. They hold the letters of Western Europe; any other
letter is printed as a question mark, and the last line of the document says so.
"""

import io
from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, Final

from drawcli.operations.qa.document import (
    PALETTE,
    SIGNED_WITH,
    Block,
    Cell,
    Figure,
    FigureRow,
    Heading,
    Paragraph,
    ReportDocument,
    Signatures,
    Table,
)
from drawcli.operations.qa.document_svg import as_drawing
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from reportlab.lib.styles import ParagraphStyle
    from reportlab.pdfgen.canvas import Canvas
    from reportlab.platypus import Flowable

_PAGE: Final = (595.27, 841.89)  # A4, points
_MARGIN: Final = 50.0
_FRAME: Final = 6.0  # ReportLab's own space around the flow
_WIDTH: Final = _PAGE[0] - 2 * _MARGIN - 2 * _FRAME
_SIZE: Final = 9.0
_MOST_HIGH: Final = 620.0  # of a figure
_SPARE: Final = "Letters that the fonts of PDF lack are printed as '?'; the HTML page has them."
_PADDING: Final = 4.0


def as_pdf(document: ReportDocument) -> bytes:
    """Return a document as PDF; the same document gives the same bytes.

    Raises
    ------
    ConfigError
        If ReportLab is not installed.
    """
    check_installed()
    _, pages = _build(document, 0)
    return _build(document, pages)[0]


def check_installed() -> None:
    """Raise ConfigError unless ReportLab is installed."""
    try:
        import reportlab  # noqa: F401 - whether it is there
    except ImportError:
        raise not_installed("PDF", "qa", or_else="Or write HTML, and print it.") from None


def _build(document: ReportDocument, pages: int) -> tuple[bytes, int]:
    """Return the PDF, and how many pages it has; `pages` is printed as their number."""
    from reportlab.platypus import SimpleDocTemplate

    out = io.BytesIO()
    template = SimpleDocTemplate(
        out,
        pagesize=_PAGE,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=_text(document.title),
        author="drawcli",
        invariant=1,  # no clock, no random identifier
    )

    def foot(canvas: "Canvas", page: Any) -> None:
        canvas.setFont("Helvetica", 8)
        canvas.setFillColor(PALETTE["soft"][0])
        canvas.drawString(_MARGIN + _FRAME, _MARGIN / 2, _text(document.title))
        right = _PAGE[0] - _MARGIN - _FRAME
        canvas.drawRightString(right, _MARGIN / 2, f"page {page.page} of {pages}")

    template.build(list(_flow(document)), onFirstPage=foot, onLaterPages=foot)
    return out.getvalue(), template.page


def _flow(document: ReportDocument) -> Iterator["Flowable"]:
    from reportlab.platypus import Spacer

    yield _words(document.title, 16, bold=True)
    yield Spacer(1, 8)
    if document.facts:
        yield _facts(document.facts)
    for block in document.blocks:
        yield from _block(block)
    if document.foot:
        yield Spacer(1, 12)
        yield _words(document.foot, 8, color="soft")
    if _has_spare(document):
        yield _words(_SPARE, 8, color="soft")


def _block(block: Block) -> Iterator["Flowable"]:
    match block:
        case Heading(text, level):
            yield _words(text, 12 if level == 2 else 10, bold=True, above=12)  # noqa: PLR2004
        case Paragraph(text, soft):
            yield _words(text, color="soft" if soft else "ink", above=3)
        case Table():
            yield _table(block)
        case Figure():
            yield _figures((block,))
        case FigureRow(row, title):
            yield _figures(row, title)
        case Signatures(roles):
            yield _signatures(roles)


def _text(text: str) -> str:
    """Return a text in the letters of the fonts."""
    return text.encode("cp1252", "replace").decode("cp1252")


def _has_spare(document: ReportDocument) -> bool:
    shown = repr(document.facts) + "".join(
        repr(block) for block in document.blocks if not isinstance(block, Figure | FigureRow)
    )
    return _text(document.title + shown) != document.title + shown


def _words(
    text: str, size: float = _SIZE, *, bold: bool = False, color: str = "ink", above: float = 0
) -> "Flowable":
    from reportlab import platypus

    return platypus.Paragraph(escape(_text(text)), _style(size, color, bold=bold, above=above))


def _style(
    size: float, color: str, *, bold: bool = False, above: float = 0, right: bool = False
) -> "ParagraphStyle":
    from reportlab.lib.colors import HexColor
    from reportlab.lib.styles import ParagraphStyle

    return ParagraphStyle(
        "drawcli",
        fontName="Helvetica-Bold" if bold else "Helvetica",
        fontSize=size,
        leading=size * 1.3,
        textColor=HexColor(PALETTE[color][0]),
        spaceBefore=above,
        spaceAfter=3,
        alignment=2 if right else 0,
        keepWithNext=1 if bold else 0,
        splitLongWords=1,
    )


def _facts(facts: Sequence[tuple[str, str]]) -> "Flowable":
    from reportlab import platypus

    rows = [[_words(name, color="soft"), _words(value)] for name, value in facts]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (0, -1), 0)]
    style += [("TOPPADDING", (0, 0), (-1, -1), 0), ("BOTTOMPADDING", (0, 0), (-1, -1), 0)]
    return platypus.Table(rows, colWidths=[130, _WIDTH - 130], style=style, hAlign="LEFT")


def _table(table: Table) -> "Flowable":
    from reportlab import platypus

    head = [_cell(title, n, table, color="soft") for n, title in enumerate(table.titles)]
    rows = [[_cell(cell, n, table) for n, cell in enumerate(row)] for row in table.rows]
    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, PALETTE["line"][0]),
        ("LEFTPADDING", (0, 0), (-1, -1), _PADDING),
        ("RIGHTPADDING", (0, 0), (-1, -1), _PADDING),
    ]
    return platypus.Table(
        [head, *rows],
        colWidths=_widths(table),
        style=style,
        repeatRows=1,
        spaceBefore=4,
        hAlign="LEFT",
    )


def _cell(cell: str | Cell, column: int, table: Table, *, color: str = "ink") -> "Flowable":
    from reportlab import platypus

    tone = cell.tone if isinstance(cell, Cell) else None
    text = cell.text if isinstance(cell, Cell) else cell
    style = _style(
        _SIZE, str(tone or color), bold=tone is not None, right=column >= table.numbers_from
    )
    return platypus.Paragraph(escape(_text(text)), style)


def _widths(table: Table) -> list[float]:
    """Return the widths of the columns: as their texts need, together as wide as the page.

    If they need more, columns give way in proportion, but none becomes narrower than its longest
    word.
    """
    wanted, least = [], []
    for column, title in enumerate(table.titles):
        cells = [row[column] for row in table.rows]
        texts = [title, *(cell.text if isinstance(cell, Cell) else cell for cell in cells)]
        wanted.append(max(map(_wide, texts)))
        least.append(max(_wide(word) for text in texts for word in (text.split() or [""])))
    spare = _WIDTH - sum(wanted)
    if spare >= 0:
        return [wanted[0] + spare, *wanted[1:]]
    given = [most - few for most, few in zip(wanted, least, strict=True)]
    share = min(-spare / (sum(given) or 1), 1)
    return [most - share * gives for most, gives in zip(wanted, given, strict=True)]


def _wide(text: str) -> float:
    """Return the width of a text with the space around it, points."""
    from reportlab.pdfbase.pdfmetrics import stringWidth

    return stringWidth(_text(text), "Helvetica-Bold", _SIZE) + 2 * _PADDING + 1


def _figures(row: Sequence[Figure], title: str = "") -> "Flowable":
    from reportlab import platypus

    width = _WIDTH / len(row)
    pictures = [_picture(figure, width - 2 * _PADDING) for figure in row]
    rows: list[list[Any]] = [pictures]
    style: list[Any] = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("LEFTPADDING", (0, 0), (-1, -1), 0)]
    if any(figure.caption for figure in row):
        rows.append([_words(figure.caption, 8, color="soft") for figure in row])
    if title:
        rows.insert(0, [_words(title), *[""] * (len(row) - 1)])
        style.append(("SPAN", (0, 0), (-1, 0)))
    return platypus.Table(
        rows, colWidths=[width] * len(row), style=style, hAlign="LEFT", splitByRow=0
    )


def _picture(figure: Figure, width: float) -> "Flowable":
    from reportlab import platypus

    if isinstance(figure.data, str):
        return as_drawing(figure.data, width)
    image = platypus.Image(io.BytesIO(figure.data))
    scale = min(width / image.imageWidth, _MOST_HIGH / image.imageHeight)
    image.drawWidth, image.drawHeight = image.imageWidth * scale, image.imageHeight * scale
    return image


def _signatures(roles: Sequence[str]) -> "Flowable":
    from reportlab import platypus

    gap, column = 18.0, (_WIDTH - 36) / 5
    rows: list[list[Any]] = []
    for role in roles:
        cells = [_words(what, 8, color="soft") for what in (role, *SIGNED_WITH)]
        rows += [[""] * 5, [cells[0], "", cells[1], "", cells[2]]]
    style: list[Any] = [
        ("TOPPADDING", (0, 0), (-1, -1), 2),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        *(
            ("LINEABOVE", (column, row), (column, row), 0.7, PALETTE["ink"][0])
            for column in (0, 2, 4)
            for row in range(1, len(rows), 2)
        ),
    ]
    return platypus.Table(
        rows,
        colWidths=[2 * column, gap, 2 * column, gap, column],
        rowHeights=[30.0, None] * len(roles),
        style=style,
        hAlign="LEFT",
        splitByRow=0,
    )
