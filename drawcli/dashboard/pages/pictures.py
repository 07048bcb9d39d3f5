"""The contours of one job on its images, plane by plane, with a slider each."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.core.pictures.frame import Plane
from drawcli.dashboard.preview import WIDTHS, plane_named
from drawcli.dashboard.view import PageParts, page, parts_of

if TYPE_CHECKING:
    from drawcli.pipeline.preview import Preview


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """One plane: how many pictures it has, and which is shown."""

    plane: str
    count: int
    at: int  # from 0


def pictures(request: Request) -> Response:
    """Show the contours, at the slice that was asked for or where most of a structure is seen."""
    parts = parts_of(request)
    _check_seen(parts)
    job = parts.site.job(request.path_params["job"])
    preview = parts.previews.of(job)
    query = request.query_params
    wanted = _number(query.get("structure"))
    return page(
        request,
        "pictures.html",
        job=job,
        structures=preview.structures,
        warnings=preview.warnings,
        wanted=wanted,
        sliders=[_slider(preview, plane, wanted, _number(query.get(plane))) for plane in Plane],
        width=WIDTHS[1],
    )


def picture(request: Request) -> Response:
    """Return one picture, a PNG."""
    parts = parts_of(request)
    width = _number(request.query_params.get("width"))
    if width is None:
        width = WIDTHS[1]
    if width not in WIDTHS:
        raise HTTPException(404, f"Pictures are {', '.join(map(str, WIDTHS))} pixels wide.")
    _check_seen(parts)
    path = request.path_params
    job = parts.site.job(path["job"])
    return Response(
        parts.previews.picture(job, path["plane"], path["index"], width), media_type="image/png"
    )


def _check_seen(parts: PageParts) -> None:
    """Refuse pixels to whoever is on this machine: a face is in them, and what was burned in."""
    if not parts.entry.asks:
        raise HTTPException(
            403,
            "Pictures show pixels, and a face is in them: they need a login. "
            "Run 'drawcli dashboard --set-password' and start the page again.",
        )


def _slider(preview: "Preview", plane: str, structure: int | None, at: int | None) -> Slider:
    named = plane_named(plane)
    count = preview.count(named)
    if at is None:
        at = preview.best_picture(named, structure)
    return Slider(plane=plane, count=count, at=min(max(at, 0), count - 1))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None  # noqa: PLR2004
