"""SVG figures of documents as drawings of ReportLab: the elements and classes that we draw with."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Literal
from xml.etree import ElementTree as ET

from drawcli.operations.qa.document import LOOKS, PALETTE, ShapeLook

if TYPE_CHECKING:
    from reportlab.graphics.shapes import Drawing, Shape

_INK: Final = PALETTE["ink"][0]
_ANCHORS: Final[dict[str, Literal["start", "middle", "end"]]] = {"middle": "middle", "end": "end"}


def as_drawing(svg: str, width: float) -> "Drawing":
    """Return an SVG figure as a drawing.

    Parameters
    ----------
    svg
        The figure, drawn by this program: see `Figure`. Elements of other kinds are left out.
    width
        Of the drawing, points.

    Raises
    ------
    ValueError
        If the text is not SVG with a viewBox.
    """
    from reportlab.graphics.shapes import Drawing, Group

    try:
        root = ET.fromstring(svg)  # noqa: S314 - our own figures, never a file
    except ET.ParseError as err:
        raise ValueError(f"not SVG: {err}") from None
    left, top, wide, high = map(float, root.get("viewBox", "0 0 0 0").split())
    if not wide or not high:
        raise ValueError("SVG without a viewBox")
    scale = width / wide
    drawing = Drawing(width, high * scale)
    group = Group(
        *_shapes(root), transform=(scale, 0, 0, -scale, -left * scale, (top + high) * scale)
    )
    drawing.add(group)
    return drawing


def _shapes(parent: ET.Element) -> Iterator["Shape"]:
    for element in parent:
        name = element.tag.rpartition("}")[2]
        if name == "g":
            yield from _shapes(element)
        elif name == "text":
            yield _letters(element)
        elif name in _READERS:
            yield _styled(_READERS[name](element), element)


def _numbers(element: ET.Element, *names: str) -> list[float]:
    return [float(element.get(name, "0")) for name in names]


def _points(element: ET.Element) -> list[float]:
    return [float(number) for number in element.get("points", "").replace(",", " ").split()]


def _line(element: ET.Element) -> "Shape":
    from reportlab.graphics.shapes import Line

    return Line(*_numbers(element, "x1", "y1", "x2", "y2"))


def _polyline(element: ET.Element) -> "Shape":
    from reportlab.graphics.shapes import PolyLine

    return PolyLine(_points(element))


def _polygon(element: ET.Element) -> "Shape":
    from reportlab.graphics.shapes import Polygon

    return Polygon(_points(element))


def _rect(element: ET.Element) -> "Shape":
    from reportlab.graphics.shapes import Rect

    return Rect(*_numbers(element, "x", "y", "width", "height"))


def _circle(element: ET.Element) -> "Shape":
    from reportlab.graphics.shapes import Circle

    return Circle(*_numbers(element, "cx", "cy", "r"))


_READERS: Final[dict[str, Callable[[ET.Element], "Shape"]]] = {
    "line": _line,
    "polyline": _polyline,
    "polygon": _polygon,
    "rect": _rect,
    "circle": _circle,
}


def _styled(shape: "Shape", element: ET.Element) -> "Shape":
    """Give a shape the look of its classes."""
    from reportlab.lib.colors import HexColor

    look = _look(element)
    values = {
        "strokeColor": HexColor(PALETTE[look.stroke][0]) if look.stroke else None,
        "fillColor": HexColor(PALETTE[look.fill][0]) if look.fill else None,
        "strokeWidth": look.width,
        "strokeDashArray": list(look.dash) if look.dash else None,
    }
    for name, value in values.items():
        if hasattr(shape, name):
            setattr(shape, name, value)
    return shape


def _look(element: ET.Element) -> ShapeLook:
    """Return the look of the last class that has one."""
    names = element.get("class", "").split()
    return next((LOOKS[name] for name in reversed(names) if name in LOOKS), ShapeLook())


def _letters(element: ET.Element) -> "Shape":
    """Return a text, upright although the drawing's axis points down."""
    from reportlab.graphics.shapes import Group, String
    from reportlab.lib.colors import HexColor

    small = "small" in element.get("class", "").split()
    x, y = _numbers(element, "x", "y")
    text = "".join(element.itertext()).encode("cp1252", "replace").decode("cp1252")
    string = String(
        0,
        0,
        text,
        fontName="Helvetica",
        fontSize=12 if small else 13,
        fillColor=HexColor(PALETTE["soft"][0] if small else _INK),
        textAnchor=_ANCHORS.get(element.get("text-anchor", ""), "start"),
    )
    return Group(string, transform=(1, 0, 0, -1, x, y))
