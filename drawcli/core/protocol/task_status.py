"""The status of a task on the server: its status words as `TaskState`."""

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
RUNNING: Final = frozenset(  # also an empty status
    """
    PENDING PROCESSING QUEUED RUNNING STARTED RECEIVED UPLOADED WAITING SUBMITTED ACCEPTED
    """.split()
) | {"", "IN PROGRESS", "IN QUEUE", "FILE UPLOADED", "SEGMENTATION STARTED", "SENT TO GPU"}
SENT_AGAIN: Final = "the server has lost the task: the series is sent again"
_LONGEST_TEXT: Final = 200  # characters
_TASK_ID: Final = re.compile(r"[\x21-\x7e]{1,8192}")  # valid in an HTTP header and in a path


class TaskState(StrEnum):
    """The state of a task."""

    RUNNING = "running"  # also every unknown status word
    READY = "ready"
    DELIVERED = "delivered"  # the server has recorded our download
    FAILED = "failed"
    UNKNOWN = "unknown"  # the server does not know the task


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The state of a task, the server's status word, and its error text."""

    state: TaskState
    word: str = ""
    error: str = ""

    @property
    def is_known(self) -> bool:
        """Whether the status word is part of the protocol."""
        return self.state is not TaskState.RUNNING or self.word in RUNNING


def status_of(answer: Mapping[str, Any]) -> TaskStatus:
    """Return the status in an answer of the server.

    >>> status_of({"status": " segmentation_completed "}).state
    <TaskState.READY: 'ready'>
    >>> status_of({"status": "SEGMENTATION FAILED", "error": "no GPU"})
    TaskStatus(state=<TaskState.FAILED: 'failed'>, word='SEGMENTATION FAILED', error='no GPU')
    >>> status_of({}).state
    <TaskState.RUNNING: 'running'>
    """
    word = _one_line(_text(answer, "status").replace("_", " ").upper())
    if word in READY:
        return TaskStatus(TaskState.READY, word)
    if word in DELIVERED:
        return TaskStatus(TaskState.DELIVERED, word)
    if word in FAILED or "FAILED" in word:
        return TaskStatus(TaskState.FAILED, word, _one_line(_text(answer, "error")))
    return TaskStatus(TaskState.RUNNING, word)


def task_id_of(answer: Mapping[str, Any]) -> str:
    """Return the task id in the answer to an upload; "" if it has none.

    >>> task_id_of({"transaction_token": " 3f9a-1 "}), task_id_of({"task_id": 7})
    ('3f9a-1', '7')
    >>> task_id_of({"task_id": ["x"]}), task_id_of({"task_id": ".."})
    ('', '')
    """
    ids = (_text(answer, key).strip() for key in ("task_id", "transaction_token"))
    return next((id_ for id_ in ids if _TASK_ID.fullmatch(id_) and id_.strip(".")), "")


def _text(answer: Mapping[str, Any], key: str) -> str:
    """Return a text or a whole number of an answer as text; "" for any other type."""
    value = answer.get(key)
    is_text = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value) if is_text else ""


def _one_line(text: str) -> str:
    """Return a text of the server as one printable line."""
    return plain(" ".join(text.split()))[:_LONGEST_TEXT]
