"""Previews of contours on images, cached in memory."""

from collections import OrderedDict
from threading import Lock
from typing import Final

from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.dashboard.snapshot import SiteReader
from drawcli.errors import UsageError
from drawcli.pipeline.preview import Preview, has_structure_set, preview_of

WIDTHS: Final = (480, 720, 1080)  # pixels
_KEPT: Final = 2  # jobs whose images are in memory


class Previews:
    """The previews of the jobs that were viewed last."""

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()  # one job's images are read at a time
        self._kept: OrderedDict[tuple[str, int], Preview] = OrderedDict()

    def can_show(self, job: Job) -> bool:
        """Return whether the structure set of a job is here."""
        return has_structure_set(job, self._site.ctx)

    def of(self, job: Job) -> Preview:
        """Return the preview of a job.

        Raises
        ------
        UsageError
            Where it has no structure set yet.
        ConfigError
            Where the drawing packages are not installed.
        """
        key = (job.id, job.revision)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= _KEPT:
                    self._kept.popitem(last=False)
                self._kept[key] = preview_of(job, self._site.ctx)
            self._kept.move_to_end(key)
            return self._kept[key]

    def picture(self, job: Job, plane: str, index: int, width: int) -> bytes:
        """Return a picture as PNG."""
        return self.of(job).picture(parse_plane(plane), index, width=width)


def parse_plane(name: str) -> Plane:
    """Return a plane by its name."""
    try:
        return Plane(name)
    except ValueError:
        hint = f"Planes: {', '.join(Plane)}."
        raise UsageError(f"there is no plane '{name}'", hint=hint) from None
