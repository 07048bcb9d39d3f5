"""Packages of a series, built by the adapters as the de-identify step builds them, and rebuilt."""

import io
import struct
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

from pydicom import Dataset, dcmread

from drawcli.adapters.datastore.images import open_slice, pixel_end
from drawcli.adapters.package import write_package
from drawcli.core.deid.engine import Replacements, deidentify_header
from drawcli.core.deid.profile import Choices
from drawcli.core.deid.pseudonyms import StandIns

KEY = bytes(range(32))
TEMPLATE = b"name: Prostate_OAR\nprotocol: DRAW\nmodels:\n  720:\n    map: {1: Bladder}\n"


def packaged(
    paths: Iterable[Path],
    target: Path,
    *,
    fixed_dates: bool = False,
    descriptors: Sequence[str] = (),
) -> Path:
    """De-identify a series into a zip."""
    files = [str(path) for path in paths]
    stream, header = open_slice(files[0])
    stream.close()
    choices = Choices(fixed_dates=fixed_dates, descriptors=frozenset(descriptors))
    replacements = Replacements.of(header, StandIns(KEY), choices)

    def members() -> Iterator[tuple[str, Iterable[bytes]]]:
        slices = dict(sorted(_slice(path, replacements) for path in files))
        yield from ((name, (raw,)) for name, raw in slices.items())
        yield "template.yml", (TEMPLATE,)

    write_package(target, members())
    return target


def _slice(path: str, replacements: Replacements) -> tuple[str, bytes]:
    stream, header = open_slice(path)
    with closing(stream):
        head = deidentify_header(header, replacements)
        assert header.pixels is not None
        end = pixel_end(stream, header)
        stream.seek(header.pixels.value)
        pixels = stream.read(end - header.pixels.value)
    return f"{replacements.uid(header.text(0x00080018))}.dcm", head + pixels


def contents(package: Path) -> dict[str, bytes]:
    """Return what is in a package, by name."""
    with zipfile.ZipFile(package) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repacked(members: dict[str, bytes], target: Path) -> Path:
    """Write a package of these members."""
    write_package(target, ((name, (raw,)) for name, raw in members.items()))
    return target


def as_dataset(raw: bytes) -> Dataset:
    return dcmread(io.BytesIO(raw))


def as_bytes(dataset: Dataset) -> bytes:
    out = io.BytesIO()
    dataset.save_as(out, enforce_file_format=True)
    return out.getvalue()


def with_element(raw: bytes, tag: int, vr: bytes, value: bytes) -> bytes:
    """Put an element into a slice, byte by byte: pydicom would not write every fault."""
    dataset = as_dataset(raw)
    after = min(int(key) for key in dataset.keys() if int(key) > tag)  # noqa: SIM118
    at = raw.index(struct.pack("<HH", after >> 16, after & 0xFFFF), 132 + 12)
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr
    size = struct.pack("<HI", 0, len(value)) if vr in (b"OB", b"UN") else None
    return raw[:at] + head + (size or struct.pack("<H", len(value))) + value + raw[at:]
