"""Pictures of a job: the received structures on the current images of the datastore.

Contours are placed by their coordinates and images by their own headers, so a shift or a mirrored
image is visible. The pictures name no patient, except in text burned into the pixels.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.state.workdir import PREVIEW_PAGE, PREVIEW_SHEET
from drawcli.core.dicom.header import Header
from drawcli.core.gate.acceptance import Finding, Severity
from drawcli.core.jobs.job import Job
from drawcli.core.pictures.frame import Plane
from drawcli.core.rtstruct.contours import contours_of, points_of
from drawcli.core.rtstruct.displayed import read_display
from drawcli.errors import DrawcliError, UsageError
from drawcli.pipeline.context import Context
from drawcli.pipeline.results import findings_of, has_structure_set, structure_set_of
from drawcli.system.packages import not_installed

if TYPE_CHECKING:
    from PIL import Image

    from drawcli.core.pictures.frame import CoordinateFrame, Floats
    from drawcli.core.pictures.outlines import Outlines
    from drawcli.core.pictures.scene import Scene
    from drawcli.core.pictures.sheet import Caption
    from drawcli.core.pictures.terminal import Protocol
    from drawcli.pipeline.preview_pixels import Images

__all__ = [
    "Plane",
    "Preview",
    "StructureRow",
    "as_png",
    "check_packages",
    "draw_preview",
    "has_structure_set",
    "preview_of",
    "scene_of",
    "store_preview",
]

Step = Callable[[Job, Context], Job]

_log = logging.getLogger(__name__)
_PACKAGES: Final = ("contourpy", "numpy", "PIL")
_WIDEST: Final = 4096  # pixels


@dataclass(frozen=True, slots=True, kw_only=True)
class StructureRow:
    """A structure of a preview."""

    number: int  # ROINumber (3006,0022)
    name: str  # ROIName (3006,0026)
    color: str  # ROIDisplayColor (3006,002A) as #rrggbb
    volume_cm3: float
    slices: int  # with contours


@dataclass(frozen=True, eq=False)
class Preview:
    """The pictures of a job; each is drawn, and the file is checked, on request."""

    scene: "Scene"
    changed: int  # images that differ from those that were sent
    captioned: "Callable[[], Caption]"

    @cached_property
    def caption(self) -> "Caption":
        """The text of the pictures, with the findings."""
        return self.captioned()

    @cached_property
    def structures(self) -> tuple[StructureRow, ...]:
        """The structures in the order of the file."""
        return tuple(_shown(drawn, self.scene) for drawn in self.scene.structures)

    @property
    def warnings(self) -> tuple[Finding, ...]:
        """The findings of acceptance gate and verification."""
        return tuple(self.caption.findings)

    def count(self, plane: Plane) -> int:
        """Return the number of pictures in a plane."""
        return len(self.scene.stack.positions(plane))

    def best_picture(self, plane: Plane, structure: int | None = None) -> int:
        """Return the index of the picture that shows most of a structure, given by ROI number.

        Without a structure, or if it has no contours, it is the middle picture.
        """
        found = next((drawn for drawn in self.scene.structures if drawn.number == structure), None)
        return self.scene.best_picture(plane, found)

    def picture(self, plane: Plane, index: int, *, width: int) -> bytes:
        """Return a picture of a plane with all outlines as PNG, `width` pixels wide.

        Raises
        ------
        UsageError
            If there is no such picture.
        """
        from drawcli.core.pictures.painting import View, paint_view

        if not 0 <= index < self.count(plane) or not 1 <= width <= _WIDEST:
            raise UsageError(f"there is no {plane} picture {index} that is {width} pixels wide")
        region = self.scene.whole_region(plane)
        return as_png(
            paint_view(self.scene, View(plane=plane, index=index, region=region, width=width))
        )

    @cached_property
    def _sheet(self) -> "Image.Image":
        from drawcli.core.pictures.sheet import contact_sheet

        return contact_sheet(self.scene, self.caption)

    def sheet(self) -> bytes:
        """Return the contact sheet as PNG."""
        return as_png(self._sheet)

    def for_terminal(self, protocol: "Protocol", columns: int) -> str:
        """Return the text that shows the contact sheet in a terminal `columns` wide."""
        from drawcli.core.pictures.terminal import encode_picture

        return encode_picture(self._sheet, protocol, columns)

    def page(self) -> bytes:
        """Return all pictures as an HTML file."""
        from drawcli.core.pictures.page import render_page

        return render_page(self.scene, self.caption).encode("utf-8")


def preview_of(job: Job, ctx: Context) -> Preview:
    """Return the pictures of a job, with its delivered structure set or the one to be delivered.

    Raises
    ------
    UsageError
        If no structure set of the job was received, or its work folder is gone.
    ConfigError
        If packages that draw, or that decode the images, are not installed.
    JobError
        If structure set or images cannot be read.
    """
    check_packages()
    from drawcli.pipeline.preview_pixels import read_images_of

    _check_came(job, ctx)
    crosswalk = ctx.crosswalk(job)
    header, origin = structure_set_of(job, crosswalk, ctx)
    images = read_images_of(crosswalk.files, ctx.progress.count_items)
    scene = scene_of(header, images)

    def captioned() -> "Caption":
        findings = [*findings_of(job, crosswalk, ctx), *_changed(images.changed)]
        return _caption(job, origin, scene, findings)

    return Preview(scene, images.changed, captioned)


def scene_of(header: Header, images: "Images") -> "Scene":
    """Return the structures of an RTSTRUCT on images, both at their own coordinates."""
    bare = scene_without_structures(images)
    return replace(bare, structures=_outlined(header, images.stack.frame))


def scene_without_structures(images: "Images") -> "Scene":
    """Return images in the usual window of their modality."""
    from drawcli.core.pictures.scene import Scene
    from drawcli.core.pictures.windows import Window

    window = Window.of(images.stack, images.modality)
    return Scene(images.stack, (), images.modality, window.inverted() if images.inverse else window)


def draw_preview(job: Job, ctx: Context, attempt: Callable[[Job, Step], Job]) -> None:
    """Store the preview of a job that was just held or delivered, if the settings require it.

    Parameters
    ----------
    job, ctx
        The job as in the ledger; its lock is held.
    attempt
        Runs a step and returns the resulting job, as the pipeline does. A failure here, even a
        bug, is only logged and does not change the job.
    """
    wanted = ctx.settings.preview
    outdated = ctx.work.file(job.id, PREVIEW_SHEET).exists()  # drawn before the release
    if wanted == "never" or not (job.held or outdated or wanted == "always"):
        return
    try:
        code = attempt(job, _draw).reason_code
    except DrawcliError as err:
        code = err.code
    if code != job.reason_code:
        _log.warning("job=%s no preview: code=%s", job.id, code)


def _draw(job: Job, ctx: Context) -> Job:
    """Store the preview if a structure set was received."""
    if has_structure_set(job, ctx):
        store_preview(preview_of(job, ctx), job, ctx)
    return job


def store_preview(preview: Preview, job: Job, ctx: Context) -> list[Path]:
    """Write sheet and page to the work folder of a job; they are removed with it."""
    files = {PREVIEW_SHEET: preview.sheet(), PREVIEW_PAGE: preview.page()}
    for name, data in files.items():
        ctx.work.write(job.id, name, data)
    return [ctx.work.file(job.id, name) for name in files]


def check_packages() -> None:
    """Raise ConfigError if packages that draw are not installed."""
    try:
        for name in _PACKAGES:
            import_module(name)
    except ImportError:
        raise not_installed("a picture", "preview", code="preview-packages") from None


def _check_came(job: Job, ctx: Context) -> None:
    if not ctx.work.has_folder(job.id):
        raise UsageError(
            f"the work folder of job {job.id} is gone",
            hint="It is removed after deliver.keep_days.",
        )
    if not has_structure_set(job, ctx):
        raise UsageError(
            f"job {job.id} is {job.state}: no structure set was received yet",
            hint=f"'drawcli show {job.id}' shows what it waits for.",
        )


def _outlined(header: Header, frame: "CoordinateFrame") -> "list[Outlines]":
    from drawcli.core.pictures.outlines import Outlines

    looks = read_display(header)
    points: dict[int, list[Floats]] = {number: [] for number in looks}
    for contour in contours_of(header):
        if contour.roi in points:
            points[contour.roi].append(points_of(contour))
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


def _caption(job: Job, origin: str, scene: "Scene", findings: list[Finding]) -> "Caption":
    from drawcli.core.pictures.sheet import Caption

    slices = f"{scene.modality}, {len(scene.stack.levels)} slices"
    facts = [job.template or "", slices, origin, str(job.state)]
    return Caption(
        title=f"drawcli preview, job {job.id}",
        facts=" · ".join(fact for fact in facts if fact),
        findings=findings,
    )


def _changed(count: int) -> list[Finding]:
    if not count:
        return []
    text = f"{count} images changed after they were sent: contours may not fit"
    return [Finding(Severity.BLOCK, "source-changed", text)]


def as_png(image: "Image.Image") -> bytes:
    """Return a picture as PNG without metadata."""
    from drawcli.core.pictures.png import encode_png

    return encode_png(image)
