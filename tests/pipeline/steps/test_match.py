"""Rules that change and decide the same as before change nothing about a job."""

import pytest

from drawcli.core.jobs.job import EventKind, Job, State
from drawcli.operations.alarm_conditions import AlarmLimits, Facts, alarms_of
from drawcli.operations.verdict.facts import limits_of
from drawcli.pipeline.actions import apply_action, assign_template, release
from drawcli.pipeline.runner import Selection, run_step
from tests.conftest import PELVIS, Clock, Site, only_job, opened
from tests.fake_draw import FakeDraw

RULE = "  - {{name: {0}, template: {1}, when: {{Modality: {2}}}}}\n"


def ruled(site: Site, draw: FakeDraw, clock: Clock, *rules: tuple[str, str, str]) -> Job:
    """Match the one series with some rules, an hour later; return its job."""
    text = "".join(RULE.format(*rule) for rule in rules)
    (site.folder / "rules.yaml").write_text(f"rules:\n{text}" if text else "rules: []\n")
    clock.advance(hours=1)
    with opened(site, draw, clock) as ctx:
        for step in ("scan", "match"):
            run_step(step, ctx, Selection())
        return only_job(ctx)


@pytest.mark.usefixtures("pelvis")
def test_an_unmatched_series_keeps_its_age_and_learns_the_nearest_rule(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    first = ruled(site, draw, clock, ("a", "Prostate_OAR", "MR"))
    again = ruled(site, draw, clock, ("b", "Prostate_OAR", "MR"))
    matched = ruled(site, draw, clock, ("b", "Prostate_OAR", "CT"))

    assert (first.state, again.state, matched.state) == ("unmatched", "unmatched", "matched")
    assert (again.since, again.events) == (first.since, first.events)
    assert again.rules_digest != first.rules_digest
    assert "nearest is b" in (again.reason or "")
    assert matched.since > first.since


@pytest.mark.usefixtures("pelvis")
def test_an_ambiguous_series_is_held_anew_if_other_rules_match_or_a_user_has_released_it(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    both = (("a", "Prostate_OAR", "CT"), ("b", "Thorax_OAR", "CT"))
    first = ruled(site, draw, clock, *both)
    same = ruled(site, draw, clock, *both, ("c", "HeadNeck_OAR", "MR"))
    other = ruled(site, draw, clock, *both, ("c", "HeadNeck_OAR", "CT"))
    with opened(site, draw, clock) as ctx:
        apply_action(other, release, ctx)
    released = ruled(site, draw, clock, *both, ("c", "HeadNeck_OAR", "CT"))

    assert (first.state, first.held) == (State.AMBIGUOUS, True)
    assert (same.since, same.events, same.held) == (first.since, first.events, True)
    assert same.rules_digest != first.rules_digest
    assert (other.held, other.since > first.since) == (True, True)
    assert (released.held, released.events[-1].kind) == (True, EventKind.HELD)


@pytest.mark.usefixtures("pelvis")
def test_the_same_verdict_sends_no_alarm_again(site: Site, draw: FakeDraw, clock: Clock) -> None:
    both = (("a", "Prostate_OAR", "CT"), ("b", "Thorax_OAR", "CT"))
    limits: AlarmLimits = limits_of(site.settings().notify)

    def names(job: Job) -> set[str]:
        return {one.name for one in alarms_of(Facts(jobs=[job]), limits, clock.now(), clock.now())}

    first = ruled(site, draw, clock, *both)
    again = ruled(site, draw, clock, *both, ("c", "HeadNeck_OAR", "MR"))

    assert names(first) == names(again) != set()


@pytest.mark.usefixtures("pelvis")
@pytest.mark.parametrize("is_assigned", [False, True])
def test_a_rule_that_excludes_a_patient_later_stops_a_package_that_no_user_chose(
    site: Site, draw: FakeDraw, clock: Clock, *, is_assigned: bool
) -> None:
    job = ruled(site, draw, clock, ("a", "Prostate_OAR", "CT"))
    with opened(site, draw, clock) as ctx:
        if is_assigned:
            assign_template(job, "Prostate_OAR", ctx)
        run_step("deidentify", ctx, Selection())
    rules = site.folder / "rules.yaml"
    objection = f"  - {{name: b, exclude: true, when: {{PatientID: {PELVIS.patient_id}}}}}\n"
    rules.write_text(rules.read_text() + objection)

    with opened(site, draw, clock) as ctx:
        run_step("upload", ctx, Selection())
        after = only_job(ctx)

    assert draw.posts() == is_assigned
    assert after.state is (State.UPLOADED if is_assigned else State.EXCLUDED)
    if not is_assigned:
        assert (after.reason, after.held) == ("excluded by rule b", False)
        assert ruled(site, draw, clock, ("a", "Prostate_OAR", "CT")).state is State.MATCHED


@pytest.mark.usefixtures("pelvis")
def test_a_package_is_sent_though_other_rules_have_changed(
    site: Site, draw: FakeDraw, clock: Clock
) -> None:
    ruled(site, draw, clock, ("a", "Prostate_OAR", "CT"))
    with opened(site, draw, clock) as ctx:
        run_step("deidentify", ctx, Selection())
    (site.folder / "rules.yaml").write_text("rules: []\n")

    with opened(site, draw, clock) as ctx:
        run_step("upload", ctx, Selection())

        assert only_job(ctx).state is State.UPLOADED
