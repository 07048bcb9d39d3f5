"""The check of `doctor` on contour QA: what it needs, and what it has found."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Final

from drawcli.adapters.delivery.folder import closed
from drawcli.adapters.state.qa_summary import read_summary
from drawcli.errors import ConfigError
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.packages import install_hint

_REPORT: Final = "drawcli qa report"


def contours(site: CheckContext) -> CheckResult:
    """Check limits, folders and SciPy; report what the charts ask for."""
    problem = next(_problems(site), None)
    if problem is not None:
        return problem
    summary = read_summary(site.settings.state_dir)
    if summary is None or not summary.templates:
        return CheckResult.well("nothing was compared yet: 'drawcli qa scan' does, and each run")
    if notice := summary.notice(site.now):
        return CheckResult.warned(notice.removesuffix(f": '{_REPORT}'"), _REPORT)
    from drawcli.operations.qa.summary_text import pairs_text

    return CheckResult.well(pairs_text(summary, site.now))


def _problems(site: CheckContext) -> Iterator[CheckResult]:
    from drawcli.operations.commissioning.limits import given_limits

    for folder in site.settings.qa.folders:
        try:
            with os.scandir(folder) as entries:
                next(entries, None)
        except OSError as err:
            where = f"Mount it, or correct qa.folders in {site.config}."
            yield CheckResult.warned(f"{folder} {closed(err)}", where)
    keep_days, wait_days = site.settings.deliver.keep_days, site.settings.qa.wait_days
    if keep_days <= wait_days:
        text = f"work folders go after {keep_days:g} days: sets that are not approved would wait "
        remedy = f"Set deliver.keep_days in {site.config} well above qa.wait_days."
        yield CheckResult.warned(f"{text}{wait_days:g} days, and are never compared", remedy)
    if find_spec("scipy") is None:
        text = "distances between contours are not computed: SciPy is not installed"
        yield CheckResult.warned(text, install_hint("scipy"))
    try:
        given_limits(site.settings)
    except ConfigError as err:
        yield CheckResult.warned(f"charts stay as they were: {err}", err.hint)
