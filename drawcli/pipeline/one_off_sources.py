"""Sources of one-off jobs: folders, images and zips from any path.

Only the images of a zip are written, into the work folder of their job.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

from drawcli.adapters.datastore.walk import Walk, read_datastore, read_images
from drawcli.adapters.datastore.zips import Bounds, Zip, is_zip
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.image_file import File, read_stream
from drawcli.core.series.same_image import is_same_image
from drawcli.errors import OutOfReach, SeriesRefused
from drawcli.pipeline.context import Context
from drawcli.system.failures import raise_shortage
from drawcli.system.files import report_disk_full
from drawcli.system.platforms import fsync_folder

if TYPE_CHECKING:
    from drawcli.core.dicom.instance import Slice

_GIB: Final = 1 << 30


class Sources:
    """The image files at some paths, also those in zips.

    Parameters
    ----------
    paths
        Folders, images and zips.
    ctx
        The site.
    opened
        Closes the zips.

    Raises
    ------
    OutOfReach
        If a path cannot be read; the message gives its number.
    SeriesRefused
        If a zip is damaged, unsafe or too large.
    """

    def __init__(self, paths: Sequence[Path], ctx: Context, opened: ExitStack) -> None:
        self.walk = Walk()
        self._zips: dict[str, Zip] = {}  # by the paths of their members
        self._bounds = Bounds(most_bytes=ctx.settings.scan.max_series_gib * _GIB)
        for number, path in enumerate(paths, start=1):
            try:
                self._take(path, opened)
            except (OSError, OutOfReach):
                raise OutOfReach(
                    f"PATH {number} of {len(paths)} cannot be read",
                    hint="Check that the medium is connected and readable.",
                ) from None

    def _take(self, path: Path, opened: ExitStack) -> None:
        if path.is_dir():
            self.walk.add(read_datastore([path]))
        elif is_zip(path):
            self._read(opened.enter_context(Zip.opened(path, self._bounds)))
        else:
            self.walk.add(read_images([path]))

    def _read(self, archive: Zip) -> None:
        """Read the header of each member."""
        for path, info in archive.members.items():
            file = File("", info.file_size, 0, 0)
            found: Slice | str = "empty-file"
            try:
                if info.file_size:
                    with archive.reading(path) as stream:
                        found = read_stream(stream, path, file)
            except SeriesRefused:
                found = "unreadable-file"
            self.walk.take(str(Path(path).parent), found)
            self._zips[path] = archive

    def is_same(self, one: str, other: str) -> bool:
        """Return whether two files contain the same image."""
        try:
            with self._reading(one) as first, self._reading(other) as second:
                return is_same_image(first, second)
        except (OSError, SeriesRefused) as err:
            raise_shortage(err)
            return False

    def _reading(self, path: str) -> AbstractContextManager[IO[bytes]]:
        archive = self._zips.get(path)
        return Path(path).open("rb") if archive is None else archive.reading(path)

    def bring(self, job_id: str, ctx: Context) -> Callable[[Crosswalk], Crosswalk]:
        """Return a function that unpacks a series from zips into the work folder of a job.

        The caller holds the job's lock. The files are durable on return; after a failure none is
        left.
        """

        def unpacked(crosswalk: Crosswalk) -> Crosswalk:
            packed = [file.size for file in crosswalk.files if file.path in self._zips]
            if not packed:
                return crosswalk
            ctx.work.check_space(sum(packed))
            try:
                files = self._unpacked(crosswalk.files, ctx.work.unpacked(job_id))
            except BaseException:
                ctx.work.remove_unpacked(job_id)
                raise
            return crosswalk._replace(files=files)

        return unpacked

    def _unpacked(self, files: Sequence[SourceFile], folder: Path) -> tuple[SourceFile, ...]:
        """Unpack the files of a series that are in zips; return all files."""
        try:
            with report_disk_full("state_dir"):
                unpacked = tuple(
                    self._unpacked_file(file, folder / f"{number:06d}.dcm")
                    for number, file in enumerate(files, start=1)
                )
                fsync_folder(folder)
        except OSError as err:
            raise OutOfReach(
                f"the zip cannot be unpacked: {err.strerror}",
                hint="Check that the medium is connected, and run the command again.",
            ) from None
        return unpacked

    def _unpacked_file(self, file: SourceFile, target: Path) -> SourceFile:
        archive = self._zips.get(file.path)
        if archive is None:
            return file
        archive.unpack(file.path, target)
        return file._replace(path=str(target), mtime_ns=target.stat().st_mtime_ns)
