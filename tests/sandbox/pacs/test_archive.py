import shutil
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread

from drawcli.sandbox.pacs.archive import BadObject, PacsArchive
from tests.sandbox.pacs.conftest import of_patient


def test_what_is_stored_is_there_after_a_restart_byte_by_byte(
    phantoms: Path, tmp_path: Path
) -> None:
    source = next(phantoms.rglob("*.dcm"))
    (tmp_path / "pacs").mkdir()

    header = PacsArchive(tmp_path / "pacs").store(source.read_bytes())

    again = PacsArchive(tmp_path / "pacs")
    assert [each.SOPInstanceUID for each in again.headers()] == [header.SOPInstanceUID]
    assert again.content(header) == source.read_bytes()
    assert again.size(header) == source.stat().st_size


def test_an_object_with_a_known_uid_replaces_it(archive: PacsArchive, tmp_path: Path) -> None:
    header = of_patient(archive, "Okon")
    changed = archive.dataset(header)
    changed.SeriesDescription = "changed"
    changed.save_as(tmp_path / "changed.dcm")
    count = len(archive)

    archive.store((tmp_path / "changed.dcm").read_bytes())

    assert len(archive) == len(PacsArchive(tmp_path / "pacs")) == count
    assert archive.dataset(header).SeriesDescription == "changed"
    assert len(list((tmp_path / "pacs").rglob("*.dcm"))) == count


@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_a_file_name_does_not_depend_on_the_text_of_a_uid(
    archive: PacsArchive, phantoms: Path
) -> None:
    content = next(phantoms.rglob("*.dcm")).read_bytes()
    uid = str(dcmread(BytesIO(content)).SOPInstanceUID).encode()
    evil = b"../" * (len(uid) // 3) + b"." * (len(uid) % 3)

    with pytest.raises(BadObject, match="UID"):
        archive.store(content.replace(uid, evil))


@pytest.mark.parametrize("content", [b"", b"no DICOM" * 50])
def test_what_is_not_dicom_is_refused(archive: PacsArchive, content: bytes) -> None:
    with pytest.raises(BadObject):
        archive.store(content)


def test_other_files_in_its_folder_are_left_out(phantoms: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(phantoms, tmp_path / "pacs"))
    (folder / "notes.txt").write_text("not DICOM")

    assert len(PacsArchive(folder)) == 14
