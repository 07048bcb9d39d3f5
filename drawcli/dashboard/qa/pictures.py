"""Pictures of where the clinical contours of a job differ from the delivered ones."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.qa.records import PairRecord
from drawcli.core.rtstruct.displayed import read_display
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.volumes import Volumes
from drawcli.errors import UsageError
from drawcli.operations.qa.page import PICTURED
from drawcli.pipeline.context import Context

if TYPE_CHECKING:
    from drawcli.core.pictures.frame import Floats
    from drawcli.core.pictures.scene import Scene
    from drawcli.core.rtstruct.displayed import Color
    from drawcli.operations.qa.clinical.structure_files import StructureSetBytes

_Contours = tuple[Sequence["Floats"], Sequence["Floats"]]  # delivered, clinical
_GONE: Final = "the {0} structure set is gone, or has changed since it was compared"


@dataclass(frozen=True, eq=False)
class PicturedPair:
    """The images of a pair and the contours of its structures; pictures are drawn on request."""

    scene: "Scene"
    changed: int  # images that differ from those that were sent
    record: PairRecord
    every: Mapping[int, _Contours]  # by place in the record
    colors: Mapping[str, "Color"]  # by name, of the delivered structures
    drawn: dict[int, dict[Plane, bytes]] = field(default_factory=dict)

    @cached_property
    def contours(self) -> Mapping[int, _Contours]:
        """The contours of structures with a difference to see, by place in the record."""
        listed = self.record.structures
        return {n: both for n, both in self.every.items() if listed[n].outcome in PICTURED}

    @cached_property
    def scenes(self) -> "tuple[Scene, Scene]":
        """The delivered and the clinical structures; their numbers are places in the record."""
        from drawcli.core.pictures.difference import paired_scenes

        looks = {
            number: (one.name, self.colors.get(one.name))
            for number, one in enumerate(self.record.structures)
        }
        return paired_scenes(self.scene, self.every, looks)

    def worst(self, number: int) -> "Floats | None":
        """Return a point in the largest difference of a structure, mm; None without contours."""
        from drawcli.core.pictures.difference import worst_place

        both = self.every[number]
        return worst_place(self.scene, both) if any(both) else None

    def picture(self, number: int, plane: Plane) -> bytes:
        """Return a picture through the largest difference of a structure as PNG.

        Raises
        ------
        UsageError
            If there is none.
        """
        from drawcli.core.pictures.difference import difference_pictures
        from drawcli.pipeline.preview import as_png

        if number not in self.contours:
            raise UsageError(f"structure {number} has no pictures")
        if number not in self.drawn:
            pictures = difference_pictures(self.scene, self.contours[number])
            self.drawn[number] = {at: as_png(image) for at, image in pictures}
        return self.drawn[number][plane]


class Differences:
    """The pictures of the pair that was viewed last."""

    def __init__(self, site: SiteReader, volumes: Volumes) -> None:
        self._site = site
        self._volumes = volumes
        self._lock = Lock()  # one picture is drawn at a time

    def can_show(self, record: PairRecord) -> bool:
        """Return whether a pair has differences, and its files may still be here."""
        has_folder = self._site.ctx.work.has_folder(record.job)
        return has_folder and any(one.outcome in PICTURED for one in record.structures)

    def use(self, record: PairRecord) -> AbstractContextManager[PicturedPair]:
        """Return the pictures of a pair, which stay in memory while they are used.

        Raises
        ------
        UsageError
            If one of the two files is gone or has changed.
        ConfigError
            If packages that draw are not installed.
        JobError
            If images or contours cannot be read.
        """
        key = ("pair", record.job, record.a_sha256, record.b_sha256)
        job = self._site.job(record.job)
        return self._volumes.use(key, lambda: _read(job, record, self._site.ctx))

    def picture(self, record: PairRecord, number: int, plane: Plane) -> bytes:
        """Return a picture as PNG."""
        with self.use(record) as pair, self._lock:
            return pair.picture(number, plane)


def _read(job: Job, record: PairRecord, ctx: Context) -> PicturedPair:
    from drawcli.pipeline.preview import check_packages, scene_without_structures
    from drawcli.pipeline.preview_pixels import read_images_of

    check_packages()
    delivered, clinical = _files(job, record, ctx)
    contours = _contours(record, delivered, clinical, ctx)
    images = read_images_of(ctx.crosswalk(job).files)
    colors = {look.name: look.color for look in read_display(delivered.header).values()}
    scene = scene_without_structures(images)
    return PicturedPair(scene, images.changed, record, contours, colors)


def _files(
    job: Job, record: PairRecord, ctx: Context
) -> tuple["StructureSetBytes", "StructureSetBytes"]:
    """Return the two files as they were compared."""
    from drawcli.operations.qa.clinical.delivered_set import read_delivered
    from drawcli.operations.qa.clinical.found_files import found_files

    hint = "'drawcli qa scan' compares the present files."
    if not ctx.work.has_folder(job.id):
        raise UsageError(
            f"the work folder of job {job.id} is gone",
            hint="It is removed after deliver.keep_days; the figures stay.",
        )
    delivered = read_delivered(job, ctx.crosswalk(job), ctx)
    if delivered is None or delivered.sha256 != record.a_sha256:
        raise UsageError(_GONE.format("delivered"), hint=hint)
    clinical = _whole(path for path, _ in found_files(job, record, ctx))
    found = next((one for one in clinical if one.sha256 == record.b_sha256), None)
    if found is None:
        raise UsageError(_GONE.format("clinical"), hint=hint)
    return delivered, found


def _whole(paths: Iterable[Path]) -> Iterator["StructureSetBytes"]:
    from drawcli.operations.qa.clinical.structure_files import Unreadable, read_whole

    for path in paths:
        with suppress(Unreadable):
            yield read_whole(path)


def _contours(
    record: PairRecord, delivered: "StructureSetBytes", clinical: "StructureSetBytes", ctx: Context
) -> dict[int, _Contours]:
    """Return the contours of each structure of a record, by its place."""
    from drawcli.core.qa.comparison import CompareOptions, compare_structure_sets
    from drawcli.core.qa.structures import read_rois

    qa = ctx.settings.qa
    options = CompareOptions(
        tau_mm=qa.tau_mm, tau_of=qa.tau, aliases=qa.aliases, with_distances=False
    )
    compared = compare_structure_sets(
        read_rois(delivered.header), read_rois(clinical.header), options
    )
    fresh = {
        (one.name, one.outcome): contours
        for one, contours in zip(compared.structures, compared.contours, strict=True)
    }
    return {
        place: fresh[one.name, one.outcome]
        for place, one in enumerate(record.structures)
        if (one.name, one.outcome) in fresh
    }
