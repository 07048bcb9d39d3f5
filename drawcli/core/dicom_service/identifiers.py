"""UIDs from the network: what is not a UID becomes "", so that no path is made of it."""

import re
from typing import Final

_UID: Final = re.compile(rb"[0-9]+(\.[0-9]+)*")  # leading zeros occur
_LONGEST: Final = 64  # PS3.5 9.1


def uid_text(raw: bytes) -> str:
    r"""Return a UID without its padding; "" if it is anything but digits and single dots.

    >>> uid_text(b"1.2.840.10008.1.2\0"), uid_text(b"1.2 ")
    ('1.2.840.10008.1.2', '1.2')
    >>> [uid_text(raw) for raw in (b"../1", b"1.2\0.3", b"1..2", b"C:1", b"", b"1" * 65)]
    ['', '', '', '', '', '']
    """
    text = raw.rstrip(b"\0 ")
    return text.decode("ascii") if len(text) <= _LONGEST and _UID.fullmatch(text) else ""
