"""Documents for print and screen: headings, paragraphs, tables, figures, lines to sign.

A document is rendered as one HTML file here, and as PDF in `document_pdf.py`. It holds no date of
its own: the same document gives the same bytes.
"""

import base64
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from html import escape
from typing import Final

from drawcli.core.pictures.html import standalone_page

PALETTE: Final = {  # light, which is also that of the PDF, and dark
    "ink": ("#1a2027", "#e7eaef"),
    "paper": ("#fbfbfa", "#12151a"),
    "card": ("#ffffff", "#1a1f27"),
    "soft": ("#5b6572", "#9aa5b4"),
    "line": ("#dfe3e8", "#2d3540"),
    "good": ("#0f766e", "#4fd1c0"),
    "watch": ("#8a5a00", "#ffcf70"),
    "bad": ("#b42318", "#ff8a7d"),
    "blue": ("#1c6fa8", "#5ac8ff"),
    "tint": ("#e8eef7", "#212b3a"),
}


class Tone(StrEnum):
    """The colour of a cell. Its text says the same in words."""

    GOOD = "good"
    WATCH = "watch"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class ShapeLook:
    """How a class of shapes in an SVG figure is drawn; colours are names of the palette."""

    stroke: str = ""
    fill: str = ""
    width: float = 1.0
    dash: tuple[float, float] | None = None


# The classes of an SVG figure. Text without a class is ink, 13 px; `small` is soft, 12 px.
LOOKS: Final = {
    "grid": ShapeLook(stroke="line"),
    "axis": ShapeLook(stroke="soft"),
    "trace": ShapeLook(stroke="blue", width=1.5),  # the line through the points
    "centre": ShapeLook(stroke="good", width=1.5),
    "limit": ShapeLook(stroke="bad", dash=(6, 4)),
    "change": ShapeLook(stroke="soft", width=1.5, dash=(2, 3)),  # of a model
    "dot": ShapeLook(fill="blue"),
    "good": ShapeLook(fill="good"),
    "watch": ShapeLook(fill="watch"),
    "bad": ShapeLook(fill="bad"),
    "bar": ShapeLook(fill="blue"),
    "base": ShapeLook(fill="tint"),  # behind the cases that limits come from
    "best": ShapeLook(fill="card", stroke="soft"),  # a case that is not changed
    "wide": ShapeLook(fill="card", stroke="bad", dash=(4, 3)),  # limits of a mean
}


@dataclass(frozen=True, slots=True)
class Heading:
    """The heading of a section; level 2 or 3."""

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A paragraph of plain text; `soft` for remarks."""

    text: str
    soft: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a table with a colour."""

    text: str
    tone: Tone


@dataclass(frozen=True, slots=True)
class Table:
    """A table. Columns from `numbers_from` on hold numbers and are aligned to the right."""

    titles: tuple[str, ...]
    rows: Sequence[Sequence[str | Cell]]
    numbers_from: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A picture: the text of an SVG drawn with the classes of `LOOKS`, or the bytes of a raster.

    SVG may have line, polyline, polygon, rect, circle, text and g elements, and a viewBox.
    """

    alt: str
    data: str | bytes  # SVG; or PNG or JPEG
    caption: str = ""


@dataclass(frozen=True, slots=True)
class FigureRow:
    """Figures side by side, of equal width, with a line of text above them."""

    row: tuple[Figure, ...]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Signatures:
    """Lines to sign, each with the role of who signs."""

    roles: tuple[str, ...]


Block = Heading | Paragraph | Table | Figure | FigureRow | Signatures


@dataclass(frozen=True, slots=True)
class ReportDocument:
    """A document: a title, facts about it, what it says, and a line at the foot of each page."""

    title: str
    facts: tuple[tuple[str, str], ...] = ()  # name and value
    blocks: tuple[Block, ...] = ()
    foot: str = ""

    def plus(self, *blocks: Block) -> "ReportDocument":
        """Return the document with more blocks."""
        return replace(self, blocks=(*self.blocks, *blocks))


_STYLE: Final = """
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 2rem 1rem 3rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.15rem; margin: 2rem 0 .25rem; }
h3 { font-size: 1rem; margin: 1.25rem 0 .25rem; }
p { margin: .25rem 0 .75rem; max-width: 48rem; overflow-wrap: anywhere; }
.soft, dt, th, figcaption, footer { color: var(--soft); }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; margin: 0; }
dd { margin: 0; overflow-wrap: anywhere; }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: .75rem 0;
  font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .5rem; border-bottom: 1px solid var(--line);
  font-weight: 400; vertical-align: top; }
.n { text-align: right; white-space: nowrap; }
td.good, td.watch, td.bad { font-weight: 600; }
td.good { color: var(--good); } td.watch { color: var(--watch); } td.bad { color: var(--bad); }
.figures { break-inside: avoid; }
.row { display: grid; gap: .5rem; grid-auto-flow: column; grid-auto-columns: minmax(0, 1fr); }
figure { margin: .75rem 0; break-inside: avoid; }
figcaption { font-size: .875rem; } img, svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--ink); font: 13px system-ui, sans-serif; }
svg text.small { fill: var(--soft); font-size: 12px; }
.sign { display: grid; grid-template-columns: 2fr 2fr 1fr; gap: 0 1.5rem; break-inside: avoid; }
.sign span { border-top: 1px solid var(--ink); margin-top: 3rem; font-size: .875rem;
  color: var(--soft); }
footer { margin-top: 2rem; font-size: .875rem; border-top: 1px solid var(--line);
  padding-top: .75rem; }
@media (max-width: 40rem) { .row { grid-auto-flow: row; } .sign { grid-template-columns: 1fr; } }
@media print { :root { color-scheme: only light; } body { background: #fff; font-size: 10pt; }
  main { max-width: none; padding: 0; } tr { break-inside: avoid; }
  h2, h3 { break-after: avoid; } }
"""
SIGNED_WITH: Final = ("signature", "date")


def as_html(document: ReportDocument) -> str:
    """Return a document as one HTML file: no script, no external resources, light and dark."""
    facts = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in document.facts)
    parts = [
        f"<h1>{escape(document.title)}</h1>",
        f"<dl>{facts}</dl>" if facts else "",
        *map(_block, document.blocks),
        f"<footer>{escape(document.foot)}</footer>" if document.foot else "",
    ]
    return standalone_page(document.title, _style(), "\n".join(filter(None, parts)))


def _style() -> str:
    names = "".join(f"--{name}: light-dark({a}, {b}); " for name, (a, b) in PALETTE.items())
    looks = "\n".join(f"svg .{name} {{ {_look(look)} }}" for name, look in LOOKS.items())
    return f"\n:root {{ color-scheme: light dark; {names}}}{_STYLE}{looks}\n"


def _look(look: ShapeLook) -> str:
    dash = f" stroke-dasharray: {look.dash[0]:g} {look.dash[1]:g};" if look.dash else ""
    stroke = f" stroke: var(--{look.stroke}); stroke-width: {look.width:g};" if look.stroke else ""
    return f"fill: {f'var(--{look.fill})' if look.fill else 'none'};{stroke}{dash}"


def _block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{escape(text)}</h{level}>"
        case Paragraph(text, soft):
            of_class = ' class="soft"' if soft else ""
            return f"<p{of_class}>{escape(text)}</p>"
        case Table():
            return _table(block)
        case Figure():
            return _figure(block)
        case FigureRow(row, title):
            above = f"<p>{escape(title)}</p>" if title else ""
            figures = _all(map(_figure, row))
            return f'<div class="figures">{above}<div class="row">{figures}</div></div>'
        case Signatures(roles):
            return _all(map(_signature, roles))


def _all(parts: Iterable[str]) -> str:
    return "".join(parts)


def _table(table: Table) -> str:
    titles = "".join(
        f'<th{_number(n, table)} scope="col">{escape(title)}</th>'
        for n, title in enumerate(table.titles)
    )
    rows = "".join(
        f"<tr>{''.join(_cell(n, cell, table) for n, cell in enumerate(row))}</tr>\n"
        for row in table.rows
    )
    return (
        f'<div class="table"><table>\n<thead><tr>{titles}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div>"
    )


def _number(column: int, table: Table) -> str:
    return ' class="n"' if column >= table.numbers_from else ""


def _cell(column: int, cell: str | Cell, table: Table) -> str:
    if isinstance(cell, str):
        return f"<td{_number(column, table)}>{escape(cell)}</td>"
    aligned = " n" if column >= table.numbers_from else ""
    return f'<td class="{cell.tone}{aligned}">{escape(cell.text)}</td>'


def _figure(figure: Figure) -> str:
    if isinstance(figure.data, str):
        picture = figure.data
    else:
        kind = "png" if figure.data.startswith(b"\x89PNG") else "jpeg"
        data = base64.b64encode(figure.data).decode("ascii")
        picture = f'<img alt="{escape(figure.alt)}" src="data:image/{kind};base64,{data}">'
    caption = f"<figcaption>{escape(figure.caption)}</figcaption>" if figure.caption else ""
    return f"<figure>{picture}{caption}</figure>"


def _signature(role: str) -> str:
    spans = "".join(f"<span>{escape(what)}</span>" for what in (role, *SIGNED_WITH))
    return f'<div class="sign">{spans}</div>'
