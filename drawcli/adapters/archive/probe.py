"""Look at an archive: connection, TLS, association, services, a query; nothing is retrieved."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from drawcli.adapters.dicom_network.association import Association
from drawcli.adapters.dicom_network.connection import connected
from drawcli.core.dicom.header import IMPLICIT_LITTLE
from drawcli.core.dicom.upper_layer import NodeTrouble, ProposedContext
from drawcli.core.pull.retrieval import FIND, GET, MODELS, MOVE, NAMES
from drawcli.errors import JobError

if TYPE_CHECKING:
    from drawcli.adapters.archive.dimse_archive import DimseArchive
    from drawcli.adapters.archive.web_archive import WebArchive

_ECHO: Final = ProposedContext(1, "1.2.840.10008.1.1", IMPLICIT_LITTLE)
_OFFERS: Final = {
    command: ProposedContext(3 + 2 * n, MODELS[command], IMPLICIT_LITTLE)
    for n, command in enumerate((FIND, GET, MOVE))
}
_TITLE_HINT: Final = (
    "It accepts associations and answers no query: does it know our AE title {}, and may that ask?"
)


@dataclass(frozen=True, slots=True)
class SourceProbe:
    """What was found; None: not known."""

    failure: str = ""  # a predicate of the archive; "": it can be pulled from
    hint: str = ""
    reachable: bool = False
    tls: str | None = None  # such as TLSv1.3
    certificate_until: datetime | None = None
    services: tuple[str, ...] | None = None  # such as C-FIND


def probe_node(archive: "DimseArchive", retrieval: int) -> SourceProbe:
    """Connect to a node and ask what it offers; `retrieval` is GET or MOVE, as a pull would."""
    try:
        wire = connected(archive.node, archive.deadlines.connect, archive.tls)
    except NodeTrouble as err:
        return SourceProbe(str(err), err.hint)
    secured = getattr(wire, "secured", None)
    found = SourceProbe(
        reachable=True,
        tls=None if secured is None else secured.protocol,
        certificate_until=None if secured is None else secured.certificate_until,
    )
    offers = [_ECHO, *_OFFERS.values()]
    node, calling, deadlines = archive.node, archive.calling, archive.deadlines
    try:
        with Association(node, calling, offers, deadlines, wire=wire) as association:
            services = [NAMES[one] for one, offer in _OFFERS.items() if association.accepts(offer)]
            if association.accepts(_ECHO) and association.echo(_ECHO) == 0:
                services.insert(0, "C-ECHO")
    except NodeTrouble as err:
        return replace(found, failure=str(err), hint=err.hint)
    needed = [name for name in (NAMES[FIND], NAMES[retrieval]) if name not in services]
    found = replace(found, services=tuple(services))
    if needed:
        return replace(found, failure=f"does not offer {' and '.join(needed)} of the study root")
    try:
        archive.ask()
    except JobError as err:
        return replace(found, failure=_predicate(err, archive), hint=_TITLE_HINT.format(calling))
    return found


def probe_web(archive: "WebArchive") -> SourceProbe:
    """Send a DICOMweb archive a query for one study."""
    from drawcli.system.network.client_tls import expiry_of

    try:
        answer = archive.ask()
    except JobError as err:
        return SourceProbe(_predicate(err, archive), err.hint, reachable=archive.was_reached)
    finally:
        archive.close()
    return SourceProbe(
        reachable=True,
        tls=answer.tls or None,
        certificate_until=expiry_of(answer.certificate),
        services=("QIDO-RS",),
    )


def _predicate(err: JobError, archive: "DimseArchive | WebArchive") -> str:
    return str(err).removeprefix(f"{archive.describe()} ")
