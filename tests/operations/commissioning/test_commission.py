"""Commissioning: past patients by the real steps, delivered nowhere, compared and judged."""

from collections.abc import Callable
from pathlib import Path

import pytest

from drawcli.core.jobs.job import State
from drawcli.operations.commissioning.commission import CommissionRequest, commission
from drawcli.operations.commissioning.results import Commissioned
from drawcli.pipeline.context import Context
from tests.fake_draw import FakeDraw
from tests.operations.commissioning.conftest import PastPatients

Sleep = Callable[[float], None]
Commission = Callable[..., Commissioned]


@pytest.fixture
def run(ctx: Context, past: PastPatients, sleep: Sleep, tmp_path: Path) -> Commission:
    """Return a function that commissions the folder."""

    def call(accept: str = "Bladder: {dice: '>= 0.9'}", **given: object) -> Commissioned:
        file = tmp_path / "accept.yaml"
        file.write_text(accept)
        request = CommissionRequest(
            folder=past.folder, template="Prostate_OAR", accept=file, **given
        )  # type: ignore[arg-type] # as asked
        return commission(ctx, request, sleep=sleep)

    return call


def test_past_patients_go_to_the_server_and_back_and_are_compared(
    run: Commission, past: PastPatients, draw: FakeDraw, ctx: Context
) -> None:
    for number, mm in enumerate((1.5, 3.0, 6.0), start=1):
        past.add(number, mm)

    done = run()

    assert (len(draw.uploads), len(draw.confirmed), draw.results) == (3, 3, {})
    assert {one.job.state for one in done.cases} == {State.DONE}
    dices = sorted(round(one.dice or 0, 3) for one in done.by_case("Bladder").values())
    assert dices == [0.8, 0.9, 0.95]  # squares of 30 mm
    assert done.passed is True
    assert ctx.ledger.jobs() == []  # nothing of the site itself
