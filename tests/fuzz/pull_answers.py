"""Answers of archives to queries, and the bodies in which they send series."""

from contextlib import suppress

from drawcli.core.pull.answers import (
    Answer,
    ArchivedSeries,
    BadAnswer,
    decode_answer,
    instance_in,
    series_in,
    study_in,
)
from drawcli.core.pull.multipart import PartReader, file_meta
from drawcli.core.pull.web_answers import decode_answers
from tests.fuzz import json_values
from tests.fuzz.dicom_messages import is_uid
from tests.fuzz.targets import UNITS, Units, target

UNITS["qido_json"] = Units(alter=json_values.altered)
STUDY, SERIES = "1.2.8", "1.2.5"
BOUNDARY = b"edge"


@target
def find_answer(data: bytes) -> None:
    """An identifier of a C-FIND response."""
    with suppress(BadAnswer):
        _read(decode_answer(data))


@target
def qido_json(data: bytes) -> None:
    """The answers of a QIDO-RS query."""
    try:
        answers = decode_answers(data)
    except BadAnswer:
        return
    for answer in answers:
        _read(answer)


def _read(answer: Answer) -> None:
    """Read an answer as one of each level: no UID that is none, and of nothing else."""
    with suppress(BadAnswer):
        assert is_uid(study_in(answer))
    named = "\\".join(answer.get(0x0020000D, ())).strip(" \0")
    with suppress(BadAnswer):
        series = series_in(answer, STUDY)
        assert named in ("", STUDY)
        assert (is_uid(series.series), series.study) == (True, STUDY)
        assert series.instances is None or 0 <= series.instances < 10**9
    with suppress(BadAnswer):
        found = instance_in(answer, ArchivedSeries(STUDY, SERIES, "CT"))
        assert is_uid(found.sop_instance)
        assert found.sop_class == "" or is_uid(found.sop_class)


@target
def wado_multipart(data: bytes) -> None:
    """A multipart body in pieces: the same parts, wherever it is cut."""
    whole = _parts(data, len(data) or 1)
    assert _parts(data, 1 + len(data) // 3) == whole
    assert _parts(data, 7) == whole
    for part in whole or []:
        assert b"\r\n--" + BOUNDARY not in part
        assert part in data
        with suppress(BadAnswer):
            meta = file_meta(part)
            assert meta is None or meta.length <= len(part)
            assert meta is None or meta.sop_instance == "" or is_uid(meta.sop_instance)


def _parts(data: bytes, size: int) -> list[bytes] | None:
    """Return the whole parts of a body that arrives in pieces; None if it is not well-formed."""
    reader, parts, current = PartReader(BOUNDARY), list[bytes](), b""
    try:
        for start in range(0, len(data), size):
            for piece in reader.feed(data[start : start + size]):
                if piece is None:
                    current = b""
                elif piece:
                    current += piece
                else:
                    parts.append(current)
    except BadAnswer:
        return None
    return parts if reader.is_ended else None
