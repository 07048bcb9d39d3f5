from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.jobs.ledger import ArchiveEntry, Ledger, check_claim
from drawcli.errors import LeaseLost

JOB = Job(id="0123456789ab-3", state=State.DONE, since=datetime(2026, 3, 31, 23, 59, tzinfo=UTC))


@pytest.mark.parametrize("digest", ["d1", None])
def test_the_archive_keeps_id_month_state_and_digest_of_a_job(digest: str | None) -> None:
    job = Job(id=JOB.id, state=JOB.state, since=JOB.since, source_digest=digest)

    entry = ArchiveEntry.of(job)

    assert entry == ("0123456789ab-3", "2026-03", State.DONE, digest or "")
    assert entry.series_key == "0123456789ab"


def test_no_transfer_begins_for_a_job_whose_claim_has_ended() -> None:
    ledger = cast("Ledger", SimpleNamespace(is_safe=lambda job_id: job_id == "safe-1"))

    check_claim(ledger, "safe-1")
    with pytest.raises(LeaseLost, match="the claim of job lost-1 ended"):
        check_claim(ledger, "lost-1")
