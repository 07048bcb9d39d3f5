"""The DRAW server of the simulated month."""

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx
from pydicom import Dataset

from tests.conftest import Clock
from tests.fake_draw import FakeDraw

NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass
class MonthDraw(FakeDraw):
    """A server that is down at times, is slow with some tasks, fails some, and draws some badly."""

    clock: Clock = field(default_factory=Clock)
    dice: random.Random = field(default_factory=random.Random)
    down: bool = False
    troubled: bool = True  # answers 503 at times, fails tasks
    tokens_end: datetime = NEVER
    ready_at: dict[str, datetime] = field(default_factory=dict)
    fails: set[str] = field(default_factory=set)
    by_hour: Counter[str] = field(default_factory=Counter)
    by_task: Counter[str] = field(default_factory=Counter)
    while_down: Counter[str] = field(default_factory=Counter)  # hour: requests

    def _answer(self, request: httpx.Request, body: bytes) -> httpx.Response:
        hour = f"{self.clock.at:%d %H}"
        self.by_hour[hour] += 1
        path = request.url.path
        if self.down:
            self.while_down[hour] += 1
            raise httpx.ConnectError("no route", request=request)
        if self.troubled and self.dice.random() < 0.02:
            return httpx.Response(503)
        task = next((part for part in path.split("/") if part.startswith("task-")), "")
        self.by_task[task] += bool(task)
        if task in self.fails:
            self.status = "SEGMENTATION FAILED"
        else:
            is_ready = self.clock.at >= self.ready_at.get(task, self.clock.at)
            self.status = "SEGMENTATION COMPLETED" if is_ready else "SEGMENTATION STARTED"
        return super()._answer(request, body)

    def _take(self, request: httpx.Request, body: bytes) -> httpx.Response:
        luck = self.dice.random() if self.troubled else 1.0
        self.change = _without_contours if luck < 0.04 else None
        answer = super()._take(request, body)
        if answer.is_success:
            task = answer.json()["task_id"]
            minutes = self.dice.choice((3, 8, 15, 25)) if luck > 0.2 else self.dice.randint(60, 180)
            self.ready_at[task] = self.clock.at + timedelta(minutes=minutes)
            if 0.04 <= luck < 0.08:
                self.fails.add(task)
        return answer

    def _refresh(self, request: httpx.Request) -> httpx.Response:
        """Renew the access token; the refresh token stays, until it ends."""
        if request.headers.get("authorization") != f"Bearer {self.refresh}":
            return httpx.Response(401, json={"detail": "refresh"})
        if self.clock.at >= self.tokens_end:
            return httpx.Response(401, json={"detail": "expired"})
        self.access = f"access-{int(self.access.rpartition('-')[2]) + 1}"
        return httpx.Response(200, json={"access_token": self.access, "expires_in": 3600})


def _without_contours(dataset: Dataset) -> None:
    del dataset.ROIContourSequence[0].ContourSequence
