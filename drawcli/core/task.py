"""What the server says of a task, in words of our own."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

_READY: Final = frozenset(
    {"SEGMENTATION COMPLETED", "SEGMENTATION COMPLETE", "SEGMENTATION RETRIEVED"}
)
_DELIVERED: Final = frozenset({"DELIVERED TO CLIENT", "TRANSFER COMPLETED"})
_FAILED: Final = frozenset({"FAILED", "ERROR"})
_RUNNING: Final = frozenset(  # and no word at all
    """
    PENDING PROCESSING QUEUED RUNNING STARTED RECEIVED UPLOADED WAITING SUBMITTED ACCEPTED
    """.split()
) | {"", "IN PROGRESS", "IN QUEUE", "FILE UPLOADED", "SEGMENTATION STARTED", "SENT TO GPU"}
_LONGEST_WORDS: Final = 200


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
        return self.state is not TaskState.RUNNING or self.word in _RUNNING


def status_of(answer: Mapping[str, Any]) -> TaskStatus:
    """Return the state behind a status answer.

    >>> status_of({"status": " segmentation_completed "}).state
    <TaskState.READY: 'ready'>
    >>> status_of({"status": "SEGMENTATION FAILED", "error": "no GPU"})
    TaskStatus(state=<TaskState.FAILED: 'failed'>, word='SEGMENTATION FAILED', error='no GPU')
    >>> status_of({}).state
    <TaskState.RUNNING: 'running'>
    """
    word = _words(str(answer.get("status") or "").replace("_", " ").upper())
    if word in _READY:
        return TaskStatus(TaskState.READY, word)
    if word in _DELIVERED:
        return TaskStatus(TaskState.DELIVERED, word)
    if word in _FAILED or "FAILED" in word:
        return TaskStatus(TaskState.FAILED, word, _words(str(answer.get("error") or "")))
    return TaskStatus(TaskState.RUNNING, word)


def _words(text: str) -> str:
    """Return a server's words in one line that a terminal can show."""
    line = " ".join(text.split())
    return "".join(char for char in line if char.isprintable())[:_LONGEST_WORDS]
