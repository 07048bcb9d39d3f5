"""Processes that read the datastore: they end with the scan, whatever they are doing."""

import os
import signal
import sys
from threading import Thread

import pytest

from drawcli.adapters.datastore.processes import end_workers, start_workers

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals")


def test_a_process_that_is_being_started_is_deaf_to_ctrl_c() -> None:
    """The terminal sends it to every process; a traceback of each would be on the screen."""
    (worker,) = start_workers(len, 1)
    try:
        os.kill(worker.process.pid or 0, signal.SIGINT)
        worker.send([1, 2, 3])
        answer = worker.pipe.recv()
    finally:
        end_workers([worker])

    assert answer == 3


def test_ctrl_c_still_reaches_this_process() -> None:
    workers = start_workers(len, 1)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    finally:
        end_workers(workers)


def test_a_process_that_does_not_answer_is_ended_all_the_same() -> None:
    (worker,) = start_workers(len, 1)
    os.kill(worker.process.pid or 0, signal.SIGSTOP)
    ending = Thread(target=end_workers, args=([worker],))

    ending.start()
    ending.join(30)
    ended = not ending.is_alive()
    worker.process.kill()
    ending.join()

    assert ended
    assert worker.process.exitcode == -signal.SIGKILL
