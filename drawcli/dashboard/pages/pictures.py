"""The contours of a job on its images, with a slider for each plane."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from drawcli.core.pictures.frame import Plane
from drawcli.dashboard.preview import WIDTHS, parse_plane
from drawcli.dashboard.view import PageParts, page, parts_of

if TYPE_CHECKING:
    from drawcli.pipeline.preview import Preview


@dataclass(frozen=True, slots=True, kw_only=True)
class Slider:
    """A plane with its number of pictures and the one shown."""

    plane: str
    count: int
    at: int  # from 0


def pictures(request: Request) -> Response:
    """Show the contours, at the given slices or where a structure is largest."""
    parts = parts_of(request)
    require_login(parts)
    job = parts.site.job(request.path_params["job"])
    query = request.query_params
    wanted = _number(query.get("structure"))
    with parts.previews.use(job) as preview:
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
    """Return a picture as PNG."""
    parts = parts_of(request)
    width = _number(request.query_params.get("width"))
    if width is None:
        width = WIDTHS[1]
    if width not in WIDTHS:
        raise HTTPException(404, f"Pictures are {', '.join(map(str, WIDTHS))} pixels wide.")
    require_login(parts)
    path = request.path_params
    job = parts.site.job(path["job"])
    return Response(
        parts.previews.picture(job, path["plane"], path["index"], width), media_type="image/png"
    )


def require_login(parts: PageParts) -> None:
    """Refuse pixels without a password: they may show a face or burned-in text."""
    if not parts.entry.requires_login:
        raise HTTPException(
            403,
            "Images may show a face, so they need a login. "
            "Run 'drawcli dashboard --set-password' and restart the page.",
        )


def _slider(preview: "Preview", plane: str, structure: int | None, at: int | None) -> Slider:
    parsed = parse_plane(plane)
    count = preview.count(parsed)
    if at is None:
        at = preview.best_picture(parsed, structure)
    return Slider(plane=plane, count=count, at=min(max(at, 0), count - 1))


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) < 9 else None  # noqa: PLR2004
