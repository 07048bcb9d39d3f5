from collections.abc import Callable
from email import message_from_bytes
from email.policy import HTTP
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset
from pydicom.uid import generate_uid
from starlette.testclient import TestClient

from drawcli.sandbox.pacs.archive import PacsArchive
from tests.sandbox.pacs.conftest import of_patient

Web = Callable[..., TestClient]
STUDY_UID, SOP_UID, FAILED, STORED = "0020000D", "00080018", "00081198", "00081199"
RELATED = 'multipart/related; type="application/dicom"'


def path_of(header: Dataset, *, depth: int = 3) -> str:
    uids = (header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID)
    names = ("studies", "series", "instances")
    pairs = zip(names[:depth], uids[:depth], strict=True)
    return "/dicom-web" + "".join(f"/{name}/{uid}" for name, uid in pairs)


def values(answer: list[dict[str, Any]], tag: str) -> list[Any]:
    return [item[tag]["Value"][0] for item in answer]


def parts_of(response: Any) -> list[bytes]:
    """Return the parts of a multipart response, read by the standard library's email."""
    head = f"Content-Type: {response.headers['content-type']}\r\n\r\n".encode()
    message = message_from_bytes(head + response.content, policy=HTTP)
    boundary = message.get_boundary()
    assert boundary
    pieces = response.content.split(f"--{boundary}".encode())
    assert pieces[-1].startswith(b"--")
    return [piece.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n") for piece in pieces[1:-1]]


def stow(client: TestClient, *contents: bytes, path: str = "/dicom-web/studies") -> Any:
    head = b"--limit\r\nContent-Type: application/dicom\r\n\r\n"
    body = b"".join(head + content + b"\r\n" for content in contents) + b"--limit--\r\n"
    return client.post(path, content=body, headers={"Content-Type": f"{RELATED}; boundary=limit"})


@pytest.fixture
def new(archive: PacsArchive, tmp_path: Path) -> bytes:
    """Return a file that the archive does not have; its pixels have a line that is a boundary."""
    dataset = archive.dataset(of_patient(archive, "Okon"))
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    mark = b"--limit\r\n--"
    dataset.PixelData = mark + bytes(len(dataset.PixelData) - len(mark))
    dataset.save_as(tmp_path / "new.dcm")
    return (tmp_path / "new.dcm").read_bytes()


@pytest.mark.parametrize(
    ("path", "count"),
    [
        ("studies", 3),
        ("studies?PatientName=OKON*", 1),
        ("studies?00100010=okon*", 1),
        ("studies?StudyDate=20260401-20260430", 1),
        ("studies?ModalitiesInStudy=CT&limit=2", 2),
        ("studies?offset=2", 1),
        ("studies?offset=1&limit=1", 1),
        ("series?Modality=CT", 5),
        ("series?Modality=MR", 0),
        ("series?PatientName=okon*&Modality=CT", 2),
        ("instances", 14),
        ("instances?PatientName=nobody", 0),
    ],
)
def test_a_search_finds_what_matches(web: Web, path: str, count: int) -> None:
    response = web().get(f"/dicom-web/{path}")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/dicom+json"
    assert len(response.json()) == count


def test_a_search_below_a_study_or_series(web: Web, archive: PacsArchive) -> None:
    header = of_patient(archive, "Kulk")
    client = web()

    series = client.get(path_of(header, depth=1) + "/series").json()
    images = client.get(path_of(header, depth=2) + "/instances").json()

    assert values(series, STUDY_UID) == [header.StudyInstanceUID]
    assert len(set(values(images, SOP_UID))) == 4


def test_a_list_of_uids_finds_each(web: Web, archive: PacsArchive) -> None:
    studies = sorted({str(header.StudyInstanceUID) for header in archive.headers()})[:2]

    answer = web().get("/dicom-web/studies", params={"StudyInstanceUID": ",".join(studies)})

    assert sorted(values(answer.json(), STUDY_UID)) == studies


def test_a_search_returns_what_it_is_asked_to(web: Web, archive: PacsArchive) -> None:
    url = path_of(of_patient(archive, "Kulk"), depth=2) + "/instances"

    (plain, *_), (more, *_) = (
        web().get(url, params=params).json()
        for params in ({}, {"includefield": "SliceLocation,00200032"})
    )

    assert "00200032" not in plain
    assert len(more["00200032"]["Value"]) == 3
    assert web().get(plain["00081190"]["Value"][0]).status_code == 200


@pytest.mark.parametrize("query", ["Nonsense=1", "limit=many", "includefield=Nonsense"])
def test_a_bad_search_is_refused(web: Web, query: str) -> None:
    assert web().get(f"/dicom-web/studies?{query}").status_code == 400


@pytest.mark.parametrize(("depth", "count"), [(1, 4), (2, 4), (3, 1)])
def test_instances_are_sent_as_they_are_stored(
    web: Web, archive: PacsArchive, depth: int, count: int
) -> None:
    header = of_patient(archive, "Kulk")

    response = web().get(path_of(header, depth=depth), headers={"Accept": RELATED})

    parts = parts_of(response)
    assert len(parts) == count
    assert archive.content(header) in parts


def test_metadata_have_no_pixels(web: Web, archive: PacsArchive) -> None:
    header = of_patient(archive, "Kulk")

    answer = web().get(path_of(header, depth=2) + "/metadata").json()

    assert len(answer) == 4
    assert header.SOPInstanceUID in values(answer, SOP_UID)
    assert all("7FE00010" not in item and "00280010" in item for item in answer)


def test_what_is_not_there_is_404(web: Web) -> None:
    assert web().get("/dicom-web/studies/1.2.3").status_code == 404


def test_a_client_that_accepts_no_dicom_is_refused(web: Web, archive: PacsArchive) -> None:
    path = path_of(of_patient(archive, "Kulk"))

    response = web().get(path, headers={"Accept": "image/jpeg"})

    assert response.status_code == 406


def test_objects_are_stored_whatever_their_bytes(
    web: Web, archive: PacsArchive, new: bytes
) -> None:
    response = stow(web(), new)

    header = archive.read(new)
    assert response.status_code == 200
    assert archive.content(header) == new
    (item,) = response.json()[STORED]["Value"]
    assert parts_of(web().get(item["00081190"]["Value"][0])) == [new]


def test_what_cannot_be_stored_is_said_beside_the_rest(web: Web, new: bytes) -> None:
    response = stow(web(), new, b"no DICOM")

    assert response.status_code == 202
    assert len(response.json()[STORED]["Value"]) == 1
    assert response.json()[FAILED]["Value"][0]["00081197"]["Value"] == [0xC000]


def test_objects_of_another_study_are_refused(web: Web, archive: PacsArchive, new: bytes) -> None:
    response = stow(web(), new, path="/dicom-web/studies/1.2.3")

    assert response.status_code == 409
    assert not archive.has("1.2.840.10008.5.1.4.1.1.2", str(archive.read(new).SOPInstanceUID))


@pytest.mark.parametrize(
    ("kind", "body", "status"),
    [
        ("application/dicom", b"x", 415),
        (f"{RELATED}", b"x", 415),
        (f"{RELATED}; boundary=limit", b"--limit\r\n\r\nhalf", 400),
    ],
)
def test_a_bad_body_is_refused(web: Web, kind: str, body: bytes, status: int) -> None:
    response = web().post("/dicom-web/studies", content=body, headers={"Content-Type": kind})

    assert response.status_code == status


def test_faults_of_a_search(web: Web) -> None:
    client = web("qido:lose,qido:ignore-keys")

    counts = [
        len(client.get(f"/dicom-web/studies?PatientName={name}").json())
        for name in ("*", "Kulk*", "Kulk*")
    ]

    assert counts == [2, 3, 1]


def test_faults_of_a_retrieval(web: Web, archive: PacsArchive) -> None:
    client = web("wado:lose,wado:other")
    path = path_of(of_patient(archive, "Kulk"), depth=2)

    assert [len(parts_of(client.get(path))) for _ in range(3)] == [2, 5, 4]


@pytest.mark.parametrize(("fault", "status"), [("full", 409), ("lose", 200)])
def test_faults_of_storing(
    web: Web, archive: PacsArchive, new: bytes, fault: str, status: int
) -> None:
    response = stow(web(f"stow:{fault}"), new)

    header = archive.read(new)
    assert response.status_code == status
    assert archive.has(str(header.SOPClassUID), str(header.SOPInstanceUID)) is False
