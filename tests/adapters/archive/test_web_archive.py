"""A DICOMweb archive that drips, floods or lies; paging; credentials."""

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from itertools import chain, count, repeat
from urllib.parse import parse_qs

import httpx
import pytest

from drawcli.adapters.archive import web_archive
from drawcli.adapters.archive.web_archive import WebArchive
from drawcli.adapters.dicom_web.credentials import Credentials
from drawcli.adapters.dicom_web.web_client import WebTarget
from drawcli.core.dicom_service.association_answer import Supported
from drawcli.core.pull.answers import ArchivedInstance, ArchivedSeries
from drawcli.errors import JobError, NeedsPerson, TryLater
from drawcli.system.network.client_tls import empty_context
from tests import tls
from tests.adapters.archive.scripted import CT
from tests.adapters.archive.test_dimse_archive import EXPLICIT, Kept
from tests.core.pull.test_multipart import body, dicom_file
from tests.dicom_sender import data_set
from tests.scripted_peer import Talk, scripted

SERIES = ArchivedSeries("1.2.9", "1.2.3", "CT")
ONE = ArchivedInstance("1.2.3.1", CT)
MULTIPART = 'multipart/related; type="application/dicom"; boundary=xYz'
Answering = Callable[[httpx.Request], httpx.Response]


def archive_at(port: int, largest: int = 1 << 20) -> WebArchive:
    web = WebTarget(is_local=True, is_plain=True, tls=empty_context(), credentials=Credentials())
    supported = Supported(frozenset({CT}), frozenset({EXPLICIT}))
    return WebArchive(f"http://127.0.0.1:{port}/dicom-web", web, supported, largest, lambda: None)


@contextmanager
def archive(answering: Answering, *, largest: int = 1 << 20) -> Iterator[WebArchive]:
    with tls.serving(answering, None) as port:
        made = archive_at(port, largest)
        yield made
        made.close()


def asked(answering: Answering) -> JobError:
    with archive(answering) as one, pytest.raises(JobError) as err:
        one.find_instances(SERIES)
    return err.value


def got(answering: Answering, kept: Kept | None = None, **options: int) -> JobError:
    with archive(answering, **options) as one, pytest.raises(JobError) as err:
        one.retrieve(SERIES, [ONE], (kept or Kept()).take)
    return err.value


def found(*instances: str, **headers: str) -> httpx.Response:
    matches = [{"00080018": {"vr": "UI", "Value": [uid]}} for uid in instances]
    return httpx.Response(
        200, json=matches, headers={"content-type": "application/dicom+json"} | headers
    )


def files(*parts: bytes) -> httpx.Response:
    return httpx.Response(200, content=body(*parts), headers={"content-type": MULTIPART})


def one_file(sop_instance: str = ONE.sop_instance) -> bytes:
    head = dicom_file(uid=sop_instance.encode())
    return head + data_set(sop_instance, series=SERIES.series)


def test_pages_are_read_to_the_last() -> None:
    uids, offsets = [f"1.{n}" for n in range(2500)], list[int]()

    def answering(request: httpx.Request) -> httpx.Response:
        query = parse_qs(request.url.query.decode())
        offset, limit = int(query["offset"][0]), int(query["limit"][0])
        offsets.append(offset)
        return found(*uids[offset : offset + limit])

    with archive(answering) as one:
        assert [each.sop_instance for each in one.find_instances(SERIES)] == uids
    assert offsets == [0, 1000, 2000]


def test_an_archive_that_limits_pages_itself_is_asked_for_the_rest() -> None:
    uids = [f"1.{n}" for n in range(25)]

    def answering(request: httpx.Request) -> httpx.Response:
        offset = int(parse_qs(request.url.query.decode())["offset"][0])
        more = {"warning": '299 archive: "more"'} if offset + 10 < len(uids) else {}
        return found(*uids[offset : offset + 10], **more)

    with archive(answering) as one:
        assert [each.sop_instance for each in one.find_instances(SERIES)] == uids


def test_an_archive_that_ignores_the_offset_ends() -> None:
    with archive(lambda _request: found("1.1", "1.2", warning="299 - more")) as one:
        assert len(one.find_instances(SERIES)) == 2


def test_millions_of_answers_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_archive, "PULL_INSTANCES", 50)
    numbers = count()
    err = asked(lambda _: found(*(f"1.{next(numbers)}" for _ in range(30)), warning="299 - more"))

    assert isinstance(err, NeedsPerson)
    assert "more than 50 answers" in str(err)


@pytest.mark.parametrize("beyond", [0, 1])
def test_series_of_all_studies_have_a_bound(beyond: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.adapters.archive.archive.PULL_ALL_SERIES", 12 - beyond)

    def answering(request: httpx.Request) -> httpx.Response:
        study = re.search(r"/studies/([0-9.]+)/series", request.url.path)
        if study is None:
            matches = [{"0020000D": {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(4)]
        else:
            uids = [f"{study[1]}.{n}" for n in range(3)]
            matches = [{"0020000E": {"vr": "UI", "Value": [uid]}} for uid in uids]
        headers = {"content-type": "application/dicom+json"}
        return httpx.Response(200, json=matches, headers=headers)

    with archive(answering) as one:
        if not beyond:
            assert len(one.find_series([], date(2026, 1, 1)).series) == 12
            return
        with pytest.raises(NeedsPerson, match="more than 11 matching series: name more keys"):
            one.find_series([], date(2026, 1, 1))


@pytest.mark.parametrize("level", ["STUDIES", "SERIES"])
def test_studies_and_their_series_have_a_bound(level: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_archive, f"PULL_{level}", 50)

    def answering(request: httpx.Request) -> httpx.Response:
        many = 60 if (level == "STUDIES") != ("/series" in request.url.path) else 1
        tag = "0020000E" if "/series" in request.url.path else "0020000D"
        matches = [{tag: {"vr": "UI", "Value": [f"1.{n}"]}} for n in range(many)]
        return httpx.Response(200, json=matches, headers={"content-type": "application/dicom+json"})

    problems = list[str]()
    with archive(answering) as one:
        try:
            problems += map(str, one.find_series([], date(2026, 1, 1)).problems)
        except NeedsPerson as err:
            problems.append(str(err))

    assert [problem for problem in problems if "more than 50 answers" in problem]


@pytest.mark.parametrize(
    ("response", "why", "kind"),
    [
        (httpx.Response(401), "credentials (status 401)", TryLater),
        (httpx.Response(403), "credentials (status 403)", TryLater),
        (httpx.Response(400), "refuses the query (status 400)", NeedsPerson),
        (httpx.Response(503), "cannot answer now (status 503)", TryLater),
        (httpx.Response(302, headers={"location": "http://else/"}), "redirect", TryLater),
        (httpx.Response(206), "unexpected status", TryLater),
        (httpx.Response(200, content=b"<html>"), "cannot be read", NeedsPerson),
        (found("../../etc/passwd"), "without a valid SOP Instance UID", NeedsPerson),
        (httpx.Response(200, headers={"content-encoding": "gzip"}), "compressed", TryLater),
    ],
)
def test_an_answer_that_is_none_is_an_error(
    response: httpx.Response, why: str, kind: type[JobError]
) -> None:
    err = asked(lambda _request: response)

    assert isinstance(err, kind)
    assert why in str(err)
    assert "etc" not in str(err)


def test_no_match_is_no_error() -> None:
    with archive(lambda _request: httpx.Response(204)) as one:
        assert one.find_series([], date(2026, 3, 1)).series == []


def test_a_study_that_was_removed_meanwhile_has_no_series() -> None:
    def answering(request: httpx.Request) -> httpx.Response:
        is_study = request.url.path.endswith("/studies")
        study = {"0020000D": {"vr": "UI", "Value": ["1.2.9"]}}
        return httpx.Response(200, json=[study]) if is_study else httpx.Response(404)

    with archive(answering) as one:
        assert one.find_series([], date(2026, 3, 1)).series == []


def test_an_address_at_which_there_is_no_archive_is_an_error() -> None:
    with (
        archive(lambda _request: httpx.Response(404)) as one,
        pytest.raises(NeedsPerson, match="status 404") as err,
    ):
        one.find_series([], date(2026, 3, 1))

    assert "/studies" in (err.value.hint or "")


def test_an_archive_that_is_not_there_is_asked_again() -> None:
    with archive(lambda _request: found()) as one:
        pass

    with pytest.raises(TryLater, match="cannot be reached"):
        one.find_instances(SERIES)


def test_an_answer_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_archive, "PULL_PAGE_BYTES", 100_000)

    err = asked(lambda _request: httpx.Response(200, content=bytes(200_000)))

    assert "more than 100,000 bytes" in str(err)


def test_files_are_passed_on_as_they_were_sent() -> None:
    kept, file = Kept(), one_file()
    with archive(lambda _request: files(file, one_file("1.9"))) as one:
        one.retrieve(SERIES, [ONE], kept.take)

    assert kept.whole[ONE.sop_instance] == data_set(ONE.sop_instance, series=SERIES.series)


def test_files_of_other_syntaxes_and_classes_are_left_out() -> None:
    kept = Kept()
    other = dicom_file(b"1.2.840.10008.1.2.1.99") + data_set("1.2.3")
    with archive(lambda _request: files(other)) as one:
        one.retrieve(SERIES, [ONE], kept.take)

    assert kept.whole == {}


def test_a_whole_series_is_one_request_and_a_few_missing_images_are_several() -> None:
    paths = list[str]()

    def answering(request: httpx.Request) -> httpx.Response:
        paths.append(request.url.path)
        return files(one_file())

    with archive(answering) as one:
        one.retrieve(SERIES, [ONE] * 20, Kept().take)
        one.retrieve(SERIES, [ONE] * 2, Kept().take)

    assert [path.count("/instances/") for path in paths] == [0, 1, 1]


@pytest.mark.parametrize(
    ("response", "why"),
    [
        (httpx.Response(200, content=one_file()), "multipart/related"),
        (
            httpx.Response(200, content=body(one_file())[:-9], headers={"content-type": MULTIPART}),
            "ends its answer early",
        ),
        (files(b"<html>" * 40), "no DICOM file"),
        (files(b"short"), "no DICOM file"),
        (files(dicom_file(uid=b"../../etc/x") + bytes(50)), "without valid UIDs"),
        (files(one_file() + bytes(100_000)), "more than 50,000 bytes"),
        (httpx.Response(500), "cannot answer now"),
        (httpx.Response(406), "refuses to send the series (status 406)"),
    ],
)
def test_what_is_no_file_ends_the_retrieval(response: httpx.Response, why: str) -> None:
    kept = Kept()

    err = got(lambda _request: response, kept, largest=50_000)

    assert why in str(err)
    assert "etc" not in str(err)
    assert kept.whole == {} or "early" in why


def test_an_archive_that_drips_is_left_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_archive, "PULL_QUERY_SECONDS", 0.3)
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {MULTIPART}\r\ncontent-length: 100000\r\n\r\n"

    def drip(talk: Talk) -> None:
        for piece in chain([head.encode() + body(one_file())[:-9]], repeat(b"\0")):
            talk.send(piece)
            time.sleep(0.05)

    def ask(port: int, question: Callable[[WebArchive], object]) -> None:
        one = archive_at(port)
        with pytest.raises(TryLater, match="did not answer in time"):
            question(one)
        one.close()

    kept = Kept()
    with scripted(drip) as peer:
        ask(peer.port, lambda one: one.find_instances(SERIES))
        for seconds in (1.0, 10.0, 60.0):
            monkeypatch.setattr(web_archive, "PULL_NEXT_SECONDS", seconds)
            ask(peer.port, lambda one: one.retrieve(SERIES, [ONE], kept.take))
            if kept.given_up:  # else the file had not even begun, on a busy machine
                break
    assert (kept.whole, kept.given_up) == ({}, 1)
