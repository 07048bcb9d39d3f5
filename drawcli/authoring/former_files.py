"""The template files of the first DRAW client, which a rule names by file name and checksum."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from drawcli.authoring.former_export import Record
from drawcli.authoring.new_template import Plan, import_template
from drawcli.core.rules.former_test import UntranslatableError

_SHA_512: Final = re.compile(r"[0-9a-f]{128}")


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    sha512: frozenset[str]  # as it is, and with the line ends of Unix
    ours: str | None  # the name in templates.yaml; None if it was not translated


class TemplateFiles:
    """The template files that were given."""

    def __init__(self) -> None:
        self._files: list[_File] = []

    def add(self, path: Path, take: Callable[[Plan], str | None]) -> None:
        """Add a file; `take` migrates its template and returns the name in templates.yaml."""
        plan = import_template(path, None)
        data = path.read_bytes()
        digests = (
            hashlib.sha512(variant).hexdigest() for variant in (data, data.replace(b"\r\n", b"\n"))
        )
        self._files.append(_File(path, frozenset(digests), take(plan)))

    def named(self, record: Record) -> str:
        """Return the name in templates.yaml of the file that a record of an export names.

        Raises
        ------
        UntranslatableError
            If no file, or not exactly one, is that of the record.
        """
        file_name = " ".join(str(record.get("yaml_name") or "").split())
        found = [file for file in self._files if file.path.name == file_name]
        checksum = str(record.get("file_hash") or "").strip().casefold()
        if _SHA_512.fullmatch(checksum):
            same = [file for file in self._files if checksum in file.sha512]
            if found and not same:
                raise UntranslatableError(
                    f"its template file '{file_name}' is not the one of the former client: the "
                    "checksum in the export is another"
                )
            found = same
        if not found:
            raise UntranslatableError(f"its template file '{file_name}' was not given")
        names = {file.ours for file in found}
        if len(names) > 1:
            raise UntranslatableError(f"several given files are called '{file_name}'")
        (name,) = names
        if name is None:
            raise UntranslatableError(f"its template file '{file_name}' was not translated")
        return name
