"""The contours of a job on its images: drawn by `previewing`, kept while somebody looks at them."""

from collections import OrderedDict
from importlib import import_module
from threading import Lock
from types import ModuleType
from typing import Any, Final

from drawcli.core.job import Job
from drawcli.dashboard.site import Site
from drawcli.errors import UsageError

WIDTHS: Final = (480, 720, 1080)  # pixels
PLANES: Final = ("axial", "coronal", "sagittal")
_KEPT: Final = 2  # jobs whose images are in memory
_MODULE: Final = "drawcli.previewing"


class Previews:
    """The pictures of the jobs that were looked at last."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = Lock()  # images of one job at a time are read
        self._kept: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def can_show(self, job: Job) -> bool:
        """Tell whether there is something to draw, and something that draws it."""
        module = _drawer()
        return module is not None and bool(module.has_structure_set(job, self._site.ctx))

    def of(self, job: Job) -> Any:
        """Return the preview of a job.

        Raises
        ------
        UsageError
            Where nothing draws here, or no structure set has come.
        """
        module = _drawer()
        if module is None:
            raise UsageError("this drawcli has no preview")
        key = (job.id, job.revision)
        with self._lock:
            if key not in self._kept:
                while len(self._kept) >= _KEPT:
                    self._kept.popitem(last=False)
                self._kept[key] = module.preview_of(job, self._site.ctx)
            self._kept.move_to_end(key)
            return self._kept[key]

    def picture(self, job: Job, plane: str, index: int, width: int) -> bytes:
        """Return one picture, a PNG."""
        preview = self.of(job)
        return bytes(preview.picture(plane_named(plane), index, width=width))


def plane_named(name: str) -> Any:
    """Return a plane of `previewing` by its name."""
    if name not in PLANES:
        raise UsageError(f"there is no plane '{name}'", hint=f"Planes: {', '.join(PLANES)}.")
    return import_module("drawcli.pictures.frame").Plane(name)


def _drawer() -> ModuleType | None:
    """Return what draws; None where this drawcli has nothing of the kind."""
    try:
        return import_module(_MODULE)
    except ModuleNotFoundError:
        return None
