"""What is still to be set up at a new site, step by step."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from drawcli.adapters.rulebook.rulebook import site_rulebook
from drawcli.errors import DrawcliError
from drawcli.operations.doctor.outcome import (
    Check,
    CheckContext,
    CheckResult,
    Grade,
    of_share,
    run_checks,
)
from drawcli.operations.doctor.quick import datastore, token
from drawcli.operations.doctor.site_keys import site_key
from drawcli.operations.verdict.findings import SetupStep
from drawcli.pipeline.cluster.tokens import are_at_hand
from drawcli.system.printable import counted

if TYPE_CHECKING:
    from drawcli.operations.overview import RunHealth

_SHARE_SECONDS: Final = 2.0  # a page waits for it
DECIDE: Final = ("Templates", "Rules")  # steps without which no series is sent
_TO_DO: Final = {  # what to do, page of the web page, check of `doctor` with the same subject
    "Settings": ("drawcli config check", "/settings", ""),
    "Site key": ("drawcli init", "/checkup", "site key"),
    "Token": ("drawcli token set", "/server", "token"),
    "Datastore": ("correct 'datastore' in drawcli.yaml", "/settings", ""),
    "Templates": ("drawcli templates new NAME --structure ROI", "/templates", ""),
    "Rules": ("drawcli rules new --from FOLDER", "/rules", ""),
    "Delivery": ("drawcli doctor", "/settings", ""),
    "Cron": ("'drawcli init' prints a line for 'crontab -e'", "/server", ""),
}


def setup_steps(site: CheckContext, health: "RunHealth") -> list[SetupStep]:
    """Return the steps in their order. Nothing is written, and no command or server is asked."""
    return [*_steps(site, health)]


def _steps(site: CheckContext, health: "RunHealth") -> Iterator[SetupStep]:
    yield _step("Settings", f"read; the server is {site.settings.server.url}", done=True)
    yield _checked("Site key", site_key, site)
    if are_at_hand(site.settings):
        yield _checked("Token", token, site)
    else:
        where = "in the keyring of the system, or from a command"
        yield _step("Token", where, done=health.answered is not None)
    yield _checked("Datastore", of_share(datastore, _SHARE_SECONDS), site)
    yield from _of_rulebook(site)
    yield _checked("Delivery", of_share(_deliverable, _SHARE_SECONDS), site)
    runs = "runs have begun" if health.last else "no run yet"
    runs = f"not needed: {counted(health.workers, 'worker')} at work" if health.workers else runs
    yield _step("Cron", runs, done=health.last is not None or bool(health.workers))


def _step(name: str, text: str, *, done: bool) -> SetupStep:
    return SetupStep(name, text, done, *_TO_DO[name])


def _checked(name: str, ask: Check, site: CheckContext) -> SetupStep:
    """Return a step that is done if a check passes; of a token, if it can be used."""
    ((_, result),) = run_checks([(name, ask)], site)
    usable = {Grade.PASS, Grade.WARN} if ask is token else {Grade.PASS}
    return _step(name, result.text, done=result.grade in usable)


def _of_rulebook(site: CheckContext) -> Iterator[SetupStep]:
    try:
        book = site_rulebook(site.settings)
    except DrawcliError as err:
        for name in ("Templates", "Rules"):
            yield _step(name, str(err).splitlines()[0], done=False)
        return
    templates = len(book.templates)
    yield _step(
        "Templates", f"{templates} in the file" if templates else "none", done=templates > 0
    )
    active = sum(rule.enabled and not rule.exclude for rule in book.rules)
    yield _step("Rules", f"{active} enabled" if active else "none is enabled", done=active > 0)


def _deliverable(site: CheckContext) -> CheckResult:
    """Check whether structure sets can be delivered, by access rights: nothing is written."""
    deliver = site.settings.deliver
    if deliver.targets or deliver.node:
        return CheckResult.well("to a DICOM node or a list of targets")
    beside = deliver.folder == "beside"
    folders = site.settings.datastore if beside else [deliver.folder]
    closed = [folder for folder in folders if not os.access(folder, os.W_OK)]
    if closed:
        return CheckResult.failed(f"{closed[0]} may not be written", "")
    return CheckResult.well("beside the series" if beside else f"to {deliver.folder}")
