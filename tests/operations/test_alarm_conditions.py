import base64
import json
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from drawcli.core.jobs.job import Job, State
from drawcli.core.protocol.tokens import Tokens
from drawcli.errors import NeedsPerson
from drawcli.operations.alarm_conditions import (
    MOST_LINES,
    Alarm,
    AlarmKind,
    AlarmLimits,
    Facts,
    RecipientState,
    alarms_of,
    body_of,
    title_of,
)
from tests.conftest import NOON

LIMITS = AlarmLimits(token=timedelta(days=7), server=timedelta(hours=2), idle=timedelta(hours=72))
BERLIN = ZoneInfo("Europe/Berlin")
SEVEN = time(7)


def jwt(**claims: float) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"e30.{body}.x"


def kinds(since: datetime = NOON, **facts: object) -> list[AlarmKind]:
    found = alarms_of(Facts(**facts), LIMITS, NOON, since)  # type: ignore[arg-type] # fields of it
    return [one.kind for one in found]


def ago(**span: float) -> datetime:
    return NOON - timedelta(**span)


def test_where_all_is_well_there_is_no_alarm() -> None:
    jobs = [Job(id="0123456789ab-1", state=State.UPLOADED, since=ago(hours=9))]

    assert kinds(jobs=jobs, last_delivered=ago(hours=71), server_away_since=ago(hours=1.9)) == []
    assert kinds() == []


def test_from_their_limits_on_things_are_alarms() -> None:
    assert kinds(server_away_since=ago(hours=2)) == [AlarmKind.SERVER]
    assert kinds(last_delivered=ago(hours=72), since=ago(days=30)) == [AlarmKind.IDLE]
    assert kinds(failing="config") == [AlarmKind.FAILED]


@pytest.mark.parametrize(
    ("state", "held", "said"),
    [
        (State.UPLOADED, False, "'drawcli status' shows what waits"),
        (State.WAITING, True, "'drawcli status' shows what waits"),
        (State.EXCLUDED, True, "'drawcli status' shows what waits"),
        *(
            (state, False, "no series is in progress: check that scans reach the datastore and")
            for state in (State.DONE, State.CANCELLED, State.UNMATCHED, State.EXCLUDED)
        ),
    ],
)
def test_the_alarm_that_nothing_was_delivered_says_whether_series_are_in_progress(
    state: State, *, held: bool, said: str
) -> None:
    jobs = [Job(id="0123456789ab-1", state=state, since=ago(days=4), held=held)]
    facts = Facts(jobs=jobs, last_delivered=ago(days=4))

    *_, alarm = alarms_of(facts, LIMITS, NOON, ago(days=9))

    assert alarm.kind is AlarmKind.IDLE
    assert alarm.text.startswith(f"nothing was delivered for 4 d; {said}")


def waiting(number: int, since: datetime, code: str = "dicom-node") -> Job:
    return Job(id=f"{number:012x}-1", state=State.FETCHED, since=since, reason_code=code)


def test_structure_sets_that_a_dicom_node_does_not_take_are_one_alarm_while_they_wait() -> None:
    jobs = [waiting(1, ago(days=21)), waiting(2, ago(minutes=5)), waiting(3, ago(days=30), "io")]

    (alarm,) = alarms_of(Facts(jobs=jobs), LIMITS, NOON, NOON)

    assert alarm.name == "node:"  # the same alarm however many wait
    assert alarm.text.startswith(
        "the DICOM node has not accepted 2 structure sets; the oldest waits for 21"
    )
    assert kinds(jobs=[waiting(1, ago(hours=2))]) == [AlarmKind.NODE]
    assert kinds(jobs=[waiting(1, ago(hours=1.9))]) == []
    assert kinds(jobs=[replace(waiting(1, ago(days=9)), held=True)]) == [
        AlarmKind.HELD
    ]  # an alarm of its own


def test_structure_sets_that_wait_for_their_folder_are_an_alarm_of_its_own() -> None:
    jobs = [waiting(1, ago(hours=3), "delivery"), waiting(2, ago(hours=2))]

    node, folder = alarms_of(Facts(jobs=jobs), LIMITS, NOON, NOON)

    assert (node.name, folder.name) == ("node:", "node:folder")
    assert folder.text == (
        "the folder for structure sets has not accepted 1 structure set; the oldest waits for 3 h; "
        "'drawcli doctor' tests the connection"
    )
    assert kinds(jobs=[waiting(1, ago(hours=1.9), "delivery")]) == []


def test_nothing_is_missed_in_the_time_before_a_place_was_there() -> None:
    assert kinds(last_delivered=ago(days=30), since=ago(hours=71)) == []
    assert kinds(delivered={"a-1": ago(hours=2)}, since=ago(hours=1)) == []
    assert kinds(delivered={"a-1": ago(hours=2)}, since=ago(hours=2)) == [AlarmKind.DELIVERED]


@pytest.mark.parametrize(
    ("tokens", "told"),
    [
        (Tokens("a", "", ago(days=-8)), []),
        (Tokens("a", "", ago(days=-7)), [AlarmKind.TOKEN]),
        (Tokens("a", "", ago(days=1)), [AlarmKind.TOKEN]),
        (Tokens("a", "", None), []),
        (Tokens("a", "renews-itself", ago(hours=1)), []),
        (Tokens("a", jwt(exp=ago(days=-6).timestamp())), [AlarmKind.TOKEN]),
        (Tokens("a", jwt(exp=ago(days=-8).timestamp())), []),
        # made for a week: told when half of it is over, else it would be told each week anew
        (Tokens("a", jwt(exp=ago(days=-4).timestamp(), iat=ago(days=3).timestamp())), []),
        (
            Tokens("a", jwt(exp=ago(days=-3).timestamp(), iat=ago(days=4).timestamp())),
            [AlarmKind.TOKEN],
        ),
    ],
)
def test_tokens_are_an_alarm_where_they_end_for_good(tokens: Tokens, told: list[AlarmKind]) -> None:
    assert kinds(tokens=tokens) == told


def test_a_job_that_is_held_once_more_is_another_alarm() -> None:
    job = Job(id="0123456789ab-1", state=State.FETCHED, since=ago(hours=3))
    first = job.held_for(NeedsPerson("why", code="no-grid"), at=ago(hours=2))
    again = first.released(at=ago(hours=1)).held_for(NeedsPerson("w", code="no-grid"), at=NOON)

    (before,) = alarms_of(Facts(jobs=[first]), LIMITS, NOON, NOON)
    (after,) = alarms_of(Facts(jobs=[again]), LIMITS, NOON, NOON)

    assert before.name != after.name
    assert before.text == after.text
    assert "0123456789ab-1" in after.text
    assert "no-grid" in after.text


def test_what_the_privacy_gate_blocked_is_told_as_such() -> None:
    job = Job(id="0123456789ab-1", state=State.MATCHED, since=NOON)

    assert kinds(jobs=[job.held_for(NeedsPerson("w", code="privacy-gate"), at=NOON)]) == [
        AlarmKind.BLOCKED
    ]


def state_at(here: datetime) -> RecipientState:
    return RecipientState.new(here.astimezone(UTC), here, SEVEN)


def test_an_alarm_is_sent_once_and_again_after_it_cleared_and_came_back() -> None:
    alarm, every = Alarm(AlarmKind.SERVER, "", "x"), frozenset(AlarmKind)
    state = state_at(NOON)
    assert state.news([alarm]) == [alarm]

    state = state.with_sent([alarm])

    assert state.news([alarm]) == []
    assert state.without_cleared([alarm], every).news([alarm]) == []
    assert state.without_cleared([], {AlarmKind.FAILED}).news([alarm]) == []  # nobody looked
    assert state.without_cleared([], every).news([alarm]) == [alarm]


@pytest.mark.parametrize(
    ("first_seen", "due"),
    [(time(5), date(2026, 10, 24)), (time(7), date(2026, 10, 25)), (time(23), date(2026, 10, 25))],
)
def test_the_first_digest_is_that_of_the_next_hour(first_seen: time, due: date) -> None:
    here = datetime.combine(date(2026, 10, 24), first_seen, BERLIN)
    state = state_at(here)

    days = [here + timedelta(minutes=10 * n) for n in range(300)]

    assert next(day for day in days if state.wants_digest(day, SEVEN)).date() == due


@pytest.mark.parametrize("day", [date(2026, 3, 28), date(2026, 10, 24), date(2026, 6, 1)])
@pytest.mark.parametrize("at", [time(2, 30), time(0), time(23, 55), time(7)])
def test_there_is_one_digest_a_day_also_where_an_hour_is_missing_or_comes_twice(
    day: date, at: time
) -> None:
    now = datetime.combine(day, time(0, 1), BERLIN).astimezone(UTC)
    state = RecipientState.new(now, now.astimezone(BERLIN), at)
    days = []
    for _ in range(4 * 144):
        here = now.astimezone(BERLIN)
        if state.wants_digest(here, at):
            state = state.with_digest(now, here)
            days.append(here.date())
        now += timedelta(minutes=10)

    assert len(days) == len(set(days))
    inner = {day + timedelta(days=n) for n in range(1, 3)}
    assert inner <= set(days) or at == time(23, 55)  # ten minutes may step over the last five


def test_a_clock_that_was_wrong_does_not_end_the_digests() -> None:
    state = state_at(NOON)._replace(digest_day=date(2036, 1, 1))

    assert state.wants_digest(NOON, SEVEN)


def test_many_alarms_are_one_message_that_a_person_reads() -> None:
    many = [Alarm(AlarmKind.HELD, str(n), f"job {n}") for n in range(50)]

    assert title_of([*many, Alarm(AlarmKind.BLOCKED, "", "")]) == (
        "1 blocked by the privacy gate, 50 held"
    )
    lines = body_of([one.text for one in many]).splitlines()
    assert (len(lines), lines[-1][:12]) == (MOST_LINES + 1, "and 30 more:")


def test_all_that_a_new_site_holds_at_first_is_one_alarm() -> None:
    err = NeedsPerson("this new site would send 2 series, more than 1", code="first-run")
    jobs = [
        Job(id=f"{number:012x}-1", state=State.MATCHED, since=NOON).held_for(err, at=NOON)
        for number in range(2)
    ]

    (alarm,) = alarms_of(Facts(jobs=jobs), LIMITS, NOON, NOON)

    assert alarm.name == "held:first-run"
    assert "would send 2 series" in alarm.text
