"""The check of `doctor` for old studies: without a date the whole datastore may be sent."""

from drawcli.adapters.scan_index import open_index
from drawcli.adapters.scan_index.opening import FILE_NAME
from drawcli.core.jobs.job import BEFORE_UPLOAD
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.pipeline.context import Context


def old_studies(site: CheckContext) -> CheckResult:
    """Check that old studies are left alone; if not, count those that were not sent."""
    after, today = site.settings.scan.studied_after, site.now.astimezone().date()
    if after is not None:
        return CheckResult.well(f"studies before {after} are ignored")
    remedy = f"Set scan.studied_after in {site.config}: {today}"
    if site.ctx is None or not (site.settings.state_dir / FILE_NAME).exists():
        return CheckResult.warned("scan.studied_after is not set", remedy)
    older = _count_older(site.ctx, f"{today:%Y%m%d}")
    what = "1 unsent series was" if older == 1 else f"{older:,} unsent series were"
    text = f"scan.studied_after is not set: {what} studied before today"
    return CheckResult.warned(text, remedy)


def _count_older(ctx: Context, day: str) -> int:
    """Return how many series of the last scan were studied before a day and are not sent."""
    waiting = {job.series_key for job in ctx.ledger.jobs(BEFORE_UPLOAD)}
    known = {job.series_key for job in ctx.ledger.jobs()}
    known |= {entry.series_key for entry in ctx.ledger.archive.entries()}
    key, key_id = ctx.stand_ins.subkey("scan-index"), ctx.stand_ins.key_id
    with open_index(ctx.settings.state_dir, key, key_id, throwaway=True) as index:
        dates = dict(index.study_dates())
    return sum(date < day for series, date in dates.items() if series not in known - waiting)
