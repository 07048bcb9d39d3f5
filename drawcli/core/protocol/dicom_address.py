"""The address of a DICOM node: AE_TITLE@host:port."""

from dataclasses import dataclass
from typing import Final

LONGEST_AE_TITLE: Final = 16  # PS3.5 table 6.2-1, AE
_LARGEST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Node:
    """A node that accepts structure sets by C-STORE."""

    ae_title: str
    host: str
    port: int

    def __str__(self) -> str:
        """Return AE_TITLE@host:port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.ae_title}@{host}:{self.port}"


def parse_node(text: str) -> Node:
    """Return the node of an address; raise ValueError if it is not valid.

    >>> parse_node("ECLIPSE@tps.ward.example:104")
    Node(ae_title='ECLIPSE', host='tps.ward.example', port=104)
    >>> parse_node("ECLIPSE@[fd00::7]:11112").host
    'fd00::7'
    """
    title, at, address = text.strip().rpartition("@")
    host, colon, port = address.rpartition(":")
    if not (at and colon and host):
        raise ValueError("should be AE_TITLE@host:port, such as ECLIPSE@tps.example:104")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _LARGEST_PORT):
        raise ValueError(f"should end with a port number, 1 to {_LARGEST_PORT}")
    return Node(check_ae_title(title), _checked_host(host), int(port))


def _checked_host(text: str) -> str:
    """Return a host without brackets; raise ValueError if it cannot be a host name."""
    host = text.removeprefix("[").removesuffix("]")
    try:
        host.encode("idna")
        is_name = bool(host) and host.isprintable() and " " not in host
    except UnicodeError:  # a label that is empty, or longer than 63
        is_name = False
    if not is_name:
        raise ValueError("should name a host or its address, such as ECLIPSE@tps.example:104")
    return host


def check_ae_title(text: str) -> str:
    """Return an application entity title without surrounding blanks, or raise ValueError.

    PS3.5 6.2: at most 16 characters of ASCII, no backslash, no control character, not only blanks.
    """
    title = text.strip(" ")
    if not title or len(title) > LONGEST_AE_TITLE:
        raise ValueError(f"an AE title has 1 to {LONGEST_AE_TITLE} characters")
    if not (title.isascii() and title.isprintable()) or "\\" in title:
        raise ValueError("an AE title is plain ASCII without a backslash")
    return title
