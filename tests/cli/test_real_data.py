"""Files of many makers, good, odd and broken, through scan, match and deidentify.

They lie beside the checkout where there are any; none of them is part of the project.
"""

import hashlib
import re
import shutil
import tarfile
import warnings
import zipfile
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from tests.cli.conftest import Run
from tests.conftest import Site
from tests.validator import HAS_VALIDATOR, errors_of

REAL = Path(__file__).parents[2].parent / "shared" / "data" / "real"
MATCH_ALL = """
rules:
  - name: everything
    template: Thorax_OAR
    when: {any: [{Modality: CT}, {Modality: MR}, {Modality: PT}]}
"""
LEAST_PACKAGED = 15  # series of these files that are whole, supported and may be sent
SHORTEST = 4  # characters of a value that is looked for: shorter ones stand everywhere by chance
pytestmark = pytest.mark.skipif(not REAL.is_dir(), reason="no real data beside the checkout")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy the real files, unpacked, into a datastore."""
    folder = tmp_path_factory.mktemp("real") / "store"
    shutil.copytree(REAL, folder)
    for archive in sorted(folder.rglob("*.tar.xz")):
        archive.parent.chmod(0o755)
        with tarfile.open(archive) as packed:
            packed.extractall(archive.parent, filter="data")
        archive.unlink()
    return folder


def test_real_files_are_found_packaged_or_held_with_a_reason(
    drawcli: Run, site: Site, store: Path, tmp_path: Path
) -> None:
    (site.folder / "rules.yaml").write_text(MATCH_ALL)
    site.config.write_text(
        site.config.read_text()
        .replace("datastore: store", f"datastore: {store}")
        .replace("quiet_minutes: 0", "quiet_minutes: 0, segmented: send")  # also with an RTSTRUCT
    )
    site.add_line("match: {first_run_limit: 100}")
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}

    ended = [drawcli(step) for step in ("scan", "match", "deidentify")]

    jobs = drawcli("status", "--json").answer["data"]["jobs"]
    assert [one.code for one in ended] == [6, 0, 0], ended
    assert not any("Traceback" in one.err or "bug" in one.err for one in ended)
    assert "privacy-gate" not in {job["reason_code"] for job in jobs}
    stuck = [job for job in jobs if job["state"] != "packaged"]
    assert all(job["reason"] for job in stuck)
    assert len(jobs) - len(stuck) >= LEAST_PACKAGED
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before
    packages = sorted(site.state.rglob("package.zip"))
    assert_nobody_is_named(packages)
    if HAS_VALIDATOR:
        assert_no_new_errors(packages, store, tmp_path)


def assert_nobody_is_named(packages: list[Path]) -> None:
    """Look for every identifying value of the key outside the pixels of everything sent."""
    rows = (REAL / "phi_key.tsv").read_text(encoding="utf-8").splitlines()[1:]
    values = {row.split("\t")[3].strip().encode("utf-8") for row in rows}
    values = {value for value in values if len(value) >= SHORTEST}
    assert len(values) > 100
    alone = [re.compile(rb"(?<![\w.])" + re.escape(value) + rb"(?![\w.])") for value in values]
    for package in packages:
        with zipfile.ZipFile(package) as archive:
            for name in archive.namelist():
                header = archive.read(name).partition(b"\xe0\x7f\x10\x00")[0]
                assert not [value.pattern for value in alone if value.search(header)]


def assert_no_new_errors(packages: list[Path], store: Path, folder: Path) -> None:
    """Compare the kinds of errors in one slice of each package with those of its source."""
    sources = {digest: path for path in store.rglob("*") if (digest := pixels_of(path))}
    for package in packages:
        with zipfile.ZipFile(package) as archive:
            name = next(name for name in archive.namelist() if name.endswith(".dcm"))
            sent = Path(archive.extract(name, folder))
        digest = pixels_of(sent)
        assert digest is not None
        if digest not in sources:  # a frame, or decompressed: deidentification/test_frames.py
            continue
        assert errors_of(sent) - errors_of(sources[digest]) == set(), sources[digest]


def pixels_of(path: Path) -> bytes | None:
    """Return a digest of the pixel data of a file, None where it has none that can be read."""
    if not path.is_file():
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            raw = dcmread(path, force=True).get_item("PixelData").value
        except (InvalidDicomError, KeyError, ValueError, EOFError, AttributeError, OSError):
            return None
    return hashlib.sha256(raw).digest() if isinstance(raw, bytes) else None
