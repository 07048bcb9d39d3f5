"""Bytes go at the pace that is allowed now; a call that takes too long is not waited for."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import pytest

from drawcli.errors import ServerSilent, ServerUnavailable
from drawcli.system.network.limit import SLOWEST_BYTES_PER_SECOND
from drawcli.system.pacing import (
    Deadline,
    PacedFile,
    TokenBucket,
    after_abandoned_calls,
    ignore_progress,
    read_with_deadline,
    with_deadline,
)

PIECE = 64 << 10
LONG = 1000.0


@dataclass
class Watch:
    """A clock that moves only while somebody sleeps."""

    at: float = 0.0
    naps: list[float] = field(default_factory=list)

    def now(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        assert not seconds or self.at + seconds > self.at, "a nap that would never end"
        self.naps.append(seconds)
        self.at += seconds


@pytest.fixture
def watch() -> Watch:
    return Watch()


def bucket(watch: Watch, rate: Callable[[], float | None]) -> TokenBucket:
    return TokenBucket(rate, clock=watch.now, pause=watch.sleep)


def deadline(watch: Watch, seconds: float = LONG) -> Deadline:
    return Deadline(seconds, clock=watch.now)


def test_without_a_limit_nobody_waits(watch: Watch) -> None:
    for _ in range(100):
        bucket(watch, lambda: None).take(PIECE, deadline(watch))

    assert watch.naps == []


def test_bytes_go_at_the_rate(watch: Watch) -> None:
    paced = bucket(watch, lambda: 1e6)

    for _ in range(100):
        paced.take(PIECE, deadline(watch))

    assert watch.at == pytest.approx(100 * PIECE / 1e6, rel=0.02)


def test_the_rate_may_change_while_a_transfer_runs(watch: Watch) -> None:
    paced = bucket(watch, lambda: 10_000.0 if watch.at < 60 else None)

    for _ in range(500):
        paced.take(PIECE, deadline(watch, 1e9))

    assert 60 <= watch.at <= 61  # what was waited for goes on at once, too


def test_a_rate_that_falls_counts_at_once(watch: Watch) -> None:
    paced = bucket(watch, lambda: None if watch.at == 0 and not watch.naps else 1e5)
    paced.take(10 * PIECE, deadline(watch))
    watch.sleep(0.0)

    for _ in range(10):
        paced.take(PIECE, deadline(watch))

    assert watch.at == pytest.approx(9 * PIECE / 1e5, rel=0.05)


def test_an_idle_hour_is_not_made_up_for(watch: Watch) -> None:
    paced = bucket(watch, lambda: 1e6)
    watch.at = 3600.0

    for _ in range(100):
        paced.take(PIECE, deadline(watch))

    assert watch.at - 3600 >= 100 * PIECE / 1e6 - 1.1  # a second's worth at most


def test_two_transfers_share_one_rate() -> None:
    lock, watch = threading.Lock(), Watch()

    def nap(seconds: float) -> None:
        with lock:
            watch.sleep(seconds)

    shared = TokenBucket(lambda: 1e6, clock=watch.now, pause=nap)

    def transfer() -> None:
        for _ in range(50):
            shared.take(PIECE, Deadline(1e9, clock=watch.now))

    both = [threading.Thread(target=transfer) for _ in range(2)]
    for one in both:
        one.start()
    for one in both:
        one.join()

    assert watch.at >= 0.98 * 99 * PIECE / 1e6 - 1


def test_waiting_for_the_pace_costs_no_patience(watch: Watch) -> None:
    paced, shown = bucket(watch, lambda: 10_000.0), deadline(watch, 5.0)

    for _ in range(50):
        paced.take(PIECE, shown)

    assert watch.at > 300
    assert shown.left() == pytest.approx(5.0)


def test_a_package_goes_out_over_half_a_megabit(watch: Watch) -> None:
    shown = deadline(watch, 60.0)
    shown.grow(100_000_000)

    watch.at = 100_000_000 / 62_500
    shown.check()


def test_patience_grows_with_the_size(watch: Watch) -> None:
    shown = deadline(watch, 60.0)
    shown.grow(300 << 20)

    watch.at = 60 + (300 << 20) / SLOWEST_BYTES_PER_SECOND - 1
    shown.check()
    watch.at += 2
    with pytest.raises(ServerUnavailable) as caught:
        shown.check()

    assert caught.value.code == "server-lost"


def test_a_call_that_ends_in_time_returns_what_it_returns() -> None:
    assert with_deadline(Deadline(LONG), lambda: 7, print) == 7


def test_a_call_that_fails_raises_what_it_raises() -> None:
    with pytest.raises(ZeroDivisionError):
        with_deadline(Deadline(LONG), lambda: 1 / 0, print)


def test_a_call_without_an_end_is_not_waited_for_and_its_late_result_is_thrown_away() -> None:
    may_end, thrown = threading.Event(), threading.Event()
    late: list[object] = []

    def call() -> str:
        may_end.wait(LONG)
        return "late"

    def discard(result: object) -> None:
        late.append(result)
        thrown.set()

    shown = Deadline(0.02)
    with pytest.raises(ServerUnavailable) as caught:
        with_deadline(shown, call, discard)
    may_end.set()

    assert thrown.wait(LONG)
    assert late == ["late"]
    assert caught.value.code == "server-lost"
    assert shown.over  # whoever sends for it stops


def test_a_file_on_its_way_stops_when_nobody_waits_any_more(watch: Watch, tmp_path: Path) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(bytes(3 * PIECE))
    shown = deadline(watch)
    told: list[tuple[int, int | None]] = []

    with path.open("rb") as stream:
        going = PacedFile(
            stream, 3 * PIECE, bucket(watch, lambda: None), shown, lambda *how: told.append(how)
        )
        assert len(going.read(PIECE)) == PIECE
        shown.over = True
        with pytest.raises(ServerUnavailable):
            going.read(PIECE)

    assert told == [(PIECE, 3 * PIECE)]


def test_a_file_on_its_way_can_be_sent_from_the_beginning_again(
    watch: Watch, tmp_path: Path
) -> None:
    path = tmp_path / "package.zip"
    path.write_bytes(b"0123456789")

    with path.open("rb") as stream:
        going = PacedFile(stream, 10, bucket(watch, lambda: None), deadline(watch), ignore_progress)
        going.read(4)
        going.seek(0)

        assert going.read(100) == b"0123456789"
        assert going.fileno() == stream.fileno()


def test_a_peer_that_takes_no_more_is_given_up_long_before_the_whole_file_could_go(
    watch: Watch, tmp_path: Path
) -> None:
    path = tmp_path / "package.zip"
    with path.open("wb") as stream:
        stream.truncate(200_000_000)
    shown = deadline(watch, 120.0)

    with path.open("rb") as stream:
        going = PacedFile(stream, 200_000_000, bucket(watch, lambda: None), shown, ignore_progress)
        for _ in range(1000):
            going.read(PIECE)
            watch.at += PIECE / 60_000  # seconds: a slow line, quicker than the slowest
        watch.at += 500  # and then nothing
        with pytest.raises(ServerSilent):
            going.read(PIECE)


def test_what_comes_slowly_is_waited_for_as_long_as_it_comes(watch: Watch) -> None:
    shown = deadline(watch, 120.0)

    def coming() -> Iterator[bytes]:
        for _ in range(400):
            watch.at += PIECE / 60_000  # 7 minutes in all
            yield bytes(PIECE)
        watch.at += 300
        yield b"too late"

    came = read_with_deadline(coming(), shown, lambda: None)
    assert sum(len(piece) for piece in islice(came, 400)) == 400 * PIECE
    with pytest.raises(ServerSilent):
        next(came)


def test_a_connection_is_not_closed_under_a_call_that_is_left_alone() -> None:
    may_end, closed = threading.Event(), threading.Event()

    with pytest.raises(ServerSilent):
        with_deadline(Deadline(0.02), lambda: may_end.wait(LONG), lambda _late: None)
    after_abandoned_calls(closed.set)
    before = closed.is_set()
    may_end.set()

    assert not before
    assert closed.wait(LONG)
