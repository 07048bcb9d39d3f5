"""Checks of `doctor`: whether `drawcli receive` runs; whether reports of commitment can arrive."""

from drawcli.operations.doctor.outcome import CheckContext, CheckResult
from drawcli.system.limits import NODE_REPORT_SECONDS


def receiver(site: CheckContext) -> CheckResult:
    """Check the folder, space, certificate and port of the DICOM node, and whether it runs."""
    from drawcli.operations.receive.check import check
    from drawcli.operations.receive.health import ReceiverHealth

    found = check(site.settings, site.now)
    text = ReceiverHealth.of(site.settings.state_dir).text(site.now)
    if not found.is_running:
        return CheckResult.warned(text, "Start its service, or: drawcli receive")
    if found.remarks:
        what, remedy = found.remarks[0]
        return CheckResult.warned(f"{text}; {what}", remedy)
    return CheckResult.well(text)


def commitment(site: CheckContext) -> CheckResult:
    """Check that a report of storage commitment can arrive after the association of its request."""
    from drawcli.core.protocol.dicom_address import parse_node
    from drawcli.operations.doctor.nodes import network_targets
    from drawcli.operations.receive.health import ReceiverHealth

    wanted = site.settings.receive
    callers = {caller.ae_title for caller in wanted.known_callers}
    nodes = [one.node for one in network_targets(site.settings) if one.commitment]
    unknown = [node for node in nodes if parse_node(node).ae_title not in callers]
    if unknown:
        text = f"{unknown[0]} can report in the association of the request only"
        return CheckResult.warned(text, "Add it to receive.callers, and set receive.listen.")
    if wanted.folder is None:
        seconds = f"for {NODE_REPORT_SECONDS:g} s after a request"
        return CheckResult.well(f"reports are taken on {wanted.listen}, {seconds}")
    if not ReceiverHealth.of(site.settings.state_dir).is_running:
        text = "reports are taken by 'drawcli receive', which is not running"
        return CheckResult.warned(text, "Start its service, or: drawcli receive")
    return CheckResult.well(f"reports are taken by 'drawcli receive' on {wanted.listen}")
