"""rules.yaml and templates.yaml: read together, checked together, every problem told at once."""

import hashlib
import re
import subprocess
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from drawcli.core.appearance import LONGEST_ROI_NAME
from drawcli.core.rules import OPERATORS, Compare, Condition, Either, Every, Negation, Rule
from drawcli.core.templates import NAME_PATTERN, Template
from drawcli.errors import ConfigError
from drawcli.yamlfile import Document, Location, meant, problems_of, raise_all, read_yaml

_RULE_KEYS: Final = ("name", "template", "when", "exclude", "comment")
_GIT_SECONDS: Final = 10
_QUOTE_IT: Final = "; put it in quotes where it looks like a number, a date, yes or no"
_UNREADABLE: Final = object()  # in place of the data of a file whose problems are told already
_HINT: Final = "Mend the file and run the command again; until then the jobs wait."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The rules and templates of a site, as they are now."""

    rules: tuple[Rule, ...]
    templates: Mapping[str, Template]
    digest: str  # SHA-256 over both files, 64 hex digits
    commit: str | None  # of git, with "+" where the files differ from it


def read_rulebook(
    rules_path: Path, templates_path: Path, longest_name: int = LONGEST_ROI_NAME
) -> Rulebook:
    """Read and check both files; no structure may come home under a name longer than given.

    Raises
    ------
    ConfigError
        With one line a problem; nothing is matched with half a file.
    """
    problems, hints = list[str](), [_HINT]
    templates_file = _read(templates_path, problems, hints)
    rules_file = _read(rules_path, problems, hints)
    templates = dict(_templates(templates_file, longest_name, problems))
    rules = tuple(_rules(rules_file, _names(templates_file), problems))
    raise_all(problems, hint=hints[-1])
    digest = hashlib.sha256(rules_file.source + b"\0" + templates_file.source).hexdigest()
    commit = _git_commit(rules_path, templates_path)
    return Rulebook(rules=rules, templates=templates, digest=digest, commit=commit)


def _read(path: Path, problems: list[str], hints: list[str]) -> Document:
    """Return a file; an empty one with its problems told where it is no YAML."""
    try:
        return read_yaml(path)
    except ConfigError as err:
        problems.extend(str(err).splitlines())
        hints.append(err.hint or _HINT)
        return Document(path, _UNREADABLE, b"", {})


def _names(document: Document) -> frozenset[Any] | None:
    """Return the names under `templates`, of faulty ones too; None where they are unknown."""
    entries = document.data.get("templates") if isinstance(document.data, dict) else None
    return frozenset(entries) if isinstance(entries, dict) else None


def _templates(
    document: Document, longest_name: int, problems: list[str]
) -> Iterator[tuple[str, Template]]:
    entries = _section(document, "templates", dict, problems)
    for name, entry in entries.items() if entries else ():
        where = ("templates", name)
        if not isinstance(name, str) or not re.fullmatch(NAME_PATTERN, name):
            problems.append(
                f"{document.place(where)}: '{name}' is no template name: letters, digits, _ and - "
                f"only, at most 128{_QUOTE_IT if not isinstance(name, str) else ''}"
            )
            continue
        try:
            template = Template.model_validate(entry)
        except ValidationError as err:
            problems += problems_of(err, Template, document, top=where)
            continue
        if template.twice:
            names = ", ".join(template.twice)
            problems.append(f"{document.place(where)}: two models draw the same structure: {names}")
        too_long = [shown for shown in template.shown if len(shown) > longest_name]
        if too_long:
            problems.append(
                f"{document.place(where)}: deliver.longest_name is {longest_name}, longer are: "
                f"{', '.join(too_long)}; give them a label under 'structures:'"
            )
        yield name, template


def _rules(
    document: Document, templates: AbstractSet[Any] | None, problems: list[str]
) -> Iterator[Rule]:
    names: set[str] = set()
    for index, entry in enumerate(_section(document, "rules", list, problems) or ()):
        reader = _RuleReader(document, templates, problems)
        rule = reader.read(entry, ("rules", index))
        if rule is None:
            continue
        if rule.name in names:
            where = document.place(("rules", index, "name"))
            problems.append(f"{where}: a second rule is called '{rule.name}'")
        names.add(rule.name)
        yield rule


def _section(document: Document, name: str, kind: type, problems: list[str]) -> Any:
    """Return the one top-level section of a file, or None with a problem told."""
    data = document.data
    if data is _UNREADABLE:
        return None
    shape = "a list, each entry with '- '" if kind is list else "entries by name"
    if not isinstance(data, dict) or name not in data:
        near = next(
            (key for key in data or () if isinstance(data, dict) and meant(key, [name])), ""
        )
        instead = f"; '{near}' stands there instead" if near else "; the file begins with it"
        problems.append(f"{document.place((near,))}: '{name}:' is missing{instead}")
        return None
    problems.extend(
        f"{document.place((other,))}: unknown key '{other}'{meant(other, [name])}"
        for other in data
        if other != name
    )
    if data[name] is None:
        return kind()
    if not isinstance(data[name], kind):
        problems.append(f"{document.place((name,))}: '{name}' should hold {shape}")
        return None
    return data[name]


class _RuleReader:
    """Turns one entry of rules.yaml into a rule; tells every problem, not just the first."""

    def __init__(
        self, document: Document, templates: AbstractSet[Any] | None, problems: list[str]
    ) -> None:
        self._document = document
        self._templates = templates
        self._problems = problems

    def read(self, entry: Any, at: Location) -> Rule | None:
        """Return the rule, or None where it cannot be used."""
        if not isinstance(entry, dict):
            self._tell(at, "a rule has keys: name, template, when")
            return None
        for key in entry:
            if key not in _RULE_KEYS:
                self._tell((*at, key), f"unknown key '{key}'{meant(key, _RULE_KEYS)}")
        name, template = entry.get("name"), entry.get("template")
        if name is None:
            self._tell(at, "'name' is missing")
        elif not isinstance(name, str) or not name:
            self._tell((*at, "name"), f"'name' should be a text{_QUOTE_IT}")
        exclude = entry.get("exclude", False)
        self._check_outcome(template, exclude, at)
        if "when" not in entry:
            self._tell(at, "'when' is missing")
            return None
        when = self._condition(entry["when"], (*at, "when"))
        if when is None or not isinstance(name, str):
            return None
        return Rule(name=name, template=template, when=when, exclude=exclude is True)

    def _check_outcome(self, template: Any, exclude: Any, at: Location) -> None:
        """Tell what is wrong with what a rule leads to: a template, or nothing sent."""
        if not isinstance(exclude, bool):
            self._tell((*at, "exclude"), "'exclude' is true or false")
        elif exclude:
            if template is not None:
                self._tell((*at, "template"), "a rule with 'exclude: true' has no template")
        elif template is None:
            self._tell(at, "'template' is missing")
        elif not isinstance(template, str):
            self._tell((*at, "template"), f"'template' should be a name{_QUOTE_IT}")
        elif self._templates is not None and template not in self._templates:
            near = meant(template, self._templates)
            self._tell((*at, "template"), f"no template '{template}' in templates.yaml{near}")

    def _condition(self, entry: Any, at: Location) -> Condition | None:
        """Return the condition under `when`, an item of a list, or what `not` turns round."""
        if not isinstance(entry, dict) or not entry:
            self._tell(at, "a condition is 'all:', 'any:', 'not:' or 'Keyword: value'")
            return None
        parts = [self._single(key, value, (*at, key)) for key, value in entry.items()]
        good = [part for part in parts if part is not None]
        if len(good) < len(parts):
            return None
        return good[0] if len(good) == 1 else Every(tuple(good))

    def _single(self, key: Any, value: Any, at: Location) -> Condition | None:
        if key in ("all", "any"):
            if not isinstance(value, list) or not value:
                self._tell(at, f"'{key}' holds a list of conditions, each with '- '")
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
        from pydicom.datadict import keyword_dict

        if not keyword or keyword not in keyword_dict:
            self._tell(at, f"no DICOM keyword '{keyword}'{meant(keyword, keyword_dict)}")
            return None
        tests = value if isinstance(value, dict) else {"equals": value}
        if not tests:
            self._tell(at, f"'{keyword}' lacks what it is compared with")
        compared = [self._test(keyword, op, wanted, (*at, op)) for op, wanted in tests.items()]
        good = [part for part in compared if part is not None]
        if not good or len(good) < len(compared):
            return None
        return good[0] if len(good) == 1 else Every(tuple(good))

    def _test(self, keyword: str, operator: Any, wanted: Any, at: Location) -> Compare | None:
        if operator not in OPERATORS:
            self._tell(at, f"no operator '{operator}'{meant(operator, OPERATORS)}")
            return None
        if isinstance(wanted, list):
            self._tell(at, f"'{keyword}' is compared with one value; list conditions under 'any:'")
            return None
        if isinstance(wanted, bool) or not isinstance(wanted, str | int | float):
            self._tell(at, f"'{keyword}' is compared with a text or a number{_QUOTE_IT}")
            return None
        if not str(wanted).strip():
            self._tell(at, f"'{keyword}' is compared with an empty text")
            return None
        return Compare(keyword, operator, str(wanted))

    def _tell(self, at: Location, what: str) -> None:
        self._problems.append(f"{self._document.place(at)}: {what}")


def _git_commit(*paths: Path) -> str | None:
    """Return the commit of the folder the rules lie in; "+" behind it where a file differs.

    A file that git does not know, or ignores, differs from every commit.
    """
    folder = paths[0].parent
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not head:
        return None
    files = [str(path.absolute()) for path in paths]
    changed = _git(folder, "status", "--porcelain", "--ignored", "--", *files)
    return head + ("" if changed == "" else "+")


def _git(folder: Path, *words: str) -> str | None:
    """Return what git says, or None where it fails."""
    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    try:
        done = subprocess.run(  # noqa: S603 - fixed words, and paths of the site's own settings
            command, capture_output=True, text=True, timeout=_GIT_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
