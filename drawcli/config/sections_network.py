"""The settings sections for the DICOM network."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from drawcli.core.protocol.dicom_address import check_ae_title
from drawcli.system.kinds import PATH, listed, maybe, number, text, whole, words
from drawcli.system.records import Record, setting

if TYPE_CHECKING:
    from drawcli.core.dicom_service.callers import Caller

_UID: Final = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")
_LONGEST_UID: Final = 64
STORAGE_CLASSES: Final = {
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "RTPLAN": "1.2.840.10008.5.1.4.1.1.481.5",
    "RTDOSE": "1.2.840.10008.5.1.4.1.1.481.2",
}
OF_CONTOUR_QA: Final = ("RTSTRUCT", "RTPLAN")  # accepted where qa.enabled
NOT_RECEIVED: Final = frozenset(  # deflated ones, which would be inflated, and big endian
    {"1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.8.1", "1.2.840.10008.1.2.2"}
    | {"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205"}
)
_SECONDS: Final = number(above=0, most=3600)


def _storage_class(name: str) -> str:
    uid = STORAGE_CLASSES.get(name.upper(), name)
    if not _UID.fullmatch(uid) or len(uid) > _LONGEST_UID:
        raise ValueError(f"should be the UID of a storage class, or {', '.join(STORAGE_CLASSES)}")
    return uid


def _transfer_syntax(uid: str) -> str:
    if not _UID.fullmatch(uid) or len(uid) > _LONGEST_UID:
        raise ValueError("should be the UID of a transfer syntax")
    if uid in NOT_RECEIVED:
        raise ValueError("is deflated, referenced or big endian, which is not received")
    return uid


def _caller(one: str) -> str:
    from drawcli.core.dicom_service.callers import parse_caller

    return str(parse_caller(one))


def _listen(address: str) -> str:
    from drawcli.core.dicom_service.callers import parse_listen

    parse_listen(address)
    return address.strip()


class Receive(Record):
    """The DICOM node of `drawcli receive`; it is configured if it has a folder."""

    listen: str = setting("127.0.0.1:11112", text(check=_listen))
    ae_title: str = setting("DRAWCLI", text(check=check_ae_title))  # that callers must use
    folder: Path | None = setting(None, maybe(PATH))  # in the datastore
    callers: list[str] = setting([], listed(text(check=_caller), split=words))
    storage_classes: list[str] = setting(  # in addition to images of CT, MR and PET
        [], listed(text(check=_storage_class), split=words)
    )
    transfer_syntaxes: list[str] = setting(  # in addition to those of the de-identification
        [], listed(text(check=_transfer_syntax), split=words)
    )
    tls_cert: Path | None = setting(None, maybe(PATH))  # PEM, with its chain
    tls_key: Path | None = setting(None, maybe(PATH))  # None: in tls_cert
    tls_ca: Path | None = setting(None, maybe(PATH))  # callers need a certificate of it
    associations: int = setting(64, whole(least=1, most=1000))
    associations_per_address: int = setting(32, whole(least=1, most=1000))
    first_request_seconds: float = setting(30.0, _SECONDS)
    idle_seconds: float = setting(120.0, _SECONDS)  # between two requests
    largest_gib: float = setting(2.0, number(above=0, most=1000))  # of an object
    unfinished_gib: float = setting(8.0, number(above=0, most=10_000))  # of all that arrive
    keep_free_gib: float = setting(2.0, number(least=0, most=100_000))

    def check(self) -> None:
        """Refuse half a certificate."""
        if self.tls_cert is None and (self.tls_key or self.tls_ca):
            raise ValueError("tls_key and tls_ca belong to a tls_cert; set it, too")

    @property
    def known_callers(self) -> "tuple[Caller, ...]":
        """The callers with their networks."""
        from drawcli.core.dicom_service.callers import parse_caller

        return tuple(map(parse_caller, self.callers))

    @property
    def address(self) -> tuple[str, int]:
        """The address and port to listen on."""
        from drawcli.core.dicom_service.callers import parse_listen

        return parse_listen(self.listen)
