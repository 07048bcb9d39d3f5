"""Keep a site as this release leaves it, for the releases to come: see test_upgrade.py.

    python -m tests.releases.make

Called once for each release, when its number is set; the site stays in the repository for good. One
series is home and in the archive, one is at the server, one is packed, one no rule takes.
"""

import sys
import tarfile
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

from drawcli import __version__
from drawcli.adapters.state.site_key import make_site_key
from drawcli.pipeline.context import Context
from drawcli.pipeline.runner import Selection, run_once, run_step
from drawcli.sandbox.phantom import write_planning_ct
from tests.conftest import HEAD_NECK, NOON, PELVIS, SLICES, THORAX, Clock, Site, opened
from tests.fake_draw import FakeDraw

FOLDER: Final = Path(__file__).parent
STRANGER: Final = replace(THORAX, protocol="NO RULE", body_part="ARM")


def make(folder: Path) -> Site:
    """Make a site with a series at each kind of place on the way."""
    site = Site(folder / "site")
    site.store.mkdir(parents=True)
    for name in ("rules.yaml", "templates.yaml"):
        (site.folder / name).write_bytes((FOLDER.parents[1] / name).read_bytes())
    site.config.write_text(
        "datastore: store\nstate_dir: state\nscan: {quiet_minutes: 0}\n"
        "server: {url: 'http://127.0.0.1:9', client_id: ward-7}\n"
    )
    token = site.folder / "token.json"
    token.write_text('{"access_token": "access-1", "refresh_token": "refresh-1"}')
    token.chmod(0o600)
    make_site_key(site.state)
    draw, clock = FakeDraw(), Clock(NOON - timedelta(days=3))
    with opened(site, draw, clock) as ctx:
        _fill(ctx, site, draw, clock)
    return site


def _fill(ctx: Context, site: Site, draw: FakeDraw, clock: Clock) -> None:
    write_planning_ct(site.store / "a", PELVIS, slices=SLICES, size=32, seed=1)
    for _ in range(3):
        list(run_once(ctx, Selection()))
    clock.at = NOON
    write_planning_ct(site.store / "b", HEAD_NECK, slices=SLICES, size=32, seed=2)
    draw.status = "SEGMENTATION STARTED"
    list(run_once(ctx, Selection()))
    write_planning_ct(site.store / "c", THORAX, slices=SLICES, size=32, seed=3)
    write_planning_ct(site.store / "d", STRANGER, slices=SLICES, size=32, seed=4)
    for step in ("scan", "match", "deidentify"):
        run_step(step, ctx, Selection())


def main() -> int:
    """Write the archive of this release; never over one that is there."""
    target = FOLDER / f"{__version__}.tar.gz"
    if target.exists():
        sys.stderr.write(f"{target} is there\n")
        return 1
    with tempfile.TemporaryDirectory() as name, tarfile.open(target, "w:gz") as archive:
        archive.add(make(Path(name)).folder, "site")
    return 0


if __name__ == "__main__":
    sys.exit(main())
