"""The slices of a source as they must be in the package, where these are not its own files.

For packages whose slices were frames of a multi-frame image, or whose pixels were decoded. Sources
are read by pydicom, with its own decoders; the engine reads them by other code. A slice is compared
by its pixels, geometry and scaling, and each must be there once.

References
----------
PS3.3 C.7.6.16.2 (functional groups), PS3.5 8.2 (native and encapsulated pixels).
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import closing
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO, Final, NamedTuple, Self

from drawcli.core.gate.compressed import NATIVE, split_picture
from drawcli.core.gate.pydicom_elements import (
    PIXEL_DATA,
    compression_of,
    in_little_endian,
    transfer_syntax_of,
    undecoded_value,
)

if TYPE_CHECKING:
    from pydicom import Dataset

# The class in which the frames of a multi-frame image are sent.
_SPLIT_INTO: Final = {
    "1.2.840.10008.5.1.4.1.1.2.1": "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.2.2": "1.2.840.10008.5.1.4.1.1.2",
    "1.2.840.10008.5.1.4.1.1.4.1": "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.4": "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.130": "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.128.1": "1.2.840.10008.5.1.4.1.1.128",
}
_SHARED, _PER_FRAME = 0x52009229, 0x52009230
_UNASSIGNED: Final = (0x00209170, 0x00209171)
# Elements of multi-frame images, which no slice may have.
OF_FRAMES: Final = frozenset({_SHARED, _PER_FRAME, 0x00280008, 0x00209221, 0x00209222})
_INSTANCE_NUMBER: Final = 0x00200013
_SCALING: Final = 0x00289145  # PixelValueTransformationSequence
_FRAME_CONTENT: Final = 0x00209111
# Rows, Columns, BitsAllocated, BitsStored, PixelRepresentation, SamplesPerPixel, HighBit,
# PixelPaddingValue
_NUMBERS: Final = (
    *(0x00280010, 0x00280011, 0x00280100, 0x00280101, 0x00280103),
    *(0x00280002, 0x00280102, 0x00280120),
)
# What is compared beside the pixels: tag, and the functional group that holds it.
_COMPARED: Final = (
    (0x00200032, 0x00209113),  # ImagePositionPatient
    (0x00200037, 0x00209116),  # ImageOrientationPatient
    (0x00280030, 0x00289110),  # PixelSpacing
    (0x00180050, 0x00289110),  # SliceThickness
    (0x00281052, _SCALING),  # RescaleIntercept
    (0x00281053, _SCALING),  # RescaleSlope
    *((tag, 0) for tag in _NUMBERS),
    (0x00280004, 0),  # PhotometricInterpretation
    (0x00200052, 0),  # present or not: FrameOfReferenceUID
)
_IS_PRESENT: Final = frozenset({0x00200052})
# What a slice may lack, but not have with another value.
_FACTS: Final = (
    (0x00281054, _SCALING),  # RescaleType
    (0x00180088, 0x00289110),  # SpacingBetweenSlices
    (0x00201041, 0),  # SliceLocation
    (0x00185100, 0),  # PatientPosition
)
_LOSSY: Final = frozenset({"51", "203"})  # decoders differ: that of the engine decides
_OTHER_FIRST: Final = ("gdcm", "pylibjpeg", "pyjpegls")
_SAME_FIRST: Final = ("pylibjpeg", "gdcm")
_JPEG: Final = "1.2.840.10008.1.2.4."

Opener = Callable[[], BinaryIO]


class PackageForm(NamedTuple):
    """How the slices of a package are, by its first one."""

    sop_class: str = ""
    syntax: str = ""

    @classmethod
    def of(cls, dataset: "Dataset") -> Self:
        """Return the form of a slice."""
        return cls(str(dataset.get("SOPClassUID", "")), transfer_syntax_of(dataset))

    @property
    def native(self) -> bool:
        """Whether the pixels are not compressed."""
        return self.syntax in NATIVE

    def differs_from(self, source: "Dataset") -> bool:
        """Return whether a source is split, or decoded, in such a package."""
        decoded = self.native and bool(compression_of(source))
        return decoded or self.splits(source)

    def splits(self, source: "Dataset") -> bool:
        """Return whether the frames of a source are slices in such a package."""
        return self.class_of(source) != str(source.get("SOPClassUID", ""))

    def class_of(self, source: "Dataset") -> str:
        """Return the SOP class that the slices of a source must have."""
        own = str(source.get("SOPClassUID", ""))
        return _SPLIT_INTO[own] if _SPLIT_INTO.get(own) == self.sop_class else own


class SourceSlice(NamedTuple):
    """One slice of a source: its digest, and the tags that it has."""

    digest: bytes
    tags: frozenset[int]
    others: frozenset[int]  # tags of functional groups, which no slice may have
    facts: tuple[bytes, ...]  # as far as the package has them: number of the frame, geometry


def contradicts(dataset: "Dataset", facts: tuple[bytes, ...]) -> bool:
    """Return whether a slice has other values than those of its frame; b"" is no value."""
    sent = (_bytes(dataset, tag) for tag in (_INSTANCE_NUMBER, *(tag for tag, _ in _FACTS)))
    return any(have not in (b"", fact) for fact, have in zip(facts, sent, strict=False))


def slices_of(source: "Dataset", open_source: Opener, form: PackageForm) -> Iterator[SourceSlice]:
    """Yield the slices of a source, frame by frame.

    Call it before anything is decoded: bytes are compared.

    Parameters
    ----------
    source
        As read by pydicom; its pixel data may have been left in the file.
    open_source
        Opens the file.
    form
        That of the package.
    """
    shared = _groups(source, _SHARED)
    frames = _groups(source, _PER_FRAME) or [{}]
    pixels = _pixels(source, open_source, form, len(frames))
    own = frozenset(map(int, source.keys()))
    for number, (frame, picture) in enumerate(zip(frames, pixels, strict=True), start=1):
        groups = {**(shared[0] if shared else {}), **frame}
        inside = {tag for item in groups.values() for tag in item}
        digest = _digest([picture], [_fact(source, groups, *attribute) for attribute in _COMPARED])
        others = {*groups, *groups.get(_FRAME_CONTENT, ())} - own
        facts = b"%d" % number, *(_fact(source, groups, *attribute) for attribute in _FACTS)
        yield SourceSlice(digest, own | inside, frozenset(others), facts)


def digest_of_slice(dataset: "Dataset") -> bytes:
    """Return the digest of a slice in the package, as `slices_of` computes that of a source."""
    value = undecoded_value(dataset, PIXEL_DATA) or b""
    raw = value if isinstance(value, bytes) else value.encode()
    syntax = compression_of(dataset)
    parts = split_picture(raw, syntax, _size(dataset)[0])[0] if syntax else [raw]
    return _digest(parts, [_fact(dataset, {}, *attribute) for attribute in _COMPARED])


def _digest(pixels: list[bytes], facts: list[bytes]) -> bytes:
    digest = hashlib.sha256(b"slice")
    for part in pixels:
        digest.update(part)
    for fact in facts:
        digest.update(b"\0%d\0" % len(fact) + fact)
    return digest.digest()


# --- geometry and scaling -----------------------------------------------------------------------

Groups = dict[int, dict[int, bytes]]  # functional group -> tag -> value


def _groups(source: "Dataset", tag: int) -> list[Groups]:
    """Return the functional groups of each item of a sequence, of each the first item."""
    sequence: Any = source[tag].value if tag in source else ()
    return [dict(_values_in(item)) for item in sequence or ()]


def _values_in(item: "Dataset") -> Iterator[tuple[int, dict[int, bytes]]]:
    from pydicom import Sequence

    for group in list(item.keys()):
        value = item[group].value
        if isinstance(value, Sequence) and len(value):
            inside = value[0]
            yield int(group), {tag: _bytes(inside, tag) for tag in map(int, inside.keys())}


def _fact(source: "Dataset", groups: Groups, tag: int, group: int) -> bytes:
    """Return a value of a frame: from its group, an unassigned attribute, or the top level."""
    for place in (group, *_UNASSIGNED):
        if tag in groups.get(place, {}) and not (place in _UNASSIGNED and tag in source):
            return groups[place][tag]
    value = _bytes(source, tag)
    return bytes([bool(value)]) if tag in _IS_PRESENT else value


def _bytes(dataset: "Dataset", tag: int) -> bytes:
    value = undecoded_value(dataset, tag) or b""
    raw = value if isinstance(value, bytes) else value.encode()
    if tag not in _NUMBERS or not raw or not isinstance(value, bytes):
        return raw.strip(b" \0")
    little = dataset.original_encoding[1] is not False
    return b"%d" % int.from_bytes(raw, "little" if little else "big")


# --- pixels ---------------------------------------------------------------------------------------


def _pixels(
    source: "Dataset", open_source: Opener, form: PackageForm, count: int
) -> Iterator[bytes]:
    """Yield the pixels of each frame as they must be in the package."""
    if not compression_of(source):
        return _native(source, open_source, count)
    return (_decoded if form.native else _pictures)(source, open_source, count)


def _native(source: "Dataset", open_source: Opener, count: int) -> Iterator[bytes]:
    pixels, bits = _size(source)
    size = pixels * bits // 8
    stream, start = _stream_of(source, open_source)
    with closing(stream):
        for number in range(count):
            stream.seek(start + number * size)
            raw = stream.read(size)
            yield raw + bytes(size % 2) if len(raw) == size else b"cut off"


def _pictures(source: "Dataset", open_source: Opener, count: int) -> Iterator[bytes]:
    from pydicom.encaps import encapsulate, generate_frames

    syntax, pixels = compression_of(source), _size(source)[0]
    stream, start = _stream_of(source, open_source)
    with closing(stream):
        stream.seek(start)
        for frame in generate_frames(stream, number_of_frames=count):
            whole = encapsulate([frame], has_bot=False)
            yield b"".join(split_picture(whole, syntax, pixels)[0])


def _decoded(source: "Dataset", open_source: Opener, count: int) -> Iterator[bytes]:
    import numpy as np
    from pydicom.pixels import get_decoder  # type: ignore[attr-defined] # documented there

    decoder = get_decoder(compression_of(source))
    last = compression_of(source).removeprefix(_JPEG)
    wanted = _SAME_FIRST if last in _LOSSY else _OTHER_FIRST
    plugin = next((name for name in wanted if name in decoder.available_plugins), "")
    stored, signed = int(source.BitsStored), int(source.PixelRepresentation) == 1
    bits = int(source.BitsAllocated)
    layout: dict[str, Any] = {
        "rows": int(source.Rows),
        "columns": int(source.Columns),
        "samples_per_pixel": 1,
        "bits_allocated": bits,
        "bits_stored": stored,
        "pixel_representation": int(signed),
        "photometric_interpretation": "MONOCHROME2",
        "number_of_frames": count,
    }
    sample = np.dtype(f"<{'i' if signed else 'u'}{bits // 8}")
    stream, start = _stream_of(source, open_source)
    with closing(stream):
        stream.seek(start)
        for array, _ in decoder.iter_array(stream, decoding_plugin=plugin, **layout):
            values = array.astype(np.int64) & ((1 << stored) - 1)
            if signed:
                values = np.where(values >> (stored - 1), values - (1 << stored), values)
            raw = values.astype(sample).tobytes()
            yield raw + bytes(len(raw) % 2)


def _stream_of(source: "Dataset", open_source: Opener) -> tuple[BinaryIO, int]:
    """Return the pixel data as a stream, and their offset in it."""
    held: Any = source.get_item(PIXEL_DATA, keep_deferred=True)
    if held.value is None and held.length:
        return open_source(), int(held.value_tell)
    raw = held.value if isinstance(held.value, bytes) else b""
    return BytesIO(raw if compression_of(source) else in_little_endian(source, raw)), 0


def _size(dataset: "Dataset") -> tuple[int, int]:
    """Return the pixels of a frame, and the bits of each."""
    rows, columns, bits = (int(_bytes(dataset, tag) or 0) for tag in _NUMBERS[:3])
    return rows * columns, bits
