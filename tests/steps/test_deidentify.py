"""What the step alone does: beside the engine, the package and the gate, tested on their own."""

from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.context import Context
from drawcli.core.job import State
from drawcli.core.profile import CT_IMAGE, fingerprint
from drawcli.pipeline import Selection, run_step

WARNING = "warning: a corner of the pixels looks like writing"


def packaged(ctx: Context) -> list[str]:
    """Bring the one series to its package; return what happened to it."""
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())
    (job,) = ctx.ledger.jobs()
    assert job.state is State.PACKAGED
    return [event.what for event in job.events]


def write_into_a_corner(path: Path) -> None:
    dataset = dcmread(path)
    pixels = dataset.pixel_array.copy()
    pixels[:6, :9:2] = pixels.max() + 100
    dataset.PixelData = pixels.tobytes()
    dataset.save_as(path)


@pytest.mark.parametrize("which", [0, -1])
def test_writing_in_the_pixels_is_a_warning_and_no_obstacle(
    ctx: Context, pelvis: list[Path], which: int
) -> None:
    write_into_a_corner(sorted(pelvis)[which])

    assert packaged(ctx) == ["found", "matched", "packaged", WARNING]


def test_a_scan_without_writing_goes_without_a_warning(ctx: Context, pelvis: list[Path]) -> None:
    assert pelvis

    assert packaged(ctx) == ["found", "matched", "packaged"]


def test_the_vault_says_by_which_policy_a_series_left(ctx: Context, pelvis: list[Path]) -> None:
    assert pelvis
    packaged(ctx)

    (job,) = ctx.ledger.jobs()

    assert ctx.crosswalk(job).policy == fingerprint(CT_IMAGE)
