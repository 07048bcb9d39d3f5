"""The survey of a site's datastore."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final, NamedTuple

from drawcli.adapters.datastore.patterns import Globs
from drawcli.adapters.scan_index import ScanIndex, open_index
from drawcli.config.sections import Scan
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.series.image_file import UNREAD
from drawcli.errors import OutOfReach
from drawcli.pipeline.context import Context
from drawcli.pipeline.survey.folder_settings import FolderSettings
from drawcli.pipeline.survey.judge import Judge, SeriesSnapshot
from drawcli.pipeline.survey.pulled import open_pulled
from drawcli.pipeline.survey.unread_folders import FolderSnapshot, unread_folders
from drawcli.pipeline.survey.update import HOUR_NS, Update, WalkOptions
from drawcli.pipeline.survey.watchdog import end_when_silent
from drawcli.system.limits import SHARE_ANSWERS

_SETTINGS: Final = "settings"
# How often and how fast folders are listed; no verdict depends on it.
_NO_CRITERIA: Final = ("full_walk_hours", "workers", "answer_seconds")


class Survey(NamedTuple):
    """The series and folders that a scan has found."""

    series: Iterator[SeriesSnapshot]
    unread: list[FolderSnapshot]  # folders in which something cannot be read
    passed_over: Counter[str]  # files, and folders that could not be listed, by reason
    rebuilt: str  # why the scan index was rebuilt, or ""
    folders_missing: list[str]  # of the settings, that do not exist
    lost: list[OutOfReach]  # folders of the datastore that are missing or do not answer


def _silent(_files: int) -> None:
    """Ignore progress."""


@contextmanager
def open_survey(
    ctx: Context, *, throwaway: bool = False, tell: Callable[[int], None] = _silent
) -> Iterator[Survey]:
    """Bring the scan index up to date with the datastore; return the survey.

    Parameters
    ----------
    ctx
        The site.
    throwaway
        Whether nothing is written: for a dry run.
    tell
        Called with the number of files that were read so far.

    Raises
    ------
    AnotherRun
        If another process reads the datastore.
    IndexBroken
        If the index is damaged; it is removed, and the next attempt rebuilds it.
    """
    wanted = ctx.settings.scan
    key = ctx.stand_ins.subkey("scan-index")
    state_dir, key_id = ctx.settings.state_dir, ctx.stand_ins.key_id
    with (
        open_pulled(ctx) as pulled,
        open_index(state_dir, key, key_id, throwaway=throwaway) as index,
    ):
        began = _nanoseconds(ctx.now())
        _note_settings(index, wanted, ctx)
        with end_when_silent(SHARE_ANSWERS * wanted.answer_seconds) as heard:
            update = Update(index, _options(wanted), lambda: _nanoseconds(ctx.now()), tell, heard)
            update.run(ctx.settings.datastore)
            wishes = FolderSettings(wanted, ctx.settings.datastore)
            judge = Judge(
                index=index, wishes=wishes, pulled=pulled, known_under=_Known(ctx).stand_ins
            )
            index.begin()
            pulled.mark_changed(index)
            index.limit_times(_nanoseconds(ctx.now()), UNREAD)
            index.commit()
            heard()
            judge.judge_stale(heard)  # copies are read to the end
        yield Survey(
            series=judge.seen(began, update.unlistable),
            unread=list(unread_folders(index, judge, update.unlisted, began)),
            passed_over=index.passed_over() + update.passed_over,
            rebuilt=index.rebuilt,
            folders_missing=wishes.missing,
            lost=update.lost,
        )


class _Known:
    """Finds the site key of each series."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._keys = {job.series_key for job in ctx.ledger.jobs()} if ctx.retired else set()

    def stand_ins(self, uid: str) -> StandIns:
        """Return the stand-ins under which a series has jobs, or those of the current key.

        A series that was sent under a retired key must not be sent again under another.
        """
        for stand_ins in self._ctx.retired:
            key = stand_ins.series_key(uid)
            if key in self._keys or self._ctx.ledger.archive.of_series(key):
                return stand_ins
        return self._ctx.stand_ins


def _note_settings(index: ScanIndex, wanted: Scan, ctx: Context) -> None:
    """List every folder and judge every series again if the criteria have changed."""
    usual = Scan()
    criteria = wanted.replace(**{name: getattr(usual, name) for name in _NO_CRITERIA})
    words = ctx.stand_ins.digest("scan-settings", criteria.as_json())
    if index.fact(_SETTINGS) != words:
        index.begin()
        index.forget_listings()
        index.mark_all_stale()
        index.set_fact(_SETTINGS, words)
        index.commit()


def _options(wanted: Scan) -> WalkOptions:
    quiet = max(one.quiet_minutes for one in (wanted, *map(wanted.in_folder, wanted.folders)))
    return WalkOptions(
        globs=Globs(tuple(wanted.include), tuple(wanted.exclude)),
        full_walk_ns=wanted.full_walk_hours * HOUR_NS,
        calm_ns=max(HOUR_NS, 2 * quiet * 60 * 10**9),
        workers=wanted.workers,
        answer_seconds=wanted.answer_seconds,
    )


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e6) * 1000
