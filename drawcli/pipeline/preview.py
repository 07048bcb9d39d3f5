"""Pictures of a job: the structures that came, drawn on the images as they lie in the datastore.

Contours are drawn where their numbers say, images where their own headers say: a shift or a mirror
image between them is seen. Nothing here names a patient but what a scanner burned into pixels.
"""

import io
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.state.workdir import PREVIEW_PAGE, PREVIEW_SHEET
from drawcli.core.dicom.header import Header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.rtstruct.contours import contours_of
from drawcli.core.rtstruct.displayed import read_display
from drawcli.errors import ConfigError, DrawcliError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import findings_of, has_structure_set, structure_set_of

if TYPE_CHECKING:
    from PIL import Image

    from drawcli.core.dicom.geometry import Triple
    from drawcli.core.pictures.frame import CoordinateFrame
    from drawcli.core.pictures.outlines import Outlines
    from drawcli.core.pictures.scene import Scene
    from drawcli.core.pictures.sheet import Caption
    from drawcli.core.pictures.terminal import Protocol
    from drawcli.pipeline.preview_pixels import Images

__all__ = [
    "Plane",
    "Preview",
    "StructureRow",
    "draw_preview",
    "has_structure_set",
    "preview_of",
    "scene_of",
    "store_preview",
]

Step = Callable[[Job, Context], Job]

_log = logging.getLogger(__name__)
_QUICK: Final = 3  # of zlib: noise does not get smaller by trying harder
_PACKAGES: Final = ("contourpy", "numpy", "PIL")
_WIDEST: Final = 4096  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRow:
    """One structure of a preview."""

    number: int  # ROINumber (3006,0022)
    name: str  # ROIName (3006,0026)
    color: str  # ROIDisplayColor (3006,002A) as #rrggbb
    volume_cm3: float
    slices: int  # with contours


@dataclass(frozen=True, eq=False)
class Preview:
    """The pictures of one job; each is drawn when it is asked for."""

    scene: "Scene"
    caption: "Caption"
    structures: tuple[StructureRow, ...]

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """What acceptance gate and verification say: codes and sentences."""
        return tuple(self.caption.findings)

    def count(self, plane: Plane) -> int:
        """Return how many pictures there are in a plane."""
        return len(self.scene.stack.positions(plane))

    def best_picture(self, plane: Plane, structure: int | None = None) -> int:
        """Return the picture of a plane that shows most of a structure, by its number.

        Of no structure, or of one without contours: the middle of the images.
        """
        found = next((one for one in self.scene.structures if one.number == structure), None)
        return self.scene.best_picture(plane, found)

    def picture(self, plane: Plane, index: int, *, width: int) -> bytes:
        """Return one picture of a plane with all outlines in it: a PNG so many pixels wide.

        Raises
        ------
        UsageError
            Where there is no such picture.
        """
        from drawcli.core.pictures.painting import View, paint_view

        if not 0 <= index < self.count(plane) or not 1 <= width <= _WIDEST:
            raise UsageError(f"there is no {plane} picture {index} that is {width} pixels wide")
        region = self.scene.whole_region(plane)
        return _png(
            paint_view(self.scene, View(plane=plane, index=index, region=region, width=width))
        )

    @cached_property
    def _sheet(self) -> "Image.Image":
        from drawcli.core.pictures.sheet import contact_sheet

        return contact_sheet(self.scene, self.caption)

    def sheet(self) -> bytes:
        """Return the contact sheet: a PNG."""
        return _png(self._sheet)

    def for_terminal(self, protocol: "Protocol", columns: int) -> str:
        """Return what shows the contact sheet in a terminal of so many columns."""
        from drawcli.core.pictures.terminal import encode_picture

        return encode_picture(self._sheet, protocol, columns)

    def page(self) -> bytes:
        """Return everything as one HTML file."""
        from drawcli.core.pictures.page import render_page

        return render_page(self.scene, self.caption).encode("utf-8")


def preview_of(job: Job, ctx: Context) -> Preview:
    """Return the pictures of a job, from its delivered structure set or what will be delivered.

    Raises
    ------
    UsageError
        Where no structure set of the job has come, or its work folder is gone.
    ConfigError
        Where packages are missing that draw, or that decode the images.
    JobError
        Where structure set or images cannot be read.
    """
    _check_packages()
    from drawcli.pipeline.preview_pixels import read_images_of

    _check_came(job, ctx)
    crosswalk = ctx.crosswalk(job)
    header, origin = structure_set_of(job, crosswalk, ctx)
    images = read_images_of(crosswalk.files, ctx.progress.count_items)
    scene = scene_of(header, images)
    findings = [*findings_of(job, crosswalk, ctx), *_changed(images)]
    return Preview(
        scene,
        _caption(job, origin, images, findings),
        tuple(_shown(one, scene) for one in scene.structures),
    )


def scene_of(header: Header, images: "Images") -> "Scene":
    """Return the structures of an RTSTRUCT on images, each where its own millimetres say."""
    from drawcli.core.pictures.scene import Scene
    from drawcli.core.pictures.windows import Window

    stack, modality = images.stack, images.modality
    window = Window.of(stack, modality)
    structures = _outlined(header, stack.frame)
    return Scene(stack, structures, modality, window.inverted() if images.inverse else window)


def draw_preview(job: Job, ctx: Context, attempt: Callable[[Job, Step], Job]) -> None:
    """Make the preview of a job that was held or delivered just now, where the site wants one.

    Parameters
    ----------
    job, ctx
        The job as the ledger has it; its lock is held.
    attempt
        Tries a step and returns how the job would fare, as the pipeline does: what goes wrong here,
        even a bug, is logged and costs no job.
    """
    wanted = ctx.settings.preview
    outdated = ctx.work.file(job.id, PREVIEW_SHEET).exists()  # of before it was released
    if wanted == "never" or not (job.held or outdated or wanted == "always"):
        return
    try:
        code = attempt(job, _draw).reason_code
    except DrawcliError as err:
        code = err.code
    if code != job.reason_code:
        _log.warning("job=%s no preview: code=%s", job.id, code)


def _draw(job: Job, ctx: Context) -> Job:
    """Draw what came, if anything did."""
    if has_structure_set(job, ctx):
        store_preview(preview_of(job, ctx), job, ctx)
    return job


def store_preview(preview: Preview, job: Job, ctx: Context) -> list[Path]:
    """Write sheet and page into the work folder of a job; they go with it."""
    files = {PREVIEW_SHEET: preview.sheet(), PREVIEW_PAGE: preview.page()}
    for name, data in files.items():
        ctx.work.write(job.id, name, data)
    return [ctx.work.file(job.id, name) for name in files]


def _check_packages() -> None:
    try:
        for name in _PACKAGES:
            import_module(name)
    except ImportError as err:
        raise ConfigError(
            f"pictures need packages that are not installed ({err.name})",
            code="preview-packages",
            hint="Install drawcli with its extra 'preview': see docs/installing.md.",
        ) from None


def _check_came(job: Job, ctx: Context) -> None:
    if not ctx.work.has_folder(job.id):
        raise UsageError(
            f"the work folder of job {job.id} is gone",
            hint="deliver.keep_days says how long it is kept.",
        )
    if not has_structure_set(job, ctx):
        raise UsageError(
            f"job {job.id} is {job.state}: no structure set of it is here",
            hint=f"'drawcli show {job.id}' tells what it waits for.",
        )


def _outlined(header: Header, frame: "CoordinateFrame") -> "list[Outlines]":
    from drawcli.core.pictures.outlines import Outlines

    looks = read_display(header)
    points: dict[int, list[list[Triple]]] = {number: [] for number in looks}
    for contour in contours_of(header):
        if contour.roi in points:
            points[contour.roi].append(contour.points() or [])
    return [Outlines(number, look, points[number], frame) for number, look in looks.items()]


def _shown(structure: "Outlines", scene: "Scene") -> StructureRow:
    red, green, blue = structure.color
    return StructureRow(
        number=structure.number,
        name=structure.name,
        color=f"#{red:02x}{green:02x}{blue:02x}",
        volume_cm3=round(scene.volume_cm3(structure), 2),
        slices=len(structure.levels),
    )


def _caption(job: Job, origin: str, images: "Images", findings: list[Finding]) -> "Caption":
    from drawcli.core.pictures.sheet import Caption

    slices = f"{images.modality}, {len(images.stack.levels)} slices"
    facts = [job.template or "", slices, origin, str(job.state)]
    return Caption(
        title=f"drawcli preview, job {job.id}",
        facts=" · ".join(one for one in facts if one),
        findings=findings,
    )


def _changed(images: "Images") -> list[Finding]:
    if not images.changed:
        return []
    text = f"{images.changed} images are not those that were sent any more: contours may not fit"
    return [Finding(Severity.BLOCK, "source-changed", text)]


def _png(image: "Image.Image") -> bytes:
    """Return a picture as PNG: pixels, and not a word besides."""
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=_QUICK)
    return out.getvalue()
