"""What status, metrics, alarms, `doctor` and `nodes check` say of the archives of `pull`."""

from datetime import timedelta

import pytest

from drawcli.adapters.state.pull_state import SourceState, write_sources
from drawcli.operations.alarm_conditions import AlarmLimits, Facts, alarms_of
from drawcli.operations.metrics import metrics_text
from drawcli.operations.overview import RunHealth
from drawcli.operations.pull.health import PullHealth
from drawcli.operations.verdict.facts import facts_of
from tests.conftest import NOON, Clock, Site, opened
from tests.fake_draw import FakeDraw

NAME = "PACS@127.0.0.1:9"
SOURCE = f"{{node: '{NAME}', folder: store/pulled, keys: {{Modality: CT}}}}"
HOUR = 3600.0
NOW = NOON.timestamp()


@pytest.fixture
def pulling(site: Site) -> Site:
    site.add_line(f"pull: {{sources: [{SOURCE}]}}")
    return site


def state(site: Site, **facts: object) -> None:
    write_sources(site.state, {NAME: SourceState(NAME, **facts)})  # type: ignore[arg-type] # any


def texts(site: Site) -> list[tuple[str, bool]]:
    return list(PullHealth.of(site.settings()).texts(NOON))


def test_an_archive_is_described_by_its_last_pull(pulling: Site) -> None:
    assert texts(pulling) == [(f"{NAME}: not asked yet", False)]

    state(pulling, asked=NOW, succeeded=NOW - 300, series=2, instances=240, waiting=1)
    ((said, failed),) = texts(pulling)

    assert said == f"{NAME}: last pulled 5 min ago; 2 series of 240 images so far; 1 not complete"
    assert not failed


def test_an_archive_that_fails_says_since_when_and_why(pulling: Site) -> None:
    state(pulling, asked=NOW, succeeded=NOW - 3 * HOUR, failed_since=NOW - 2 * HOUR, code="archive")

    ((said, failed),) = texts(pulling)

    assert "failing for 2 h (archive); last pulled 3 h ago" in said
    assert failed
    (line,) = [
        line
        for line in RunHealth.of_site(pulling.settings()).sentences(NOON)
        if line.subject == "pull"
    ]
    assert line.is_alarm


def test_metrics_have_each_archive(pulling: Site, draw: FakeDraw, clock: Clock) -> None:
    state(pulling, asked=NOW, succeeded=NOW, series=2, instances=240, bytes=99)

    with opened(pulling, draw, clock) as ctx:
        text = metrics_text(ctx)

    assert f'drawcli_pull_up{{source="{NAME}"}} 1' in text
    assert f'drawcli_pulled_images{{source="{NAME}"}} 240' in text
    assert "drawcli_pull_succeeded_timestamp_seconds" in text


def test_an_alarm_comes_once_an_archive_has_failed_for_long(
    pulling: Site, draw: FakeDraw, clock: Clock
) -> None:
    hours = timedelta(hours=2)
    limits = AlarmLimits(token=hours, server=hours, idle=timedelta(days=9))
    state(pulling, asked=NOW, failed_since=NOW - 3 * HOUR, code="archive")
    with opened(pulling, draw, clock) as ctx:
        facts = facts_of(ctx, [], None, None)

    (alarm,) = alarms_of(facts, limits, NOON, NOON)
    early = list(alarms_of(Facts(pulls_failing={NAME: NOON - hours / 2}), limits, NOON, NOON))

    assert (alarm.kind, alarm.key) == ("pull", NAME)
    assert "could not be pulled for 3 h" in alarm.text
    assert early == []
