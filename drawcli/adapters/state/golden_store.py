"""The golden cases of a site.

state_dir/qa/golden.jsonl                 one result a line
state_dir/qa/golden/cases/<id>/           what is sent again:
    case.json                             the case
    package.zip, template.yml             as they were sent first
    template.json                         the template with looks
    vault                                 its crosswalk, sealed
    reference.dcm                         as received: what later contours are compared with
    newest.dcm                            others that came since and nobody has accepted
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from drawcli.adapters.state.qa_records import FOLDER, LineFile
from drawcli.core.qa.golden import GoldenCase, GoldenResult, changed_templates
from drawcli.errors import UsageError
from drawcli.system.files import make_private, put_in_place, write_durably
from drawcli.system.platforms import fsync_folder

GOLDEN: Final = "golden"
RESULTS: Final = "golden.jsonl"
REFERENCE: Final = "reference.dcm"
NEWEST: Final = "newest.dcm"
_CASE: Final = "case.json"


class GoldenStore:
    """The cases and their results."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / FOLDER / GOLDEN  # of the ledger of their jobs
        self._cases = self.folder / "cases"
        self._results = LineFile(state_dir / FOLDER / RESULTS)

    def cases(self) -> list[GoldenCase]:
        """Return the cases, by template and id."""
        found = []
        for path in self._cases.glob(f"*/{_CASE}"):
            try:
                found.append(GoldenCase.from_plain(json.loads(path.read_bytes())))
            except (OSError, ValueError, AttributeError, RecursionError):
                continue
        return sorted(found, key=lambda case: (case.template, case.id))

    def case_named(self, name: str) -> GoldenCase:
        """Return the case of an id or of the beginning of one; raise UsageError if not one."""
        fits = [case for case in self.cases() if name and case.id.startswith(name)]
        if len(fits) != 1:
            what = f"'{name}' is the beginning of {len(fits)} golden cases"
            raise UsageError(
                what if fits else f"there is no golden case '{name}'",
                hint="'drawcli qa golden list' lists them.",
            )
        return fits[0]

    def file(self, case_id: str, name: str) -> Path:
        """Return the path of a file of a case; it need not exist."""
        return self._cases / case_id / name

    def place(self, case_id: str) -> Path:
        """Return the folder of a case; it is made if needed."""
        make_private(self._cases)
        return make_private(self._cases / case_id)

    def put(self, case_id: str, source: Path, name: str) -> None:
        """Copy a file into the folder of a case; durable on return."""
        part = self.place(case_id) / f".{name}.tmp"
        shutil.copyfile(source, part)
        part.chmod(0o600)
        with part.open("rb+") as stream:
            os.fsync(stream.fileno())
        put_in_place(part, self.file(case_id, name))

    def add(self, case: GoldenCase) -> None:
        """Add a case whose files are in place: from now on it counts."""
        text = json.dumps(case.as_plain(), indent=1)
        write_durably(self.place(case.id) / _CASE, text.encode("ascii"))

    def remove(self, case_id: str) -> None:
        """Remove a case and its files; its results are kept."""
        self.file(case_id, _CASE).unlink(missing_ok=True)
        shutil.rmtree(self._cases / case_id, ignore_errors=True)
        fsync_folder(self._cases)

    def set_contours(self, case_id: str, name: str, data: bytes) -> None:
        """Store a structure set as received: the reference, or the newest."""
        write_durably(self.place(case_id) / name, data)

    def accept_newest(self, case_id: str) -> None:
        """Let the newest contours be the reference, if there are any."""
        newest = self.file(case_id, NEWEST)
        if newest.exists():
            put_in_place(newest, self.file(case_id, REFERENCE))

    def results(self) -> Iterator[GoldenResult]:
        """Yield the results, in order of time."""
        for row in self._results.rows():
            try:
                yield GoldenResult.from_plain(row)
            except ValueError:
                continue

    def changed(self) -> dict[str, GoldenResult]:
        """Return the templates with a change that nobody has accepted, and the last result."""
        cases = {case.id for case in self.cases()}
        return changed_templates(one for one in self.results() if one.case in cases)

    def note(self, *results: GoldenResult) -> None:
        """Append results; durable on return."""
        self._results.add(one.as_plain() for one in results)
