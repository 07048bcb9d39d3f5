"""The tests of rules.yaml as pytest cases: `pytest rules.yaml`, in a folder with templates.yaml.

Loaded by every pytest that has drawcli installed, so nothing of drawcli is imported before a rules
file is met.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drawcli.adapters.rulebook.rulebook import Rulebook
    from drawcli.adapters.rulebook.tests_file import Case

_RULES = "rules.yaml"
_BESIDE = "templates.yaml"
_SETTINGS = "drawcli.yaml"


class RulesFile(pytest.File):
    """A rules file; each of its tests is an item."""

    def collect(self) -> "Iterator[RuleItem]":
        """Yield the tests; raise what is wrong with the file as an error of the collection."""
        from drawcli.adapters.rulebook.rulebook import read_rulebook, site_rulebook
        from drawcli.config.load import load_settings
        from drawcli.errors import DrawcliError

        on_many, settings_file = "hold", self.path.with_name(_SETTINGS)
        try:
            if settings_file.is_file():
                settings = load_settings(settings_file, os.environ)
                on_many = settings.match.on_many
                book = site_rulebook(settings, rules=self.path)
            else:
                book = read_rulebook(self.path, self.path.with_name(_BESIDE))
        except DrawcliError as err:
            raise self.CollectError(str(err)) from None
        for case in book.cases:
            yield RuleItem.from_parent(self, name=case.name, case=case, book=book, on_many=on_many)


class RuleItem(pytest.Item):
    """One test of a rules file."""

    def __init__(self, *, case: "Case", book: "Rulebook", on_many: str, **more: Any) -> None:
        super().__init__(**more)
        self._case = case
        self._book = book
        self._on_many = on_many

    def runtest(self) -> None:
        """Ask the rules; fail where they say something else."""
        from datetime import UTC, datetime

        from drawcli.errors import DrawcliError
        from drawcli.pipeline.explain import try_case

        today = datetime.now(UTC).date()
        try:
            found = list(try_case(self._case, self._book, on_many=self._on_many, today=today))
        except DrawcliError as err:
            wrong = [str(err)]
        else:
            wrong = [f"expected {one.wish}; {one.found}" for one in found if not one.passed]
        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Return where it stands, and its name."""
        return self.path, None, f"rule test: {self.name}"


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> RulesFile | None:
    """Take up a rules file that is named, or lies in a site; any other may be somebody else's."""
    if file_path.name != _RULES or not file_path.with_name(_BESIDE).is_file():
        return None
    is_meant = parent.session.isinitpath(file_path) or file_path.with_name(_SETTINGS).is_file()
    return RulesFile.from_parent(parent, path=file_path) if is_meant else None
