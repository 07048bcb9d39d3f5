"""Structure sets by STOW-RS: to an archive that is true, and to those that are not."""

import hashlib
import socket
from collections.abc import Callable
from contextlib import closing, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest

from drawcli.adapters.delivery.stow import StowTarget, opened_stow
from drawcli.config.sections_targets import Target
from drawcli.errors import BadStructureSet, ConfigError, JobError, NeedsPerson, TryLater
from drawcli.system.limits import EXCHANGES
from tests import tls
from tests.adapters.delivery.structure_sets import PELVIS, rtstruct
from tests.scripted_peer import Talk, scripted
from tests.waiting import PATIENCE
from tests.web_archive import FAILED, STORED, WebArchive, archive, stored

__all__ = ["rtstruct"]
Answering = Callable[[httpx.Request], httpx.Response]


def at(web: WebArchive | str, **settings: Any) -> StowTarget:
    url = web if isinstance(web, str) else web.url
    return opened_stow(Target(stow=url, **settings))


def store(target: StowTarget, path: Path) -> str:
    return target.store(path.read_bytes(), path.parent / target.record)


def test_an_archive_gets_the_bytes_that_were_delivered(rtstruct: Path) -> None:
    with archive(WebArchive()) as web:
        assert store(at(web), rtstruct) == ""

    assert web.received == [rtstruct.read_bytes()]
    (request,) = web.requests
    assert request.url.path == "/dicom-web/studies"
    assert 'type="application/dicom"' in request.headers["content-type"]
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("reason", [0xB000, 0xB006, 0xB007, 0x0107])
def test_what_an_archive_changes_is_reported(rtstruct: Path, status: int, reason: int) -> None:
    with archive(WebArchive(status, reason=reason)) as web:
        assert f"{reason:04X}" in store(at(web), rtstruct)


@pytest.mark.parametrize("status", [200, 202, 409])
@pytest.mark.parametrize("reason", [0xA900, 0xC000, 0x0110, 0x0122])
def test_a_structure_set_that_an_archive_refuses_is_for_a_person(
    rtstruct: Path, status: int, reason: int
) -> None:
    with (
        archive(WebArchive(status, FAILED, reason)) as web,
        pytest.raises(NeedsPerson, match=f"{reason:04X}") as told,
    ):
        store(at(web), rtstruct)

    assert told.value.code == "node-refused"


@pytest.mark.parametrize("reason", [0xA700, 0x0124])
def test_an_archive_without_room_or_rights_is_asked_later(rtstruct: Path, reason: int) -> None:
    with (
        archive(WebArchive(409, FAILED, reason)) as web,
        pytest.raises(TryLater, match=f"{reason:04X}") as told,
    ):
        store(at(web), rtstruct)

    assert told.value.code == "dicom-node"


@pytest.mark.parametrize("status", [400, 413])
def test_a_request_that_an_archive_refuses_is_for_a_person(rtstruct: Path, status: int) -> None:
    web = WebArchive(answer=lambda _: httpx.Response(status))
    with archive(web), pytest.raises(NeedsPerson, match=str(status)):
        store(at(web), rtstruct)


@pytest.mark.parametrize("status", [204, 301, 307, 401, 403, 404, 405, 408, 415, 429, 500, 503])
def test_an_answer_that_says_nothing_about_the_file_waits(rtstruct: Path, status: int) -> None:
    elsewhere = {"location": "https://attacker.example/studies"}
    web = WebArchive(answer=lambda _: httpx.Response(status, headers=elsewhere))
    with archive(web), pytest.raises(TryLater, match=str(status)) as told:
        store(at(web), rtstruct)

    assert told.value.code == "dicom-node"
    assert len(web.requests) == 1  # no redirect is followed


@pytest.mark.parametrize(
    ("status", "sequence", "reason"), [(409, STORED, None), (200, FAILED, 0), (409, FAILED, 0)]
)
def test_an_archive_that_contradicts_itself_has_not_stored(
    rtstruct: Path, status: int, sequence: str, reason: int | None
) -> None:
    with archive(WebArchive(status, sequence, reason)) as web, pytest.raises(TryLater):
        store(at(web), rtstruct)


def empty(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200)


def a_page(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, html="<p>welcome</p>")


def nothing_named(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={})


def another_file(_: httpx.Request) -> httpx.Response:
    item = {"00081155": {"vr": "UI", "Value": ["1.2.3"]}}
    return httpx.Response(200, json={STORED: {"vr": "SQ", "Value": [item]}})


def too_long(_: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"x": "x" * 70_000})


@pytest.mark.parametrize("answer", [empty, a_page, nothing_named, another_file, too_long])
def test_an_answer_that_does_not_confirm_this_file_waits(rtstruct: Path, answer: Answering) -> None:
    with archive(WebArchive(answer=answer)) as web, pytest.raises(TryLater) as told:
        store(at(web), rtstruct)

    assert told.value.code == "dicom-node"
    assert "it may have the structure set, which is sent again" in str(told.value)


def test_a_compressed_answer_is_not_expanded(rtstruct: Path) -> None:
    def zipped(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers={"content-encoding": "gzip"}, content=b"x")

    with archive(WebArchive(answer=zipped)) as web, pytest.raises(TryLater, match="compressed"):
        store(at(web), rtstruct)


def test_what_an_archive_has_of_an_earlier_try_is_stored_and_reported(rtstruct: Path) -> None:
    web = WebArchive(answer=empty)
    with archive(web):
        with pytest.raises(TryLater, match="may have the structure set"):
            store(at(web), rtstruct)
        web.answer, web.status, web.sequence, web.reason = None, 409, FAILED, 0x0111
        assert store(at(web), rtstruct) == "has it from an earlier try (status 0111)"


def test_what_an_archive_has_of_somebody_else_is_for_a_person_and_then_stored(
    rtstruct: Path,
) -> None:
    with archive(WebArchive(409, FAILED, 0x0111)) as web:
        with pytest.raises(NeedsPerson, match="0111") as told:
            store(at(web), rtstruct)
        said = store(at(web), rtstruct)  # the job was released

    assert told.value.code == "node-duplicate"
    assert "0111" in said


def test_the_record_is_durable_before_the_archive_can_have_the_file(rtstruct: Path) -> None:
    seen = []

    def look(_: httpx.Request) -> httpx.Response:
        (record,) = rtstruct.parent.glob("node-*.json")
        seen.append(record.read_text())
        return stored(rtstruct.read_bytes())

    with archive(WebArchive(answer=look)) as web:
        store(at(web), rtstruct)

    assert hashlib.sha256(rtstruct.read_bytes()).hexdigest() in seen[0]


def test_an_archive_that_is_away_is_asked_once_in_a_run(rtstruct: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        target = at(f"http://127.0.0.1:{taken.getsockname()[1]}/dicom-web")
        with pytest.raises(TryLater, match="cannot be reached") as told:
            store(target, rtstruct)

    assert "may have" not in str(told.value)
    with archive(WebArchive(answer=lambda _: httpx.Response(503))) as web:
        target = at(web)
        for _ in range(3):
            with pytest.raises(TryLater, match="503"):
                store(target, rtstruct)
    assert len(web.requests) == 1


def test_one_file_that_is_refused_says_nothing_of_the_next(rtstruct: Path) -> None:
    with archive(WebArchive(409, FAILED, 0xC000)) as web:
        target = at(web)
        with pytest.raises(JobError):
            store(target, rtstruct)
        web.status, web.sequence, web.reason = 200, STORED, None
        assert store(target, rtstruct) == ""


# Answers below HTTP.


def request_of(talk: Talk) -> None:
    """Read a whole request."""
    data = b""
    while not data.endswith(b"--\r\n"):
        piece = talk.line.recv(65_536)
        if not piece:
            raise EOFError
        data += piece


def closes(talk: Talk) -> None:
    request_of(talk)
    talk.line.close()


def not_http(talk: Talk) -> None:
    request_of(talk)
    talk.send(b"\x02\x00\x00\x00 DICOM\r\n\r\n")


def half_an_answer(talk: Talk) -> None:
    request_of(talk)
    talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{")
    talk.line.close()


@pytest.mark.parametrize("script", [closes, not_http, half_an_answer])
def test_a_connection_that_breaks_after_the_file_may_have_stored_it(
    rtstruct: Path, script: Callable[[Talk], None]
) -> None:
    with scripted(script) as peer, pytest.raises(TryLater, match="it may have") as told:
        store(at(f"http://127.0.0.1:{peer.port}/dicom-web"), rtstruct)

    assert told.value.code == "dicom-node"


def test_an_archive_that_drips_is_given_up(rtstruct: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def drips(talk: Talk) -> None:
        request_of(talk)
        talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 50000\r\n\r\n")
        while True:
            talk.send(b" ")
            talk.line.settimeout(0.02)
            try:
                if not talk.line.recv(1):
                    return
            except TimeoutError:
                pass

    monkeypatch.setitem(EXCHANGES, "stow", EXCHANGES["stow"]._replace(seconds=0.3))
    with scripted(drips) as peer, pytest.raises(TryLater, match="did not answer in time"):
        store(at(f"http://127.0.0.1:{peer.port}/dicom-web"), rtstruct)


# Credentials and TLS.


@pytest.mark.parametrize(
    ("content", "header"), [("s3cret\n", "Bearer s3cret"), ("Basic dTpw", "Basic dTpw")]
)
def test_a_token_of_a_file_or_a_command_is_sent_and_never_shown(
    rtstruct: Path, tmp_path: Path, content: str, header: str, caplog: pytest.LogCaptureFixture
) -> None:
    token = tmp_path / "token"
    token.write_text(content)
    token.chmod(0o600)
    with archive(WebArchive(needs=header)) as web:
        by_file = at(web, token_file=token)
        assert store(by_file, rtstruct) == ""
        assert store(at(web, token_command=["cat", str(token)]), rtstruct) == ""
        web.needs = "Bearer other"
        with pytest.raises(TryLater, match="refuses our credentials") as told:
            store(by_file, rtstruct)

    whole = f"{told.value} {told.value.hint} {caplog.text} {by_file!r}"
    assert content.rsplit(maxsplit=1)[-1] not in whole


def test_a_token_that_others_can_read_is_not_sent(rtstruct: Path, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    token.chmod(0o644)
    with archive(WebArchive()) as web, pytest.raises(ConfigError, match="others can read"):
        store(at(web, token_file=token), rtstruct)

    assert web.requests == []


@pytest.mark.parametrize("content", [b"", b"\n", b"a\nb", b"\xff", b"x" * 20_000])
def test_a_token_that_is_none_is_an_error(rtstruct: Path, tmp_path: Path, content: bytes) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    token.chmod(0o600)
    with archive(WebArchive()) as web, pytest.raises(ConfigError, match="no token"):
        store(at(web, token_file=token), rtstruct)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tls.Authority:
    return tls.Authority(tmp_path_factory.mktemp("tls"))


def test_an_archive_is_reached_by_tls_with_our_certificate(
    rtstruct: Path, authority: tls.Authority
) -> None:
    cert, key = authority.certificate()
    files = {"ca_file": authority.file, "cert": cert, "key": key}
    secured = tls.context(authority.certificate("127.0.0.1"), clients=authority.file)
    with archive(WebArchive(), secured) as web:
        url = web.url.replace("http:", "https:")
        assert store(at(url, tls=files), rtstruct) == ""
        with pytest.raises(TryLater) as told:
            store(at(url, tls={"ca_file": authority.file}), rtstruct)

    assert len(web.received) == 1
    assert "refuses the certificate of this site, or requires one" in str(told.value)


@pytest.mark.parametrize(
    ("host", "days", "why"),
    [("127.0.0.1", -1, "has expired"), ("127.0.0.2", 2, "is for another address")],
)
def test_a_certificate_that_is_not_right_gets_nothing(
    rtstruct: Path, authority: tls.Authority, host: str, days: int, why: str
) -> None:
    secured = tls.context(authority.certificate(host, days=days))
    with archive(WebArchive(), secured) as web, pytest.raises(TryLater, match=why) as told:
        store(at(web.url.replace("http:", "https:"), tls={"ca_file": authority.file}), rtstruct)

    assert "may have" not in str(told.value)
    assert web.requests == []


def test_a_certificate_of_another_authority_gets_nothing(
    rtstruct: Path, authority: tls.Authority, tmp_path: Path
) -> None:
    other = tls.Authority(tmp_path, "other")
    secured = tls.context(other.certificate("127.0.0.1"))
    with archive(WebArchive(), secured) as web, pytest.raises(TryLater, match="not trusted here"):
        store(at(web.url.replace("http:", "https:"), tls={"ca_file": authority.file}), rtstruct)

    assert web.requests == []


# Checks.


def test_a_check_sends_nothing_but_a_question() -> None:
    with archive(WebArchive()) as web:
        assert at(web).check() is None
        web.headers = {"allow": "GET"}
        remark = at(web).check()

    assert [request.method for request in web.requests] == ["OPTIONS", "OPTIONS"]
    assert remark is not None
    assert "known with the first" in remark.text


@pytest.mark.parametrize(("studies", "accepts"), [(200, True), (400, True), (404, False)])
def test_an_archive_without_options_is_asked_without_an_instance(
    studies: int,
    accepts: bool,  # noqa: FBT001
) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(404 if request.method == "OPTIONS" else studies)

    with tls.serving(answer) as port:
        target = at(f"http://127.0.0.1:{port}/dicom-web")
        with nullcontext() if accepts else pytest.raises(TryLater, match="no STOW-RS"):
            assert target.check() is None

    assert [request.method for request in asked] == ["OPTIONS", "POST"]
    assert b"dicom" not in asked[1].content


@pytest.mark.parametrize("flood", [b" " * 100_000, b" "])
def test_a_check_of_an_archive_that_drips_or_floods_ends(
    flood: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    given_up = Event()

    def answers(talk: Talk) -> None:
        talk.line.recv(65_536)
        talk.send(b"HTTP/1.1 200 OK\r\ncontent-length: 500000\r\n\r\n" + flood)
        given_up.wait(PATIENCE)
        talk.line.close()

    is_drip = len(flood) == 1
    limit = EXCHANGES["stow-check"]._replace(seconds=0.3 if is_drip else PATIENCE)
    monkeypatch.setitem(EXCHANGES, "stow-check", limit)
    why = "in time" if is_drip else "more than"
    with scripted(answers) as peer:
        with pytest.raises(TryLater, match=why):
            at(f"http://127.0.0.1:{peer.port}/dicom-web").check()
        given_up.set()


def test_a_check_reports_credentials_that_are_refused() -> None:
    with archive(WebArchive(needs="x")) as web, pytest.raises(TryLater, match="credentials"):
        at(web).check()


def test_no_error_names_the_patient_or_the_path(
    rtstruct: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with archive(WebArchive(409, FAILED, 0xC000)) as web, pytest.raises(NeedsPerson) as told:
        store(at(web), rtstruct)

    whole = f"{told.value} {told.value.hint} {caplog.text}"
    for secret in (PELVIS.patient_id, str(PELVIS.name).split("^")[0], rtstruct.parent.name):
        assert secret not in whole


def test_a_file_that_is_none_is_not_sent(tmp_path: Path) -> None:
    with pytest.raises(BadStructureSet):
        at("http://127.0.0.1:1/x").store(b"", tmp_path / "node.json")
