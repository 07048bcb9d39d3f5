"""Who may open associations (AE_TITLE@network), and the address to listen on."""

import ipaddress
from collections.abc import Sequence
from typing import Final, NamedTuple

from drawcli.core.protocol.dicom_address import check_ae_title

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_LARGEST_PORT: Final = 65_535


class Caller(NamedTuple):
    """A node that may open associations."""

    ae_title: str
    network: Network

    def __str__(self) -> str:
        """Return AE_TITLE@network."""
        return f"{self.ae_title}@{self.network}"


def parse_caller(text: str) -> Caller:
    """Return a caller; raise ValueError if it is not valid.

    >>> str(parse_caller("CT1@10.1.2.0/24")), str(parse_caller("CT2@10.1.2.7"))
    ('CT1@10.1.2.0/24', 'CT2@10.1.2.7/32')
    """
    title, at, network = text.strip().rpartition("@")
    if not at:
        raise ValueError("should be AE_TITLE@network, such as CT1@10.1.2.0/24")
    title = check_ae_title(title)
    try:
        fitting = ipaddress.ip_network(network, strict=False)
    except ValueError:
        raise ValueError("should end with an address or a network, such as 10.1.2.0/24") from None
    if str(fitting.network_address) != str(ipaddress.ip_address(network.partition("/")[0])):
        raise ValueError(f"should name a network, such as {title}@{fitting}")
    return Caller(title, fitting)


def parse_listen(text: str) -> tuple[str, int]:
    """Return the address and port to listen on; raise ValueError if it is not valid.

    >>> parse_listen("127.0.0.1:11112"), parse_listen("[::1]:0")
    (('127.0.0.1', 11112), ('::1', 0))
    """
    host, colon, port = text.strip().rpartition(":")
    if not (colon and port.isascii() and port.isdecimal() and int(port) <= _LARGEST_PORT):
        raise ValueError("should be an address and a port, such as 127.0.0.1:11112")
    try:
        return str(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))), int(port)
    except ValueError:
        raise ValueError(
            "should begin with an address of this machine, such as 10.1.2.3, or 0.0.0.0 for all"
        ) from None


def address_of(text: str) -> Address:
    """Return the address of a peer; IPv4 in IPv6 as IPv4.

    >>> str(address_of("::ffff:10.1.2.3")), str(address_of("fe80::1%eth0"))
    ('10.1.2.3', 'fe80::1')
    """
    found = ipaddress.ip_address(text.partition("%")[0])
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def is_in_networks(address: Address, callers: Sequence[Caller]) -> bool:
    """Return whether any caller may have an address."""
    return any(address in caller.network for caller in callers)


def is_known(ae_title: str, address: Address, callers: Sequence[Caller]) -> bool:
    """Return whether a calling AE title may come from an address."""
    return any(one.ae_title == ae_title and address in one.network for one in callers)
