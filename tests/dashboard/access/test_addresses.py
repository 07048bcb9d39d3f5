"""From where somebody asks, and how many connections a network has."""

from ipaddress import ip_network
from typing import Any

import pytest

from drawcli.dashboard.access.addresses import client_of
from drawcli.dashboard.connections import Connections

PROXIES = (ip_network("10.0.0.5/32"), ip_network("2001:db8:9::/64"))


def scope(peer: str, *told: str) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", one.encode("latin-1")) for one in told]
    return {"type": "http", "client": (peer, 4711), "headers": headers}


@pytest.mark.parametrize(
    ("peer", "told", "found"),
    [
        ("10.0.0.5", ["192.0.2.7"], "192.0.2.7"),
        ("::ffff:10.0.0.5", ["192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["198.51.100.1, 192.0.2.7"], "192.0.2.7"),  # he wrote the first himself
        ("10.0.0.5", ["198.51.100.1", "192.0.2.7"], "192.0.2.7"),
        ("10.0.0.5", ["192.0.2.7, 2001:db8:9::1"], "192.0.2.7"),  # by two proxies
        ("10.0.0.5", ["192.0.2.7:5000"], "192.0.2.7"),
        ("10.0.0.5", ["[2001:db8::1]:5000"], "2001:db8::1"),
        ("10.0.0.5", ["192.0.2.7, unknown"], "10.0.0.5"),
        ("10.0.0.5", [""], "10.0.0.5"),
        ("10.0.0.5", [], "10.0.0.5"),
        ("192.0.2.9", ["127.0.0.1"], "192.0.2.9"),  # no proxy of ours
    ],
)
def test_what_a_proxy_of_the_site_says_counts_and_nothing_else(
    peer: str, told: list[str], found: str
) -> None:
    assert client_of(scope(peer, *told), PROXIES) == found


def test_without_a_proxy_nobody_is_believed() -> None:
    assert client_of(scope("127.0.0.1", "192.0.2.7"), ()) == "127.0.0.1"


class Stream:
    """A socket that was accepted."""

    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number

    def shutdown(self, _how: int) -> None:
        self.number = -1


async def taken(most: int, *addresses: str) -> list[str]:
    """Accept from some addresses; return those that are still there."""
    every = Connections(most, PROXIES)
    made = [every.add(Stream(number), address) for number, address in enumerate(addresses)]
    return [address for one, address in zip(made, addresses, strict=True) if one.is_open]


@pytest.mark.anyio
@pytest.mark.parametrize("one", ["127.0.{}.1", "2001:db8::{}", "::ffff:127.0.0.{}", "10.1.1.1"])
async def test_one_network_has_half_of_the_connections(one: str) -> None:
    many = [one.format(number) for number in range(1, 41)]

    assert len(await taken(20, *many)) == 10
    assert (await taken(20, *many, "192.0.2.1"))[-1] == "192.0.2.1"


@pytest.mark.anyio
async def test_who_has_the_most_makes_room_and_a_proxy_may_have_all() -> None:
    left = await taken(20, *["10.1.1.1"] * 10, *["10.1.1.2"] * 9, *["192.0.2.1"] * 5)

    assert left.count("192.0.2.1") == 5
    assert len(left) == 20
    assert len(await taken(20, *["10.0.0.5"] * 30)) == 20


@pytest.mark.anyio
async def test_what_is_being_answered_stays() -> None:
    every = Connections(20)
    old = [every.add(Stream(number), "10.1.1.1") for number in range(10)]
    for one in old:
        one.request_received()
    late = every.add(Stream(11), "10.1.1.1")

    assert all(one.is_open for one in old)
    assert not late.is_open


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
