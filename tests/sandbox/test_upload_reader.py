from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import UID

from drawcli.sandbox import upload_reader
from drawcli.sandbox.template import BadTemplate
from drawcli.sandbox.upload_reader import BadUpload, check_as_real_job, read_upload

Zipped = Callable[..., Path]


def changed(path: Path, **values: str | None) -> bytes:
    """Return a slice with other values; None deletes the element."""
    dataset = dcmread(path)
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    out = BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def test_a_good_zip_gives_template_and_slices(zipped: Zipped) -> None:
    upload = read_upload(zipped())

    assert upload.template.name == "Prostate_OAR"
    assert len(upload.slices) == 4


@pytest.mark.parametrize("keyword", ["StudyDate", "StudyTime", "StudyID"])
def test_what_has_to_be_present_may_be_empty(
    zipped: Zipped, slices: list[Path], keyword: str
) -> None:
    read_upload(zipped({"1.2.0.dcm": changed(slices[0], **{keyword: ""})}))

    with pytest.raises(BadUpload, match=f"lacks {keyword}"):
        read_upload(zipped({"1.2.0.dcm": changed(slices[0], **{keyword: None})}))


@pytest.mark.parametrize("value", ["", None])
@pytest.mark.parametrize("keyword", ["PatientID", "StudyInstanceUID", "SeriesInstanceUID"])
def test_what_has_to_be_filled_may_not_be_empty(
    zipped: Zipped, slices: list[Path], keyword: str, value: str | None
) -> None:
    path = zipped({"1.2.0.dcm": changed(slices[0], **{keyword: value})})

    with pytest.raises(BadUpload, match=f"no {keyword}"):
        read_upload(path)


def test_a_series_without_frame_of_reference_is_read(zipped: Zipped, slices: list[Path]) -> None:
    bare = {
        f"1.2.{number}.dcm": changed(path, FrameOfReferenceUID=None)
        for number, path in enumerate(slices)
    }

    assert len(read_upload(zipped(bare)).slices) == len(slices)
    with pytest.raises(BadUpload, match="more than one FrameOfReferenceUID"):
        read_upload(zipped({"1.2.0.dcm": bare["1.2.0.dcm"]}))


@pytest.mark.parametrize(
    "name", ["folder/1.dcm", "../1.dcm", "/1.dcm", "folder/", "a\\1.dcm", "C:\\1.dcm"]
)
def test_folders_are_refused(zipped: Zipped, slices: list[Path], name: str) -> None:
    with pytest.raises(BadUpload, match="not flat"):
        read_upload(zipped({name: slices[0].read_bytes()}))


@pytest.mark.parametrize("name", ["1.DCM", "1.ima", "1", "template.yaml", "readme.txt"])
def test_files_of_other_endings_are_refused(zipped: Zipped, name: str) -> None:
    with pytest.raises(BadUpload, match="1 files ending neither"):
        read_upload(zipped({name: b"x"}))


def test_a_template_ending_yaml_is_not_found(zipped: Zipped, template: str) -> None:
    with pytest.raises(BadUpload, match=r"0 files ending \.yml"):
        read_upload(zipped({"template.yaml": template.encode()}, template=None))


def test_two_templates_are_one_too_many(zipped: Zipped, template: str) -> None:
    with pytest.raises(BadUpload, match=r"2 files ending \.yml"):
        read_upload(zipped({"other.yml": template.encode()}))


def test_a_bad_template_is_refused(zipped: Zipped) -> None:
    with pytest.raises(BadTemplate):
        read_upload(zipped(template="name: x"))


def test_a_template_alone_is_refused(tmp_path: Path, template: str) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("t.yml", template)

    with pytest.raises(BadUpload, match=r"no file ending \.dcm"):
        read_upload(tmp_path / "a.zip")


def test_what_is_not_dicom_is_refused(zipped: Zipped) -> None:
    with pytest.raises(BadUpload, match="not DICOM"):
        read_upload(zipped({"1.2.0.dcm": b"<html>"}))


@pytest.mark.parametrize("keyword", ["SeriesInstanceUID", "StudyInstanceUID"])
def test_two_series_are_refused(zipped: Zipped, slices: list[Path], keyword: str) -> None:
    with pytest.raises(BadUpload, match=f"more than one {keyword}"):
        read_upload(zipped({"1.2.0.dcm": changed(slices[0], **{keyword: "1.2.3"})}))


def test_one_slice_twice_is_refused(zipped: Zipped, slices: list[Path]) -> None:
    with pytest.raises(BadUpload, match="one SOPInstanceUID"):
        read_upload(zipped({"again.dcm": slices[0].read_bytes()}))


def test_a_file_that_is_no_zip_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"no zip")

    with pytest.raises(BadUpload, match="cannot be read"):
        read_upload(tmp_path / "a.zip")


def test_a_damaged_zip_is_refused(zipped: Zipped) -> None:
    path = zipped()
    data = bytearray(path.read_bytes())
    data[1500:1600] = bytes(100)
    path.write_bytes(data)

    with pytest.raises(BadUpload, match="cannot be read"):
        read_upload(path)


def test_a_bomb_is_refused_by_its_table_of_contents(
    zipped: Zipped, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = zipped()
    with ZipFile(path, "a", ZIP_DEFLATED) as archive:
        archive.writestr("bomb.dcm", bytes(5_000_000))
    monkeypatch.setattr(upload_reader, "MOST_BYTES", 4_000_000)

    with pytest.raises(BadUpload, match="too large"):
        read_upload(path)


def test_too_many_members_are_refused(zipped: Zipped, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_reader, "MOST_MEMBERS", 4)

    with pytest.raises(BadUpload, match="too large"):
        read_upload(zipped())


def test_a_refusal_quotes_no_value(zipped: Zipped, slices: list[Path]) -> None:
    path = zipped({"1.2.0.dcm": changed(slices[0], StudyID=None)})

    with pytest.raises(BadUpload) as refused:
        read_upload(path)

    dataset = dcmread(slices[0])
    assert not any(part in str(refused.value) for part in (dataset.PatientID, "Kulkarnee"))


def image(syntax: str, **values: object) -> Dataset:
    """Return the header of an image in a transfer syntax."""
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = UID(syntax)
    for keyword, value in values.items():
        setattr(header, keyword, value)
    return header


# What the functions of the real job did with 121 packages, as far as the sandbox could draw them.
PLAIN = "1.2.840.10008.1.2"


@pytest.mark.parametrize(
    "taken",
    [
        *(image(f"{PLAIN}{rest}") for rest in ("", ".1", ".2", ".1.99", ".5", ".4.50")),
        *(image(f"{PLAIN}.4.{number}") for number in (90, 91)),
        image(PLAIN, NumberOfFrames=1),
    ],
    ids=lambda header: header.file_meta.TransferSyntaxUID.name,
)
def test_the_real_job_takes(taken: Dataset) -> None:
    check_as_real_job([taken])


@pytest.mark.parametrize(
    ("refused", "words"),
    [
        *((image(f"{PLAIN}.4.{number}"), "no decoder") for number in (51, 57, 70, 80, 81, 201)),
        (image(PLAIN, NumberOfFrames=2), "multi-frame"),
        (image(PLAIN, NumberOfFrames=1, PerFrameFunctionalGroupsSequence=[]), "multi-frame"),
    ],
)
def test_the_real_job_dies_on(refused: Dataset, words: str) -> None:
    with pytest.raises(BadUpload, match=words):
        check_as_real_job([image(PLAIN), refused])
