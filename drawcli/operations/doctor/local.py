"""Checks of `doctor` on this machine: one for each thing that a run needs; all are read-only."""

import platform
import shlex
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Final

from drawcli import __version__
from drawcli.adapters.rulebook.rulebook import is_for_git, site_rulebook
from drawcli.adapters.state.pause import read_pause
from drawcli.adapters.state.run_log import RunLog
from drawcli.adapters.state.workdir import WorkDir
from drawcli.operations.doctor.delivery import folder_of_delivery
from drawcli.operations.doctor.old_studies import old_studies
from drawcli.operations.doctor.outcome import Check, CheckContext, CheckResult, Grade, of_share
from drawcli.operations.doctor.quick import datastore, free_space, state_folder, token
from drawcli.operations.doctor.site_keys import key_backup, site_key
from drawcli.operations.ledger_check import check as ledger_troubles
from drawcli.operations.overview import RUNS_LATE, RUNS_STOPPED, RunHealth
from drawcli.pipeline.explain import lint_rules, lint_templates
from drawcli.system.durations import duration
from drawcli.system.mounts_and_locks import has_lock_table, holder_of
from drawcli.system.platforms import is_writable_by_others
from drawcli.system.printable import counted

_NO_PROGRESS: Final = timedelta(hours=1)  # an overdue run without progress for so long hangs
_MISSING: Final = "(missing)"


def settings_file(site: CheckContext) -> CheckResult:
    """Check that other users cannot change settings, rules and templates; no secret is in git."""
    settings = site.settings
    files = [site.config, settings.rules, settings.templates]
    loose = [path for path in files if path.is_file() and is_writable_by_others(path)]
    if loose:
        names = " ".join(map(str, loose))
        return CheckResult.warned(
            f"other users can change {names}", f"chmod o-w {shlex.join(map(str, loose))}"
        )
    secrets = (
        settings.server.token_file,
        settings.notify.urls_file,
        settings.oidc.client_secret_file,
    )
    if open_ := [path for path in secrets if path and path.is_file() and is_for_git(path)]:
        remedies = [
            f"git -C {folder} rm -q --cached --ignore-unmatch {name} && "
            f"echo {name} >> {folder}/.gitignore"
            for path in open_
            for folder, name in [(shlex.quote(str(path.parent)), shlex.quote(path.name))]
        ]
        names = ", ".join(map(str, open_))
        return CheckResult.warned(f"git has, or would add, {names}", "; ".join(remedies))
    return CheckResult.well(str(site.config))


def run_lock(site: CheckContext) -> CheckResult:
    """Check whether a run is active, and for how long."""
    work = WorkDir(site.settings.state_dir)
    holder, runner = holder_of(work.run_lock_file), work.run_owner()
    if holder is None and not has_lock_table():
        return CheckResult.not_checked("this system does not list locks", "drawcli status")
    if holder is None:
        return CheckResult.well("no run is active")
    since = "" if runner is None else f" for {duration(site.now - runner.since)}"
    text = f"a run is active: process {holder.pid}{since}"
    health = RunHealth.of(site.settings.state_dir, site.settings.notify.run_hours)
    if not health.is_overdue(site.now):
        return CheckResult.well(text)
    moved = datetime.fromtimestamp(health.standing.at, UTC) if health.standing else None
    if moved is not None and site.now - moved < _NO_PROGRESS:
        return CheckResult.warned(f"{text}; it is at {health.standing}", "drawcli status --watch")
    where = f" at {health.standing}" if health.standing else ""
    return CheckResult.failed(
        f"{text}{where}; it may hang, and no other run can start", f"kill -9 {holder.pid}"
    )


def ledger(site: CheckContext) -> CheckResult:
    """Compare the ledger with work folders, vaults and archive."""
    if site.ctx is None:
        return CheckResult.of_error(site.closed or LookupError())
    found = ledger_troubles(site.ctx)
    jobs, archived = site.ctx.ledger.jobs(), len(site.ctx.ledger.archive)
    if found:
        return CheckResult.warned(f"{len(found)} inconsistencies", "drawcli ledger check")
    return CheckResult.well(f"{counted(len(jobs), 'job')}, {archived:,} archived: consistent")


def pause(site: CheckContext) -> CheckResult:
    """Check whether uploads are paused."""
    shared = None if site.ctx is None else site.ctx.ledger.shared
    paused = read_pause(site.settings.state_dir, shared)
    if paused is not None:
        return CheckResult.warned(f"uploads are paused {paused.facts(site.now)}", "drawcli resume")
    return CheckResult.well("uploads are not paused")


def held_jobs(site: CheckContext) -> CheckResult:
    """Count the held jobs."""
    if site.ctx is None:
        return CheckResult.not_checked("the ledger cannot be opened", "Fix that first.")
    held = [job for job in site.ctx.ledger.jobs() if job.held]
    if held:
        return CheckResult.warned(f"{len(held):,} held", "drawcli quarantine")
    return CheckResult.well("none")


def rules(site: CheckContext) -> CheckResult:
    """Read rules and templates; count the warnings about them."""
    book = site_rulebook(site.settings)
    text = f"{counted(len(book.rules), 'rule')}, {counted(len(book.templates), 'template')}"
    if not any(rule.enabled and not rule.exclude for rule in book.rules):
        return CheckResult.warned(
            f"{text}; no rule is enabled: nothing is sent", "drawcli rules new --from FOLDER"
        )
    if odd := [*lint_rules(book)]:
        return CheckResult.warned(f"{text}; {counted(len(odd), 'warning')}", "drawcli rules check")
    if named := [*lint_templates(book)]:  # the site's own choice: no warning
        return CheckResult.well(
            f"{text}; {len(named)} names are not TG-263 names ('drawcli templates check')"
        )
    return CheckResult.well(text)


def last_run(site: CheckContext) -> CheckResult:
    """Check when the last 'run-once' ended, and how."""
    book = RunLog(site.settings.state_dir)
    last, well = book.last(), book.last_success()
    cron = (
        "'crontab -l' shows whether cron calls 'drawcli run-once'; 'drawcli init' prints the line."
    )
    shared = None if site.ctx is None else site.ctx.ledger.shared
    if workers := 0 if shared is None else shared.workers_alive():
        return CheckResult.well(f"{counted(workers, 'worker')} of the site at work")
    if last is None:
        return CheckResult.warned("none yet", cron)
    since = site.now - last.ended
    text = f"ended {duration(since)} ago with exit code {last.exit_code}"
    if holder_of(WorkDir(site.settings.state_dir).run_lock_file) is not None:
        return CheckResult.well(f"{text}; another is active now")
    if since > RUNS_LATE:
        grade = Grade.FAIL if since > RUNS_STOPPED else Grade.WARN
        limits = f"late after {duration(RUNS_LATE)}, missing after {duration(RUNS_STOPPED)}"
        return CheckResult(grade, f"{text}; a run is {limits}", cron)
    if not last.went_well:
        before = "never" if well is None else f"{duration(site.now - well.ended)} ago"
        return CheckResult.warned(f"{text}; last success: {before}", "drawcli run-once -v")
    return CheckResult.well(text)


def versions(_: CheckContext | None = None) -> CheckResult:
    """Report the versions of drawcli, Python and the packages."""
    python = f"Python {platform.python_version()} on {platform.system()} {platform.release()}"
    ours = f"drawcli {__version__}, {python}"
    try:
        wanted = metadata.requires("drawcli") or ()
    except metadata.PackageNotFoundError:
        return CheckResult.warned(
            f"{ours}; not installed as a package", "Install it: see docs/installing.md."
        )
    names = sorted({_name_of(one) for one in wanted if ";" not in one})
    found = [_with_version(name) for name in names]
    text = f"{ours}; {', '.join(found)}"
    if any(one.endswith(_MISSING) for one in found):
        return CheckResult.warned(text, "Install drawcli again: see docs/installing.md.")
    return CheckResult.well(text)


def _with_version(package: str) -> str:
    try:
        return f"{package} {metadata.version(package)}"
    except metadata.PackageNotFoundError:
        return f"{package} {_MISSING}"


LOCAL: Final[tuple[tuple[str, Check], ...]] = (
    ("settings", settings_file),
    ("state folder", state_folder),
    ("site key", site_key),
    ("key backup", key_backup),
    ("free space", free_space),
    ("datastore", of_share(datastore)),
    ("delivery", of_share(folder_of_delivery)),
    ("run lock", run_lock),
    ("ledger", ledger),
    ("pause", pause),
    ("held jobs", held_jobs),
    ("rules", rules),
    ("old studies", old_studies),
    ("token", token),
    ("last run", last_run),
    ("versions", versions),
)


def _name_of(requirement: str) -> str:
    return requirement.partition("[")[0].split("<")[0].split(">")[0].split("=")[0].strip()


def _quoted(path: Path) -> str:
    """Return a path quoted for a shell."""
    return shlex.quote(str(path))
