"""Requests for associations; pynetdicom's encoders are the oracle."""

import random
import time

import pytest
from pynetdicom import build_context
from pynetdicom.pdu import A_ASSOCIATE_RQ
from pynetdicom.pdu_primitives import A_ASSOCIATE, MaximumLengthNotification

from drawcli.core.dicom_service.association_request import (
    BadMessage,
    OfferedContext,
    parse_association_request,
)
from tests.dicom_sender import CT, EXPLICIT, IMPLICIT, association_body, context_offer
from tests.scripted_peer import item


def encoded(count: int) -> bytes:
    """Return a request by pynetdicom, after its length."""
    asked = A_ASSOCIATE()
    asked.application_context_name = "1.2.840.10008.3.1.1.1"
    asked.calling_ae_title, asked.called_ae_title = "CT 1", "DRAWCLI"
    longest = MaximumLengthNotification()
    longest.maximum_length_received = 32_768
    asked.user_information = [longest]
    contexts = [build_context(CT, [EXPLICIT, IMPLICIT]) for _ in range(count)]
    for number, context in enumerate(contexts):
        context.context_id = 2 * number + 1
    asked.presentation_context_definition_list = contexts
    return A_ASSOCIATE_RQ(asked).encode()[6:]


@pytest.mark.parametrize("count", [1, 128])
def test_a_request_is_parsed_as_it_was_encoded(count: int) -> None:
    read = parse_association_request(encoded(count))

    assert (read.calling, read.called, read.longest_pdu) == ("CT 1", "DRAWCLI", 32_768)
    assert (read.knows_version, read.knows_application) == (True, True)
    assert read.contexts == tuple(
        OfferedContext(2 * number + 1, CT, (EXPLICIT, IMPLICIT)) for number in range(count)
    )


def test_every_request_cut_short_is_refused() -> None:
    whole = encoded(2)

    for length in range(len(whole)):
        with pytest.raises(BadMessage):
            parse_association_request(whole[:length])


def test_a_damaged_request_is_read_or_refused_and_nothing_else() -> None:
    whole, dice = encoded(3), random.Random(24)  # noqa: S311 - damage, no secret
    read = 0
    for _ in range(5000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        try:
            contexts = parse_association_request(bytes(damaged)).contexts
        except BadMessage:
            continue
        read += 1
        assert all(one.context % 2 and set(one.sop_class) <= set("0123456789.") for one in contexts)
    assert read > 100


def test_thousands_of_contexts_are_refused_at_the_first_that_is_too_many() -> None:
    offers = b"".join(context_offer(2 * n % 256 + 1, CT, EXPLICIT) for n in range(2000))

    with pytest.raises(BadMessage, match="bad-presentation-contexts"):
        parse_association_request(association_body(offers))


def test_the_time_grows_no_faster_than_the_request() -> None:
    def seconds(syntaxes: int) -> float:
        body = association_body(context_offer(1, CT, *(["1.2"] * syntaxes)))
        best = 9.0
        for _ in range(5):
            began = time.process_time()
            parse_association_request(body)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(8000) < 40 * seconds(800)  # a quadratic one takes a hundred times as long


@pytest.mark.parametrize(
    ("uid", "read"),
    [
        (b"1.2.840", "1.2.840"),
        (b"1.2.840\0", "1.2.840"),
        (b"../../etc", ""),
        (b"1.2\x00.3", ""),
        (b"1.2\xff", ""),
        (b"1.2.\xd9\xa3", ""),  # an Arabic digit is no digit of a UID
        (b"1" * 65, ""),
    ],
)
def test_what_is_not_a_uid_names_no_class(uid: bytes, read: str) -> None:
    offered = parse_association_request(association_body(context_offer(1, uid, IMPLICIT)))

    assert offered.contexts[0].sop_class == read


def test_unknown_items_are_passed_over_and_application_contexts_are_not() -> None:
    more = context_offer(1, CT, IMPLICIT) + item(0x99, b"xx")

    assert parse_association_request(association_body(more)).contexts
    with pytest.raises(BadMessage):
        parse_association_request(association_body(more + item(0x10, b"1.2")))
