"""PDUs of a node; pynetdicom's encoders are the oracle."""

import random
from typing import Any

import pytest
from pynetdicom.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, P_DATA_TF
from pynetdicom.pdu_primitives import A_ASSOCIATE, P_DATA, MaximumLengthNotification
from pynetdicom.presentation import PresentationContext

from drawcli.core.dicom.upper_layer import (
    Acceptance,
    Fragment,
    NodeTrouble,
    ProposedContext,
    data_pdu,
    parse_acceptance,
    parse_fragments,
    rejection_reason,
)

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
SOP_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
OFFERS = {1: ProposedContext(1, SOP_CLASS, EXPLICIT), 3: ProposedContext(3, SOP_CLASS, IMPLICIT)}


def acceptance() -> bytes:
    """Return an A-ASSOCIATE-AC by pynetdicom that accepts context 3, not context 1."""
    contexts = []
    for number, result in ((1, 4), (3, 0)):
        context = PresentationContext()
        context.context_id, context.result = number, result
        context.add_transfer_syntax(OFFERS[number].transfer_syntax)
        contexts.append(context)
    said = A_ASSOCIATE()
    said.application_context_name = "1.2.840.10008.3.1.1.1"
    said.calling_ae_title, said.called_ae_title = "WARD7", "TPS"
    said.result, said.result_source = 0, 1
    said.presentation_context_definition_results_list = contexts
    longest = MaximumLengthNotification()
    longest.maximum_length_received = 32_768
    said.user_information = [longest]
    return A_ASSOCIATE_AC(said).encode()


def test_an_acceptance_is_parsed_as_it_was_encoded() -> None:
    read = parse_acceptance(acceptance()[6:], OFFERS)

    assert read == Acceptance({1: 4, 3: 0}, 32_768)
    assert [read.accepts(offer) for offer in OFFERS.values()] == [False, True]


def test_no_damaged_acceptance_accepts_a_context_that_was_not_offered() -> None:
    whole, dice = acceptance()[6:], random.Random(20)  # noqa: S311 - damage, no secret
    for _ in range(3000):
        damaged = bytearray(whole)
        for _ in range(dice.randint(1, 4)):
            place = dice.randrange(len(damaged))
            match dice.randrange(3):
                case 0:
                    damaged[place] = dice.randrange(256)
                case 1:
                    del damaged[place : place + dice.randint(1, 9)]
                case _:
                    damaged[place:place] = dice.randbytes(dice.randint(1, 9))
        try:
            read = parse_acceptance(bytes(damaged), OFFERS)
        except NodeTrouble:
            continue
        assert read.results.keys() <= OFFERS.keys()


def test_an_acceptance_that_is_cut_off_is_refused() -> None:
    whole = acceptance()[6:]
    for end in range(len(whole)):
        try:
            read = parse_acceptance(whole[:end], OFFERS)
        except NodeTrouble:
            continue
        assert whole[end] in (0x10, 0x21, 0x50)  # between two items
        assert not read.longest_pdu


@pytest.mark.parametrize("source", [1, 2, 3])
@pytest.mark.parametrize("result", [1, 2])
def test_a_rejection_is_described_in_the_words_of_the_standard(source: int, result: int) -> None:
    for reason in range(1, 11):
        said = rejection_reason(bytes((0, result, source, reason)))
        assert words_of_pynetdicom(result, source, reason) in said.lower()
        assert ("for now" in said) == (result == 2)


def words_of_pynetdicom(result: int, source: int, reason: int) -> str:
    pdu = A_ASSOCIATE_RJ()
    pdu.result, pdu.source, pdu.reason_diagnostic = result, source, reason
    try:
        words = pdu.reason_str.lower()
    except (ValueError, KeyError):
        words = f"an unknown reason (source {source}, reason {reason})"
    if "reserved" in words:
        words = f"an unknown reason (source {source}, reason {reason})"
    return words


def test_a_rejection_of_another_length_is_still_a_rejection() -> None:
    assert "rejects the association" in rejection_reason(b"")


def test_fragments_are_those_that_the_encoder_wrote() -> None:
    said = P_DATA()
    values: list[Any] = [[1, b"\x01abcd"], [3, b"\x03"], [255, b"\x02xy"]]
    said.presentation_data_value_list = values
    pdu = P_DATA_TF()
    pdu.from_primitive(said)

    assert list(parse_fragments(pdu.encode()[6:])) == [
        Fragment(1, of_command=True, is_last=False, content=b"abcd"),
        Fragment(3, of_command=True, is_last=True, content=b""),
        Fragment(255, of_command=False, is_last=True, content=b"xy"),
    ]


def test_a_fragment_is_written_as_the_library_reads_it() -> None:
    pdu = P_DATA_TF()
    pdu.decode(data_pdu(5, memoryview(b"abcd"), of_command=False, last=True))

    (one,) = pdu.presentation_data_value_items
    assert (one.presentation_context_id, one.presentation_data_value) == (5, b"\x02abcd")
