"""Parser of the rules of rules.yaml; each problem is reported with its place and a suggestion."""

import re
from collections.abc import Set as AbstractSet
from typing import Any, Final

from drawcli.core.rules.conditions import (
    LATE,
    LISTS,
    LONGEST_NAME,
    OPTIONS,
    Compare,
    Condition,
    Either,
    Every,
    Negation,
    Rule,
)
from drawcli.core.rules.impossible import instead_of
from drawcli.core.rules.operators import OPERATORS, PRESENCE, canonical_path, known_paths
from drawcli.core.rules.synonyms import (
    combination_meant,
    operator_meant,
    suggest_key,
    suggest_operator,
)
from drawcli.core.rules.withheld import is_withheld
from drawcli.system.records import Location, nearest, suggest
from drawcli.system.yaml_read import MOST_PROBLEMS, Document

QUOTE_IT: Final = "; put it in quotes if it looks like a number, a date, yes or no"
_KEYS: Final = (
    *("name", "template", "when", "exclude", "comment"),
    *("priority", "enabled", "contact", "templates", "late"),
)
_HIGHEST: Final = 1_000_000
_LONGEST_PATH: Final = 500  # characters: several sequences, one in the other
_WORD: Final = re.compile(r"(?:\([^)]*\)|[\w.-]|(?<=\.)\*)*")


def _no_keyword(key: str) -> str:
    """Return the problem of a key, which may have a value of a patient in it."""
    word, keyword = _begin(key)
    following = key[len(keyword) :][:1]
    if keyword and following != "." and not following.isalnum():
        return f"write '{keyword}: ...': a colon and a space follow a keyword"
    near = nearest(key, known_paths())
    is_hidden = is_withheld(keyword) or is_withheld(near)
    what = "no such DICOM keyword" if is_hidden else f"no DICOM keyword '{word}'"
    return f"{what}; did you mean '{near}'?" if near else what


def _begin(key: str) -> tuple[str, str]:
    """Return the word that a key begins with, and the keyword that this word begins with, or ""."""
    found = _WORD.match(key)
    word = found[0] if found else ""
    ends = (word[:end] for end in range(min(len(word), _LONGEST_PATH), 0, -1))
    keyword = next(filter(canonical_path, ends), "")
    return word, "" if keyword.endswith("Sequence") else keyword


class EntryReader:
    """Base of the parsers of entries of rules.yaml; collects problems with their places."""

    def __init__(
        self, document: Document, templates: AbstractSet[Any] | None, problems: list[str]
    ) -> None:
        self._document = document
        self._templates = templates
        self._problems = problems

    def _check_keys(self, entry: dict[Any, Any], known: tuple[str, ...], at: Location) -> None:
        for key in entry:
            if key not in known and not self._is_searched:
                self._add((*at, key), "unknown key")
            elif key not in known:
                _, keyword = _begin(str(key))
                # What follows a keyword may be a value of a patient.
                shown = key if keyword in ("", key) else f"{keyword}..."
                self._add((*at, key), f"unknown key '{shown}'{suggest_key(key, known)}")

    def _check_template(self, name: str, at: Location) -> None:
        if self._templates is not None and name not in self._templates:
            near = suggest(name, self._templates) if self._is_searched else ""
            self._add(at, f"no template '{name}' in templates.yaml{near}")

    def _path(self, keyword: Any, at: Location) -> str | None:
        """Return the canonical path of an element; None, with the problem added, if invalid."""
        path = canonical_path(keyword) if isinstance(keyword, str) else None
        if path is None and (meant := combination_meant(keyword)):
            self._add(at, f"unknown key '{keyword}'; did you mean '{meant}:'?")
        elif path is None:
            self._add(at, _no_keyword(str(keyword)) if self._is_searched else "no DICOM keyword")
        return path

    @property
    def _is_searched(self) -> bool:
        """Whether the next problem is shown, and so is worth the search for what was meant."""
        return len(self._problems) < MOST_PROBLEMS

    def _add(self, at: Location, what: str) -> None:
        self._problems.append(f"{self._document.place(at)}: {what}")


class RuleReader(EntryReader):
    """Parser of an entry under `rules`."""

    def read(self, entry: Any, at: Location) -> Rule | None:
        """Return the rule; None if it is invalid."""
        if not isinstance(entry, dict):
            self._add(at, "a rule has keys: name, template, when")
            return None
        self._check_keys(entry, _KEYS, at)
        name = entry.get("name")
        if name is None:
            self._add(at, "'name' is missing")
        elif not isinstance(name, str) or not name:
            self._add((*at, "name"), f"'name' should be a text{QUOTE_IT}")
        elif len(name) > LONGEST_NAME:
            self._add((*at, "name"), f"'name' has more than {LONGEST_NAME} characters")
        first, others = self._outcome(entry, at)
        self._check_priority(entry, at)
        late = entry.get("late")
        if late is not None and late not in LATE:
            near = suggest(late, LATE)
            self._add((*at, "late"), f"'late' is one of {', '.join(LATE)}{near}")
        if "when" not in entry:
            self._add(at, "'when' is missing")
            return None
        when = self._condition(entry["when"], (*at, "when"))
        if when is None or not isinstance(name, str):
            return None
        return Rule(
            name=name,
            template=first,
            others=others,
            when=when,
            exclude=entry.get("exclude") is True,
            priority=entry["priority"] if isinstance(entry.get("priority"), int) else 0,
            enabled=entry.get("enabled") is not False,
            late=late if late in LATE else None,
        )

    def _outcome(self, entry: dict[str, Any], at: Location) -> tuple[str | None, tuple[str, ...]]:
        """Return the first and the other templates of a rule."""
        exclude, template, many = (entry.get(key) for key in ("exclude", "template", "templates"))
        if not isinstance(entry.get("exclude", False), bool):
            self._add((*at, "exclude"), "'exclude' is true or false")
        elif exclude:
            for key in ("template", "templates"):
                if entry.get(key) is not None:
                    self._add((*at, key), "a rule with 'exclude: true' has no template")
        elif many is not None:
            if template is not None or not isinstance(many, list) or not many:
                self._add((*at, "templates"), "'templates' is a list, without 'template'")
                return None, ()
            names = [self._template(name, (*at, "templates", n)) for n, name in enumerate(many)]
            return names[0], tuple(name for name in names[1:] if name)
        elif template is None:
            self._add(at, "'template' is missing")
        else:
            return self._template(template, (*at, "template")), ()
        return None, ()

    def _template(self, name: Any, at: Location) -> str | None:
        if not isinstance(name, str):
            self._add(at, f"'template' should be a name{QUOTE_IT}")
            return None
        self._check_template(name, at)
        return name

    def _check_priority(self, entry: dict[str, Any], at: Location) -> None:
        priority, enabled = entry.get("priority", 0), entry.get("enabled", True)
        if isinstance(priority, bool) or not isinstance(priority, int) or abs(priority) > _HIGHEST:
            self._add((*at, "priority"), "'priority' should be a whole number; higher comes first")
        if not isinstance(enabled, bool):
            self._add((*at, "enabled"), "'enabled' is true or false")

    def _condition(self, entry: Any, at: Location) -> Condition | None:
        """Return the condition under `when` or `not`, or of an item of a list."""
        if entry == "always":
            return Every(())
        if not isinstance(entry, dict) or not entry:
            self._add(at, "a condition is 'all:', 'any:', 'not:' or 'Keyword: value'")
            return None
        parts = [self._single(key, value, (*at, key)) for key, value in entry.items()]
        good = [part for part in parts if part is not None]
        if len(good) < len(parts):
            return None
        return good[0] if len(good) == 1 else Every(tuple(good))

    def _single(self, key: Any, value: Any, at: Location) -> Condition | None:
        if key in ("all", "any"):
            if not isinstance(value, list) or not value:
                self._add(at, f"'{key}' is a list of conditions, each with '- '")
                return None
            parts = [self._condition(item, (*at, index)) for index, item in enumerate(value)]
            good = tuple(part for part in parts if part is not None)
            whole = Every(good) if key == "all" else Either(good)
            return whole if len(good) == len(parts) else None
        if key == "not":
            part = self._condition(value, at)
            return None if part is None else Negation(part)
        return self._compare(key, value, at)

    def _compare(self, keyword: Any, value: Any, at: Location) -> Condition | None:
        path = self._path(keyword, at)
        if path is None:
            return None
        tests = value if isinstance(value, dict) else {"equals": value}
        options = {key: value for key, value in tests.items() if key in OPTIONS}
        asked = {key: value for key, value in tests.items() if key not in OPTIONS}
        if not asked:
            self._add(at, f"'{keyword}' has no operator")
        if not self._check_options(options, at):
            return None
        compared = [self._test(path, op, value, options, (*at, op)) for op, value in asked.items()]
        good = [part for part in compared if part is not None]
        if not good or len(good) < len(compared):
            return None
        return good[0] if len(good) == 1 else Every(tuple(good))

    def _check_options(self, options: dict[str, Any], at: Location) -> bool:
        wrong = [key for key, value in options.items() if not _is_choice(value, OPTIONS[key])]
        for key in wrong:
            choices = ", ".join(str(value).lower() for value in OPTIONS[key])
            self._add((*at, key), f"'{key}' is one of {choices}")
        return not wrong

    def _test(
        self, path: str, operator: Any, wanted: Any, options: dict[str, Any], at: Location
    ) -> Compare | None:
        if operator not in OPERATORS:
            shown = operator_meant(operator) or not is_withheld(path)  # else it may be a value
            what = f"no operator '{operator}'" if shown else "no such operator"
            self._add(at, f"{what}{suggest_operator(operator, path)}")
            return None
        if operator in PRESENCE:
            if not isinstance(wanted, bool):
                self._add(at, f"'{operator}' is true or false")
                return None
        elif operator in LISTS and (not isinstance(wanted, list) or not wanted):
            self._add(at, f"'{operator}' is a list of values, such as [CT, PT]")
            return None
        elif operator not in LISTS and isinstance(wanted, list):
            text = "is compared with one value; for several write {in: [...]}"
            self._add(at, f"'{path}' {text}")
            return None
        try:
            wanted = tuple(wanted) if isinstance(wanted, list) else wanted
            return Compare(path, operator, wanted, **options)
        except ValueError as err:
            text = _without_value(str(err)) if is_withheld(path) else str(err)
            quote = QUOTE_IT if "put it in quotes" in text else ""
            meant = instead_of(wanted) if operator == "equals" and not is_withheld(path) else ""
            write = f"; write {path}: {meant}" if meant else ""
            self._add(at, f"'{path}' {text.removesuffix('; put it in quotes')}{quote}{write}")
            return None


def _without_value(text: str) -> str:
    """Return the message of an error in a condition without the value in it.

    >>> _without_value("holds a number; 'X17' is none")
    'holds a number; what it is compared with is none'
    """
    before, quoted, _ = text.partition("; '")
    if quoted:
        return f"{before}; what it is compared with is none"
    return text.partition(" that cannot be read: ")[0]


def _is_choice(value: Any, choices: tuple[Any, ...]) -> bool:
    """Return whether a value is a choice of the same type: True is not 1."""
    return any(value == choice and type(value) is type(choice) for choice in choices)
