"""Parser of `tests:` in rules.yaml: series, and the result that the rules should give for each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from drawcli.adapters.rulebook.rules_file import EntryReader
from drawcli.core.rules.decision import Choice, Decision
from drawcli.system.records import Location

_KEYS: Final = ("name", "header", "file", "template", "templates", "verdict")
_EXPECTED: Final = ("template", "templates", "verdict")
_VERDICTS: Final = tuple(str(one) for one in Choice if one is not Choice.MATCHED)

Headers = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A series and the expected result of the rules."""

    name: str
    header: Headers | None = None  # text by canonical path
    file: Path | None = None  # or an image, or the folder of a series
    expected: tuple[str, ...]  # templates; empty if only a verdict is expected
    verdict: Choice

    def agrees(self, decision: Decision) -> bool:
        """Return whether a decision is the expected one."""
        if decision.choice is not self.verdict:
            return False
        return self.verdict is not Choice.MATCHED or {*decision.templates} == {*self.expected}

    @property
    def expectation(self) -> str:
        """The expected result as text."""
        return ", ".join(self.expected) or str(self.verdict)


class CaseReader(EntryReader):
    """Parser of the entries under `tests`."""

    def read_all(self) -> Iterator[Case]:
        """Yield the valid cases."""
        data = self._document.data
        entries = data.get("tests") if isinstance(data, dict) else None
        if entries is not None and not isinstance(entries, list):
            self._add(("tests",), "'tests' is a list, each entry with '- '")
            return
        for index, entry in enumerate(entries or ()):
            before = len(self._problems)
            case = self._read(entry, ("tests", index))
            if case is not None and len(self._problems) == before:
                yield case

    def _read(self, entry: Any, at: Location) -> Case | None:
        if not isinstance(entry, dict):
            self._add(at, "a test has keys: name, header or file, template or verdict")
            return None
        self._check_keys(entry, _KEYS, at)
        name, header, file = (entry.get(key) for key in ("name", "header", "file"))
        if not isinstance(name, str) or not name:
            self._add(at, "a test needs a name, a text")
        if (header is None) == (file is None):
            self._add(at, "a test has either 'header' or 'file'")
            return None
        expected, verdict = self._expected(entry, at)
        if file is not None:
            if not isinstance(file, str) or not file:
                self._add((*at, "file"), "'file' is a path, relative to the folder of this file")
                return None
            place = self._document.path.parent / file
            return Case(name=str(name), file=place, expected=expected, verdict=verdict)
        headers = self._header(header, (*at, "header"))
        return Case(name=str(name), header=headers, expected=expected, verdict=verdict)

    def _expected(self, entry: dict[str, Any], at: Location) -> tuple[tuple[str, ...], Choice]:
        given = [key for key in _EXPECTED if entry.get(key) is not None]
        if len(given) != 1:
            self._add(at, "a test has one of 'template', 'templates' and 'verdict'")
            return (), Choice.UNMATCHED
        key, value = given[0], entry[given[0]]
        if key == "verdict":
            if value not in _VERDICTS:
                self._add((*at, key), f"'verdict' is one of {', '.join(_VERDICTS)}")
                return (), Choice.UNMATCHED
            return (), Choice(value)
        names = value if isinstance(value, list) and key == "templates" else [value]
        for name in names:
            if not isinstance(name, str):
                self._add(
                    (*at, key), f"'{key}' should be {'names' if key[-1] == 's' else 'a name'}"
                )
            else:
                self._check_template(name, (*at, key))
        return tuple(map(str, names)), Choice.MATCHED

    def _header(self, entry: Any, at: Location) -> Headers:
        if not isinstance(entry, dict):
            self._add(at, "'header' has keys: 'Keyword: value'")
            return {}
        headers: dict[str, tuple[str, ...]] = {}
        for keyword, value in entry.items():
            path = self._path(keyword, (*at, keyword))
            if path is not None:
                values = value if isinstance(value, list) else [value]
                headers[path] = tuple(_as_text(item) for item in values if item is not None)
        return headers


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
