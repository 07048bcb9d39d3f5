"""The page of a site whose rules can be edited, with a series that no rule matches."""

import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from drawcli.core.jobs.job import Job
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import Site
from tests.dashboard.conftest import WORDS, Serve, log_in, token_in

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
Fields = dict[str, Any]


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


def form_in(page: str, action: str) -> Fields:
    """Return the fields of the first form of a page with an action, as a browser would send it."""
    found = re.search(
        rf'<form[^>]* action="{re.escape(action)}"[^>]*>(.*?)</form>', page, re.DOTALL
    )
    assert found is not None, page
    inner = found[1]
    fields: Fields = {}
    for tag in re.findall(r"<input[^>]*>", inner):
        name = attribute(tag, "name")
        kind = attribute(tag, "type")
        if kind in ("radio", "checkbox") and not re.search(r"\schecked", tag):
            continue
        if name in fields:
            fields[name] = [*list_of(fields[name]), attribute(tag, "value")]
        elif name:
            fields[name] = attribute(tag, "value")
    for name, body in re.findall(
        r'<select[^>]* name="([^"]*)"[^>]*>(.*?)</select>', inner, re.DOTALL
    ):
        options = re.findall(r"<option[^>]*>", body)
        chosen = next((one for one in options if " selected" in one), options[0])
        fields[unescape(name)] = attribute(chosen, "value")
    for name, body in re.findall(
        r'<textarea[^>]* name="([^"]*)"[^>]*>\n?(.*?)</textarea>', inner, re.DOTALL
    ):
        fields[name] = unescape(body)
    return fields


def list_of(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]


def attribute(tag: str, name: str) -> str:
    found = re.search(rf'\s{name}="([^"]*)"', tag)
    return unescape(found[1]) if found else ""


def submitted(client: TestClient, page: str, action: str, step: str, **changed: Any) -> Any:
    """Send a form of a page with a button, after changing fields."""
    return client.post(action, data=form_in(page, action) | {"step": step} | changed)


__all__ = ["RULES", "WORDS", "form_in", "log_in", "submitted", "token_in"]
