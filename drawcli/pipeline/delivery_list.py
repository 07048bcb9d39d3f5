"""Deliver a structure set to `deliver.targets`: to all of them, or to the first that confirms.

A target that has confirmed is recorded in the work folder before the next is tried, and is not sent
the file again. The structure set is delivered when every required target has confirmed, or, with
`use: first`, one of them.
"""

import hashlib
from typing import Final

from drawcli.adapters.delivery.confirmations import Confirmations
from drawcli.adapters.delivery.target import Delivery, SiteTarget
from drawcli.errors import COMMITMENT, ConfigError, DrawcliError, JobError, NeedsPerson
from drawcli.pipeline.context import Context

_AGAIN: Final = "it is not tried again for this job: 'drawcli redeliver' sends it"


def deliver_to_list(delivery: Delivery, ctx: Context, *, again: bool) -> list[str]:
    """Deliver a structure set; return the reports of the targets, and warnings.

    Raises
    ------
    NeedsPerson
        If a required target refuses it, or, with `use: first`, all do.
    TryLater
        If a required target cannot store it now; the others were tried all the same.
    """
    confirmed = Confirmations(delivery.work_folder, hashlib.sha256(delivery.data).hexdigest())
    if again:
        confirmed.forget()
    if ctx.settings.deliver.use == "first":
        return _to_first(delivery, ctx.targets, confirmed)
    return _to_all(delivery, ctx.targets, confirmed)


def _to_all(delivery: Delivery, targets: list[SiteTarget], confirmed: Confirmations) -> list[str]:
    """Deliver to every target; raise the error of a required one after all were tried."""
    reports, failures = [], list[DrawcliError]()
    for target in targets:
        try:
            reports.append(_sent(delivery, target, confirmed))
        except (JobError, ConfigError) as err:
            if target.required:
                failures.append(err)
            else:
                reports.append(f"warning: optional target: {err}; {_AGAIN}")
    _raise_worst(failures)
    return [report for report in reports if report]


def _to_first(delivery: Delivery, targets: list[SiteTarget], confirmed: Confirmations) -> list[str]:
    """Deliver to the first target that confirms; the failures of those before are warnings."""
    had = [target for target in targets if target.name in confirmed.names()]
    failures = list[DrawcliError]()
    for target in had or targets:
        try:
            report = _sent(delivery, target, confirmed)
        except (JobError, ConfigError) as err:
            if err.code == COMMITMENT:
                raise  # it has the file, and its report may still come
            failures.append(err)
        else:
            warnings = [f"warning: another target was used: {err}" for err in failures]
            return [*warnings, *filter(None, [report])]
    _raise_worst(failures)
    return []


def _sent(delivery: Delivery, target: SiteTarget, confirmed: Confirmations) -> str:
    """Return the report of a target: of now, or of the time when it confirmed."""
    earlier = confirmed.report_of(target.name)
    if earlier is not None:
        return earlier
    report = target.open().send(delivery)
    confirmed.add(target.name, report)
    return report


def _raise_worst(failures: list[DrawcliError]) -> None:
    """Raise the failure that says most: settings that cannot be used, then what needs a person."""
    for kind in (ConfigError, NeedsPerson, DrawcliError):
        for failure in failures:
            if isinstance(failure, kind):
                raise failure
