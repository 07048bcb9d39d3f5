"""Structure sets as the sandbox draws them, for the server in memory."""

import tempfile
from pathlib import Path

from drawcli.sandbox.segmentation.rtstruct import DrawnStructure, file_bytes, structure_set
from drawcli.sandbox.segmentation.segmenter import Segmenter
from drawcli.sandbox.segmentation.volume import volume
from drawcli.sandbox.upload_reader import read_upload
from tests.conftest import NOON


def segmented(package: bytes) -> bytes:
    """Return what the sandbox's own segmenter draws into an uploaded zip."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "upload.zip")
        path.write_bytes(package)
        upload = read_upload(path)
    slices = volume(upload.slices)
    segmenter = Segmenter(slices)
    drawn = [DrawnStructure(name, segmenter.contours(name)) for name in upload.template.structures]
    return file_bytes(structure_set(slices, drawn, at=NOON))
