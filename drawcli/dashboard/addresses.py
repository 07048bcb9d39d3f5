"""From where somebody asks: the address behind the proxies of the site, and its network.

What is limited for each address is limited for its network: one machine has all of 127.0.0.0/8, and
one customer or ward a /64 of IPv6 or more.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

Network = IPv4Network | IPv6Network
THIS_MACHINE = "this machine"
_OF_ONE = {4: 32, 6: 64}
_AROUND = {4: 24, 6: 48}


def network_of(address: str) -> str:
    """Return the network that counts as one, of an address.

    >>> network_of("127.9.9.9"), network_of("::1"), network_of("::ffff:127.0.0.2")
    ('this machine', 'this machine', 'this machine')
    >>> network_of("::ffff:10.1.2.3"), network_of("2001:db8:1:2::5"), network_of("fe80::1%eth0")
    ('10.1.2.3/32', '2001:db8:1:2::/64', 'fe80::/64')
    """
    return _part(address, _OF_ONE)


def around(address: str) -> str:
    """Return the wider network of an address, that one owner may well have.

    >>> around("10.1.2.3"), around("2001:db8:1:2::5"), around("127.0.0.1")
    ('10.1.2.0/24', '2001:db8:1::/48', 'this machine')
    """
    return _part(address, _AROUND)


def _part(address: str, widths: dict[int, int]) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]  # of no such kind: a socket of tests
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return THIS_MACHINE
    return str(ip_network((ip, widths[ip.version]), strict=False))


def client_of(scope: Scope, proxies: Sequence[Network]) -> str:
    """Return the address of a browser: who connects, or whom a proxy of the site names.

    A proxy appends to X-Forwarded-For the address that it was asked from. So the list is read from
    its end, as far as proxies of the site wrote it: what is before that anybody may have written.
    """
    peer = scope.get("client")
    address = str(peer[0]) if peer else ""
    told = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",") if proxies else []
    while told and is_among(address, proxies):
        before = _bare(told.pop())
        if not before:
            break
        address = before
    return address


def is_among(address: str, networks: Sequence[Network]) -> bool:
    """Tell whether an address is in one of some networks.

    >>> is_among("::ffff:10.1.2.3", [ip_network("10.0.0.0/8")]), is_among("x", [])
    (True, False)
    """
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    return any(ip in network for network in networks)


def _bare(told: str) -> str:
    """Return an address as it stands in X-Forwarded-For, without its port; "" where it is none.

    >>> _bare(" 10.1.2.3:4711"), _bare("[2001:db8::1]:443"), _bare("2001:db8::1"), _bare("unknown")
    ('10.1.2.3', '2001:db8::1', '2001:db8::1', '')
    """
    words = told.strip()
    if words.startswith("["):
        words = words[1:].partition("]")[0]
    elif words.count(":") == 1:
        words = words.partition(":")[0]
    try:
        return str(ip_address(words))
    except ValueError:
        return ""
