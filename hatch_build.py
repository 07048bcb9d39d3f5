"""The manual and the completion of shells, made of the commands when a wheel is built."""

import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ManualHook(BuildHookInterface[Any]):
    """Puts them below `share`, where systems look for them."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write them for a wheel; a checkout that is installed as it lies has none."""
        if version == "editable":
            return
        sys.path.insert(0, self.root)
        from drawcli.cli.manual import shared_files

        self.folder = Path(tempfile.mkdtemp(prefix="drawcli-share-"))
        for number, (place, text) in enumerate(shared_files().items()):
            path = self.folder / str(number)
            path.write_text(text, encoding="utf-8")
            build_data["shared_data"][str(path)] = place

    def finalize(self, version: str, _build_data: dict[str, Any], _artifact: str) -> None:
        """Take away what was written."""
        if version != "editable":
            for path in self.folder.iterdir():
                path.unlink()
            self.folder.rmdir()
