"""The findings of the acceptance gate as links: to a structure, or to the very contour."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from drawcli.core.gate.acceptance import Finding, Point
from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.rtstruct.contour_table import CHECKS
from drawcli.core.rtstruct.contours import contours_of, in_frames, names_of
from drawcli.core.rtstruct.finding_places import find_places
from drawcli.core.series.slice_grid import Grid
from drawcli.errors import DrawcliError
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import structure_set_of

if TYPE_CHECKING:
    from drawcli.core.pictures.stack import Stack

Places = Mapping[tuple[str, str], Point]  # by code and structure, mm
_OF_STRUCTURES = frozenset({"structure-volume", "structure-sides", "package-unknown"})


def findings_as_links(
    findings: tuple[Finding, ...],
    rows: list[dict[str, Any]],
    stack: "Stack",
    find: Callable[[], Places],
) -> list[dict[str, Any]]:
    """Return the findings as JSON objects, each with the structures that it names.

    Parameters
    ----------
    findings
        What the acceptance gate found.
    rows
        The structures; those without contours cannot be gone to.
    stack
        The images.
    find
        Returns where findings about contours are; asked only if there are some.
    """
    drawn = [row for row in rows if row["name"] and any(row["slices"])]
    named = sorted(drawn, key=lambda row: -len(row["name"]))  # "Lung_L" is not "Lung"
    known = {one.code for one in findings} & CHECKS.keys() - _OF_STRUCTURES
    places = find() if known else {}
    found = []
    for finding in findings:
        text, links = finding.text, []
        for row in named:
            if row["name"] in text:
                text = text.replace(row["name"], " ")
                point = places.get((finding.code, row["name"]))
                links.append(
                    {
                        "number": row["number"],
                        "name": row["name"],
                        "pictures": None if point is None else _pictures(stack, point),
                    }
                )
        found.append(finding.as_plain() | {"places": links})
    return found


def places_of(job: Job, ctx: Context) -> Places:
    """Return where the findings about the contours of a job are; none if they cannot be read."""
    with suppress(DrawcliError):
        crosswalk = ctx.crosswalk(job)
        grid = Grid.of(crosswalk)
        if grid is not None:
            originals = {uid: uid for uid in crosswalk.uids.values()} | dict(crosswalk.uids)
            header, _ = structure_set_of(job, crosswalk, ctx)
            contours = (in_frames(one, crosswalk.frame_numbers) for one in contours_of(header))
            return find_places(contours, names_of(header), grid, originals)
    return {}


def _pictures(stack: "Stack", point: Point) -> dict[str, int]:
    """Return the pictures through a point."""
    (inside,) = stack.frame.from_patient([point])
    return {plane: stack.nearest(plane, float(inside[plane.normal])) for plane in Plane}
