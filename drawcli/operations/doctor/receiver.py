"""Check of `doctor`: whether `drawcli receive` can run, and does."""

from drawcli.operations.doctor.outcome import CheckContext, CheckResult


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
