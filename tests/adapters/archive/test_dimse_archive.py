"""An archive that drips, floods or lies: an error in time that quotes nothing; never a path."""

import re
import struct
import time
from collections.abc import Callable
from datetime import date
from itertools import chain, count, repeat
from typing import Any

import pytest

from drawcli.adapters.archive.dimse_archive import DimseArchive
from drawcli.adapters.dicom_network import incoming, query_association
from drawcli.adapters.dicom_network.association import Deadlines
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.dicom_service.object_store import ArrivingObject
from drawcli.core.dicom_service.received_object import ObjectFacts
from drawcli.core.dicom_service.tally import StoreOutcome
from drawcli.core.protocol.dicom_address import Node
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries
from drawcli.core.pull.keys import QueryKey
from drawcli.errors import JobError, NeedsPerson, TryLater
from tests.adapters.archive.scripted import (
    CT,
    answer,
    answers,
    identifier,
    send_object,
    storage_context,
)
from tests.dicom_sender import data_set, store_command
from tests.scripted_peer import LAST, OF_COMMAND, Talk, fragment, pdu, scripted

SERIES = ArchivedSeries("1.2.9", "1.2.3", "CT")
ONE = ArchivedInstance("1.2.3.1", CT)
SHORT = 0.3
IN_TIME = re.compile("did not (continue|finish its answers) within")  # where its time ended
EXPLICIT = "1.2.840.10008.1.2.1"


def archive(port: int, **options: int) -> DimseArchive:
    return DimseArchive(
        node=Node("PACS", "127.0.0.1", port),
        calling="WARD7",
        supported=Supported(frozenset({CT}), frozenset({EXPLICIT})),
        largest=options.get("largest", 1 << 20),
        tick=lambda: None,
        deadlines=Deadlines(release=SHORT),
    )


class Kept:
    """Takes objects into memory."""

    def __init__(self) -> None:
        self.whole: dict[str, bytes] = {}
        self.given_up = 0

    def take(self, facts: ObjectFacts) -> ArrivingObject | StoreOutcome:
        kept, data = self, bytearray()

        class One:
            def write(self, piece: bytes) -> None:
                data.extend(piece)

            def end(self) -> None:
                kept.whole[facts.sop_instance] = bytes(data)

            def discard(self) -> None:
                kept.given_up += facts.sop_instance not in kept.whole

        return One()


@pytest.fixture
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_association, "PULL_NEXT_SECONDS", SHORT)
    monkeypatch.setattr(query_association, "PULL_QUERY_SECONDS", SHORT)


def asked(script: Callable[[Talk], None], **options: int) -> JobError:
    """Ask for the instances of a series; return the error."""

    def talk_to(talk: Talk) -> None:
        talk.accept()
        script(talk)

    with scripted(talk_to) as peer, pytest.raises(JobError) as err:
        archive(peer.port, **options).find_instances(SERIES)
    return err.value


def got(script: Callable[[Talk], None], kept: Kept | None = None, **options: int) -> JobError:
    """Retrieve an instance; return the error."""

    def talk_to(talk: Talk) -> None:
        talk.accept()
        talk.take()
        script(talk)

    take = (kept or Kept()).take
    with scripted(talk_to) as peer, pytest.raises(JobError) as err:
        archive(peer.port, **options).retrieve(SERIES, [ONE], take)
    return err.value


def drip(talk: Talk) -> None:
    """Send a byte now and then, for ever."""
    for byte in chain(struct.pack(">BxI", 4, 100_000), repeat(0)):
        talk.send(bytes([byte]))
        time.sleep(SHORT / 10)


@pytest.mark.usefixtures("_impatient")
def test_an_archive_that_drips_an_answer_is_left_in_time() -> None:
    def script(talk: Talk) -> None:
        talk.take()
        drip(talk)

    assert IN_TIME.search(str(asked(script)))


@pytest.mark.usefixtures("_impatient")
def test_an_archive_that_answers_for_ever_is_left_in_time() -> None:
    def script(talk: Talk) -> None:
        talk.take()
        for number in count():
            answer(talk, identifier(sop=f"1.{number}"))
            time.sleep(SHORT / 10)

    assert IN_TIME.search(str(asked(script)))


def test_an_archive_with_millions_of_matches_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.adapters.archive.dimse_archive.PULL_INSTANCES", 50)
    err = asked(lambda talk: answers(talk, (identifier(sop=f"1.{n}") for n in count())))

    assert isinstance(err, NeedsPerson)
    assert "more than 50 answers" in str(err)


def test_an_answer_without_end_is_given_up() -> None:
    def script(talk: Talk) -> None:
        talk.take()
        talk.answer(status=0xFF00, data_set_type=1, sop_instance=None)
        for _ in count():
            talk.send(pdu("data", fragment(talk.asked.context, bytes(16_000), 0)))

    assert "more than 65,536 bytes" in str(asked(script))


@pytest.mark.parametrize(
    ("match", "why"),
    [
        (identifier(sop="../../etc/passwd"), "without a valid SOP Instance UID"),
        (identifier(sop=b"1.2\0.3"), "without a valid SOP Instance UID"),
        (identifier(sop=b"\xed\xa0\x80"), "without a valid SOP Instance UID"),
        (identifier(study="1.2.9"), "without a valid SOP Instance UID"),
        (identifier(sop="1.5", series="1.2.4"), "for another series"),
        (identifier(sop="1.5", study="1.2.8"), "for another study"),
        (b"\xff" * 40, "cannot be read"),
    ],
)
def test_a_match_that_is_none_is_an_error_that_quotes_nothing(match: bytes, why: str) -> None:
    err = asked(lambda talk: answers(talk, [match]))

    assert isinstance(err, NeedsPerson)
    assert why in str(err)
    assert "etc" not in str(err)


@pytest.mark.parametrize(
    ("lies", "why"),
    [
        ({"message_id": 7}, "another message"),
        ({"command": 0x8021}, "another command"),
        ({"sop_class": CT}, "another SOP class"),
        ({"status": None}, "without a status"),
        ({"status": 0xFF00}, "without an identifier"),
    ],
)
def test_an_answer_to_something_else_is_an_error(lies: dict[str, Any], why: str) -> None:
    def script(talk: Talk) -> None:
        talk.take()
        talk.answer(**({"sop_instance": None} | lies))

    err = asked(script)

    assert isinstance(err, TryLater)
    assert why in str(err)


def test_a_refusal_names_its_status_and_reason() -> None:
    def script(talk: Talk) -> None:
        talk.take()
        answer(talk, status=0x0124)

    err = asked(script)

    assert (err.code, isinstance(err, NeedsPerson)) == ("archive-refused", True)
    assert "status 0124: not authorised" in str(err)


def test_instances_are_returned_once() -> None:
    def script(talk: Talk) -> None:
        talk.accept()
        answers(talk, [identifier(sop="1.5", sop_class=CT), identifier(sop="1.5", sop_class=CT)])

    with scripted(script) as peer:
        found = archive(peer.port)

        assert found.find_instances(SERIES) == [ArchivedInstance("1.5", CT)]
        found.close()


def test_a_bad_study_does_not_hide_the_others() -> None:
    def script(talk: Talk) -> None:
        talk.accept()
        answers(talk, [identifier(study="1.2.1"), identifier(study="1.2.2")])
        answers(talk, [identifier(series="../x")])

    def again(talk: Talk) -> None:
        talk.accept()
        answers(talk, [identifier(study="1.2.2", series="1.2.2.1")])

    with scripted(script, again) as peer:
        found_by = archive(peer.port)
        found = found_by.find_series([], date(2026, 3, 1))
        found_by.close()

    assert [one.series for one in found.series] == ["1.2.2.1"]
    assert [problem.code for problem in found.problems] == ["archive-answer"]


def test_an_archive_that_returns_no_attribute_of_a_key_matches_nothing() -> None:
    def script(talk: Talk) -> None:
        talk.accept()
        answers(talk, [identifier(study="1.2.1")])
        answers(talk, [identifier(series="1.2.3"), identifier(series="1.2.4")])

    with scripted(script) as peer:
        found_by = archive(peer.port)
        found = found_by.find_series([QueryKey("StationName", ("SIM*",))], date(2026, 3, 1))
        found_by.close()

    assert found.series == []
    assert found.without == {"StationName": 2}


def test_an_archive_that_drips_an_object_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query_association, "PULL_OBJECT_SECONDS", SHORT)
    monkeypatch.setattr(incoming, "PULL_BYTES_PER_SECOND", 1e9)

    def script(talk: Talk) -> None:
        context = storage_context(talk)
        talk.send(pdu("data", fragment(context, store_command(ONE.sop_instance))))
        drip(talk)

    kept = Kept()
    assert "did not finish an object" in str(got(script, kept))
    assert (kept.whole, kept.given_up) == ({}, 1)


def test_an_object_above_the_limit_is_given_up() -> None:
    kept = Kept()
    data = data_set(ONE.sop_instance, series=SERIES.series, pixels=bytes(100_000))

    err = got(lambda talk: send_object(talk, ONE.sop_instance, data), kept, largest=50_000)

    assert "more than 50,000 bytes" in str(err)
    assert (kept.whole, kept.given_up) == ({}, 1)


def test_an_object_in_a_million_pieces_is_given_up() -> None:
    def script(talk: Talk) -> None:
        context = storage_context(talk)
        talk.send(pdu("data", fragment(context, store_command(ONE.sop_instance))))
        for _ in range(5000):
            talk.send(pdu("data", fragment(context, b"\0", 0)))

    assert "too many pieces" in str(got(script))


def _in_the_query(talk: Talk) -> None:
    talk.send(pdu("data", fragment(talk.asked.context, store_command("1.2"))))


def _without_a_uid(talk: Talk) -> None:
    talk.send(pdu("data", fragment(storage_context(talk), store_command("../1"))))


def _of_another_class(talk: Talk) -> None:
    command = store_command("1.2", sop_class="1.2.840.10008.5.1.4.1.1.4")
    talk.send(pdu("data", fragment(storage_context(talk), command)))


def _a_data_set_alone(talk: Talk) -> None:
    talk.send(pdu("data", fragment(storage_context(talk), b"\0" * 100, LAST)))


def _a_long_pdu(talk: Talk) -> None:
    talk.send(struct.pack(">BxI", 4, 0xFFFFFFFF))


def _a_long_command(talk: Talk) -> None:
    for _ in range(10):
        talk.send(pdu("data", fragment(talk.asked.context, bytes(16_000), OF_COMMAND)))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (_in_the_query, "something other than an object"),
        (_without_a_uid, "valid SOP Instance UID"),
        (_of_another_class, "something other than an object"),
        (_a_data_set_alone, "without a command"),
        (_a_long_pdu, "4,294,967,295 bytes"),
        (_a_long_command, "too long"),
        (lambda talk: talk.send(pdu("abort", bytes(4))), "aborted"),
        (lambda talk: talk.line.close(), "closed the connection"),
    ],
)
def test_what_is_no_object_ends_the_retrieval(script: Callable[[Talk], None], why: str) -> None:
    kept = Kept()

    assert why in str(got(script, kept))
    assert kept.whole == {}


def test_an_object_is_passed_on_as_it_was_sent() -> None:
    data, kept = data_set(ONE.sop_instance, series=SERIES.series), Kept()

    def script(talk: Talk) -> None:
        talk.accept()
        talk.take()
        asked_in = talk.asked.context, talk.asked.message_id, talk.asked.sop_class
        send_object(talk, ONE.sop_instance, data)
        talk.read_pdu()  # our answer
        talk.asked.context, talk.asked.message_id, talk.asked.sop_class = asked_in
        answer(talk, status=0)
        talk.release()

    with scripted(script) as peer:
        archive(peer.port).retrieve(SERIES, [ONE], kept.take)

    assert kept.whole == {ONE.sop_instance: data}
