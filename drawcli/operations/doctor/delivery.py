"""Can structure sets be delivered? Checks of `doctor`."""

from pathlib import Path

from drawcli.adapters.delivery import folder_of
from drawcli.adapters.delivery.dicom_node import opened
from drawcli.adapters.delivery.folder import check_writable, closed, not_writable
from drawcli.adapters.delivery.target import DeliveryTarget
from drawcli.errors import DrawcliError
from drawcli.operations.doctor.outcome import CheckContext, CheckResult


def folder_of_delivery(site: CheckContext) -> CheckResult:
    """Write a hidden file where structure sets go, and take it away again."""
    if site.settings.deliver.folder != "beside":
        return _asked(folder_of(site.settings))
    untried = []
    for store in site.settings.datastore:
        tried = _tried_beside(store, site)
        if tried is None:
            untried.append(str(store))
        elif tried:
            raise not_writable(f"beside series in {store}: {tried}")
    stores = ", ".join(map(str, site.settings.datastore))
    if untried:
        text = f"{', '.join(untried)} may not be written, and no series of it is known to try"
        return CheckResult.warned(
            text, "Right if its folders may be: look again after the first run."
        )
    return CheckResult.well(f"structure sets can be put beside their series, in {stores}")


def dicom_node(site: CheckContext) -> CheckResult:
    """Ask the DICOM node of the site whether it is there, and takes structure sets."""
    return _asked(opened(site.settings.deliver))


def _asked(target: DeliveryTarget) -> CheckResult:
    """Return what a target says of itself; raise TryLater where it takes no structure sets."""
    remark = target.check()
    if remark is not None:
        return CheckResult.warned(f"{target.describe()} {remark.text}", remark.hint)
    return CheckResult.well(f"{target.describe()} takes structure sets")


def _tried_beside(store: Path, site: CheckContext) -> str | None:
    """Return why nothing can be put beside the newest series of a datastore; "" where it can.

    Where no folder of a series is known, its top is tried; None where that cannot be written, which
    says nothing of the folders in it. No folder of a series is named: it may name a person.
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
    """Return the folder of the newest series of a datastore that is still there."""
    if site.ctx is None:
        return None
    try:
        jobs = sorted(site.ctx.kept_jobs(), key=lambda job: job.since, reverse=True)
    except DrawcliError:
        return None  # what is wrong with the ledger, its own check tells
    for job in jobs:
        try:
            place = Path(site.ctx.crosswalk(job).files[0].path).parent
        except (DrawcliError, LookupError):
            continue  # without a vault, its place is not known
        if (place == store or store in place.parents) and place.is_dir():
            return place
    return None
