"""How long the viewer takes, beside the pictures page, in one run.

The same job is asked for by HTTP on loopback: the first picture (page, facts, pixels and outlines;
or page and PNG), each time with nothing in memory; then further pictures of each plane.

    python bench/viewer.py [--slices 177] [--size 512] [--structures 11] [--repeat 7] [--json]
"""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from argon2 import PasswordHasher
from dashboard import asked, served
from measure import Row, beside, options, taken, tell
from reidentify import drawn, series
from status import a_job

from drawcli.adapters.state.site_key import make_site_key
from drawcli.config.load import load_settings
from drawcli.core.dicom.header import read_header
from drawcli.core.pictures.frame import Plane
from drawcli.core.pictures.sheet import Caption
from drawcli.core.series.crosswalk import SourceFile
from drawcli.dashboard import preview as of_dashboard
from drawcli.dashboard.access.options import DashboardOptions
from drawcli.dashboard.access.password import Secret
from drawcli.dashboard.app import application
from drawcli.dashboard.snapshot import SiteReader
from drawcli.pipeline.context import open_context
from drawcli.pipeline.preview import Preview, scene_of
from drawcli.pipeline.preview_pixels import read_images_of
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct

FIRST_SECONDS = 1.0
SLICE_SECONDS = 0.05
WORDS = "correct horse battery"
CAPTION = Caption(title="bench", facts="", findings=())


@contextmanager
def site_of(root: Path, jobs: int) -> Iterator[Any]:
    """Yield the page of a site with jobs, for who knows the password."""
    (root / "store").mkdir()
    (root / "drawcli.yaml").write_text("datastore: store\nstate_dir: state\n")
    make_site_key(root / "state")
    settings = load_settings(root / "drawcli.yaml", os.environ)
    secret = Secret(root / "state", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    secret.store(WORDS)
    with open_context(settings) as ctx:
        ctx.ledger.add(*map(a_job, range(1, jobs + 1)))
        site = SiteReader(ctx, lambda: open_context(settings), root / "drawcli.yaml")
        yield application(site, DashboardOptions(), secret), [job.id for job in ctx.ledger.jobs()]


def log_in(client: httpx.Client, url: str) -> None:
    """Log in as a person does."""
    page = client.get(f"{url}/login").text
    token = re.search(r'name="csrf" value="([^"]+)"', page)
    client.post(f"{url}/login", data={"csrf": token[1] if token else "", "password": WORDS})


class Viewed:
    """A job as the viewer shows it."""

    def __init__(self, client: httpx.Client, url: str, job: str) -> None:
        self._client, self._base = client, f"{url}/jobs/{job}"
        self.facts: dict[str, Any] = {}

    def first(self) -> None:
        """Ask for what the first picture needs."""
        page = self._client.get(f"{self._base}/viewer").raise_for_status().text
        stamp = re.search(r'data-stamp="([^"]+)"', page)
        self._of = f"?of={stamp[1] if stamp else ''}"
        self.facts = self._client.get(f"{self._base}/viewer/facts.json{self._of}").json()
        self.picture("axial", self.facts["start"]["axial"])

    def picture(self, plane: str, index: int) -> None:
        """Ask for pixels and outlines."""
        asked(self._client, f"{self._base}/viewer/{plane}/{index}.bin{self._of}")

    def first_png(self) -> None:
        """Ask for what the first picture of the pictures page needs."""
        page = self._client.get(f"{self._base}/pictures").raise_for_status().text
        image = re.search(r'src="([^"]+axial[^"]+)"', page)
        asked(self._client, f"{self._base.partition('/jobs')[0]}{image[1] if image else ''}")

    def png(self, plane: str, index: int) -> None:
        """Ask for a picture of the pictures page."""
        asked(self._client, f"{self._base}/pictures/{plane}/{index}.png?width=720")


def planes(viewed: Viewed, repeat: int) -> Iterator[Row]:
    """Yield how long further pictures of each plane take."""
    for plane in Plane:
        start, count = viewed.facts["start"][plane], len(viewed.facts["planes"][plane]["positions"])
        places = [(start + 1 + 3 * n) % count for n in range(repeat + 1)]
        pairs = [
            (taken(partial(viewed.picture, plane, at)), taken(partial(viewed.png, plane, at)))
            for at in places
        ]
        row = beside(f"{plane} picture, viewer / pictures page", pairs[1:], target=1)
        met = row.ours is not None and row.ours <= SLICE_SECONDS
        yield replace(row, asked=f"within {SLICE_SECONDS * 1000:g} ms", met=met)


def main() -> int:
    """Measure and print; 1 where a picture takes longer than it may."""
    given = options(__doc__, slices=177, size=512, structures=11, repeat=7).parse_args()
    person = next(one for one in PEOPLE if one.site == "pelvis")
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        paths = write_planning_ct(
            root / "ct", person, slices=given.slices, size=given.size, slice_mm=3.0
        )
        files = [SourceFile(str(path), 0, 0, path.name) for path in paths]
        drawing = drawn(series(given.slices * 2 // 5), given.structures, 150, 3)

        def read(_job: object, _ctx: object) -> Preview:
            header = read_header(drawing, complete=True)
            return Preview(scene_of(header, read_images_of(files)), 0, lambda: CAPTION)

        of_dashboard.preview_of = read  # type: ignore[assignment] # without a run of a whole job
        with (
            site_of(root, 2 * given.repeat + 2) as (page, jobs),
            served(page) as url,
            httpx.Client(timeout=60) as client,
        ):
            log_in(client, url)
            viewed = [Viewed(client, url, job) for job in jobs]
            pairs = [
                (taken(a.first), taken(b.first_png))
                for a, b in zip(viewed[::2], viewed[1::2], strict=True)
            ]
            row = beside("first picture, viewer / pictures page", pairs[1:])
            met = row.ours is not None and row.ours <= FIRST_SECONDS
            found = [replace(row, asked=f"within {FIRST_SECONDS:g} s", met=met)]
            found += planes(viewed[-2], given.repeat)
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
