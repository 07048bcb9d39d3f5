"""Storage commitment as a node sees it: requests are read, and reports made, by pydicom."""

from io import BytesIO

from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import write_dataset

from tests.scripted_peer import LAST, Talk, command_set, element, fragment, pdu, short

PUSH_MODEL, PUSH_INSTANCE = "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1"
STRUCTURE_SETS = "1.2.840.10008.5.1.4.1.1.481.3"


def requested(data: bytes) -> Dataset:
    """Return the data set of a request."""
    return read_dataset(BytesIO(data), is_implicit_VR=True, is_little_endian=True)


def reference(instance: str, reason: int | None = None) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = STRUCTURE_SETS, instance
    if reason is not None:
        item.FailureReason = reason
    return item


def report(transaction: str, kept: list[Dataset], failed: list[Dataset] | None = None) -> Dataset:
    whole = Dataset()
    whole.TransactionUID = transaction
    whole.ReferencedSOPSequence = kept
    if failed:
        whole.FailedSOPSequence = failed
    return whole


def encoded(dataset: Dataset, *, implicit: bool = True) -> bytes:
    stream = DicomBytesIO()
    stream.is_implicit_VR, stream.is_little_endian = implicit, True
    write_dataset(stream, dataset)
    return stream.getvalue()


def report_command(event: int, message: int = 7) -> bytes:
    return command_set(
        element(0x0002, PUSH_MODEL.encode())
        + short(0x0100, 0x0100)
        + short(0x0110, message)
        + short(0x0800, 0)
        + element(0x1000, PUSH_INSTANCE.encode())
        + short(0x1002, event)
    )


def report_pdus(context: int, dataset: Dataset, event: int) -> bytes:
    command = pdu("data", fragment(context, report_command(event)))
    return command + pdu("data", fragment(context, encoded(dataset), LAST))


def answer_of(talk: Talk) -> dict[int, int]:
    """Return the US elements of the answer to a report."""
    _, body = talk.read_pdu()
    found, offset, command = {}, 0, body[6:]
    while offset < len(command):
        number = int.from_bytes(command[offset + 2 : offset + 4], "little")
        length = int.from_bytes(command[offset + 4 : offset + 8], "little")
        found[number] = int.from_bytes(command[offset + 8 : offset + 8 + length], "little")
        offset += 8 + length
    return found
