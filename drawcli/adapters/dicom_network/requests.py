"""Requests to a DICOM node, encoded with the PDUs and messages of pynetdicom."""

from collections.abc import Iterable, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from drawcli.core.deid.own_elements import IMPLEMENTATION_CLASS
from drawcli.core.dicom.dimse import ECHO, MESSAGE_ID, DimseRequest
from drawcli.core.dicom.upper_layer import ProposedContext
from drawcli.core.dicom_service.association_answer import VERSION_NAME
from drawcli.core.protocol.dicom_address import Node

if TYPE_CHECKING:
    from pynetdicom.dimse_messages import DIMSEMessage

LONGEST_PDU: Final = 16_384  # bytes of a P-DATA-TF that we accept
_APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"  # PS3.7 A.2.1


def association_request(
    node: Node,
    calling: str,
    offers: Sequence[ProposedContext],
    *,
    provided: Iterable[str] = (),
    longest_pdu: int = LONGEST_PDU,
) -> bytes:
    """Return an A-ASSOCIATE-RQ (PS3.8 9.3.2).

    Parameters
    ----------
    node, calling, offers
        The node, our AE title, and the proposed contexts.
    provided
        SOP classes that we provide: objects are sent to us by C-STORE (PS3.7 D.3.3.4).
    longest_pdu
        Bytes of a P-DATA-TF that we accept.
    """
    from pynetdicom import build_context
    from pynetdicom.pdu import A_ASSOCIATE_RQ
    from pynetdicom.pdu_primitives import (
        A_ASSOCIATE,
        ImplementationClassUIDNotification,
        ImplementationVersionNameNotification,
        MaximumLengthNotification,
        SCP_SCU_RoleSelectionNegotiation,
    )

    longest, ours = MaximumLengthNotification(), ImplementationClassUIDNotification()
    version = ImplementationVersionNameNotification()
    longest.maximum_length_received = longest_pdu
    ours.implementation_class_uid = IMPLEMENTATION_CLASS
    version.implementation_version_name = VERSION_NAME
    asked = A_ASSOCIATE()
    asked.application_context_name = _APPLICATION_CONTEXT
    asked.calling_ae_title, asked.called_ae_title = calling, node.ae_title
    roles = []
    for sop_class in provided:
        roles.append(role := SCP_SCU_RoleSelectionNegotiation())
        role.sop_class_uid, role.scu_role, role.scp_role = sop_class, False, True
    asked.user_information = [longest, ours, *roles, version]
    contexts = [build_context(offer.sop_class, offer.transfer_syntax) for offer in offers]
    for context, offer in zip(contexts, offers, strict=True):
        context.context_id = offer.context
    asked.presentation_context_definition_list = contexts
    return A_ASSOCIATE_RQ(asked).encode()


def command_set(request: DimseRequest) -> bytes:
    """Return the command set of a C-ECHO-RQ or C-STORE-RQ (PS3.7 9.3.1, 9.3.5)."""
    from pynetdicom.dimse_messages import C_ECHO_RQ, C_STORE_RQ
    from pynetdicom.dimse_primitives import C_ECHO, C_STORE

    asked: C_ECHO | C_STORE
    if request.command == ECHO:
        asked = C_ECHO()
        return _encoded(C_ECHO_RQ(), asked, request)
    asked = C_STORE()
    asked.AffectedSOPInstanceUID = request.sop_instance
    asked.DataSet = BytesIO(b"\0\0")  # announces a data set, which is sent separately
    return _encoded(C_STORE_RQ(), asked, request)


def _encoded(message: "DIMSEMessage", asked: Any, request: DimseRequest) -> bytes:
    from pynetdicom.dsutils import encode

    asked.MessageID, asked.AffectedSOPClassUID = MESSAGE_ID, request.sop_class
    message.primitive_to_message(asked)
    encoded = encode(message.command_set, is_implicit_vr=True, is_little_endian=True)
    if encoded is None:
        raise ValueError("a request that cannot be encoded")
    return encoded
