import socket
import threading
from contextlib import closing

import httpx
import pytest

from drawcli.config.sections_monitoring import Metrics
from drawcli.operations import heartbeat
from drawcli.operations.heartbeat import beating, ping
from tests.waiting import PATIENCE
from tests.webhook import Webhook, listening


def beats(hook: Webhook, *exit_codes: int | None) -> list[str]:
    settings = Metrics(heartbeat_url=f"http://127.0.0.1:{hook.port}/uuid/")
    for code in exit_codes:
        with beating(settings) as beat:
            beat.exit_code = code
    return [one.removeprefix("GET /uuid") for one in hook.asked]


@pytest.mark.parametrize("code", [0, 6, 7, 8, 9])
def test_a_run_pings_when_it_begins_and_when_it_has_come_to_its_end(code: int) -> None:
    with listening() as hook:
        assert beats(hook, code) == ["/start", ""]


@pytest.mark.parametrize("code", [1, 3, 4, 5, 12, None])
def test_a_run_that_was_kept_from_its_end_has_failed(code: int | None) -> None:
    with listening() as hook:
        assert beats(hook, code) == ["/start", "/fail"]


def test_a_run_that_breaks_off_has_failed() -> None:
    with listening() as hook:
        settings = Metrics(heartbeat_url=f"http://127.0.0.1:{hook.port}")
        with pytest.raises(KeyboardInterrupt), beating(settings):
            raise KeyboardInterrupt

    assert hook.asked == ["GET /start", "GET /fail"]


def test_nothing_goes_along_but_the_address() -> None:
    with listening() as hook:
        beats(hook, 0)

    assert hook.bodies == ["", ""]
    names = {line.partition(":")[0].lower() for line in hook.headers[0].splitlines() if line}
    assert names == {"host", "accept", "accept-encoding", "connection", "user-agent"}


@pytest.mark.parametrize("status", [404, 500, 302])
def test_a_ping_that_is_not_taken_changes_nothing(status: int) -> None:
    with listening() as hook:
        hook.status = status
        assert beats(hook, 0) == ["/start", ""]


def test_a_monitor_that_is_away_changes_nothing() -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        assert not ping(Metrics(heartbeat_url=f"http://127.0.0.1:{taken.getsockname()[1]}"))


def test_plain_http_to_another_machine_has_to_be_allowed(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)  # a name service may take its time
    url = "http://monitor.invalid/canary-uuid"

    assert not ping(Metrics(heartbeat_url=url))
    assert "plain-http" in caplog.text
    assert not ping(Metrics(heartbeat_url=url, allow_http=True))  # asked for, and not found
    assert "ConnectError" in caplog.text
    assert "canary-uuid" not in caplog.text


@pytest.mark.parametrize("error", [TimeoutError, httpx.ReadTimeout, httpx.ConnectTimeout])
def test_both_limits_of_a_ping_have_the_same_code(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def silent(*_: object) -> int:
        raise error("ended")

    monkeypatch.setattr(heartbeat, "_status", silent)

    assert not ping(Metrics(heartbeat_url="https://monitor.test/x"))
    assert "heartbeat outcome=not-taken code=TimeoutError" in caplog.text


def test_nothing_is_asked_where_nothing_is_set_up() -> None:
    with beating(Metrics()) as beat:
        assert beat.exit_code is None
    assert not ping(Metrics())


def test_a_run_does_not_wait_for_its_first_ping_and_the_last_one_comes_after_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    working, order = threading.Event(), list[str]()

    def slow(_settings: Metrics, ending: str = "") -> bool:
        if ending == "/start":
            working.wait(PATIENCE)
        order.append(ending)
        return True

    monkeypatch.setattr(heartbeat, "ping", slow)
    with beating(Metrics(heartbeat_url="https://monitor.test/x")) as beat:
        order.append("work")
        working.set()
        beat.exit_code = 0

    assert order == ["work", "/start", ""]


def test_a_run_goes_on_where_there_is_no_thread_for_a_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with beating(Metrics(heartbeat_url="https://monitor.test/x")) as beat:
        beat.exit_code = 0

    assert not ping(Metrics(heartbeat_url="https://monitor.test/x"))
