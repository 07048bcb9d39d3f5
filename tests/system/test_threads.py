"""One thread works at a time; those that wait for the network let the others go on."""

import threading
import time
from collections.abc import Callable, Generator

import pytest

from drawcli.system.threads import (
    TurnLock,
    call_while_heard,
    call_with_timeout,
    ended_call,
    run_in_thread,
)

PATIENCE = 60.0  # seconds, for what takes milliseconds


def numbers(count: int) -> Generator[int, None, None]:
    yield from range(count)


def test_every_item_is_taken_once() -> None:
    taken: list[int] = []
    turns = TurnLock()

    def take(number: int) -> None:
        with turns.released():
            time.sleep(0.0005)
        taken.append(number)

    turns.share(numbers(50), take, lanes=4)

    assert sorted(taken) == list(range(50))


def test_so_many_wait_for_the_network_at_once_and_no_more() -> None:
    turns, met, most = TurnLock(), threading.Barrier(3), 0
    away: set[int] = set()

    def take(number: int) -> None:
        nonlocal most
        away.add(number)
        most = max(most, len(away))
        with turns.released():
            met.wait(PATIENCE)  # all three are away, or this fails
        away.discard(number)

    turns.share(numbers(9), take, lanes=3)

    assert most == 3


def test_only_one_works_at_a_time() -> None:
    turns, at_work, seen = TurnLock(), 0, []

    def take(_number: int) -> None:
        nonlocal at_work
        for _ in range(3):
            at_work += 1
            seen.append(at_work)
            time.sleep(0.0005)  # others would come in here
            at_work -= 1
            with turns.released():
                time.sleep(0)

    turns.share(numbers(20), take, lanes=5)

    assert set(seen) == {1}


def test_one_lane_works_in_the_thread_that_asks() -> None:
    threads: list[int] = []

    TurnLock().share(numbers(2), lambda _number: threads.append(threading.get_ident()), lanes=1)

    assert threads == [threading.get_ident()] * 2


@pytest.mark.parametrize("lanes", [1, 3])
def test_what_fails_is_raised_and_nothing_more_is_begun_but_what_was_begun_ends(
    lanes: int,
) -> None:
    turns, begun, ended = TurnLock(), [], []
    fails = threading.Event()

    def take(number: int) -> None:
        begun.append(number)
        with turns.released():
            if lanes > 1 and number != 1:
                fails.wait(PATIENCE)  # so that it has begun before, and ends after
        if number == 1 or lanes == 1:
            fails.set()
            raise ValueError(number)
        ended.append(number)

    with pytest.raises(ValueError, match=r"1|0"):
        turns.share(numbers(100), take, lanes=lanes)

    assert len(begun) <= lanes
    assert sorted(ended) == sorted(number for number in begun if number != 1 and lanes > 1)


def test_an_interrupt_does_not_wait_and_who_was_away_touches_nothing_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns, back, touched = TurnLock(), threading.Event(), []
    threads: list[threading.Thread] = []

    def take(_number: int) -> None:
        threads.append(threading.current_thread())
        with turns.released():
            back.wait(PATIENCE)
        touched.append("ledger")

    def interrupted(*_args: object, **_more: object) -> None:
        while len(threads) < 2:
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr("drawcli.system.threads.wait", interrupted)

    with pytest.raises(KeyboardInterrupt):
        turns.share(numbers(5), take, lanes=2)
    back.set()
    for thread in threads:
        thread.join(PATIENCE)

    assert not any(thread.is_alive() for thread in threads)
    assert touched == []


def test_a_step_that_is_called_alone_has_no_turn_to_give_up() -> None:
    turns = TurnLock()

    with turns.released(), turns.taken():
        pass

    with turns.taken():
        assert turns._owner == threading.get_ident()


@pytest.mark.parametrize("call", [lambda: 7, lambda: 1 / 0])
def test_an_errand_ends_as_its_call_does(call: Callable[[], object]) -> None:
    future = run_in_thread(call)

    if future.exception(PATIENCE) is None:
        assert future.result() == 7
    else:
        assert isinstance(future.exception(), ZeroDivisionError)


@pytest.mark.parametrize("to_send", [True, False])
def test_who_works_when_the_run_is_interrupted_sends_and_begins_nothing_more(
    monkeypatch: pytest.MonkeyPatch, *, to_send: bool
) -> None:
    turns, begun, sent = TurnLock(), [], []
    at_work, go_on = threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def take(number: int) -> None:
        begun.append(number)
        threads.append(threading.current_thread())
        at_work.set()
        go_on.wait(PATIENCE)
        if to_send:
            with turns.released():
                sent.append(number)

    def interrupted(*_args: object, **_more: object) -> None:
        at_work.wait(PATIENCE)
        raise KeyboardInterrupt

    monkeypatch.setattr("drawcli.system.threads.wait", interrupted)

    with pytest.raises(KeyboardInterrupt):
        turns.share(numbers(5), take, lanes=2)
    go_on.set()
    for thread in threads:
        thread.join(PATIENCE)

    assert begun == [0]
    assert sent == []


def test_a_call_that_nothing_can_interrupt_is_left_to_itself() -> None:
    over = threading.Event()

    with pytest.raises(TimeoutError):
        call_with_timeout(over.wait, 0.02)
    over.set()

    assert call_with_timeout(lambda: 7, PATIENCE) == 7
    with pytest.raises(ZeroDivisionError):
        call_with_timeout(lambda: 1 / 0, PATIENCE)


def test_where_no_thread_can_be_started_there_is_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)

    with pytest.raises(MemoryError):
        run_in_thread(lambda: 7)


def test_a_thread_that_ends_without_a_word_had_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drawcli.system.threads._run", lambda _call, _future: None)
    turns = TurnLock()

    with pytest.raises(MemoryError):
        call_with_timeout(lambda: 7, PATIENCE)
    with pytest.raises(MemoryError):
        turns.share(numbers(5), lambda _number: None, lanes=2)


def test_a_call_that_reports_progress_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock goes 0.3 s each time that the caller looks whether the call has ended."""
    seconds, looked, went_on = [0.0], threading.Semaphore(0), threading.Semaphore(0)

    def slow(heard: Callable[[], None]) -> int:
        for _ in range(12):
            assert looked.acquire(timeout=PATIENCE)
            seconds[0] += 0.3
            heard()
            went_on.release()
        return 7

    def look(_futures: object, _timeout: float) -> None:
        looked.release()
        went_on.acquire(timeout=0.1 if seconds[0] > 3.5 else PATIENCE)  # the last time it ends

    monkeypatch.setattr("drawcli.system.threads.monotonic", lambda: seconds[0])
    monkeypatch.setattr("drawcli.system.threads.wait", look)

    assert call_while_heard(slow, 0.4) == 7  # 3.6 s in all


def test_a_call_that_reports_no_progress_may_not_take_its_time() -> None:
    over = threading.Event()

    with pytest.raises(TimeoutError):
        call_while_heard(lambda _heard: over.wait(PATIENCE), 0.02)
    with pytest.raises(ZeroDivisionError):
        call_while_heard(lambda _heard: 1 // 0, PATIENCE)
    over.set()


def test_the_error_of_a_call_that_ended_is_kept_and_a_longer_one_is_left() -> None:
    over = threading.Event()

    assert isinstance(ended_call(lambda: 1 // 0).exception(), ZeroDivisionError)
    assert not ended_call(lambda: over.wait(PATIENCE), 0.02).done()
    over.set()
