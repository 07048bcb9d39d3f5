"""Forty slices that arrive slowly: half a series is never taken for a whole one.

A copy writes slices in any order, in pieces, under other names first, with pauses, keeping old
times or not; scans come whenever they like. Whatever the interleaving, a series is found only when
all of its slices are there. The clock is ours; the datastore's own differs.
"""

import os
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from drawcli.core.jobs.job import State
from drawcli.core.series.readiness import Criteria, SettlingTimes, check_settled
from drawcli.core.series.verdict import Verdict
from drawcli.pipeline.context import Context
from drawcli.pipeline.steps.scan import scan
from tests.conftest import Clock, Site
from tests.core.files import as_bytes
from tests.pipeline.survey.awkward import stack

COUNT = 40
QUIET_MINUTES = 10.0
SEEDS = (0, 1, 7, 22)


@dataclass
class Copy:
    """A copy in progress: what is still to be done, one small step at a time."""

    store: Path
    dice: random.Random
    skew_seconds: float  # of the clock of the datastore
    old_times: bool  # as `cp -p` and rsync keep them
    clock: Clock
    steps: list[Callable[[], None]] = field(default_factory=list)
    whole: int = 0  # slices that are there with all of their bytes, under any name

    def plan(self, files: list[bytes]) -> None:
        """Lay out the steps: slices in any order, some of them in several pieces."""
        folders = [self.store / "a", self.store / "b" / "deep"]
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        order = list(enumerate(files))
        self.dice.shuffle(order)
        for number, data in order:
            self.steps += self._slice(self.dice.choice(folders), f"{number}.dcm", data)

    def _slice(self, folder: Path, name: str, data: bytes) -> list[Callable[[], None]]:
        way = self.dice.choice(("at once", "pieces", "renamed", "size first", "moved"))
        final, part = folder / name, folder / f"{name}.part"
        cut = self.dice.randrange(1, len(data))
        begun = {"pieces": (final, data[:cut]), "size first": (final, bytes(len(data)))}
        if way in begun:
            path, first = begun[way]
            return [lambda: self._write(path, first), lambda: self._write(path, data, end=True)]
        if way == "renamed":
            return [
                lambda: self._write(part, data[:cut]),
                lambda: self._write(part, data, end=True),
                lambda: self._rename(part, final),
            ]
        if way == "moved":
            other = self.store / f"inbox-{name}"
            return [
                lambda: self._write(other, data, end=True),
                lambda: self._rename(other, final),
            ]
        return [lambda: self._write(final, data, end=True)]

    def _write(self, path: Path, data: bytes, *, end: bool = False) -> None:
        path.write_bytes(data)
        self._stamp(path)
        self.whole += end

    def _rename(self, old: Path, new: Path) -> None:
        old.rename(new)

    def _stamp(self, path: Path) -> None:
        at = 1_500_000_000.0 if self.old_times else self.clock.at.timestamp() + self.skew_seconds
        os.utime(path, (at, at))


def arriving(site: Site, clock: Clock, seed: int) -> tuple[Copy, random.Random]:
    dice = random.Random(seed)  # noqa: S311 - the same every time
    copy = Copy(
        site.store,
        dice,
        skew_seconds=dice.choice((0.0, -7200.0, 7200.0, 30.0)),
        old_times=dice.random() < 0.5,
        clock=clock,
    )
    copy.plan([as_bytes(one) for one in stack(COUNT, series=seed + 1)])
    return copy, dice


def asked(ctx: Context) -> Context:
    wanted = ctx.settings.scan.replace(quiet_minutes=QUIET_MINUTES, full_walk_hours=1.0)
    return replace(ctx, settings=ctx.settings.replace(scan=wanted))


def interleaved(ctx: Context, site: Site, clock: Clock, seed: int) -> Iterator[tuple[bool, int]]:
    """Yield after each scan whether the series was found, and how much of it was there."""
    copy, dice = arriving(site, clock, seed)
    before = len(ctx.ledger.jobs([State.FOUND]))
    while copy.steps:
        for _ in range(min(dice.choice((1, 1, 2, 5, 9)), len(copy.steps))):
            copy.steps.pop(0)()
        clock.advance(minutes=dice.choice((0.0, 0.01, 1.0, 5.0, QUIET_MINUTES - 0.1)))
        for _ in range(dice.choice((0, 1, 1, 2))):
            scan(ctx)
            yield len(ctx.ledger.jobs([State.FOUND])) > before, copy.whole
            clock.advance(seconds=dice.choice((0, 1)))
    for minutes in (QUIET_MINUTES + 0.1, 130.0):  # the datastore may be two hours ahead
        scan(ctx)
        clock.advance(minutes=minutes)
    scan(ctx)
    yield len(ctx.ledger.jobs([State.FOUND])) > before, copy.whole


@pytest.mark.parametrize("seed", SEEDS)
def test_half_a_series_is_never_found_whatever_the_interleaving(
    ctx: Context, site: Site, clock: Clock, seed: int
) -> None:
    (*early, (at_last, whole)) = interleaved(asked(ctx), site, clock, seed)

    (job,) = ctx.ledger.jobs()
    assert [there for found, there in early if found and there < COUNT] == []
    assert (at_last, whole, job.slices) == (True, COUNT, COUNT)


def old_times_are_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """As clients do that look at the times of files alone."""
    judged = check_settled

    def trusting(verdict: Verdict, demands: Criteria, calm: SettlingTimes, now_ns: int) -> Verdict:
        return judged(verdict, demands, calm._replace(since_ns=0), now_ns)

    monkeypatch.setattr("drawcli.pipeline.survey.judge.check_settled", trusting)


def nothing_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "drawcli.pipeline.survey.judge.check_settled", lambda verdict, *_given: verdict
    )


def changes_do_not_unsettle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "drawcli.adapters.scan_index.index.ScanIndex._mark_changed",
        lambda self, series, _now: self._database.executemany(
            "UPDATE series SET stale = 1 WHERE id = ?", ((one,) for one in series)
        ),
    )


@pytest.mark.parametrize(
    ("plant", "seed"),
    [(old_times_are_trusted, 7), (nothing_is_waited_for, 7), (changes_do_not_unsettle, 22)],
)
def test_the_simulation_catches_planted_faults(  # noqa: PLR0913, PLR0917 - fixtures
    ctx: Context,
    site: Site,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    plant: Callable[[pytest.MonkeyPatch], None],
    seed: int,
) -> None:
    plant(monkeypatch)

    seen = interleaved(asked(ctx), site, clock, seed)

    assert any(found and there < COUNT for found, there in seen)
