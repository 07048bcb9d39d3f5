"""What the viewer shows: one structure set of a job, or the two of a pair."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.qa.records import PairRecord
from drawcli.dashboard.qa.pair import record_of
from drawcli.dashboard.qa.pictures import PicturedPair
from drawcli.dashboard.view import parts_of
from drawcli.dashboard.viewer.findings import Places, findings_as_links, places_of
from drawcli.errors import UsageError

if TYPE_CHECKING:
    from drawcli.core.pictures.frame import Floats
    from drawcli.core.pictures.outlines import Outlines
    from drawcli.core.pictures.scene import Scene
    from drawcli.pipeline.preview import Preview


@dataclass(frozen=True, eq=False, kw_only=True)
class LoadedSubject:
    """Images and structures in memory."""

    scenes: "tuple[Scene, ...]"  # one, or the delivered and the clinical one
    rows: list[dict[str, Any]]  # a structure each, as the viewer lists them
    changed: int  # images that differ from those that were sent
    findings: Callable[[], list[dict[str, Any]]]
    worst: "Callable[[int], Floats | None] | None" = None  # the largest difference of a structure

    @property
    def scene(self) -> "Scene":
        """The images, with the first structure set."""
        return self.scenes[0]

    def place(self, number: int) -> dict[str, int]:
        """Return the picture of each plane that shows a structure, or its difference, best."""
        if not any(row["number"] == number for row in self.rows):
            raise UsageError(f"there is no structure {number}")
        point = self.worst(number) if self.worst else None
        if point is not None:
            stack = self.scene.stack
            return {plane: stack.nearest(plane, float(point[plane.normal])) for plane in Plane}
        (drawn,) = (one for one in self.scene.structures if one.number == number)
        return {plane: self.scene.best_picture(plane, drawn) for plane in Plane}


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewerSubject:
    """A job, or a pair, before its images are read."""

    job: Job
    stamp: str  # of the structure sets: pictures of two stamps are never mixed
    back: str  # address of the job, or of the pair
    use: Callable[[], AbstractContextManager[LoadedSubject]]

    @property
    def is_pair(self) -> bool:
        """Whether there are two structure sets."""
        return self.back.startswith("/qa/")

    @property
    def address(self) -> str:
        """The address of the viewer."""
        return f"{self.back}/viewer"

    @property
    def pictures(self) -> str:
        """The address of the pictures without a script."""
        return f"{self.back}/pictures"


def of_job(request: Request) -> ViewerSubject:
    """Return the structure set of a job: the delivered one, or the one to be delivered."""
    parts = parts_of(request)
    job = parts.site.job(request.path_params["job"])

    @contextmanager
    def use() -> Iterator[LoadedSubject]:
        with parts.previews.use(job) as preview:
            yield _of_preview(preview, lambda: places_of(job, parts.site.ctx))

    return ViewerSubject(job=job, stamp=str(job.revision), back=f"/jobs/{job.id}", use=use)


def of_pair(request: Request) -> ViewerSubject:
    """Return the delivered and the clinical structure set of a job."""
    parts = parts_of(request)
    record = record_of(request.path_params["job"], parts.qa)
    digest = hashlib.sha256(f"{record.a_sha256} {record.b_sha256}".encode()).hexdigest()

    @contextmanager
    def use() -> Iterator[LoadedSubject]:
        with parts.differences.use(record) as pair:
            yield _of_pair(pair, record)

    return ViewerSubject(
        job=parts.site.job(record.job),
        stamp=digest[:12],
        back=f"/qa/pair/{record.job}",
        use=use,
    )


def _of_preview(preview: "Preview", places: Callable[[], Places]) -> LoadedSubject:
    drawn = {one.number: one for one in preview.scene.structures}
    rows = [
        {
            "number": one.number,
            "name": one.name,
            "color": one.color,
            "volumes": [_volume(drawn[one.number], preview.scene)],
            "slices": [one.slices],
        }
        for one in preview.structures
    ]
    return LoadedSubject(
        scenes=(preview.scene,),
        rows=rows,
        changed=preview.changed,
        findings=lambda: findings_as_links(preview.warnings, rows, preview.scene.stack, places),
    )


def _of_pair(pair: PicturedPair, record: PairRecord) -> LoadedSubject:
    sides = [{one.number: one for one in scene.structures} for scene in pair.scenes]
    rows = []
    for number, compared in enumerate(record.structures):
        if number not in sides[0]:
            continue
        both = [side[number] for side in sides]
        red, green, blue = both[0].color
        rows.append(
            {
                "number": number,
                "name": compared.name,
                "color": f"#{red:02x}{green:02x}{blue:02x}",
                "volumes": [
                    _volume(one, scene) for one, scene in zip(both, pair.scenes, strict=True)
                ],
                "slices": [len(one.levels) for one in both],
                "outcome": str(compared.outcome),
                "dice": compared.dice,
                "differs": number in pair.contours,
            }
        )
    return LoadedSubject(
        scenes=pair.scenes,
        rows=rows,
        changed=pair.changed,
        findings=list,
        worst=pair.worst,
    )


def _volume(structure: "Outlines", scene: "Scene") -> float | None:
    """Return the volume of a structure, cm3; None without contours."""
    return scene.volume_cm3(structure) if structure.polygons else None
