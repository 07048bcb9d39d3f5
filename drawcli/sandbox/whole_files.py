"""Atomic writes: a file is complete or absent, whenever the sandbox is stopped."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from drawcli.sandbox import NOTICE

_README: Final = f"""\
{NOTICE}.

This folder belongs to `drawcli sandbox`, a toy DRAW server on this computer. It holds uploads and
invented contours, which must not be used for treatment. Delete it when the sandbox is not running.
"""


def prepare(folder: Path) -> None:
    """Create the folder of a sandbox, with a README."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "README.txt").write_text(_README, encoding="utf-8")


def write_whole(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Write a file atomically."""
    part = path.with_name(f".{path.name}.{uuid4().hex}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(path)


def write_json(path: Path, content: Mapping[str, Any], *, mode: int = 0o644) -> None:
    """Write a mapping as JSON, atomically."""
    text = json.dumps(content, indent=1, ensure_ascii=False)
    write_whole(path, text.encode("utf-8"), mode=mode)
