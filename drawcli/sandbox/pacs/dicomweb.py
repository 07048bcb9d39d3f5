"""The archive by DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS, below /dicom-web.

Instances are sent in the transfer syntax in which they are stored. Metadata are without pixels.
"""

import re
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from pydicom import Dataset
from pydicom.datadict import dictionary_VR, keyword_for_tag, tag_for_keyword
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from drawcli.sandbox.faults import Panel
from drawcli.sandbox.pacs.archive import BadObject, PacsArchive
from drawcli.sandbox.pacs.disturbance import disturbance
from drawcli.sandbox.pacs.query import LEVELS, UNIQUE_KEYS, find, other_study

ROOT: Final = "/dicom-web"
_JSON: Final = "application/dicom+json"
_DICOM: Final = "application/dicom"
_LARGEST_BODY: Final = 1 << 29  # bytes of a STOW-RS request: it is read into memory
_OUT_OF_RESOURCES: Final = 0xA700  # failure reasons, as statuses of C-STORE
_CANNOT_UNDERSTAND: Final = 0xC000
_WRONG_STUDY: Final = 0xA900
_PARAMETERS: Final = frozenset({"includefield", "limit", "offset", "fuzzymatching"})
_TAG: Final = re.compile(r"[0-9A-Fa-f]{8}")
# What is returned without includefield (PS3.18 tables 10.6.3-3 to -5).
_RETURNED: Final = (
    *("SpecificCharacterSet StudyDate StudyTime AccessionNumber ModalitiesInStudy".split()),
    *("ReferringPhysicianName PatientName PatientID PatientBirthDate PatientSex".split()),
    *("StudyInstanceUID StudyID NumberOfStudyRelatedSeries".split()),
    *("NumberOfStudyRelatedInstances StudyDescription".split()),
    *("Modality SeriesDescription SeriesInstanceUID SeriesNumber".split()),
    *("NumberOfSeriesRelatedInstances PerformedProcedureStepStartDate".split()),
    *("SOPClassUID SOPInstanceUID InstanceNumber Rows Columns BitsAllocated".split()),
)
_LEVEL_PATHS: Final = (  # of QIDO-RS: path, level
    ("/studies", "STUDY"),
    ("/series", "SERIES"),
    ("/studies/{study}/series", "SERIES"),
    ("/instances", "IMAGE"),
    ("/studies/{study}/instances", "IMAGE"),
    ("/studies/{study}/series/{series}/instances", "IMAGE"),
)
_RETRIEVED: Final = (
    "/studies/{study}",
    "/studies/{study}/series/{series}",
    "/studies/{study}/series/{series}/instances/{instance}",
)


def dicomweb_routes(archive: PacsArchive, panel: Panel) -> list[Route]:
    """Return the routes of the archive, with the names by which faults are injected."""
    web = DicomWeb(archive, panel)
    found = [
        Route(ROOT + path, partial(web.qido, level), methods=["GET"], name="qido")
        for path, level in _LEVEL_PATHS
    ]
    retrieved = [
        Route(ROOT + path + end, endpoint, methods=["GET"], name="wado")
        for path in _RETRIEVED
        for end, endpoint in (("", web.wado), ("/metadata", web.metadata))
    ]
    stored = [
        Route(ROOT + path, web.stow, methods=["POST"], name="stow")
        for path in ("/studies", "/studies/{study}")
    ]
    return [*found, *retrieved, *stored]


class DicomWeb:
    """The endpoints."""

    def __init__(self, archive: PacsArchive, panel: Panel) -> None:
        self._archive = archive
        self._panel = panel

    async def qido(self, level: str, request: Request) -> Response:
        """Return the studies, series or instances that match the parameters of the request."""
        fault = self._fault("qido")
        query = _query(request)
        if fault == "ignore-keys":
            for element in query:
                element.value = None
        answers = await run_in_threadpool(find, self._archive.headers(), query, level)
        offset, limit = _number(request, "offset", 0), _number(request, "limit", len(answers))
        page = answers[offset : offset + limit]
        for answer in page:
            answer.RetrieveURL = _address(request, answer, level)
        return _dicom_json(page[::2] if fault == "lose" else page)

    async def wado(self, request: Request) -> Response:
        """Return instances as the parts of a multipart body."""
        headers = self._chosen(request)
        _check_accept(request, _DICOM, 'multipart/related; type="application/dicom"')
        fault = self._fault("wado")
        if fault == "lose":
            headers = headers[::2] if len(headers) > 1 else []
        elif fault == "other":
            headers += other_study(self._archive.headers(), headers)
        boundary = uuid4().hex
        kind = f'multipart/related; type="{_DICOM}"; boundary={boundary}'
        return StreamingResponse(self._parts(headers, boundary), media_type=kind)

    async def metadata(self, request: Request) -> Response:
        """Return the headers of instances as JSON, without pixels."""
        headers = self._chosen(request)
        _check_accept(request, _JSON, _JSON)
        return _dicom_json(headers[::2] if self._fault("wado") == "lose" else headers)

    async def stow(self, request: Request) -> Response:
        """Store the parts of a multipart body."""
        fault = self._fault("stow")
        parts = _parts_of(request.headers.get("content-type", ""), await _body(request))
        study = request.path_params.get("study")
        stored: list[Dataset] = []
        failed: list[Dataset] = []
        for part in parts:
            item, is_stored = await run_in_threadpool(self._stored, part, study, fault, request)
            (stored if is_stored else failed).append(item)
        answer = Dataset()
        if stored:
            answer.ReferencedSOPSequence = stored
        if failed:
            answer.FailedSOPSequence = failed
        status = HTTPStatus.OK if not failed else HTTPStatus.ACCEPTED
        if not stored:
            status = HTTPStatus.CONFLICT
        return JSONResponse(answer.to_json_dict(), status_code=status, media_type=_JSON)

    def _fault(self, endpoint: str) -> str:
        return disturbance(self._panel, endpoint).what

    def _chosen(self, request: Request) -> list[Dataset]:
        """Return the headers of what a path names, or raise 404."""
        wanted = _uids(request)
        chosen = [
            header
            for header in self._archive.headers()
            if all(header.get(keyword) == uid for keyword, uid in wanted.items())
        ]
        if not chosen:
            raise HTTPException(HTTPStatus.NOT_FOUND, "no such study, series or instance")
        return chosen

    def _parts(self, headers: list[Dataset], boundary: str) -> Iterator[bytes]:
        for header in headers:
            syntax = header.file_meta.TransferSyntaxUID
            kind = f"Content-Type: {_DICOM}; transfer-syntax={syntax}"
            yield f"--{boundary}\r\n{kind}\r\n\r\n".encode()
            yield self._archive.content(header)
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    def _stored(
        self, part: bytes, study: str | None, fault: str, request: Request
    ) -> tuple[Dataset, bool]:
        """Store a part; return its item of the response, and whether it is stored."""
        item = Dataset()
        try:
            header = self._archive.read(part)
        except BadObject:
            item.FailureReason = _CANNOT_UNDERSTAND
            return item, False
        item.ReferencedSOPClassUID = header.SOPClassUID
        item.ReferencedSOPInstanceUID = header.SOPInstanceUID
        reason = _WRONG_STUDY if study not in (None, header.StudyInstanceUID) else None
        reason = _OUT_OF_RESOURCES if fault == "full" else reason
        if reason is not None:
            item.FailureReason = reason
            return item, False
        if fault != "lose":
            self._archive.store(part)
        item.RetrieveURL = _address(request, header, "IMAGE")
        return item, True


def _query(request: Request) -> Dataset:
    """Return the query of a QIDO-RS request: keys of the path, parameters, and what is returned."""
    query = Dataset()
    includes = ",".join(request.query_params.getlist("includefield")).split(",")
    for name in (*_RETURNED, *(each for each in includes if each not in ("", "all"))):
        tag = _tag(name)
        query.add_new(tag, dictionary_VR(tag), None)
    for name, value in request.query_params.multi_items():
        if name not in _PARAMETERS:
            tag = _tag(name)
            vr = dictionary_VR(tag)
            query.add_new(tag, vr, value.replace(",", "\\") if vr == "UI" else value)
    for keyword, uid in _uids(request).items():
        setattr(query, keyword, uid)
    return query


def _tag(name: str) -> int:
    """Return the tag of a keyword or of eight hex digits, or raise 400."""
    tag = int(name, 16) if _TAG.fullmatch(name) else tag_for_keyword(name)
    if tag is None or not keyword_for_tag(tag):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"unknown attribute: {name[:64]}")
    return tag


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdecimal()):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"{name} is not a number")
    return int(text)


def _uids(request: Request) -> dict[str, str]:
    """Return the unique keys that a path names."""
    names = zip(LEVELS, ("study", "series", "instance"), strict=True)
    given = request.path_params
    return {UNIQUE_KEYS[level]: given[name] for level, name in names if name in given}


def _address(request: Request, header: Dataset, level: str) -> str:
    depth = LEVELS.index(level) + 1
    names = zip(LEVELS[:depth], ("studies", "series", "instances"), strict=False)
    path = "".join(f"/{name}/{header[UNIQUE_KEYS[each]].value}" for each, name in names)
    return f"{request.url.scheme}://{request.url.netloc}{ROOT}{path}"


def _check_accept(request: Request, kind: str, offered: str) -> None:
    """Raise 406 if a request accepts nothing of this kind."""
    accepted = request.headers.get("accept", "*/*")
    if kind not in accepted and "*/*" not in accepted:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, f"this archive sends {offered}")


def _dicom_json(answers: list[Dataset]) -> Response:
    return JSONResponse([answer.to_json_dict() for answer in answers], media_type=_JSON)


async def _body(request: Request) -> bytes:
    """Return the body of a request, or raise 413."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > _LARGEST_BODY:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "too large for the sandbox")
        pieces.append(piece)
    return b"".join(pieces)


def _parts_of(content_type: str, body: bytes) -> list[bytes]:
    """Return the parts of a multipart/related body of DICOM files, or raise 415 or 400."""
    found = re.search(r'boundary="?([^";,]+)"?', content_type)
    if not content_type.startswith("multipart/related") or _DICOM not in content_type or not found:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, 'send multipart/related; type="application/dicom"'
        )
    mark = b"--" + found[1].strip().encode("latin-1")
    pieces = (b"\r\n" + body).split(b"\r\n" + mark)
    if len(pieces) < 3 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 - preamble, part, end
        raise HTTPException(HTTPStatus.BAD_REQUEST, "the multipart body is not complete")
    parts: list[Any] = [piece.partition(b"\r\n\r\n") for piece in pieces[1:-1]]
    return [content for _heads, _gap, content in parts]
