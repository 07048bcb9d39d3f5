"""audit disclosures and audit verify, as whoever has to account for what left calls them."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from drawcli.adapters.state.audit_log import ANSWERED, ATTEMPT, Actor, AuditLog
from drawcli.core.jobs.job import Job, State
from drawcli.pipeline.context import Context, open_context
from tests.cli.conftest import Run
from tests.conftest import Site


@pytest.fixture
def log(site: Site) -> AuditLog:
    made = AuditLog(site.state)
    facts = {"job": "0123456789ab-1", "server": "draw.example", "zip_bytes": 5, "zip_sha256": "ab"}
    made.add(ATTEMPT, datetime(2026, 11, 1, tzinfo=UTC), "0badcafe", facts)
    made.add(ANSWERED, datetime(2026, 11, 2, tzinfo=UTC), "0badcafe", {"job": facts["job"]})
    return made


@pytest.mark.usefixtures("log")
def test_what_left_is_listed(drawcli: Run) -> None:
    shown = drawcli("audit", "disclosures")
    lines = drawcli("audit", "disclosures", "--since", "2026-11-02", "--json").answer["data"][
        "lines"
    ]

    assert (shown.code, "draw.example" in shown.out, "attempt" in shown.out) == (0, True, True)
    assert [(line["n"], line["what"]) for line in lines] == [(2, "answered")]


def test_the_lines_of_a_job_with_the_state_of_the_chain(
    drawcli: Run, site: Site, log: AuditLog, in_state: Callable[..., Job]
) -> None:
    job = in_state(State.UPLOADED, "0123456789ab-1").id
    other = in_state(State.MATCHED, "9123456789ab-1").id
    log.add(ATTEMPT, datetime(2026, 11, 3, tzinfo=UTC), "0badcafe", {"job": "another"})

    shown, plain = drawcli("audit", job[:6]), drawcli("audit", job, "--json").answer["data"]
    nothing = drawcli("audit", other)
    (path,) = (site.state / "audit").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"draw.example", b"evil.example"))
    broken = drawcli("audit", job)

    assert [line["what"] for line in plain["lines"]] == ["attempt", "answered"]
    assert plain["chain_intact"] is True
    assert "1  2026-11-01 00:00:00 UTC  attempt  by " in shown.out
    assert "zip_sha256  ab" in shown.out
    assert "another" not in shown.out
    assert shown.out.splitlines()[-1] == "chain: whole, 3 lines"
    assert f"Nothing of job {other} was sent." in nothing.out
    assert (broken.code, "chain: BROKEN" in broken.out) == (4, True)
    assert drawcli("audit", job, "--job", job).code == 2


@pytest.mark.parametrize("rotated", [False, True])
def test_a_series_that_was_sent_twice_is_listed_with_all_its_jobs(
    drawcli: Run, site: Site, ctx: Context, in_state: Callable[..., Job], *, rotated: bool
) -> None:
    key, log = ctx.stand_ins.series_key("1.2.3"), AuditLog(site.state)
    jobs = [in_state(State.DONE, f"{key}-{number}").id for number in (1, 2)]
    if rotated:
        assert drawcli("key", "rotate").code == 0
        with open_context(site.settings()) as later:
            key = later.stand_ins.series_key("1.2.3")
        jobs.append(in_state(State.DONE, f"{key}-1").id)
    for job in (*jobs, "0123456789ab-1"):
        log.add(ATTEMPT, datetime(2026, 11, 1, tzinfo=UTC), "0badcafe", {"job": job})

    plain = drawcli("audit", "1.2.3", "--json").answer["data"]
    shown = drawcli("audit", "1.2.3").out
    listed = drawcli("audit", "disclosures", "--job", "1.2.3", "--json").answer["data"]["lines"]
    one = drawcli("audit", jobs[0], "--json").answer["data"]["lines"]

    assert (plain["job"], plain["jobs"]) == (jobs[-1], jobs)
    assert [line["job"] for line in plain["lines"]] == jobs
    assert [line["job"] for line in listed] == jobs
    assert all(job in shown for job in jobs)
    assert [line["job"] for line in one] == jobs[:1]


def test_a_chain_that_holds_and_one_that_does_not(drawcli: Run, site: Site, log: AuditLog) -> None:
    head = str(log.head())

    well = drawcli("audit", "verify", "--head", head)
    (path,) = (site.state / "audit").glob("*.jsonl")
    path.write_bytes(path.read_bytes().replace(b"draw.example", b"evil.example"))
    broken = drawcli("audit", "verify")

    assert (well.code, "whole" in well.out, head in well.out) == (0, True, True)
    assert broken.code == 4
    assert f"{path.name}:1 was changed" in broken.err


def test_a_log_that_is_gone_is_told_by_the_ledger(
    drawcli: Run, ctx: Context, in_state: Callable[..., Job]
) -> None:
    job = in_state(State.PACKAGED, posts=1, attested=1)
    assert ctx.audit.head().number == 0

    told = drawcli("audit", "verify")

    assert (told.code, "whole; LINES OF 1 JOBS ARE MISSING" in told.out) == (4, True)
    assert f"uploads of job {job.id}: 1 in ledger, 0 in audit log" in told.err


@pytest.mark.usefixtures("log")
def test_an_action_is_listed_with_its_user_and_in_the_history(
    drawcli: Run, in_state: Callable[..., Job]
) -> None:
    job = in_state(State.UNMATCHED, "0123456789ab-1").id

    assert drawcli("cancel", job, "--dry-run").code == 0
    assert drawcli("cancel", job).code == 0
    assert drawcli("retry", job, "--resend").code == 0
    assert drawcli("pause", "--dry-run").code == drawcli("pause").code == 0
    assert drawcli("resume").code == 0
    listed = drawcli("audit", "actions")
    lines = drawcli("audit", "actions", "--json").answer["data"]["lines"]
    of_job = drawcli("audit", "actions", "--job", job, "--json").answer["data"]["lines"]
    events = drawcli("audit", "events", "--job", job, "--json").answer["data"]["events"]

    actor = Actor.present()
    assert [line["action"] for line in lines] == ["cancel", "resend", "pause", "resume"]
    assert [line["action"] for line in of_job] == ["cancel", "resend"]
    assert {line["source"] for line in lines} == {actor.source}
    assert lines[0]["who"] == actor.as_plain()
    assert (listed.code, "attempt" in listed.out, actor.label in listed.out) == (0, False, True)
    assert [event["by"] for event in events] == [actor.label] * 2
    assert f"by {actor.label}" in drawcli("show", job).out
    assert "action" not in drawcli("audit", "disclosures").out
    assert drawcli("audit", "verify").code == 0
