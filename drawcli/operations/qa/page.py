"""A comparison as one HTML file: no script, no external resources, light and dark."""

from html import escape
from typing import TYPE_CHECKING, Final

from drawcli import __version__
from drawcli.core.pictures.html import standalone_page
from drawcli.core.qa.comparison import Comparison
from drawcli.core.qa.outcomes import ContourOutcome, StructureComparison
from drawcli.system.printable import volume_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drawcli.core.pictures.scene import Scene
    from drawcli.operations.qa.compare import ComparedPair

_STYLE: Final = """
:root { color-scheme: light dark; --ink: light-dark(#1a2027, #e7eaef);
  --paper: light-dark(#fbfbfa, #12151a); --card: light-dark(#fff, #1a1f27);
  --soft: light-dark(#5b6572, #9aa5b4); --line: light-dark(#dfe3e8, #2d3540);
  --a: light-dark(#1c6fa8, #5ac8ff); --b: light-dark(#a86200, #ffbe46); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 76rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0; }
p { margin: .25rem 0; overflow-wrap: anywhere; } .soft, footer, th { color: var(--soft); }
.a { color: var(--a); } .b { color: var(--b); }
.table { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; margin: 1rem 0;
  font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .35rem .35rem; border-bottom: 1px solid var(--line);
  font-weight: 400; white-space: nowrap; }
th { white-space: normal; vertical-align: bottom; }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .75rem; margin: 1rem 0; break-inside: avoid; }
.row { display: grid; gap: .4rem; grid-template-columns: repeat(3, 1fr); margin-top: .5rem; }
img { display: block; width: 100%; height: auto; border-radius: .2rem; }
footer { margin-top: 2rem; font-size: .875rem; }
@media (max-width: 40rem) { .row { grid-template-columns: 1fr; } }
"""
_COLUMNS: Final = (
    ("A, cm³", "volume_a_cm3", 2),
    ("B, cm³", "volume_b_cm3", 2),
    ("Dice", "dice", 3),
    ("surface Dice", "surface_dice", 3),
    ("HD95, mm", "hd95_mm", 1),
    ("HD, mm", "hd_mm", 1),
    ("mean, mm", "mean_distance_mm", 2),
    ("added path, mm", "apl_mm", 0),
)
PICTURED: Final = frozenset(  # outcomes with a difference to see
    {
        ContourOutcome.EDITED,
        ContourOutcome.REDRAWN,
        ContourOutcome.OTHER_SLICES,
        ContourOutcome.FILLED,
        ContourOutcome.EMPTIED,
    }
)
NO_FIGURE: Final = "\N{EN DASH}"


def render_comparison(pair: "ComparedPair", tau_mm: float, images: "Scene | None" = None) -> str:
    """Return the page as HTML; with images, each changed structure in three planes."""
    compared = pair.comparison or Comparison((), ())
    warning = f"\n<p>Warning: {escape(pair.warning)}.</p>" if pair.warning else ""
    sections = "" if images is None else "\n".join(_sections(compared, images))
    main = f"""<h1>Contours compared</h1>
<p><b class="a">A</b> {escape(pair.a.name)}, the reference</p>
<p><b class="b">B</b> {escape(pair.b.name)}</p>{warning}
<div class="table"><table>
<tr><th>structure</th><th>outcome</th>{"".join(f"<th>{title}</th>" for title, _, _ in _COLUMNS)}
<th>shift L,&nbsp;P,&nbsp;S, mm</th></tr>
{"".join(map(_row, compared.structures))}
</table></div>
<p class="soft">Tolerance of surface Dice and added path length: {tau_mm:g} mm. HD95: the larger of
both directed 95th percentiles; mean: the mean of both directed means, weighted by area. Shift: of
the centroid of B from that of A, to the left, posterior and superior.</p>
{sections}
<footer>drawcli {escape(__version__)}. Not for diagnosis. The page names structures and files, no
patient, except text that a scanner may have burned into the pixels.</footer>"""
    return standalone_page("Contours compared", _STYLE, main)


def _row(one: StructureComparison) -> str:
    name = one.name if one.name_b is None else f"{one.name} ({one.name_b})"
    figures = "".join(f"<td>{_cell(one, field, digits)}</td>" for _, field, digits in _COLUMNS)
    shift = ", ".join(figure(mm, 1) for mm in one.shift_mm) if one.shift_mm else NO_FIGURE
    outcome = f"{one.outcome}: {one.note}" if one.note else str(one.outcome)
    return f"<tr><td>{escape(name)}</td><td>{escape(outcome)}</td>{figures}<td>{shift}</td></tr>\n"


def _cell(one: StructureComparison, field: str, digits: int) -> str:
    value = getattr(one, field)
    is_volume = field.startswith("volume_") and value is not None
    return volume_text(value) if is_volume else figure(value, digits)


def figure(value: float | None, digits: int) -> str:
    """Return a figure as text; an en dash if it has no meaning."""
    return NO_FIGURE if value is None else f"{round(value, digits) + 0.0:.{digits}f}"


def _sections(compared: Comparison, images: "Scene") -> "Sequence[str]":
    from drawcli.core.pictures.difference import difference_pictures
    from drawcli.core.pictures.page import embedded

    sections = []
    for one, contours in zip(compared.structures, compared.contours, strict=True):
        if one.outcome not in PICTURED:
            continue
        pictures = "".join(
            embedded(f"{one.name}, {plane}", image)
            for plane, image in difference_pictures(images, contours)
        )
        sections.append(
            f'<section><h2>{escape(one.name)}</h2><p class="soft">{one.outcome}; '
            f"the largest difference. Contours and shading: "
            f'<b class="a">A, removed</b>, <b class="b">B, added</b>.</p>'
            f'<div class="row">{pictures}</div></section>'
        )
    return sections
