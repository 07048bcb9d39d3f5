"""Client addresses behind the proxies of the site, and their networks.

Limits apply to networks, not to addresses: one machine has all of 127.0.0.0/8, and one customer or
ward has an IPv6 /64 or more.
"""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

Network = IPv4Network | IPv6Network
THIS_MACHINE = "this machine"
_PREFIX = {4: 32, 6: 64}
_WIDER_PREFIX = {4: 24, 6: 48}


def network_of(address: str) -> str:
    """Return the network of an address that counts as a single client.

    >>> network_of("127.9.9.9"), network_of("::1"), network_of("::ffff:127.0.0.2")
    ('this machine', 'this machine', 'this machine')
    >>> network_of("::ffff:10.1.2.3"), network_of("2001:db8:1:2::5"), network_of("fe80::1%eth0")
    ('10.1.2.3/32', '2001:db8:1:2::/64', 'fe80::/64')
    """
    return _network(address, _PREFIX)


def wider_network(address: str) -> str:
    """Return the wider network of an address, which one owner may have.

    >>> wider_network("10.1.2.3"), wider_network("2001:db8:1:2::5"), wider_network("127.0.0.1")
    ('10.1.2.0/24', '2001:db8:1::/48', 'this machine')
    """
    return _network(address, _WIDER_PREFIX)


def _network(address: str, prefixes: dict[int, int]) -> str:
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address[:64]  # not an IP address, as in tests
    if isinstance(ip, IPv6Address):
        ip = ip.ipv4_mapped or ip
    if ip.is_loopback:
        return THIS_MACHINE
    return str(ip_network((ip, prefixes[ip.version]), strict=False))


def client_of(scope: Scope, proxies: Sequence[Network]) -> str:
    """Return the address of a browser: of the peer, or as a proxy of the site reports it.

    A proxy appends the address of its client to X-Forwarded-For. So the list is read from its end
    while the proxies of the site wrote it; a client can forge the entries before.
    """
    peer = scope.get("client")
    address = str(peer[0]) if peer else ""
    hops = ",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",") if proxies else []
    while hops and is_among(address, proxies):
        previous = _bare(hops.pop())
        if not previous:
            break
        address = previous
    return address


def is_among(address: str, networks: Sequence[Network]) -> bool:
    """Return whether an address is in one of some networks.

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


def _bare(entry: str) -> str:
    """Return the address of an X-Forwarded-For entry, without its port; "" if it has none.

    >>> _bare(" 10.1.2.3:4711"), _bare("[2001:db8::1]:443"), _bare("2001:db8::1"), _bare("unknown")
    ('10.1.2.3', '2001:db8::1', '2001:db8::1', '')
    """
    text = entry.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return ""
