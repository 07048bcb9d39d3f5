"""The rules for the holder of a lease; tests/leases tests those of the database."""

import pytest

from drawcli.core.jobs.leases import HeldLeases, Lease

JOB, OTHER = "0123456789ab-1", "0123456789ab-2"


@pytest.fixture
def leases() -> HeldLeases:
    return HeldLeases(seconds=60.0)


def test_a_lease_is_renewed_three_times_in_its_time(leases: HeldLeases) -> None:
    assert leases.between_renewals == 20.0


def test_a_claim_is_safe_for_nine_tenths_of_the_lease_from_before_the_request(
    leases: HeldLeases,
) -> None:
    lease = leases.granted(JOB, 7, asked=100.0)

    assert lease == Lease(JOB, 7, safe_until=154.0, is_lost=False)
    assert [leases.is_safe(JOB, now) for now in (100.0, 153.9, 154.0)] == [True, True, False]
    assert not leases.is_safe(OTHER, 100.0)
    assert (leases.fence_of(JOB), leases.fence_of(OTHER)) == (7, None)


def test_a_renewal_extends_what_is_kept_and_never_shortens_it(leases: HeldLeases) -> None:
    lease = leases.granted(JOB, 7, asked=100.0)

    assert leases.extended([lease], {JOB}, asked=120.0) == []
    assert lease.safe_until == 174.0
    leases.extended([lease], {JOB}, asked=110.0)  # an answer that was overtaken by a later one
    assert lease.safe_until == 174.0


def test_a_claim_that_was_not_renewed_is_lost_once_and_no_transfer_begins(
    leases: HeldLeases,
) -> None:
    lease, kept = leases.granted(JOB, 7, asked=100.0), leases.granted(OTHER, 1, asked=100.0)

    assert leases.extended([lease, kept], {OTHER}, asked=101.0) == [lease]
    assert leases.extended([lease, kept], {OTHER}, asked=102.0) == []
    assert (leases.is_safe(JOB, 103.0), leases.is_safe(OTHER, 103.0)) == (False, True)
    assert leases.to_renew() == [kept]


def test_a_claim_that_was_released_or_claimed_anew_meanwhile_is_not_lost(
    leases: HeldLeases,
) -> None:
    former = leases.granted(JOB, 7, asked=100.0)
    leases.given_up(former)
    assert leases.extended([former], set(), asked=101.0) == []
    assert leases.fence_of(JOB) is None

    anew = leases.granted(JOB, 8, asked=102.0)
    leases.given_up(former)  # late: the new claim stays
    assert leases.extended([former], set(), asked=103.0) == []
    assert (former.is_lost, leases.to_renew(), leases.fence_of(JOB)) == (False, [anew], 8)
