"""Checks of `doctor`: whether structure sets can be delivered."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from drawcli.adapters.delivery import folder_of
from drawcli.adapters.delivery import opened as open_target
from drawcli.adapters.delivery.dicom_node import opened
from drawcli.adapters.delivery.folder import check_writable, closed, not_writable
from drawcli.adapters.delivery.target import DeliveryTarget
from drawcli.errors import DrawcliError
from drawcli.operations.doctor.outcome import (
    Check,
    CheckContext,
    CheckResult,
    Grade,
    of_share,
)

if TYPE_CHECKING:
    from drawcli.config.sections_targets import Target


def folder_of_delivery(site: CheckContext) -> CheckResult:
    """Write a hidden file into the delivery folder and remove it.

    Targets of a list have a line each: see `target_checks`.
    """
    deliver = site.settings.deliver
    if deliver.targets:
        required = sum(target.required for target in deliver.targets)
        of = f"{len(deliver.targets)} targets" if len(deliver.targets) > 1 else "1 target"
        if deliver.use == "first":
            return CheckResult.well(f"to the first of {of} that confirms")
        return CheckResult.well(f"to {of}; required: {required}")
    return _folder(deliver.folder, site)


def target_checks(site: CheckContext, *, offline: bool) -> "list[tuple[str, Check]]":
    """Return the name and the check of each target of the list; offline, of its folders."""
    return [
        (f"target {number}", of_share(check) if target.folder is not None else check)
        for number, target in enumerate(site.settings.deliver.targets, 1)
        if target.folder is not None or not offline
        for check in [partial(_listed, target)]
    ]


def unasked_targets(site: CheckContext) -> list[str]:
    """Return the names of the targets of the list that need the network."""
    targets = enumerate(site.settings.deliver.targets, 1)
    return [f"target {number}" for number, target in targets if target.folder is None]


def _listed(target: "Target", site: CheckContext) -> CheckResult:
    """Return the result of a target of the list; a failed one that is optional is a warning."""
    try:
        if target.folder is not None:
            result = _folder(target.folder, site)
        else:
            result = _check_target(open_target(target, site.settings))
    except DrawcliError as err:
        result = CheckResult.of_error(err)
    needed = target.required and site.settings.deliver.use == "all"
    return result if needed or result.grade is not Grade.FAIL else result._replace(grade=Grade.WARN)


def _folder(folder: str | Path, site: CheckContext) -> CheckResult:
    if folder != "beside":
        return _check_target(folder_of(site.settings, folder))
    untried = []
    for store in site.settings.datastore:
        tried = _tried_beside(store, site)
        if tried is None:
            untried.append(str(store))
        elif tried:
            raise not_writable(f"beside series in {store}: {tried}")
    stores = ", ".join(map(str, site.settings.datastore))
    if untried:
        text = f"{', '.join(untried)} is not writable at the top; no known series to try below it"
        return CheckResult.warned(
            text, "Fine if the series' folders are writable: check again after the first run."
        )
    return CheckResult.well(f"structure sets can be written beside their series, in {stores}")


def dicom_node(site: CheckContext) -> CheckResult:
    """Ask the DICOM node whether it answers and accepts structure sets."""
    return _check_target(opened(site.settings.deliver))


def _check_target(target: DeliveryTarget) -> CheckResult:
    """Return the result of a target's own check; raise TryLater if it accepts nothing."""
    remark = target.check()
    if remark is not None:
        return CheckResult.warned(f"{target.describe()} {remark.text}", remark.hint)
    return CheckResult.well(f"{target.describe()} accepts structure sets")


def _tried_beside(store: Path, site: CheckContext) -> str | None:
    """Return why nothing can be written beside the newest series of a datastore; "" if it can.

    If no folder of a series is known, the top folder is tried; None if that is not writable, which
    says nothing about the folders below. The text names no series folder: its name may identify a
    patient.
    """
    place = _newest_folder(store, site)
    try:
        check_writable(place or store)
    except OSError as err:
        if place is not None or isinstance(err, FileNotFoundError):
            return f"the folder of the newest {closed(err)}" if place else f"it {closed(err)}"
        return None
    return ""


def _newest_folder(store: Path, site: CheckContext) -> Path | None:
    """Return the folder of the newest series of a datastore that still exists."""
    if site.ctx is None:
        return None
    try:
        jobs = sorted(site.ctx.kept_jobs(), key=lambda job: job.since, reverse=True)
    except DrawcliError:
        return None  # the check of the ledger reports it
    for job in jobs:
        try:
            place = Path(site.ctx.crosswalk(job).files[0].path).parent
        except (DrawcliError, LookupError):
            continue  # without its vault the folder is unknown
        if (place == store or store in place.parents) and place.is_dir():
            return place
    return None
