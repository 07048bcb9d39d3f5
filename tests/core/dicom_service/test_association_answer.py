"""Answers to requests for associations; pynetdicom's decoders are the oracle."""

from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ

from drawcli.core.dicom_service.association_answer import (
    TOO_MANY,
    VERIFICATION,
    AbortReason,
    ContextResult,
    Supported,
    abort,
    acceptance,
    negotiate,
    rejection,
)
from drawcli.core.dicom_service.association_request import parse_association_request
from tests.dicom_sender import CT, EXPLICIT, IMPLICIT, association_body, context_offer

SUPPORTED = Supported(frozenset({CT}), frozenset({IMPLICIT, "1.2.840.10008.1.2.4.90"}))
OFFERS = (
    context_offer(1, CT, EXPLICIT, "1.2.840.10008.1.2.4.90", IMPLICIT)
    + context_offer(3, "1.2.3", IMPLICIT)
    + context_offer(5, CT, EXPLICIT)
    + context_offer(7, VERIFICATION, EXPLICIT)
)


def test_the_answer_repeats_the_titles_and_answers_each_context() -> None:
    request = parse_association_request(association_body(OFFERS))
    answers, accepted = negotiate(request, SUPPORTED)
    read = A_ASSOCIATE_AC()
    read.decode(acceptance(request, answers, 131_072))

    contexts = [(one.context_id, one.result) for one in read.presentation_context]
    assert (read.calling_ae_title, read.called_ae_title) == ("CT1", "DRAWCLI")
    assert contexts == [(1, 0), (3, 3), (5, 4), (7, 0)]
    assert read.presentation_context[0].transfer_syntax == "1.2.840.10008.1.2.4.90"
    assert read.user_information is not None
    assert read.user_information.maximum_length == 131_072
    assert {number: one.is_storage for number, one in accepted.items()} == {1: True, 7: False}
    assert answers[1].result is ContextResult.NO_SUCH_CLASS


def test_a_rejection_and_an_abort_say_why() -> None:
    rejected, aborted = A_ASSOCIATE_RJ(), A_ABORT_RQ()
    rejected.decode(rejection(TOO_MANY))
    aborted.decode(abort(AbortReason.UNEXPECTED_PDU))

    assert (rejected.result, rejected.source, rejected.reason_diagnostic) == (2, 3, 2)
    assert (aborted.source, aborted.reason_diagnostic) == (2, 2)
