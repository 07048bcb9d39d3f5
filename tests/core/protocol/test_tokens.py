import json
from datetime import UTC, datetime, timedelta

import pytest

from drawcli.core.protocol.tokens import Tokens, parse_moment, parse_pair

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("left", "stale"),
    [
        (timedelta(days=30), False),
        (timedelta(minutes=5, seconds=1), False),
        (timedelta(minutes=5), True),
        (timedelta(seconds=-1), True),
    ],
)
def test_a_token_is_refreshed_five_minutes_early(left: timedelta, *, stale: bool) -> None:
    assert Tokens("a", expires_at=NOON + left).is_stale(NOON) is stale


def test_a_token_of_unknown_age_is_used_until_it_is_refused() -> None:
    assert not Tokens("a").is_stale(NOON)


def test_a_rotated_pair_replaces_both() -> None:
    answer = {"access_token": "a2", "refresh_token": "r2", "expires_in": 3600}

    assert Tokens("a1", "r1").after_refresh(answer, NOON) == Tokens(
        "a2", "r2", NOON + timedelta(hours=1)
    )


def test_without_rotation_the_refresh_token_stays() -> None:
    assert Tokens("a1", "r1").after_refresh({"access_token": "a2"}, NOON) == Tokens(
        "a2", "r1", None
    )


def test_the_moment_of_expiry_may_be_given_instead_of_seconds() -> None:
    answer = {"access_token": "a2", "expires_at": "2026-03-14T18:00:00+05:30"}

    assert Tokens("a1", "r1").after_refresh(answer, NOON).expires_at == NOON + timedelta(minutes=30)


@pytest.mark.parametrize(
    "nonsense",
    [
        {"expires_in": 1e300},
        {"expires_in": float("nan")},
        {"expires_in": "soon"},
        {"expires_at": "tomorrow"},
        {"expires_at": 7},
        {"expires_in": None, "expires_at": None},
    ],
)
def test_a_new_pair_is_kept_despite_an_invalid_expiry(nonsense: dict[str, object]) -> None:
    answer = {"access_token": "a2", "refresh_token": "r2", **nonsense}

    assert Tokens("a1", "r1").after_refresh(answer, NOON) == Tokens("a2", "r2", None)


def test_the_repr_of_tokens_hides_them() -> None:
    shown = f"{Tokens('sesame-1', 'sesame-2', NOON)!r} {Tokens('sesame-1')}"

    assert "sesame" not in shown


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-14T12:00:00Z", NOON),
        ("2026-03-14 12:00:00", NOON),
        ("2026-03-14T13:00:00+01:00", NOON),
        ("noon", None),
        (None, None),
        (1773489600, None),
    ],
)
def test_a_moment_without_a_zone_is_utc(text: object, moment: datetime | None) -> None:
    assert parse_moment(text) == moment


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "99999-01-01"])
def test_a_time_out_of_range_is_none(moment: str) -> None:
    pair = parse_pair(json.dumps({"access_token": "a", "refresh_token": "r", "expires_at": moment}))

    assert pair.expires_at is None
    assert not pair.is_stale(NOON)
