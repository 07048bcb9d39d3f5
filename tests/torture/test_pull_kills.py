"""kill -9 and power cuts at every effect of `pull`: nothing partial is scanned, nothing is lost."""

import os
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.adapters.ledger import FileLedger
from drawcli.adapters.state.site_key import make_site_key
from drawcli.core.jobs.job import State
from drawcli.sandbox.faults import Panel
from drawcli.sandbox.pacs.archive import PacsArchive
from drawcli.sandbox.pacs.dimse import PacsServer
from drawcli.sandbox.pacs.options import PacsOptions
from drawcli.sandbox.phantom import write_planning_ct
from tests.conftest import HEAD_NECK, PELVIS
from tests.torture.kit import KILLED, Bench, Forge

LONG = int(os.environ.get("TORTURE", "1")) > 1
STRIDE = 1 if LONG else 17
LEAST_EFFECTS = 60
SLICES = 4
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="sends a POSIX signal")


@dataclass
class Archived:
    """A running archive and what it has."""

    port: int
    files: dict[str, bytes]  # by SOP Instance UID


@pytest.fixture(scope="module")
def archived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archived]:
    folder, files = tmp_path_factory.mktemp("pacs"), dict[str, bytes]()
    for person in (PELVIS, HEAD_NECK):
        paths = write_planning_ct(folder / person.site, person, slices=SLICES, size=32, seed=1)
        files |= {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in paths}
    with closing(PacsServer(PacsArchive(folder), PacsOptions(), Panel(()))) as server:
        yield Archived(server.port, files)


class PullingSite:
    """A site that pulls, by processes."""

    def __init__(self, folder: Path, archived: Archived, forge: Forge) -> None:
        self.folder, self.archived, self.forge = folder, archived, forge
        (folder / "store").mkdir(parents=True)
        root = Path(__file__).parents[2]
        for name in ("rules.yaml", "templates.yaml"):
            (folder / name).write_bytes((root / name).read_bytes())
        (folder / "drawcli.yaml").write_text(
            "datastore: store\nstate_dir: state\nscan: {quiet_minutes: 0}\n"
            "receive: {keep_free_gib: 0}\n"
            f"pull: {{sources: [{{node: 'SANDBOX@127.0.0.1:{archived.port}', "
            "folder: store/pulled, keys: {Modality: CT}}]}\n"
        )
        make_site_key(folder / "state")

    def run(self, *words: str, **order: object) -> int:
        order |= {"words": words, "folder": str(self.folder)}
        return int(self.forge.run(order)["code"])

    @property
    def effects(self) -> int:
        return int((self.folder / "last.effects").read_text().split()[0])

    def check(self) -> dict[str, bytes]:
        """What is stored is whole; what the scan takes is complete."""
        files = {path.stem: path for path in (self.folder / "store" / "pulled").glob("1*/*.dcm")}
        for uid, path in files.items():
            assert dcmread(path).PixelData == dcmread_bytes(self.archived.files[uid])
        assert self.run("scan") == 0
        with FileLedger(self.folder / "state" / "ledger.json") as ledger:
            for job in ledger.jobs():
                assert (job.state, job.slices) == (State.FOUND, SLICES) or (
                    job.state is State.WAITING
                ), job
        return {uid: path.read_bytes() for uid, path in files.items()}


def dcmread_bytes(data: bytes) -> bytes:
    from io import BytesIO

    return bytes(dcmread(BytesIO(data)).PixelData)


@pytest.mark.parametrize("power", [False, True])
def test_killed_at_every_effect_the_next_pull_has_everything_once(
    archived: Archived,
    bench: Bench,
    tmp_path: Path,
    power: bool,  # noqa: FBT001 - a table
) -> None:
    whole = PullingSite(tmp_path / "whole", archived, bench.forge)
    assert whole.run("pull") == 0
    count = whole.effects
    assert whole.check().keys() == archived.files.keys()
    assert count >= LEAST_EFFECTS

    kills = 0
    for effect in range(1 + STRIDE * power // 2, count + 1, STRIDE):
        site = PullingSite(tmp_path / str(effect), archived, bench.forge)
        kills += site.run("pull", kill_at=effect, power=power) == KILLED
        before = site.check()

        assert site.run("pull") == 0
        after = site.check()

        assert after.keys() == archived.files.keys()
        assert {uid: after[uid] for uid in before} == before
        assert list(site.folder.rglob("*.part")) == []
    assert kills >= count // STRIDE - 2
    sys.stdout.write(f"kills: {kills} of {count} effects\n")
