"""Write the valid inputs of the corpora: python -m tests.fuzz.seeds

What was found by fuzzing stays beside them, and is not written here.
"""

import json
from pathlib import Path

from pydicom import Dataset

from drawcli.core.dicom_service.received_object import ObjectFacts, file_head
from tests.dicom_sender import (
    CT,
    EXPLICIT,
    IMPLICIT,
    USUAL,
    association_body,
    context_offer,
    data_set,
    echo_command,
    store_command,
)
from tests.fuzz.file_seeds import file_messages
from tests.fuzz.targets import CORPUS
from tests.fuzz.text_seeds import text_messages
from tests.scripted_peer import LAST, OF_COMMAND, acceptance, context_answer, fragment, item, pdu
from tests.storage_commitment import PUSH_MODEL, encoded, reference, report, report_command

RTSTRUCT = "1.2.840.10008.5.1.4.1.1.481.3"
ROLE = item(0x54, len(PUSH_MODEL).to_bytes(2) + PUSH_MODEL.encode() + b"\0\1")


def implicit(data: Dataset) -> bytes:
    return encoded(data)


def small_data_set() -> Dataset:
    data = Dataset()
    data.SOPClassUID, data.SOPInstanceUID, data.Modality = CT, "1.2.3", "CT"
    data.ReferencedStudySequence = [reference("1.2.4")]
    data.PatientName, data.SeriesInstanceUID = "Doe^Jane", "1.2.5"
    return data


def messages() -> dict[str, list[bytes]]:
    """Return the valid inputs of each target."""
    offers = USUAL + context_offer(5, PUSH_MODEL, IMPLICIT) + context_offer(7, CT, IMPLICIT)
    with_role = association_body(offers)
    last = with_role.rindex(item(0x52, b"1.2.3.4"))
    size = int.from_bytes(with_role[last - 10 : last - 8])
    with_role = (
        with_role[: last - 10] + (size + len(ROLE)).to_bytes(2) + with_role[last - 8 :] + ROLE
    )
    opening = pdu(1, association_body(offers))
    stored = data_set("1.2.3", pixels=b"\1\2" * 40)
    sent = pdu("data", fragment(1, stored[:90], 0)) + pdu("data", fragment(1, stored[90:], LAST))
    store = pdu("data", fragment(1, store_command("1.2.3")))
    echo = pdu("data", fragment(3, echo_command()))
    command = store_command("1.2.3")
    in_parts = b"".join(
        (
            pdu("data", fragment(1, command[:60], OF_COMMAND)),
            pdu("data", fragment(1, command[60:90], OF_COMMAND)),
            pdu("data", fragment(1, command[90:])),
        )
    )
    kept = encoded(report("1.2.9", [reference("1.2.3")]))
    twice = report("1.2.9", [reference("1.2.3"), reference("1.2.3")])
    some = encoded(report("1.2.9", [reference("1.2.3")], [reference("1.2.4", 0x0110)]))
    committed = pdu("data", fragment(5, report_command(1)) + fragment(5, kept, LAST))
    taken = context_answer(1, 0, EXPLICIT) + context_answer(3, 4, IMPLICIT)
    return {
        "association_request": [association_body(), with_role, association_body(offers)],
        "association_answer": [
            acceptance(taken)[6:],
            acceptance(context_answer(3, 0, IMPLICIT))[6:],
        ],
        "fragments": [
            fragment(1, store_command("1.2.3")) + fragment(1, b"abcd", 0) + fragment(1, b"", LAST),
            fragment(3, echo_command(), OF_COMMAND | LAST),
        ],
        "command_set": [store_command("1.2.3"), echo_command(), report_command(2), _stored()],
        "data_set": [stored, implicit(small_data_set()), encoded(small_data_set(), implicit=False)],
        "commitment_report": [
            kept,
            some,
            encoded(twice),
            encoded(report("1.2.9", []), implicit=False),
        ],
        "find_answer": [implicit(one) for one in found_answers()],
        "qido_json": [f"[{one.to_json()}]".encode() for one in found_answers()],
        "wado_multipart": [multipart(file_head(_FACTS) + stored, b"x" * 30), multipart(stored)],
        "association": [
            opening + echo + store + sent + pdu("release", bytes(4)),
            opening + committed + store + sent,
            opening + store + sent + store + sent + echo,
            opening + in_parts + sent + in_parts + sent,
        ],
        "stow_json": [
            json.dumps(one).encode()
            for one in (
                _json("00081199"),
                _json("00081198"),
                [_json("00081199") | _json("00081198")],
            )
        ],
        "stow_xml": [_xml("00081199"), _xml("00081198")],
        **file_messages(),
        **text_messages(),
    }


_FACTS = ObjectFacts(CT, "1.2.3", EXPLICIT, "CT1")


def found_answers() -> list[Dataset]:
    """Return answers of the levels of series and images."""
    series, instance = Dataset(), Dataset()
    series.Modality, series.StudyInstanceUID, series.SeriesInstanceUID = "CT", "1.2.8", "1.2.5"
    series.NumberOfSeriesRelatedInstances, series.PatientName = "120", "Doe^Jane"
    instance.StudyInstanceUID, instance.SeriesInstanceUID = "1.2.8", "1.2.5"
    instance.SOPClassUID, instance.SOPInstanceUID = CT, "1.2.3"
    return [series, instance]


def multipart(*parts: bytes) -> bytes:
    head = b"\r\n--edge\r\nContent-Type: application/dicom\r\n\r\n"
    return b"".join(head + part for part in parts) + b"\r\n--edge--\r\n"


def _stored() -> bytes:
    """Return the command set of a C-STORE response."""
    from drawcli.core.dicom_service.service_request import parse_request, response

    return response(1, parse_request(store_command("1.2.3")), 0)[12:]


def _json(sequence: str) -> dict[str, object]:
    named = {
        "00081150": {"vr": "UI", "Value": [RTSTRUCT]},
        "00081155": {"vr": "UI", "Value": ["1.2.3"]},
        "00081197": {"vr": "US", "Value": [272]},
    }
    return {sequence: {"vr": "SQ", "Value": [named]}, "00081190": {"vr": "UR"}}


def _xml(sequence: str) -> bytes:
    values = {"00081150": RTSTRUCT, "00081155": "1.2.3", "00081197": "272"}
    inside = "".join(
        f'<DicomAttribute tag="{tag}" vr="UI"><Value number="1">{value}</Value></DicomAttribute>'
        for tag, value in values.items()
    )
    return (
        '<NativeDicomModel xmlns="http://dicom.nema.org/PS3.19/models/NativeDICOM">'
        f'<DicomAttribute tag="{sequence}" vr="SQ"><Item number="1">{inside}</Item>'
        "</DicomAttribute></NativeDicomModel>"
    ).encode()


def main(folder: Path) -> None:
    """Write each input."""
    for name, inputs in messages().items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, data in enumerate(inputs, 1):
            (folder / name / f"valid-{number}").write_bytes(data)


if __name__ == "__main__":
    main(CORPUS)
