"""What is read of a received data set, and what is written before it (PS3.10 section 7.1)."""

from typing import Final, NamedTuple

from drawcli import __version__
from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS
from drawcli.core.dicom import tags
from drawcli.core.dicom.encoding import encode, file_beginning
from drawcli.core.dicom.header import IMPLICIT_LITTLE, Incomplete, NotDicom, walk
from drawcli.core.dicom_service.identifiers import uid_text

_FIRST_GROUP: Final = 0x0008  # of a data set: no command, no file meta
_WANTED: Final = frozenset({tags.SOPClassUID, tags.SOPInstanceUID, tags.SeriesInstanceUID})


class ObjectFacts(NamedTuple):
    """What the command and the association say of an object."""

    sop_class: str
    sop_instance: str
    transfer_syntax: str
    calling: str  # AE title


class ObjectUids(NamedTuple):
    """The UIDs of a data set; "" if one is missing or not valid."""

    sop_class: str
    sop_instance: str
    series: str


def read_uids(data: bytes, transfer_syntax: str, *, complete: bool = False) -> ObjectUids:
    """Return the UIDs of a data set from its first bytes, up to the SeriesInstanceUID.

    Parameters
    ----------
    data
        The beginning of the data set.
    transfer_syntax
        The negotiated one, in little endian and not deflated.
    complete
        Whether this is the whole data set.

    Raises
    ------
    Incomplete
        If the bytes end before the elements that are wanted.
    NotDicom
        If the bytes are no data set in that transfer syntax.
    """
    found, latest = dict[int, bytes](), -1
    explicit = transfer_syntax != IMPLICIT_LITTLE
    for element in walk(data, 0, len(data), explicit=explicit):
        if element.tag <= latest or element.tag >> 16 < _FIRST_GROUP:
            raise NotDicom("elements out of order")
        if element.tag > tags.SeriesInstanceUID:
            break
        latest = element.tag
        if element.tag in _WANTED and not element.undefined:
            found[element.tag] = data[element.value : element.end]
        if element.tag == tags.SeriesInstanceUID:
            break
    else:
        if not complete:
            raise Incomplete
    return ObjectUids(
        *(
            uid_text(found.get(tag, b""))
            for tag in (tags.SOPClassUID, tags.SOPInstanceUID, tags.SeriesInstanceUID)
        )
    )


def file_head(facts: ObjectFacts) -> bytes:
    """Return preamble, prefix and file meta of a received object."""
    elements = (
        (0x00020001, b"OB", b"\0\1"),
        (0x00020002, b"UI", facts.sop_class.encode("ascii")),
        (0x00020003, b"UI", facts.sop_instance.encode("ascii")),
        (0x00020010, b"UI", facts.transfer_syntax.encode("ascii")),
        (0x00020012, b"UI", IMPLEMENTATION_CLASS.encode("ascii")),
        (0x00020013, b"SH", f"DRAWCLI_{__version__}"[:16].encode("ascii")),
        (0x00020016, b"AE", facts.calling.encode("ascii")),
    )
    meta = b"".join(encode(tag, vr, value, explicit=True) for tag, vr, value in elements)
    return file_beginning(meta)
