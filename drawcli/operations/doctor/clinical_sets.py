"""The check of `doctor` for quality assurance: whether clinical structure sets can be compared."""

from importlib.util import find_spec

from drawcli.adapters.datastore.walk import check_folder
from drawcli.errors import OutOfReach
from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.packages import install_hint, missing_packages
from drawcli.system.printable import counted


def clinical_sets(site: CheckContext) -> CheckResult:
    """Check the folders of clinical structure sets and the settings; no run depends on them."""
    qa, keep_days = site.settings.qa, site.settings.deliver.keep_days
    for folder in qa.folders:
        try:
            check_folder(folder)
        except OutOfReach as err:
            text = str(err).replace("the datastore", "the folder of qa.folders", 1)
            return CheckResult.warned(text, "Mount it, or correct 'qa.folders'.")
    if keep_days <= qa.wait_days:
        return CheckResult.warned(
            f"sets that are not approved wait {qa.wait_days:g} days, but work folders are removed "
            f"after {keep_days:g}: they are never compared",
            "Set deliver.keep_days well above qa.wait_days.",
        )
    if find_spec("scipy") is None:
        return CheckResult.warned(
            "distances between contours are not computed: SciPy is not installed",
            install_hint(*missing_packages("qa")),
        )
    where = counted(len(qa.folders), "folder")
    return CheckResult.well(f"clinical structure sets are looked for in the datastore and {where}")
