"""dciodvfy, the IOD validator of dicom3tools, as a judge of what drawcli writes."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HAS_VALIDATOR = shutil.which("dciodvfy") is not None
needs_validator = pytest.mark.skipif(
    not HAS_VALIDATOR, reason="needs dciodvfy (Debian package dicom3tools)"
)


def errors_of(path: Path) -> set[str]:
    """Return the kinds of errors that dciodvfy finds: without values and item numbers."""
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, check=False)
    said = done.stderr.decode("utf-8", "replace").splitlines()
    lines = (line for line in said if line.startswith("Error"))
    return {re.sub(r"<(?!/).*?>|\[\d+\]", "", line) for line in lines}
