"""Series that are pulled from an archive: which instances it has named, and whether all came."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from drawcli.adapters.scan_index import ScanIndex
from drawcli.adapters.state.pull_records import PullRecords, read_records
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.instance import Slice
from drawcli.core.series.readiness import PullProgress
from drawcli.pipeline.context import Context

INSTANCE: Final = "pull-instance"  # purpose of the digests of instances
_LAST_CHANGE: Final = "pulled"  # fact of the scan index


class PulledIndex:
    """The records of pulled series, as they were when the survey began.

    Parameters
    ----------
    records
        Of the site; None if nothing was ever pulled.
    keys
        The present site key and those before it.
    """

    def __init__(self, records: PullRecords | None, keys: Sequence[StandIns]) -> None:
        self._records = records
        self._keys = keys
        self._last = 0  # the last change that this survey knows

    def mark_changed(self, index: ScanIndex) -> None:
        """Let series be judged again whose records have changed since the last survey."""
        if self._records is None:
            return
        changed, self._last = self._records.changed_since(int(index.fact(_LAST_CHANGE) or 0))
        index.mark_stale(changed)
        index.set_fact(_LAST_CHANGE, str(self._last))

    def progress(self, files: Sequence[Slice]) -> PullProgress:
        """Return how much of the series of some files has come."""
        for key in self._keys if self._records is not None and files else ():
            series = key.series_key(files[0].series_uid)
            expected = self._records.expected(series) if self._records else frozenset[str]()
            if expected:
                here = {key.digest(INSTANCE, file.sop_uid) for file in files}
                return PullProgress(len(expected), len(expected - here), self.is_whole(series))
        return PullProgress(0, 0, is_whole=False)

    def is_whole(self, series_key: str) -> bool:
        """Return whether everything of a series has come, and the archive has no more."""
        if self._records is None:
            return False
        record = self._records.get(series_key)
        return record is not None and record.whole and record.changed <= self._last


@contextmanager
def open_pulled(ctx: Context) -> Iterator[PulledIndex]:
    """Open the records of the series that a site pulls."""
    with read_records(ctx.settings.state_dir) as records:
        yield PulledIndex(records, (ctx.stand_ins, *ctx.retired))
