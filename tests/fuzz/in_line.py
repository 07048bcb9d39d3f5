"""Calls of other threads, made in the thread of the target: a hand-over costs more than a call."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from threading import current_thread
from typing import Any, TypeVar

from drawcli.system import threads
from drawcli.system.threads import BackgroundCall

_T = TypeVar("_T")


class InLine(Executor):
    """Calls at once, in this thread."""

    def __init__(self, _threads: int = 1) -> None:
        """Start no thread."""

    def submit(self, call: Callable[..., Any], /, *args: Any, **more: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(call(*args, **more))
        except Exception as err:  # noqa: BLE001 - as a thread would
            done.set_exception(err)
        return done


def run_at_once(call: Callable[[], _T]) -> BackgroundCall[_T]:
    """Call as `run_in_thread` does, in this thread."""
    done = BackgroundCall[_T]()
    done.thread = current_thread()
    threads._run(call, done)
    return done
