"""How fast a structure set comes home: beside pydicom, which reads and writes the same file.

python bench/reidentify.py [--slices 200] [--structures 40] [--points 150] [--large 60]
                           [--repeat 3] [--json]

Beside the cost of parsing the numbers, too: read the file, walk its items, turn each ContourData
into an array by the fastest method that is known, and forget it. `--large` structures of 250
slices are a file of some 100 MB. `--check FILE` only checks and re-identifies a file.
"""

import io
import pickle
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from math import cos, pi, sin
from pathlib import Path
from struct import pack

import numpy as np
import orjson
from measure import Row, below, beside, compared, cpu_seconds, options, peak_mib, taken, tell
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import read_header
from drawcli.core.gate.strict_reader import DataSet
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.rtstruct.contour_checks import inspect_contours
from drawcli.core.rtstruct.inspection import (
    StructureCriteria,
    expect_finished,
    expect_received,
    inspect_finished,
    inspect_received,
)
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.slice_grid import Grid

KEY = StandIns(bytes(range(32)))
MOST = 1.5  # times what pydicom takes
MOST_OF_PARSING = 2.0  # times the cost of parsing the numbers
MOST_MB, MOST_SECONDS = 300, 10  # of a file of 100 MB
LARGE_SLICES = 250
# Digits behind the point, points a contour, structures as a part of `--large`
SHAPES = (
    ("short numbers", 3, 330, 1),
    ("long numbers", 15, 160, 1),
    ("small contours", 3, 40, 1),
    ("huge contours", 3, 6000, 20),
)
OWN = OwnUids("2.25.3", "2.25.4")
COMMAS = bytes.maketrans(b"\\", b",")


def series(slices: int) -> Crosswalk:
    """Return the way back of a series."""
    uids = [f"1.2.3.4.{number}" for number in range(slices)]
    return Crosswalk(
        series_uid="1.2.3.1",
        study_uid="1.2.3.2",
        patient_id="4711",
        patient_name="",
        pseudonym="DEID",
        sop_class="1.2.840.10008.5.1.4.1.1.2",
        files=tuple(
            SourceFile(f"/{n}", 1, 1, uid, positions=((-250.0, -250.0, 3.0 * n),))
            for n, uid in enumerate(uids)
        ),
        frame_uid="1.2.3.3",
        uids={KEY.uid(uid): uid for uid in [*uids, "1.2.3.1", "1.2.3.2", "1.2.3.3"]},
        identity={0x00100010: b"Muster^Maria", 0x00100020: b"4711"},
        orientation=(1.0, 0.0, 0.0, 0.0, 1.0, 0.0),
        spacing=(1.0, 1.0),
        shape=(512, 512),
    )


def drawn(crosswalk: Crosswalk, structures: int, points: int, digits: int) -> bytes:
    """Return a structure set in the form that the server's writer gives it."""
    whole = item(
        SOPClassUID="1.2.840.10008.5.1.4.1.1.481.3",
        SOPInstanceUID="2.25.1",
        Modality="RTSTRUCT",
        PatientName="DEID",
        PatientID="DEID",
        StudyInstanceUID=KEY.uid("1.2.3.2"),
        SeriesInstanceUID="2.25.2",
    )
    whole.file_meta = FileMetaDataset()
    whole.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    numbers = range(1, structures + 1)
    whole.StructureSetROISequence = [
        item(ROINumber=n, ROIName=f"S{n}", ReferencedFrameOfReferenceUID=KEY.uid("1.2.3.3"))
        for n in numbers
    ]
    out = io.BytesIO()
    whole.save_as(out, enforce_file_format=True)
    lists = b"".join(
        encoded_item(
            b"\x06\x30\x40\x00"  # ContourSequence
            + sized(b"".join(circle(file, points, digits, n) for file in crosswalk.files))
            + encoded(item(ReferencedROINumber=n))
        )
        for n in numbers
    )
    last = item(RTROIObservationsSequence=[item(ReferencedROINumber=n) for n in numbers])
    return out.getvalue() + b"\x06\x30\x39\x00" + sized(lists) + encoded(last)


def encoded(dataset: Dataset) -> bytes:
    """Return a data set in Implicit VR Little Endian."""
    out = DicomBytesIO()
    out.is_little_endian = out.is_implicit_VR = True
    write_dataset(out, dataset)
    return out.getvalue()


def sized(value: bytes) -> bytes:
    """Return a value behind its length."""
    return len(value).to_bytes(4, "little") + value


def encoded_item(content: bytes) -> bytes:
    """Return an item of a sequence."""
    return b"\xfe\xff\x00\xe0" + sized(content)


def item(**values: object) -> Dataset:
    """Return a data set of some elements."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def circle(file: SourceFile, points: int, digits: int, number: int) -> bytes:
    """Return a contour on a slice, its numbers with so many digits behind the point.

    They are encoded here: pydicom takes a second for a megabyte.
    """
    (_, _, z) = file.positions[0]
    height = f"\\{z:g}"
    image = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        ReferencedSOPInstanceUID=KEY.uid(file.sop_uid),
    )
    contour = item(
        ContourImageSequence=[image],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=points,
    )
    text = (height + "\\").join(corners(points, digits, number)) + height
    data = sized(text.encode() + b" " * (len(text) % 2))
    return encoded_item(encoded(contour) + b"\x06\x30\x50\x00" + data)  # ContourData


@lru_cache(maxsize=1)
def corners(points: int, digits: int, number: int) -> list[str]:
    """Return x and y of the points of an outline with lobes, as no organ is a circle."""
    angles = [2 * pi * n / points for n in range(points)]
    polar = [(30 + 3 * sin(7 * a) + sin(19 * a + number), a) for a in angles]
    return [f"{r * cos(a) + number:.{digits}f}\\{r * sin(a):.{digits}f}" for r, a in polar]


def home(data: bytes, crosswalk: Crosswalk) -> None:
    """Re-identify."""
    reidentify_file(read_header(data, complete=True), crosswalk, OwnUids("2.25.3", "2.25.4"))


def inspect(data: bytes, crosswalk: Crosswalk) -> None:
    """Let the acceptance gate look at every contour."""
    file, grid = DataSet(data), Grid.of(crosswalk)
    names = {roi.number: roi.name for roi in read_structure_set(file).rois}
    if grid is None or inspect_contours(read_contours(file), names, grid, crosswalk.uids)[0]:
        raise AssertionError("the gate should find nothing")


def parsed(path: Path) -> None:
    """Read a file, walk its items, turn each ContourData into an array: the floor."""
    for contour in read_contours(DataSet(path.read_bytes())):
        text = contour.data.rstrip(b" \0").translate(COMMAS)
        numbers = orjson.loads(b"[%b]" % text)
        np.frombuffer(pack(f"{len(numbers)}d", *numbers))


def names_of(structures: int) -> list[str]:
    """Return the names of the structures of `drawn`."""
    return [f"S{number}" for number in range(1, structures + 1)]


def received(
    path: Path, crosswalk: Crosswalk, names: Sequence[str]
) -> dict[str, dict[str, object]]:
    """Check a file as it comes; return the measurements of its structures."""
    data = path.read_bytes()
    expected = expect_received(crosswalk, names)
    found, measured = inspect_received(data, expected, crosswalk, StructureCriteria())
    if found or len(measured) != len(names):
        raise AssertionError("the gate should find nothing")
    return {one.name: {**one.as_plain()} for one in measured}


def finished(path: Path, crosswalk: Crosswalk, measured: dict[str, dict[str, object]]) -> None:
    """Check a finished file before its delivery."""
    expected = expect_finished(crosswalk, frozenset(OWN), list(measured))
    wanted = StructureCriteria(measured=measured)
    if inspect_finished(path.read_bytes(), expected, crosswalk, wanted):
        raise AssertionError("the gate should find nothing")


def brought(path: Path, crosswalk: Crosswalk) -> bytes:
    """Read and re-identify."""
    return reidentify_file(read_header(path.read_bytes(), complete=True), crosswalk, OWN)


def whole(path: Path) -> None:
    """Check a file, re-identify it, check the result."""
    crosswalk, names = pickle.loads(path.with_suffix(".way").read_bytes())  # noqa: S301 - ours
    measured = received(path, crosswalk, names)
    delivered = path.with_suffix(".delivered")
    delivered.write_bytes(brought(path, crosswalk))
    finished(delivered, crosswalk, measured)


def large(folder: Path, structures: int, repeat: int) -> Iterator[Row]:
    """Compare each part with parsing the numbers; measure the whole in a process of its own."""
    crosswalk = series(LARGE_SLICES)
    for name, digits, points, part in SHAPES:
        count = max(1, structures // part)
        names, path = names_of(count), folder / f"{name}.dcm"
        delivered = path.with_suffix(".out")
        path.write_bytes(drawn(crosswalk, count, points, digits))
        path.with_suffix(".way").write_bytes(pickle.dumps((crosswalk, names)))
        measured = received(path, crosswalk, names)
        delivered.write_bytes(brought(path, crosswalk))
        for what, ours in (
            ("checks", partial(received, path, crosswalk, names)),
            ("re-identification", partial(brought, path, crosswalk)),
            ("checks before delivery", partial(finished, delivered, crosswalk, measured)),
        ):
            yield compared(
                f"{name}, large: {what} / parsing",
                ours,
                partial(parsed, path),
                repeat=repeat,
                target=MOST_OF_PARSING,
            )
        begun = cpu_seconds()
        peak = peak_mib([__file__, "--check", str(path)])
        size = path.stat().st_size / 1e6
        taken_ = cpu_seconds() - begun
        yield below(f"{name}, {size:.0f} MB: all in CPU", taken_, MOST_SECONDS, "s")
        yield below(f"{name}, {size:.0f} MB: peak", peak * 1.048576, MOST_MB, "MB")


def copied(data: bytes) -> None:
    """Read and write: pydicom passes on what nobody asks for, unread; a floor, not a rival."""
    dcmread(io.BytesIO(data)).save_as(io.BytesIO())


def decoded(data: bytes) -> None:
    """Read, look at every element, as who maps references must, and write."""
    dataset = dcmread(io.BytesIO(data))
    for _ in dataset.iterall():
        pass
    dataset.save_as(io.BytesIO())


def growth(crosswalk: Crosswalk, structures: int, points: int, repeat: int) -> Iterator[Row]:
    """Compare the CPU a structure of larger structure sets with that of the smallest."""
    sizes = sorted({max(1, structures // part) for part in (4, 2, 1)})
    files = [drawn(crosswalk, count, points, 3) for count in sizes]

    def each(number: int) -> float:
        return taken(lambda: home(files[number], crosswalk), cpu_seconds) / sizes[number]

    each(0)
    for number in range(1, len(sizes)):
        yield beside(
            f"home, CPU a structure, {sizes[number]} / {sizes[0]} structures",
            [(each(number), each(0)) for _ in range(repeat)],
            target=MOST,
            curve="re-identification: CPU a structure, by structures",
            size=sizes[number],
        )


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    warnings.simplefilter("ignore")
    given = options(__doc__, slices=200, structures=40, points=150, large=60, repeat=3)
    given.add_argument("--check", type=Path)
    given = given.parse_args()
    if given.check:
        whole(given.check)
        return 0
    crosswalk = series(given.slices)
    found: list[Row] = []
    for name, digits in (("short", 3), ("long", 15)):
        data = drawn(crosswalk, given.structures, given.points, digits)
        ours, gate = partial(home, data, crosswalk), partial(inspect, data, crosswalk)
        measure = partial(compared, repeat=given.repeat)
        copies, decodes = partial(copied, data), partial(decoded, data)
        found += [
            measure(f"{name} numbers: home / pydicom copies", ours, copies),
            measure(f"{name} numbers: home / pydicom decodes", ours, decodes, target=MOST),
            measure(f"{name} numbers: gate / pydicom decodes", gate, decodes),
        ]
    found += growth(crosswalk, given.structures, given.points, given.repeat)
    with tempfile.TemporaryDirectory() as folder:
        found += large(Path(folder), given.large, given.repeat)
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
