"""The checks of doctor on what a site tells others: the audit log, the places of alarms."""

from drawcli.auditlog import ATTEMPT
from drawcli.checkup.outcome import Grade, looked
from drawcli.checkup.outcome import Site as Looked
from drawcli.checkup.outward import OUTWARD
from drawcli.context import Context
from tests.conftest import NOON, Site


def seen(name: str, site: Site, ctx: Context) -> tuple[Grade, str]:
    one = Looked(settings=site.settings(), config=site.config, now=NOON, ctx=ctx)
    (found,) = looked([(name, dict(OUTWARD)[name])], one)
    assert bool(found.seen.remedy) == (found.seen.grade is not Grade.PASS)
    return found.seen.grade, found.seen.text


def test_an_audit_log_that_holds_and_one_that_was_changed(site: Site, ctx: Context) -> None:
    assert seen("audit log", site, ctx) == (Grade.PASS, "nothing has left yet")
    ctx.audit.add(ATTEMPT, NOON, "0badcafe", {"job": "0123456789ab-1"})
    assert seen("audit log", site, ctx) == (Grade.PASS, "1 lines, the chain is whole")

    (path,) = ctx.audit.folder.glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"attempt", b"nothing"))

    grade, text = seen("audit log", site, ctx)
    assert (grade, "was changed" in text) == (Grade.FAIL, True)
