"""Golden cases at the end of a run: nothing of it fails the run."""

import logging

import pytest

from drawcli.adapters.server.catalogue_cache import load_catalogue
from drawcli.errors import AnotherRun
from drawcli.operations.after_run import send_golden_cases
from drawcli.operations.commissioning import golden
from drawcli.pipeline.context import Context
from drawcli.sandbox.catalogue import as_json
from tests.conftest import Clock
from tests.fake_draw import FakeDraw
from tests.operations.commissioning.test_changes import store_of


def test_without_golden_cases_the_catalogue_is_renewed_twice_a_day(
    ctx: Context, draw: FakeDraw, clock: Clock
) -> None:
    draw.models = as_json()

    for hours in (0, 11, 2):
        clock.advance(hours=hours)
        assert send_golden_cases(ctx) is None

    assert draw.asked.count("GET /api/models/") == 2
    catalogue = load_catalogue(ctx.site_dir)
    assert catalogue is not None
    assert 720 in catalogue.digests


@pytest.mark.parametrize("answer", [404, 503, OSError("no route")])
def test_a_server_without_a_catalogue_or_without_an_answer_is_no_matter(
    ctx: Context, draw: FakeDraw, answer: int | Exception
) -> None:
    draw.answers = [answer] * 20

    assert send_golden_cases(ctx) is None


@pytest.mark.parametrize(("err", "said"), [(RuntimeError("bug"), 1), (AnotherRun("busy"), 0)])
def test_whatever_fails_is_a_warning_in_the_log(
    ctx: Context,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    err: Exception,
    said: int,
) -> None:
    store_of(ctx.site_dir)

    def fail(_ctx: Context) -> None:
        raise err

    monkeypatch.setattr(golden, "run_golden", fail)

    with caplog.at_level(logging.WARNING):
        assert send_golden_cases(ctx) is None

    assert len(caplog.records) == said
    assert "bug" not in caplog.text
