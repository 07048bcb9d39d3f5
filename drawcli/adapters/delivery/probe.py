"""Look at a DICOM target step by step: connection, TLS, association, contexts, commitment, STOW."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from drawcli.adapters.delivery.dicom_node import DEFAULT, ECHO, EXPLICIT, KEEPING
from drawcli.adapters.dicom_network.association import Association
from drawcli.adapters.dicom_network.connection import Wire, connected
from drawcli.core.dicom.upper_layer import NodeTrouble
from drawcli.errors import TryLater

if TYPE_CHECKING:
    from drawcli.adapters.delivery.dicom_node import DicomNode
    from drawcli.adapters.delivery.stow import StowTarget

_NAMES = {DEFAULT: "Implicit VR Little Endian", EXPLICIT: "Explicit VR Little Endian"}


@dataclass(frozen=True, slots=True)
class TargetProbe:
    """What was found; None: not known, or not for this kind of target."""

    failure: str = ""  # a predicate of the target; "": it accepts structure sets
    hint: str = ""
    reachable: bool = False
    tls: str | None = None  # such as TLSv1.3
    certificate_until: datetime | None = None  # of the target
    association: bool | None = None
    contexts: tuple[str, ...] | None = None  # transfer syntaxes of structure sets
    echo: bool | None = None
    commitment: bool | None = None  # whether it is offered
    stow: bool | None = None  # whether a request was answered


def probe_node(node: "DicomNode") -> TargetProbe:
    """Connect to a node, and ask it what it accepts; nothing is stored."""
    try:
        wire = connected(node.node, node.deadlines.connect, node.tls)
    except NodeTrouble as err:
        return TargetProbe(str(err), err.hint)
    found = _of_wire(wire)
    try:
        offers = [EXPLICIT, DEFAULT, ECHO, KEEPING]
        with Association(node.node, node.calling, offers, node.deadlines, wire=wire) as association:
            taken = tuple(name for one, name in _NAMES.items() if association.accepts(one))
            offered = association.accepts(KEEPING)
            found = replace(found, association=True, contexts=taken, commitment=offered, echo=False)
            if association.accepts(ECHO):
                found = replace(found, echo=association.echo(ECHO) == 0)
    except NodeTrouble as err:
        return replace(found, association=found.association or False, failure=str(err))
    return replace(found, failure=_lacks(found, needs_commitment=node.commitment is not None))


def probe_archive(target: "StowTarget") -> TargetProbe:
    """Send a DICOMweb archive requests that store nothing."""
    from drawcli.adapters.dicom_web.web_client import WebFailure
    from drawcli.system.network.client_tls import expiry_of

    try:
        answer = target.ask()
    except WebFailure as err:
        return TargetProbe(str(err), err.hint, reachable=not err.never_connected)
    found = TargetProbe(
        reachable=True,
        tls=answer.tls or None,
        certificate_until=expiry_of(answer.certificate),
        stow=True,
    )
    try:
        remark = target.judge_check(answer)
    except TryLater as err:
        why = str(err).removeprefix(f"{target.describe()} ")
        return replace(found, stow=False, failure=why, hint=err.hint)
    return found if remark is None else replace(found, stow=None)


def _of_wire(wire: Wire) -> TargetProbe:
    secured = getattr(wire, "secured", None)
    if secured is None:
        return TargetProbe(reachable=True)
    return TargetProbe(
        reachable=True, tls=secured.protocol, certificate_until=secured.certificate_until
    )


def _lacks(found: TargetProbe, *, needs_commitment: bool) -> str:
    """Return what a node does not accept, as a predicate; "" if nothing is missing."""
    if not found.contexts:
        return "does not accept structure sets"
    if not found.echo:
        return "does not answer a C-ECHO"
    return "does not offer storage commitment" * (needs_commitment and not found.commitment)
