"""Previews of contours on images, cached in memory."""

from contextlib import AbstractContextManager
from typing import Final

from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.dashboard.snapshot import SiteReader
from drawcli.dashboard.volumes import Volumes
from drawcli.errors import UsageError
from drawcli.pipeline.preview import Preview, has_structure_set, preview_of

WIDTHS: Final = (480, 720, 1080)  # pixels


class Previews:
    """The previews of the jobs that were viewed last."""

    def __init__(self, site: SiteReader, volumes: Volumes) -> None:
        self._site = site
        self._volumes = volumes

    def can_show(self, job: Job) -> bool:
        """Return whether the structure set of a job is here."""
        return has_structure_set(job, self._site.ctx)

    def use(self, job: Job) -> AbstractContextManager[Preview]:
        """Return the preview of a job, which stays in memory while it is used.

        Raises
        ------
        UsageError
            Where it has no structure set yet.
        ConfigError
            Where the drawing packages are not installed.
        """
        key = ("job", job.id, job.revision)
        return self._volumes.use(key, lambda: preview_of(job, self._site.ctx))

    def picture(self, job: Job, plane: str, index: int, width: int) -> bytes:
        """Return a picture as PNG."""
        with self.use(job) as preview:
            return preview.picture(parse_plane(plane), index, width=width)


def parse_plane(name: str) -> Plane:
    """Return a plane by its name."""
    try:
        return Plane(name)
    except ValueError:
        hint = f"Planes: {', '.join(Plane)}."
        raise UsageError(f"there is no plane '{name}'", hint=hint) from None
