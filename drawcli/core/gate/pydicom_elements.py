"""The elements of a data set at every depth, read by pydicom.

For the privacy gate, which shares no code with the de-identifier.
"""

import hashlib
import struct
import zlib
from array import array
from collections.abc import Iterator
from io import BytesIO
from math import prod
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from drawcli.core.gate.compressed import NATIVE, has_content, split_picture
from drawcli.core.gate.whole_elements import are_items_whole, check_parts

if TYPE_CHECKING:
    from pydicom import Dataset

PIXEL_DATA: Final = 0x7FE00010
_CHARACTER_SET: Final = 0x00080005
_POSITION: Final = 0x00200032
_SHAPE: Final = (0x00280010, 0x00280011)  # Rows, Columns: VR US
_SIZE: Final = (*_SHAPE, 0x00280002, 0x00280100)  # and SamplesPerPixel, BitsAllocated
_FRAMES: Final = 0x00280008
_MOST_DIGITS: Final = 9  # of their number
_INSTANCE_NUMBER: Final = 0x00200013
PIXEL_KEY: Final = (_POSITION, *_SIZE, _FRAMES, _INSTANCE_NUMBER)
_DELIMITER: Final = 8  # bytes after encapsulated pixels
_PREAMBLE: Final = 128  # bytes
_NATIVE_ELSE: Final = {"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}  # big endian, deflated
_META: Final = 0x0002  # group of the file meta
_OF_IMAGES: Final = (0x00080016, 0x0020000D, PIXEL_DATA)  # SOPClassUID, StudyInstanceUID
_UNDEFINED: Final = 0xFFFFFFFF


class Piece(NamedTuple):
    """One element as read by pydicom."""

    where: str  # keywords (or tags) from the outermost sequence inwards
    tag: int
    keyword: str
    vr: str  # "" if the value cannot be decoded
    texts: list[str]
    raw: bytes  # b"" if pydicom does not provide it


def pydicom_errors() -> tuple[type[Exception], ...]:
    """Return the errors that pydicom raises on damaged files; found by random mutations."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    return (
        *(ValueError, TypeError, KeyError, IndexError, AttributeError, RuntimeError),
        *(
            OverflowError,
            EOFError,
            OSError,
            struct.error,
            zlib.error,
            BytesLengthException,
            InvalidDicomError,
        ),
    )


def read_source(raw: bytes) -> "Dataset":
    """Return a source as read by pydicom, also if it names a wrong transfer syntax.

    Otherwise the gate would know no identifiers of such a file.

    Raises
    ------
    TooManyParts
        If it has more elements and items than any image.
    """
    from pydicom import dcmread

    whole = bytes(_PREAMBLE) + raw if raw[:4] == b"DICM" else raw
    check_parts(whole)
    try:
        dataset: Dataset = dcmread(BytesIO(whole), force=True)
    except zlib.error:
        return _by_its_bytes(whole)
    return dataset if all(tag in dataset for tag in _OF_IMAGES) else _by_its_bytes(whole)


def transfer_syntax_of(dataset: "Dataset") -> str:
    """Return the transfer syntax that the file meta information states; "" if it states none."""
    return str(getattr(dataset, "file_meta", {}).get("TransferSyntaxUID", ""))


def can_be_deferred(dataset: "Dataset") -> bool:
    """Return whether pixels may be read from the file later: as they are there, in its order."""
    syntax = transfer_syntax_of(dataset)
    return syntax not in _NATIVE_ELSE and all(tag in dataset for tag in _OF_IMAGES)


def _by_its_bytes(whole: bytes) -> "Dataset":
    """Return the data set in the first encoding in which it is an image."""
    from pydicom.filereader import read_dataset, read_preamble

    stream = BytesIO(whole)
    read_preamble(stream, force=True)
    read_dataset(
        stream,
        is_implicit_VR=False,
        is_little_endian=True,
        stop_when=lambda tag, *_: tag >> 16 != _META,
    )
    start = stream.tell()
    for implicit, little in ((False, True), (True, True), (False, False)):
        stream.seek(start)
        try:
            dataset = read_dataset(stream, implicit, little)
        except pydicom_errors():
            continue
        if all(tag in dataset for tag in _OF_IMAGES):
            dataset.set_original_encoding(implicit, little)
            return dataset
    raise ValueError("no image")


def pieces(dataset: "Dataset", seen: set[Any], above: str = "") -> Iterator[Piece]:
    """Yield every element at every depth, except the pixels and elements seen before.

    Slices of a series differ in few elements; comparing bytes is faster than decoding. Parsed
    sequences are always entered: their elements are compared.
    """
    from pydicom import Sequence
    from pydicom.datadict import keyword_for_tag

    charset, errors = undecoded_value(dataset, _CHARACTER_SET), pydicom_errors()
    for tag, held in list(dataset.items()):  # raw elements: nothing is decoded here
        number, value = int(tag), held.value
        if number == PIXEL_DATA and not above:
            continue
        raw = value if isinstance(value, bytes) else b""
        if not isinstance(value, Sequence):
            mark = (charset, above, number, held.VR, raw or str(value))
            if mark in seen:
                continue
            seen.add(mark)
        keyword = keyword_for_tag(tag)
        where = f"{above}{keyword or f'({tag.group:04X},{tag.element:04X})'}"
        try:
            element = dataset[tag]
            texts = [] if element.VR == "SQ" else texts_of(element.value)
        except errors:
            yield Piece(where, number, keyword, "", [raw.decode("latin-1")], raw)
            continue
        yield Piece(where, number, keyword, element.VR, texts, raw)
        implicit = bool(getattr(held, "is_implicit_VR", False))
        if element.VR == "SQ" and raw and not are_items_whole(raw, implicit=implicit):
            yield Piece(where, number, keyword, "", [], raw)
        for item in element.value if element.VR == "SQ" else ():
            yield from pieces(item, seen, f"{where}/")


def undecoded_value(dataset: "Dataset", tag: int) -> bytes | str | None:
    """Return the bytes of a value; a text if pydicom has decoded it; None if it is missing."""
    from pydicom import Sequence

    if tag not in dataset:
        return None
    value = dataset.get_item(tag).value
    if isinstance(value, Sequence):
        return "a sequence"
    if value is None:  # no bytes, of a VR that is not text
        return b""
    return value if isinstance(value, bytes) else str(value)


def pixel_digest(dataset: "Dataset") -> bytes:
    """Return a digest of the pixels and their position in the patient.

    Call it before anything is decoded: bytes are compared. Of compressed pixels, only the bytes of
    the picture count.
    """
    return pixels_of(dataset)[0]


def pixels_of(dataset: "Dataset") -> tuple[bytes, bool]:
    """Return the digest of `pixel_digest`, and whether there is data outside the pixels.

    Such data are comments and application segments of compressed frames, and bytes between them.
    """
    digest, beside = hashlib.sha256(), False
    for tag in (PIXEL_DATA, _POSITION):
        value = undecoded_value(dataset, tag) or b""
        raw = value if isinstance(value, bytes) else value.encode()
        syntax = compression_of(dataset) if tag == PIXEL_DATA else ""
        if not syntax:
            is_pixels = tag == PIXEL_DATA
            digest.update(in_little_endian(dataset, _unpadded(raw, dataset)) if is_pixels else raw)
            continue
        try:
            picture, rest = split_picture(raw, syntax, _pixels_in_frame(dataset))
        except (ValueError, IndexError):
            digest.update(raw)
            beside = True
            continue
        for part in picture:
            digest.update(part)
        beside = has_content(rest, syntax)
    return digest.digest(), beside


def pixel_key(dataset: "Dataset") -> tuple[bytes | str | None, ...]:
    """Return the values of PIXEL_KEY, undecoded.

    Where they and the bytes of the pixels are the same, so is the digest of `pixels_of`.
    """
    return tuple(undecoded_value(dataset, tag) for tag in PIXEL_KEY)


def are_pixels_plain(dataset: "Dataset", raw: bytes) -> bool:
    """Return whether pixels are stored as they are compared: in one piece and in little endian.

    `raw` is the file, from which pydicom has read the data set.
    """
    if not raw.startswith(b"DICM", _PREAMBLE) or PIXEL_DATA not in dataset:
        return False
    held: Any = dataset.get_item(PIXEL_DATA, keep_deferred=True)
    start, value = getattr(held, "value_tell", None), held.value
    if not isinstance(value, bytes) or start is None or held.length != len(value):
        return False
    is_native = transfer_syntax_of(dataset) in NATIVE - {""}
    is_little = dataset.original_encoding[1] is True
    return is_native and is_little and raw.startswith(value, start)


def _unpadded(raw: bytes, dataset: "Dataset") -> bytes:
    """Return native pixels without zero padding after the image (PS3.5 8.1.1)."""
    numbers = [undecoded_value(dataset, tag) for tag in _SIZE]
    if not all(isinstance(number, bytes) and number for number in numbers):
        return raw
    order: Literal["big", "little"] = "big" if dataset.original_encoding[1] is False else "little"
    counts = [int.from_bytes(n, order) for n in numbers if isinstance(n, bytes)]
    frames = undecoded_value(dataset, _FRAMES)
    text = frames.decode("latin-1").strip(" \0") if isinstance(frames, bytes) else ""
    is_number = text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS
    length = prod(counts) * (int(text) if is_number else 1) // 8
    length += length % 2
    return raw if any(raw[length:]) else raw[:length]


def in_little_endian(dataset: "Dataset", raw: bytes) -> bytes:
    """Return native pixels in little endian."""
    is_little = dataset.original_encoding[1] is not False
    if is_little or PIXEL_DATA not in dataset or dataset.get_item(PIXEL_DATA).VR != "OW":
        return raw
    words = array("H", raw[: len(raw) - len(raw) % 2])
    words.byteswap()
    return words.tobytes()


def compression_of(dataset: "Dataset") -> str:
    """Return the transfer syntax of compressed pixels; "" for native ones."""
    syntax = transfer_syntax_of(dataset)
    return "" if syntax in NATIVE | _NATIVE_ELSE else syntax


def _pixels_in_frame(dataset: "Dataset") -> int:
    """Return Rows x Columns, without decoding elements."""
    rows, columns = (undecoded_value(dataset, tag) for tag in _SHAPE)
    numbers = (number for number in (rows, columns) if isinstance(number, bytes))
    return prod(int.from_bytes(number, "little") for number in numbers)


def end_of_pixels(dataset: "Dataset") -> int:
    """Return the end of the pixels, which is the end of a de-identified file; -1 without pixels."""
    held: Any = dataset.get_item(PIXEL_DATA) if PIXEL_DATA in dataset else None
    if held is None or getattr(held, "value_tell", None) is None:
        return -1
    if held.length == _UNDEFINED:
        return int(held.value_tell + len(held.value or b"") + _DELIMITER)
    return int(held.value_tell + held.length)


def texts_of(value: Any) -> list[str]:
    """Return the values of an element as texts; bytes are decoded as Latin-1."""
    if isinstance(value, bytes):
        return [value.decode("latin-1")]
    many = value if isinstance(value, list | tuple) or hasattr(value, "_list") else [value]
    return ["" if part is None else str(part).strip(" \0") for part in many]


def registered_as(uid: str) -> str:
    """Return the type of a UID in the registry of PS3.6; "" if it is not registered."""
    from pydicom.uid import UID

    return UID(uid).type if uid else ""
