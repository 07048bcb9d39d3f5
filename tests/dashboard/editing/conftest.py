"""The page of a site whose rules can be edited, with a series that no rule matches."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Site
from tests.dashboard.conftest import WORDS, Serve, log_in

RULES = """\
# Rules of this site.

rules:
  # agreed in May
  - name: pelvis   # all of them
    template: Prostate_OAR
    when:
      all:
        - Modality: CT
        - ProtocolName: {contains: nowhere}  # 5 of 9 series known when this was written

  - name: head
    template: HeadNeck_OAR
    when: {Modality: CT, ProtocolName: {contains: head}}

tests:
  - name: a head
    header: {Modality: CT, ProtocolName: head}
    template: HeadNeck_OAR
"""


@pytest.fixture
def rules(site: Site) -> Path:
    """Return the rules file of the site."""
    path = site.settings().rules
    path.write_text(RULES, encoding="utf-8")
    return path


@pytest.fixture
def unmatched(ctx: Context, rules: Path, pelvis: list[Path]) -> Job:
    """Return the job of a series that no rule matches."""
    assert pelvis
    assert rules.exists()
    for step in ("scan", "match"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    return job


@pytest.fixture
def editor(serve: Serve, rules: Path) -> TestClient:
    """Return the page, for a user who may edit."""
    assert rules.exists()
    client = serve(password=WORDS, allow_editing=True)
    log_in(client)
    return client
