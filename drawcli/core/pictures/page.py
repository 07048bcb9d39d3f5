"""A preview as one HTML file: no script, no external resources, light and dark."""

import base64
import io
from collections.abc import Iterator
from html import escape
from typing import TYPE_CHECKING, Final

import numpy as np

from drawcli import __version__
from drawcli.core.gate.acceptance import Severity
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.html import standalone_page
from drawcli.core.pictures.outlines import Outlines
from drawcli.core.pictures.painting import View, paint_view
from drawcli.core.pictures.scene import Scene
from drawcli.core.pictures.sheet import NOT_REVIEWED, NOTHING, Caption, SheetRow, rows

if TYPE_CHECKING:
    from PIL import Image

_LARGE: Final = 400  # pixels
_SMALL: Final = 200
_STRIP: Final = 6  # slices through a structure, from its first to its last
_QUALITY: Final = 88
_STYLE: Final = """
:root { color-scheme: light dark; --ink: light-dark(#1a2027, #e7eaef);
  --paper: light-dark(#fbfbfa, #12151a); --card: light-dark(#fff, #1a1f27);
  --soft: light-dark(#5b6572, #9aa5b4); --line: light-dark(#dfe3e8, #2d3540);
  --block: light-dark(#b42318, #ff8a7d); --warn: light-dark(#8a5a00, #ffcf70);
  --well: light-dark(#0f766e, #4fd1c0); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 80rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; }
h1 { font-size: 1.4rem; margin: 0; } h2 { font-size: 1.1rem; margin: 0; }
p { margin: .25rem 0; } .soft, footer { color: var(--soft); }
ul { list-style: none; margin: 1rem 0; padding: 0; }
li { border-left: .3rem solid var(--line); background: var(--card); margin: .25rem 0;
  padding: .3rem .75rem; overflow-wrap: anywhere; }
li.block { border-color: var(--block); } li.warn, li.again { border-color: var(--warn); }
li.well { border-color: var(--well); }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem;
  padding: .75rem; margin: 1rem 0; break-inside: avoid; }
header { display: flex; flex-wrap: wrap; gap: .25rem .75rem; align-items: center;
  margin-bottom: .5rem; }
.row { display: grid; gap: .4rem; } .large { grid-template-columns: repeat(3, 1fr); }
.small { grid-template-columns: repeat(6, 1fr); margin-top: .4rem; }
img { display: block; width: 100%; height: auto; border-radius: .2rem; }
nav { display: flex; flex-wrap: wrap; gap: .25rem .9rem; margin: 1rem 0; }
nav a { color: inherit; white-space: nowrap; } svg { width: 1rem; height: 1rem; flex: none;
  vertical-align: -.15rem; }
footer { margin-top: 2rem; font-size: .875rem; }
@media (max-width: 40rem) { .large { grid-template-columns: 1fr; }
  .small { grid-template-columns: repeat(3, 1fr); } }
"""


def render_page(scene: Scene, caption: Caption) -> str:
    """Return the page as HTML with embedded pictures."""
    sections = "\n".join(_section(scene, row) for row in rows(scene, _LARGE))
    main = f"""<h1>{escape(caption.title)}</h1>
<p class="soft">{escape(caption.facts)}</p>
<ul>{_findings(caption)}</ul>
<nav>{_names(scene)}</nav>
{sections}
<footer>{escape(NOT_REVIEWED)} This page has no patient data except text that a scanner may have
burned into the pixels. drawcli {escape(__version__)}.</footer>"""
    return standalone_page(caption.title, _STYLE, main)


def _findings(caption: Caption) -> str:
    if not caption.findings:
        return f'<li class="well">{escape(NOTHING)}</li>'
    return "".join(
        f'<li class="{Severity(finding.severity)}"><strong>{escape(finding.code)}</strong> '
        f"{escape(finding.text)}</li>"
        for finding in caption.findings
    )


def _names(scene: Scene) -> str:
    return " ".join(
        f'<a href="#roi-{structure.number}">{_swatch(structure)} {escape(structure.name)}</a>'
        if structure.polygons
        else f"<span>{_swatch(structure)} {escape(structure.name)}, without contours</span>"
        for structure in scene.structures
    )


def _section(scene: Scene, row: SheetRow) -> str:
    structure = row.structure
    large = "".join(_picture(scene, view) for view in row.views)
    if structure is None:
        return (
            "<section><header><h2>All structures</h2></header>"
            f'<div class="row large">{large}</div></section>'
        )
    small = "".join(_picture(scene, view) for view in _strip(scene, structure, row.views[0]))
    volume = f"{scene.volume_cm3(structure):.1f} cm³, slices with contours: {len(structure.levels)}"
    return f"""<section id="roi-{structure.number}"><header>{_swatch(structure)}
<h2>{escape(structure.name)}</h2><span class="soft">{volume}</span></header>
<div class="row large">{large}</div>
<div class="row small">{small}</div></section>"""


def _strip(scene: Scene, structure: Outlines, axial: View) -> Iterator[View]:
    """Yield small views through a structure, from its lowest to its highest."""
    low, high = (float(corner[Plane.AXIAL.normal]) for corner in structure.box)
    first, last = (scene.stack.nearest(Plane.AXIAL, position) for position in (low, high))
    for index in sorted(set(np.linspace(first, last, _STRIP).round().astype(int).tolist())):
        yield View(
            plane=Plane.AXIAL, index=index, region=axial.region, width=_SMALL, focus=structure
        )


def _picture(scene: Scene, view: View) -> str:
    return embedded(f"{view.plane} picture {view.index + 1}", paint_view(scene, view))


def embedded(label: str, image: "Image.Image") -> str:
    """Return a picture as an element of HTML, with its data."""
    data = base64.b64encode(as_jpeg(image)).decode("ascii")
    return (
        f'<img alt="{escape(label)}" width="{image.width}" height="{image.height}" '
        f'src="data:image/jpeg;base64,{data}">'
    )


def as_jpeg(image: "Image.Image") -> bytes:
    """Return a picture as JPEG with full colour resolution, a tenth of the size of a PNG."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=_QUALITY, subsampling=0)
    return out.getvalue()


def _swatch(structure: Outlines) -> str:
    red, green, blue = structure.color
    return (
        '<svg viewBox="0 0 16 16" aria-hidden="true"><rect width="16" height="16" rx="3" '
        f'fill="#{red:02x}{green:02x}{blue:02x}"/></svg>'
    )
