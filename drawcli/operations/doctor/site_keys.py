"""Checks of `doctor`: the site key and its backup."""

from drawcli.adapters.state.site_key import (
    read_backup,
    read_site_key,
    retired_keys,
    site_key_path,
)
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.durations import duration


def site_key(site: CheckContext) -> CheckResult:
    """Check the site key, without which no structure set can be re-identified."""
    folder = site.settings.state_dir
    read_site_key(folder)  # raises if others can read it or if it is in a git work tree
    return CheckResult.well(str(site_key_path(folder)))


def key_backup(site: CheckContext) -> CheckResult:
    """Check that 'key backup' was called since the newest site key was made."""
    folder = site.settings.state_dir
    keys = [read_site_key(folder), *retired_keys(folder).values()]
    last = read_backup(folder)
    remedy = "drawcli key backup FILE, on a medium that is kept apart from this machine"
    if last is None:
        return CheckResult.warned("none made with 'drawcli key backup'", remedy)
    if missing := {StandIns(key).key_id for key in keys} - last.key_ids:
        text = f"that of {last.at:%Y-%m-%d} lacks {len(missing)} of {len(keys)} keys"
        return CheckResult.warned(text, remedy)
    return CheckResult.well(f"made {duration(site.now - last.at)} ago ({last.at:%Y-%m-%d})")
