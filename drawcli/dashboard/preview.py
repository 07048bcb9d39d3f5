"""The contours of a job on its images, kept in memory while somebody looks at them."""

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
    """The pictures of the jobs that were looked at last."""

    def __init__(self, site: SiteReader) -> None:
        self._site = site
        self._lock = Lock()  # images of one job at a time are read
        self._kept: OrderedDict[tuple[str, int], Preview] = OrderedDict()

    def can_show(self, job: Job) -> bool:
        """Tell whether there is something to draw."""
        return has_structure_set(job, self._site.ctx)

    def of(self, job: Job) -> Preview:
        """Return the preview of a job.

        Raises
        ------
        UsageError
            Where no structure set of it has come.
        ConfigError
            Where the packages that draw are not installed.
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
        """Return one picture, a PNG."""
        return self.of(job).picture(plane_named(plane), index, width=width)


def plane_named(name: str) -> Plane:
    """Return a plane by its name."""
    try:
        return Plane(name)
    except ValueError:
        hint = f"Planes: {', '.join(Plane)}."
        raise UsageError(f"there is no plane '{name}'", hint=hint) from None
