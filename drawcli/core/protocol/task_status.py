"""What the server says of a task, in words of our own."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from drawcli.system.printable import plain

READY: Final = frozenset(
    {"SEGMENTATION COMPLETED", "SEGMENTATION COMPLETE", "SEGMENTATION RETRIEVED"}
)
DELIVERED: Final = frozenset({"DELIVERED TO CLIENT", "TRANSFER COMPLETED"})
FAILED: Final = frozenset({"FAILED", "ERROR"})
RUNNING: Final = frozenset(  # and no word at all
    """
    PENDING PROCESSING QUEUED RUNNING STARTED RECEIVED UPLOADED WAITING SUBMITTED ACCEPTED
    """.split()
) | {"", "IN PROGRESS", "IN QUEUE", "FILE UPLOADED", "SEGMENTATION STARTED", "SENT TO GPU"}
_LONGEST_WORDS: Final = 200
_ONE_WORD: Final = re.compile(r"[\x21-\x7e]{1,8192}")  # what can stand in a header, and in a path


class TaskState(StrEnum):
    """How a task fares."""

    RUNNING = "running"  # also every word that is not known
    READY = "ready"
    DELIVERED = "delivered"  # the server believes that we have the result
    FAILED = "failed"
    UNKNOWN = "unknown"  # the server does not know the task


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The state of a task, the server's word for it, and its reason for a failure."""

    state: TaskState
    word: str = ""
    error: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the word is one of the protocol, or plainly of a task under way."""
        return self.state is not TaskState.RUNNING or self.word in RUNNING


def status_of(answer: Mapping[str, Any]) -> TaskStatus:
    """Return the state behind a status answer.

    >>> status_of({"status": " segmentation_completed "}).state
    <TaskState.READY: 'ready'>
    >>> status_of({"status": "SEGMENTATION FAILED", "error": "no GPU"})
    TaskStatus(state=<TaskState.FAILED: 'failed'>, word='SEGMENTATION FAILED', error='no GPU')
    >>> status_of({}).state
    <TaskState.RUNNING: 'running'>
    """
    word = _words(_text(answer, "status").replace("_", " ").upper())
    if word in READY:
        return TaskStatus(TaskState.READY, word)
    if word in DELIVERED:
        return TaskStatus(TaskState.DELIVERED, word)
    if word in FAILED or "FAILED" in word:
        return TaskStatus(TaskState.FAILED, word, _words(_text(answer, "error")))
    return TaskStatus(TaskState.RUNNING, word)


def task_id_of(answer: Mapping[str, Any]) -> str:
    """Return the server's name for a task, of an answer to an upload; "" where it names none.

    >>> task_id_of({"transaction_token": " 3f9a-1 "}), task_id_of({"task_id": 7})
    ('3f9a-1', '7')
    >>> task_id_of({"task_id": ["x"]}), task_id_of({"task_id": ".."})
    ('', '')
    """
    words = (_text(answer, key).strip() for key in ("task_id", "transaction_token"))
    return next((word for word in words if _ONE_WORD.fullmatch(word) and word.strip(".")), "")


def _text(answer: Mapping[str, Any], key: str) -> str:
    """Return a word of an answer; "" where it is of another kind. Numbers may be names."""
    value = answer.get(key)
    is_word = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_word else ""


def _words(text: str) -> str:
    """Return a server's words in one line that a terminal can show."""
    line = " ".join(text.split())
    return plain(line)[:_LONGEST_WORDS]
