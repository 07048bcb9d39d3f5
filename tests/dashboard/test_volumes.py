"""Images in memory: few at once, whatever is asked for, and none dropped that is in use."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from threading import Barrier, Event, Lock, Thread
from weakref import ref

import pytest

from drawcli.dashboard.volumes import Volumes


class Alive:
    """Counts what is in memory."""

    now = 0
    most = 0
    lock = Lock()

    def __init__(self) -> None:
        with Alive.lock:
            Alive.now += 1
            Alive.most = max(Alive.most, Alive.now)

    def __del__(self) -> None:
        with Alive.lock:
            Alive.now -= 1


def test_many_series_asked_for_at_once_are_few_in_memory() -> None:
    volumes, together = Volumes(2), Barrier(16)
    Alive.most = 0

    def look(number: int) -> None:
        together.wait()
        for turn in range(20):
            with volumes.use((number + turn) % 7, Alive) as one:
                assert isinstance(one, Alive)
                del one  # within the block: after it, another thread may read the next series

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(look, range(16)))

    assert Alive.most <= 2


def test_images_that_are_free_are_kept_by_no_former_user(monkeypatch: pytest.MonkeyPatch) -> None:
    volumes, gone = Volumes(1), list[bool]()

    def drop() -> None:
        volumes._kept.clear()
        gone.append(images() is None)

    monkeypatch.setattr(volumes._changed, "notify_all", drop)  # then others may go on
    with volumes.use("a", Alive) as one:
        images = ref(one)
        del one

    assert gone == [True]


def test_what_is_kept_is_read_once_and_the_one_used_longest_ago_goes_first() -> None:
    volumes, read = Volumes(2), list[str]()

    for key in ("a", "b", "a", "c", "a", "b"):
        with volumes.use(key, lambda key=key: read.append(key)):  # type: ignore[misc] # a lambda
            pass

    assert read == ["a", "b", "c", "b"]


def test_a_series_in_use_is_waited_for() -> None:
    volumes, came = Volumes(1), Event()

    def other() -> None:
        with volumes.use("b", object):
            came.set()

    with ExitStack() as use:
        use.enter_context(volumes.use("a", object))
        waiting = Thread(target=other)
        waiting.start()
        assert not came.wait(0.05)
        with volumes.use("a", object):  # whoever uses it already goes on
            pass
    waiting.join()
    assert came.is_set()


def test_what_cannot_be_read_leaves_room() -> None:
    volumes = Volumes(1)

    for _ in range(3):
        with pytest.raises(ValueError, match="broken"), volumes.use("a", broken):
            pass
    with volumes.use("b", object):
        pass


def broken() -> None:
    raise ValueError("broken")
