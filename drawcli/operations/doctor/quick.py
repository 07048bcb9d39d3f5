"""Checks of `doctor` that read a few files only: also for the verdict, at each look at the site."""

import errno
import os
import shlex
from datetime import timedelta
from pathlib import Path
from typing import Final

from drawcli.adapters.server.token_file import TokenFile
from drawcli.adapters.state.workdir import WorkDir
from drawcli.core.jobs.job import State
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.durations import duration
from drawcli.system.mounts_and_locks import remote_disk
from drawcli.system.ownership import owner_hint
from drawcli.system.platforms import is_readable_by_others

_TOKEN_SOON: Final = timedelta(days=7)
_GIB: Final = 1 << 30
_LEAST_FREE: Final = _GIB  # bytes: the next package may not fit


def state_folder(site: CheckContext) -> CheckResult:
    """Check that state_dir is private, on a local disk and writable."""
    folder = site.settings.state_dir
    if kind := remote_disk(folder):
        return CheckResult.failed(
            f"{folder} is on a network share ({kind})",
            "Locks do not work there: choose a state_dir on a local disk.",
        )
    try:
        _check_open(folder, site)
    except OSError as err:
        look = f"ls -ld {shlex.quote(str(folder))}"
        remedy = owner_hint(folder) if isinstance(err, PermissionError) else look
        return CheckResult.failed(f"{folder} {_closed(err)}", remedy)
    if is_readable_by_others(folder):
        return CheckResult.warned(
            f"{folder} is open to others", f"chmod 700 {shlex.quote(str(folder))}"
        )
    return CheckResult.well(f"{folder}: private, on a local disk, writable")


def _check_open(folder: Path, site: CheckContext) -> None:
    """Raise OSError if a folder is not writable: by writing, or by its access rights."""
    if site.probes:
        from drawcli.adapters.delivery.folder import check_writable

        check_writable(folder)
    elif not os.access(folder, os.W_OK):
        raise PermissionError(errno.EACCES, "may not be written")


def datastore(site: CheckContext) -> CheckResult:
    """Check that each datastore exists, is readable and is not empty."""
    for folder in site.settings.datastore:
        try:
            with os.scandir(folder) as entries:
                is_empty = next(entries, None) is None
        except OSError as err:
            what = "is not readable" if err.errno in (errno.EACCES, errno.EPERM) else _closed(err)
            return CheckResult.failed(
                f"{folder} {what}", f"Mount it, or correct datastore in {site.config}."
            )
        if is_empty:
            return CheckResult.warned(
                f"{folder} is empty: is the share mounted?", f"ls {shlex.quote(str(folder))}"
            )
    jobs = () if site.ctx is None else site.ctx.ledger.jobs([State.WAITING])
    if unread := sum(job.of_folder and job.held for job in jobs):
        return CheckResult.warned(
            f"{unread} folders contain files that cannot be read", "drawcli quarantine"
        )
    return CheckResult.well(", ".join(map(str, site.settings.datastore)))


def free_space(site: CheckContext) -> CheckResult:
    """Check the free space for packages."""
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
            "Free some space: work folders of finished jobs are removed early.",
        )
    return CheckResult.well(text)


def token(site: CheckContext) -> CheckResult:
    """Check the token pair: private, renewable, not about to expire."""
    store = site.tokens
    tokens = store.read()
    left = None if tokens.expires_at is None else tokens.expires_at - site.now
    if tokens.refresh and store.can_renew:
        folder = store.path.parent if isinstance(store, TokenFile) else None
        if folder and (trouble := _renewal_problem(folder, site)):
            return CheckResult.failed(
                trouble, "Give the user running drawcli write access to that folder."
            )
        lasts = "" if left is None else f"; the access token is valid for {duration(left)}"
        return CheckResult.well(f"renews itself{lasts if left and left > timedelta() else ''}")
    remedy = "Ask the DRAW administrator for a new token pair."
    if left is None:
        return CheckResult.warned("no refresh token, and no expiry date in the token", remedy)
    if left <= timedelta():
        return CheckResult.failed(f"expired {duration(-left)} ago, without a refresh token", remedy)
    text = f"valid for {duration(left)}, without a refresh token"
    return CheckResult.warned(text, remedy) if left < _TOKEN_SOON else CheckResult.well(text)


def _renewal_problem(folder: Path, site: CheckContext) -> str:
    """Return why a renewed pair could not be stored; the server accepts the old one only once."""
    try:
        _check_open(folder, site)
    except OSError as err:
        return f"cannot be renewed: {folder} {_closed(err)}"
    return ""


def _closed(err: OSError) -> str:
    """Return why a folder cannot be written; imported only then, as it takes time."""
    from drawcli.adapters.delivery.folder import closed

    return closed(err)
