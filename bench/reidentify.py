"""How fast a structure set comes home: beside pydicom, which reads and writes the same file.

python bench/reidentify.py [--slices 200] [--structures 40] [--points 150] [--repeat 3] [--json]
"""

import io
import sys
import warnings
from collections.abc import Iterator
from functools import partial
from math import cos, pi, sin

from measure import Row, beside, compared, cpu_seconds, options, taken, tell
from pydicom import Dataset, dcmread
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ImplicitVRLittleEndian

from drawcli.core.deid.pseudonyms import StandIns
from drawcli.core.dicom.header import read_header
from drawcli.core.gate.strict_reader import DataSet
from drawcli.core.gate.structure_set import read_contours, read_structure_set
from drawcli.core.rtstruct.contour_checks import inspect_contours
from drawcli.core.rtstruct.reidentify import OwnUids, reidentify_file
from drawcli.core.series.crosswalk import Crosswalk, SourceFile
from drawcli.core.series.slice_grid import Grid

KEY = StandIns(bytes(range(32)))
MOST = 1.5  # times what pydicom takes


def series(slices: int) -> Crosswalk:
    """Return the way back of a series."""
    uids = [f"1.2.3.4.{number}" for number in range(slices)]
    return Crosswalk(
        series_uid="1.2.3.1",
        study_uid="1.2.3.2",
        patient_id="4711",
        patient_name="",
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
    whole.ROIContourSequence = [
        item(
            ReferencedROINumber=n,
            ContourSequence=[circle(file, points, digits, n) for file in crosswalk.files],
        )
        for n in numbers
    ]
    whole.RTROIObservationsSequence = [item(ReferencedROINumber=n) for n in numbers]
    out = io.BytesIO()
    whole.save_as(out, enforce_file_format=True)
    return out.getvalue()


def item(**values: object) -> Dataset:
    """Return a data set of some elements."""
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


def circle(file: SourceFile, points: int, digits: int, number: int) -> Dataset:
    """Return a contour on a slice, its numbers with so many digits behind the point."""
    (_, _, z) = file.positions[0]
    image = item(
        ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2",
        ReferencedSOPInstanceUID=KEY.uid(file.sop_uid),
    )
    angles = [2 * pi * n / points for n in range(points)]
    corners = [(f"{30 * cos(a) + number:.{digits}f}", f"{30 * sin(a):.{digits}f}") for a in angles]
    contour = item(
        ContourImageSequence=[image],
        ContourGeometricType="CLOSED_PLANAR",
        NumberOfContourPoints=points,
    )
    text = "\\".join(one for x, y in corners for one in (x, y, f"{z:g}"))
    contour.add_new(0x30060050, "UN", text.encode() + b" " * (len(text) % 2))
    return contour


def home(data: bytes, crosswalk: Crosswalk) -> None:
    """Re-identify."""
    reidentify_file(read_header(data, complete=True), crosswalk, OwnUids("2.25.3", "2.25.4"))


def inspect(data: bytes, crosswalk: Crosswalk) -> None:
    """Let the acceptance gate look at every contour."""
    file, grid = DataSet(data), Grid.of(crosswalk)
    names = {roi.number: roi.name for roi in read_structure_set(file).rois}
    if grid is None or inspect_contours(read_contours(file), names, grid, crosswalk.uids)[0]:
        raise AssertionError("the gate should find nothing")


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
    given = options(__doc__, slices=200, structures=40, points=150, repeat=3).parse_args()
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
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
