"""How fast a contact sheet is drawn: beside merely reading and decoding the same files.

python bench/preview.py [--slices 150] [--size 512] [--structures 10] [--repeat 3] [--json]
"""

import sys
import tempfile
import tracemalloc
import warnings
from functools import partial
from pathlib import Path

from measure import MIB, Row, beside, compared, options, tell
from pydicom import dcmread
from reidentify import drawn, parsed, series

from drawcli.core.dicom.header import read_header
from drawcli.core.pictures.page import render_page
from drawcli.core.pictures.sheet import Caption, contact_sheet
from drawcli.core.series.crosswalk import SourceFile
from drawcli.pipeline.preview import as_png, scene_of
from drawcli.pipeline.preview_pixels import read_images_of
from drawcli.sandbox.patients import PEOPLE
from drawcli.sandbox.phantom import write_planning_ct

MOST = 3  # times reading and decoding the same files
CAPTION = Caption(title="bench", facts="", findings=())


def sheet(structures: bytes, files: list[SourceFile]) -> None:
    """Read images and structures, draw the sheet, make a PNG of it."""
    scene = scene_of(read_header(structures, complete=True), read_images_of(files))
    as_png(contact_sheet(scene, CAPTION))


def whole_page(structures: bytes, files: list[SourceFile]) -> None:
    """Read images and structures, make the page."""
    render_page(scene_of(read_header(structures, complete=True), read_images_of(files)), CAPTION)


def decoded(structures: Path, files: list[SourceFile]) -> None:
    """Read and decode the images as pydicom does, and the numbers of the structures faster."""
    for file in files:
        _ = dcmread(file.path).pixel_array
    parsed(structures)


def memory(structures: bytes, files: list[SourceFile], least: int) -> Row:
    """Return the peak of what is allocated, beside the pixels as they lie in the files."""
    tracemalloc.start()
    sheet(structures, files)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    pair = (peak / MIB, least / MIB)
    return beside("peak of memory / pixels as stored", [pair], target=2, unit="MiB")


def main() -> int:
    """Run the bench; 1 where something that is asked for is not met."""
    warnings.simplefilter("ignore")
    given = options(__doc__, slices=150, size=512, structures=10, repeat=3).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        person = next(one for one in PEOPLE if one.site == "pelvis")
        paths = write_planning_ct(
            Path(folder), person, slices=given.slices, size=given.size, slice_mm=3.0
        )
        files = [SourceFile(str(path), 0, 0, path.name) for path in paths]
        length = given.slices * 2 // 5  # slices with contours: 18 cm of 45
        structures = drawn(series(length), given.structures, 150, 3)
        path = Path(folder) / "structures"
        path.write_bytes(structures)
        measure = partial(compared, theirs=partial(decoded, path, files), repeat=given.repeat)
        found = [
            measure("sheet / reading and decoding", partial(sheet, structures, files), target=MOST),
            measure("page / reading and decoding", partial(whole_page, structures, files)),
            measure("reading images for it / reading and decoding", partial(read_images_of, files)),
            memory(structures, files, given.slices * given.size**2 * 2),
        ]
    return tell(found, as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
