"""Series that are pulled from an archive: which instances it has named, and whether all came."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.adapters.scan_index import ScanIndex
from drawcli.adapters.state.pull_records import PullRecords, read_records
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.readiness import PullProgress
from drawcli.errors import ConfigError
from drawcli.pipeline.context import Context

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_log = logging.getLogger(__name__)
INSTANCE: Final = "pull-instance"  # purpose of the digests of instances
_LAST_CHANGE: Final = "pulled"  # fact of the scan index


class PulledIndex:
    """The records of pulled series, as they were when the survey began.

    Parameters
    ----------
    records
        Of the site; None if nothing was ever pulled, or they are damaged.
    keys
        The present site key and those before it.
    folders
        In which a series without a record is not known to be complete.
    """

    def __init__(
        self, records: PullRecords | None, keys: Sequence[StandIns], folders: frozenset[Path]
    ) -> None:
        self._records = records
        self._keys = keys
        self._folders = folders
        self._last = 0  # the last change that this survey knows

    def mark_changed(self, index: ScanIndex) -> None:
        """Let series be judged again whose records have changed since the last survey."""
        if self._records is None:
            return
        file, _, number = (index.fact(_LAST_CHANGE) or "").rpartition(" ")
        is_same = file == self._records.identity
        changed, self._last = self._records.changed_since(int(number) if is_same else 0)
        index.mark_stale(changed)
        index.set_fact(_LAST_CHANGE, f"{self._records.identity} {self._last}")

    def progress(self, files: Sequence[Slice]) -> PullProgress:
        """Return how much of the series of some files has come."""
        for key in self._keys if self._records is not None and files else ():
            series = key.series_key(files[0].series_uid)
            expected = self._records.expected(series) if self._records else frozenset[str]()
            if expected:
                here = {key.digest(INSTANCE, file.sop_uid) for file in files}
                return PullProgress(len(expected), len(expected - here), self.is_whole(series))
        unrecorded = bool(self._folders) and self._has_pulled(files)
        return PullProgress(0, 0, is_whole=False, is_unrecorded=unrecorded)

    def is_whole(self, series_key: str) -> bool:
        """Return whether everything of a series has come, and the archive has no more."""
        if self._records is None:
            return False
        record = self._records.get(series_key)
        return record is not None and record.whole and record.changed <= self._last

    def _has_pulled(self, files: Sequence[Slice]) -> bool:
        """Return whether a file is where a pull writes it: FOLDER/SERIES/INSTANCE.dcm."""
        places = {Path(file.path).parent for file in files}
        return any(
            place.name == files[0].series_uid and place.parent.resolve() in self._folders
            for place in places
        )


@contextmanager
def open_pulled(ctx: Context) -> Iterator[PulledIndex]:
    """Open the records of the series that a site pulls; damaged ones stop the pull only."""
    settings, keys = ctx.settings, (ctx.stand_ins, *ctx.retired)
    with ExitStack() as open_:
        try:
            records = open_.enter_context(read_records(settings.state_dir))
        except ConfigError as err:
            _log.warning("step=scan records=pull code=%s", err.code)
            folders = _written(settings) | _received(settings)
            yield PulledIndex(None, keys, folders)
            return
        yield PulledIndex(records, keys, _written(settings))


def _written(settings: "Settings") -> frozenset[Path]:
    """Return the folders in which all series are pulled."""
    folders = (source.folder for source in settings.pull.sources)
    return frozenset(folder.resolve() for folder in folders if folder is not None)


def _received(settings: "Settings") -> frozenset[Path]:
    """Return the folder of `receive` if series may be in it that are pulled by C-MOVE."""
    folder, sources = settings.receive.folder, settings.pull.sources
    moves = folder is not None and any(source.by == "move" for source in sources)
    return frozenset([folder.resolve()]) if folder is not None and moves else frozenset()
