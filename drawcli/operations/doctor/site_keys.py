"""Checks of `doctor`: the site key and its backup."""

from drawcli.adapters.state.keys.key_source import site_keys
from drawcli.adapters.state.site_key import read_backup
from drawcli.core.deid.pseudonyms import StandIns
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.durations import duration


def site_key(site: CheckContext) -> CheckResult:
    """Check the site key, without which no structure set can be re-identified."""
    keys = site_keys(site.settings)  # raises if others can read it or it is in a git work tree
    return CheckResult.well(keys.where)


def key_backup(site: CheckContext) -> CheckResult:
    """Check that 'key backup' was called since the newest site key was made."""
    present = site_keys(site.settings)
    keys = [present.key, *present.retired.values()]
    last = read_backup(site.settings.state_dir)
    remedy = "drawcli key backup FILE, on a medium that is kept apart from this machine"
    if last is None:
        return CheckResult.warned("none made with 'drawcli key backup'", remedy)
    if missing := {StandIns(key).key_id for key in keys} - last.key_ids:
        text = f"that of {last.at:%Y-%m-%d} lacks {len(missing)} of {len(keys)} keys"
        return CheckResult.warned(text, remedy)
    return CheckResult.well(f"made {duration(site.now - last.at)} ago ({last.at:%Y-%m-%d})")
