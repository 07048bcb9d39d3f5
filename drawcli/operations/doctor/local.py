"""Is the site well? One small look at each thing a run needs; none of them changes anything."""

import errno
import os
import platform
import shlex
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Final

from drawcli import __version__
from drawcli.adapters.delivery.folder import check_writable, closed
from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.run_log import RunLog
from drawcli.adapters.state.site_key import read_site_key, site_key_path
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import State
from drawcli.operations.doctor.delivery import folder_of_delivery
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Grade, of_share
from drawcli.operations.ledger_check import check as ledger_troubles
from drawcli.operations.overview import RunHealth
from drawcli.pipeline.context import token_store
from drawcli.pipeline.explain import lints, template_lints
from drawcli.system.durations import ago
from drawcli.system.mounts_and_locks import holder_of, remote_disk, tells_locks
from drawcli.system.platforms import open_to_others, others_may_write

RUNS_LATE: Final = timedelta(hours=1)  # cron calls every few minutes: then somebody should look
RUNS_STOPPED: Final = timedelta(hours=24)
_NO_PROGRESS: Final = timedelta(hours=1)  # of a run that takes too long: then it hangs
_TOKEN_SOON: Final = timedelta(days=7)
_GIB: Final = 1 << 30
_LEAST_FREE: Final = _GIB  # bytes: the next package may not fit


def settings_file(site: CheckContext) -> CheckResult:
    """Look at who may change the files that a person writes."""
    settings = site.settings
    files = [site.config, settings.rules, settings.templates]
    loose = [path for path in files if path.is_file() and others_may_write(path)]
    if loose:
        names = " ".join(map(str, loose))
        return CheckResult.warned(
            f"everybody may change {names}", f"chmod o-w {shlex.join(map(str, loose))}"
        )
    return CheckResult.well(str(site.config))


def state_folder(site: CheckContext) -> CheckResult:
    """Look at the folder of ledger, keys and work folders: private, local, writable."""
    folder = site.settings.state_dir
    if kind := remote_disk(folder):
        return CheckResult.failed(
            f"{folder} lies on a network share ({kind})",
            "Locks do not hold there: choose a state_dir on a local disk.",
        )
    try:
        _check_open(folder, site)
    except OSError as err:
        return CheckResult.failed(f"{folder} {closed(err)}", f"ls -ld {_quoted(folder)}")
    if open_to_others(folder):
        return CheckResult.warned(f"{folder} is open to others", f"chmod 700 {_quoted(folder)}")
    return CheckResult.well(f"{folder}: private, on a local disk, writable")


def _check_open(folder: Path, site: CheckContext) -> None:
    """Raise OSError where a folder cannot be written: tried, or by what the system says of it."""
    if site.probes:
        check_writable(folder)
    elif not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "may not be written")


def site_key(site: CheckContext) -> CheckResult:
    """Look at the site key, without which nothing comes home."""
    folder = site.settings.state_dir
    read_site_key(folder)  # also that nobody else can read it, and that git cannot take it up
    return CheckResult.well(
        f"{site_key_path(folder)}; have you a backup of it? (drawcli key backup)"
    )


def free_space(site: CheckContext) -> CheckResult:
    """Look at the room for packages."""
    free, wanted = (
        WorkDir(site.settings.state_dir).free_bytes(),
        site.settings.deliver.keep_free_gib,
    )
    text = f"{free / _GIB:,.1f} GiB free for state_dir"
    if free < _LEAST_FREE:
        return CheckResult.failed(text, "Free some space, or run 'drawcli clean'.")
    if free < wanted * _GIB:
        return CheckResult.warned(
            f"{text}; deliver.keep_free_gib asks for {wanted:g}",
            "Free some space: work folders of finished jobs go early.",
        )
    return CheckResult.well(text)


def datastore(site: CheckContext) -> CheckResult:
    """Look at each datastore: there, readable, not empty."""
    for folder in site.settings.datastore:
        try:
            with os.scandir(folder) as entries:
                is_empty = next(entries, None) is None
        except OSError as err:
            what = "may not be read" if err.errno in (errno.EACCES, errno.EPERM) else closed(err)
            return CheckResult.failed(
                f"{folder} {what}", f"Mount it, or mend datastore in {site.config}."
            )
        if is_empty:
            return CheckResult.warned(
                f"{folder} is empty: is the share mounted?", f"ls {_quoted(folder)}"
            )
    jobs = () if site.ctx is None else site.ctx.ledger.jobs([State.WAITING])
    if unread := sum(job.of_folder and job.held for job in jobs):
        return CheckResult.warned(
            f"{unread} folders hold files that cannot be read", "drawcli quarantine"
        )
    return CheckResult.well(", ".join(map(str, site.settings.datastore)))


def run_lock(site: CheckContext) -> CheckResult:
    """Look at who holds the lock of a run, and for how long."""
    work = WorkDir(site.settings.state_dir)
    holder, runner = holder_of(work.run_lock_file), work.run_owner()
    if holder is None:
        untold = "this system does not tell whether a run is at work"
        return CheckResult.well("no run at this moment" if tells_locks() else untold)
    since = "" if runner is None else f" for {ago(site.now - runner.since)}"
    text = f"a run is at work: process {holder.pid}{since}"
    pulse = RunHealth.of(site.settings.state_dir, site.settings.notify.run_hours)
    if not pulse.is_overdue(site.now):
        return CheckResult.well(text)
    moved = datetime.fromtimestamp(pulse.standing.at, UTC) if pulse.standing else None
    if moved is not None and site.now - moved < _NO_PROGRESS:
        return CheckResult.warned(f"{text}; it is at {pulse.standing}", "drawcli status --watch")
    where = f" at {pulse.standing}" if pulse.standing else ""
    return CheckResult.failed(
        f"{text}{where}; it may hang, no other can begin", f"kill -9 {holder.pid}"
    )


def ledger(site: CheckContext) -> CheckResult:
    """Hold the ledger against work folders, vaults and archive."""
    if site.ctx is None:
        return CheckResult.of_error(site.closed or LookupError())
    found = ledger_troubles(site.ctx)
    jobs, archived = site.ctx.ledger.jobs(), len(site.ctx.ledger.archive)
    if found:
        return CheckResult.warned(f"{len(found)} things are not as it says", "drawcli ledger check")
    return CheckResult.well(f"{len(jobs):,} jobs, {archived:,} in the archive: all as it says")


def held_jobs(site: CheckContext) -> CheckResult:
    """Count the jobs that wait for a person."""
    if site.ctx is None:
        return CheckResult.warned("not counted: the ledger cannot be opened", "Mend that first.")
    held = [job for job in site.ctx.ledger.jobs() if job.held]
    if held:
        return CheckResult.warned(f"{len(held):,} wait for a person", "drawcli quarantine")
    return CheckResult.well("none waits for a person")


def rules(site: CheckContext) -> CheckResult:
    """Read rules and templates; count what is hardly meant."""
    book = site_rulebook(site.settings)
    text = f"{len(book.rules)} rules, {len(book.templates)} templates"
    if odd := [*lints(book)]:
        return CheckResult.warned(
            f"{text}; {len(odd)} things perhaps not meant", "drawcli rules check"
        )
    if named := [*template_lints(book)]:  # a site's own choice, which no one need be told for ever
        return CheckResult.well(
            f"{text}; {len(named)} names are not of TG-263 (drawcli templates check)"
        )
    return CheckResult.well(text)


def token(site: CheckContext) -> CheckResult:
    """Look at the token pair: readable by us alone, and for how long it lasts."""
    store = token_store(site.settings)
    tokens = store.read()
    left = None if tokens.expires_at is None else tokens.expires_at - site.now
    if tokens.refresh and store.can_renew:
        folder = store.path.parent if isinstance(store, TokenFile) else None
        if folder and (trouble := _kept_from_renewing(folder, site)):
            return CheckResult.failed(
                trouble, "Let the user who runs drawcli write into that folder."
            )
        lasts = "" if left is None else f"; the access token lasts {ago(left)} more"
        return CheckResult.well(f"renews itself{lasts if left and left > timedelta() else ''}")
    remedy = "Ask the DRAW administrator for a new token pair."
    if left is None:
        return CheckResult.warned("no refresh token, and nobody knows how long it lasts", remedy)
    if left <= timedelta():
        return CheckResult.failed(f"expired {ago(-left)} ago, without a refresh token", remedy)
    text = f"lasts {ago(left)} more, without a refresh token"
    return CheckResult.warned(text, remedy) if left < _TOKEN_SOON else CheckResult.well(text)


def _kept_from_renewing(folder: Path, site: CheckContext) -> str:
    """Return why a renewed pair could not be kept: the server takes the old one only once."""
    try:
        _check_open(folder, site)
    except OSError as err:
        return f"cannot be renewed: {folder} {closed(err)}"
    return ""


def last_run(site: CheckContext) -> CheckResult:
    """Look at when cron last called; the end of the last 'run-once' decides."""
    book = RunLog(site.settings.state_dir)
    last, well = book.last(), book.last_success()
    cron = "crontab -l shows whether cron calls 'drawcli run-once'; 'drawcli init' prints the line."
    if last is None:
        return CheckResult.warned("there was none yet", cron)
    since = site.now - last.ended
    text = f"the last ended {ago(since)} ago with exit code {last.exit_code}"
    if holder_of(WorkDir(site.settings.state_dir).run_lock_file) is not None:
        return CheckResult.well(f"{text}; one is at work now")
    if since > RUNS_LATE:
        grade = Grade.FAIL if since > RUNS_STOPPED else Grade.WARN
        late = (
            f"{text}; later than {ago(RUNS_LATE)} is a warning, than {ago(RUNS_STOPPED)} a failure"
        )
        return CheckResult(grade, late, cron)
    if not last.went_well:
        before = "never one" if well is None else f"the last {ago(site.now - well.ended)} ago"
        return CheckResult.warned(f"{text}; that went well: {before}", "drawcli run-once -v")
    return CheckResult.well(text)


def versions(_: CheckContext | None = None) -> CheckResult:
    """Say what runs here."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    ours = f"drawcli {__version__}, {python}"
    try:
        wanted = metadata.requires("drawcli") or ()
    except metadata.PackageNotFoundError:
        return CheckResult.warned(f"{ours}; not installed as a package", "pip install drawcli")
    names = sorted({_name_of(one) for one in wanted if ";" not in one})
    return CheckResult.well(f"{ours}; {', '.join(map(_with_version, names))}")


def _with_version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} (not there)"


LOCAL: Final[tuple[tuple[str, Check], ...]] = (
    ("settings", settings_file),
    ("state folder", state_folder),
    ("site key", site_key),
    ("free space", free_space),
    ("datastore", of_share(datastore)),
    ("delivery", of_share(folder_of_delivery)),
    ("run lock", run_lock),
    ("ledger", ledger),
    ("held jobs", held_jobs),
    ("rules", rules),
    ("token", token),
    ("last run", last_run),
    ("versions", versions),
)


def _name_of(requirement: str) -> str:
    return requirement.partition("[")[0].split("<")[0].split(">")[0].split("=")[0].strip()


def _quoted(path: Path) -> str:
    """Return a path as a shell takes it."""
    return shlex.quote(str(path))
