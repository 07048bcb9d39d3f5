"""Answer a report of storage commitment (N-EVENT-REPORT) that a node sends to `receive`."""

import logging
from typing import Final

from drawcli.adapters.dicom_network.commitments import PROCESSING_FAILURE, SUCCESS
from drawcli.adapters.dicom_network.message_stream import Command, MessageStream
from drawcli.adapters.dicom_network.service import Service
from drawcli.core.delivery.commitment import parse_report, parse_report_request, report_response
from drawcli.core.dicom.header import IMPLICIT_LITTLE
from drawcli.core.dicom.upper_layer import NodeTrouble, data_pdu
from drawcli.core.dicom_service.association_answer import AnsweredContext
from drawcli.core.dicom_service.association_request import BadMessage

_log = logging.getLogger(__name__)
_LONGEST: Final = 64 << 10  # bytes of a report; one about our single instance has 300


async def report_answer(
    service: Service, messages: MessageStream, context: AnsweredContext, command: Command
) -> bytes:
    """Return the P-DATA-TF that answers a report, after it was stored durably.

    Raises
    ------
    BadMessage, Ended
        If the message is no report, or does not arrive whole.
    """
    try:
        request = parse_report_request(command.content)
        data = await _data_set(messages, context.context)
        explicit = context.transfer_syntax != IMPLICIT_LITTLE
        report = parse_report(data, explicit=explicit, event_type=request.event_type)
    except NodeTrouble:
        raise BadMessage("bad-commitment-report") from None
    reports = service.reports
    known = reports is not None and await service.in_thread(reports.store, report)
    _log.info("receive=commitment known=%s failed=%d", known, len(report.failed))
    answer = report_response(request, SUCCESS if known else PROCESSING_FAILURE)
    return data_pdu(context.context, answer, of_command=True, last=True)


async def _data_set(messages: MessageStream, context: int) -> bytes:
    data, is_last = b"", False
    while not is_last:
        content, is_last = await messages.data(context)
        data += content
        if len(data) > _LONGEST:
            raise BadMessage("object-too-large")
    return data
