"""Reading and checking rules.yaml and templates.yaml; all problems are reported together."""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Final

from drawcli.adapters.rulebook.rules_file import QUOTE_IT, RuleReader
from drawcli.adapters.rulebook.tests_file import Case, CaseReader
from drawcli.core.rules.conditions import Rule
from drawcli.core.rules.prefilter import Rules
from drawcli.core.templates.appearance import LONGEST_ROI_NAME
from drawcli.core.templates.template import NAME_PATTERN, Template
from drawcli.errors import ConfigError, UsageError
from drawcli.system.limits import EXCHANGES
from drawcli.system.records import Invalid, message, suggest
from drawcli.system.yaml_read import Document, raise_problems, read_yaml

if TYPE_CHECKING:
    from drawcli.config.load import Settings

_COMMIT: Final = re.compile(r"[0-9a-f]{7,64}")
_UNREADABLE: Final = object()  # the data of a file whose problems are already reported
_HINT: Final = "Correct the file and run the command again; until then the jobs wait."


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The rules and templates of a site."""

    rules: Rules
    templates: Mapping[str, Template]
    cases: tuple[Case, ...] = ()  # the tests of the rules file
    digest: str  # SHA-256 over both files, 64 hex digits
    commit: str | None  # of git, with "+" if the files differ from it

    def template_named(self, name: str) -> Template:
        """Return a template; raise UsageError if there is none of this name."""
        if name not in self.templates:
            near = suggest(name, self.templates)
            raise UsageError(
                f"there is no template '{name}' in templates.yaml{near}",
                hint="'drawcli templates list' lists them.",
            )
        return self.templates[name]


def site_rulebook(
    settings: "Settings",
    *,
    rules: Path | Document | None = None,
    templates: Path | Document | None = None,
) -> Rulebook:
    """Read and check the rules and templates of a site, or those given in their place.

    Raises
    ------
    ConfigError
        With one line for each problem.
    """
    longest = settings.deliver.longest_name
    return read_rulebook(rules or settings.rules, templates or settings.templates, longest)


def read_rulebook(
    rules: Path | Document, templates: Path | Document, longest_name: int = LONGEST_ROI_NAME
) -> Rulebook:
    """Read and check rules and templates, from files or from documents that need not be on disk.

    No structure may be delivered under a name longer than `longest_name`, in characters.
    """
    problems, hints = list[str](), [_HINT]
    templates_file = _read(templates, problems, hints)
    rules_file = _read(rules, problems, hints)
    by_name = dict(_templates(templates_file, longest_name, problems))
    names = _names(templates_file)
    checked = Rules(_rules(rules_file, names, problems))
    cases = tuple(CaseReader(rules_file, names, problems).read_all())
    raise_problems(problems, hint=hints[-1])
    digest = hashlib.sha256(rules_file.source + b"\0" + templates_file.source).hexdigest()
    commit = _git_commit(rules_file.path, templates_file.path)
    return Rulebook(rules=checked, templates=by_name, cases=cases, digest=digest, commit=commit)


def check_templates(document: Document, longest_name: int) -> None:
    """Raise ConfigError with the problems of the templates of a document, if there are any."""
    problems = list[str]()
    _ = dict(_templates(document, longest_name, problems))
    raise_problems(problems)


def check_rules(document: Document, templates: AbstractSet[Any]) -> None:
    """Raise ConfigError with the problems of the rules of a document, if there are any."""
    problems = list[str]()
    _ = list(_rules(document, templates, problems))
    raise_problems(problems)


def earlier_rulebook(old: str, settings: "Settings") -> Rulebook:
    """Read earlier rules: another rules file with the templates.yaml beside it, or a git revision.

    Raises
    ------
    UsageError
        If `old` is neither a file nor a revision that contains the rules.
    """
    if Path(old).is_file():
        beside = Path(old).with_name(settings.templates.name)
        templates = beside if beside.is_file() else None
        return site_rulebook(settings, rules=Path(old), templates=templates)
    with TemporaryDirectory() as folder:
        copies = [Path(folder) / "rules.yaml", Path(folder) / "templates.yaml"]
        for path, copy in zip((settings.rules, settings.templates), copies, strict=True):
            if (
                old.startswith("-")
                or (text := _git(path.parent, "show", f"{old}:./{path.name}")) is None
            ):
                raise UsageError(
                    f"'{old}' is neither a file nor a git revision that contains {path.name}",
                    hint="Name another rules.yaml, or a revision such as HEAD or HEAD~3.",
                )
            copy.write_text(text + "\n", encoding="utf-8")
        return site_rulebook(settings, rules=copies[0], templates=copies[1])


def _read(path: Path | Document, problems: list[str], hints: list[str]) -> Document:
    """Return a file; an empty one, with its problems added, if it is not valid YAML."""
    if isinstance(path, Document):
        return path
    try:
        return read_yaml(path)
    except ConfigError as err:
        problems.extend(str(err).splitlines())
        hints.append(err.hint or _HINT)
        return Document(path, _UNREADABLE, b"", {})


def _names(document: Document) -> frozenset[Any] | None:
    """Return the names under `templates`, also of faulty templates; None if unknown."""
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
                f"{document.place(where)}: '{name}' is not a template name: at most 128 letters, "
                f"digits, _ and -{QUOTE_IT if not isinstance(name, str) else ''}"
            )
            continue
        try:
            template = Template.read(entry)
        except Invalid as err:
            problems += [
                f"{document.place((*where, *problem[0]))}: {message(problem)}"
                for problem in err.problems
            ]
            continue
        if template.duplicate_names:
            names = ", ".join(template.duplicate_names)
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
        reader = RuleReader(document, templates, problems)
        rule = reader.read(entry, ("rules", index))
        if rule is None:
            continue
        if rule.name in names:
            where = document.place(("rules", index, "name"))
            problems.append(f"{where}: another rule has the name '{rule.name}'")
        names.add(rule.name)
        yield rule


def _section(document: Document, name: str, kind: type, problems: list[str]) -> Any:
    """Return the top-level section of a file; None, with the problem added, if it is invalid."""
    data = document.data
    if data is _UNREADABLE:
        return None
    shape = "a list, each entry with '- '" if kind is list else "entries by name"
    if not isinstance(data, dict) or name not in data:
        keys = data if isinstance(data, dict) else ()
        near = next((key for key in keys if suggest(key, [name])), "")
        instead = f"; found '{near}' instead" if near else "; the file begins with it"
        problems.append(f"{document.place((near,))}: '{name}:' is missing{instead}")
        return None
    problems.extend(
        f"{document.place((other,))}: unknown key '{other}'{suggest(other, [name])}"
        for other in data
        if other != name and (name, other) != ("rules", "tests")
    )
    if data[name] is None:
        return kind()
    if not isinstance(data[name], kind):
        problems.append(f"{document.place((name,))}: '{name}' should be {shape}")
        return None
    return data[name]


def _git_commit(*paths: Path) -> str | None:
    """Return the commit of the folder of the rules, with "+" if a file differs or is untracked."""
    folder = paths[0].parent
    if not _is_under_git(folder):
        return None
    head = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not _COMMIT.fullmatch(head or ""):
        return None
    files = [str(path.absolute()) for path in paths]
    changed = _git(folder, "status", "--porcelain", "--ignored", "--", *files)
    return f"{head}{'' if changed == '' else '+'}"


def is_for_git(path: Path) -> bool:
    """Return whether git has a file, or would add it."""
    if not _is_under_git(path.parent):
        return False
    found = ("--cached", "--others", "--exclude-standard", "--", str(path.absolute()))
    return bool(_git(path.parent, "ls-files", *found))


def _is_under_git(folder: Path) -> bool:
    """Return whether git could know a folder: most sites need no process for it."""
    place = folder.resolve()
    is_found = any(os.path.lexists(above / ".git") for above in (place, *place.parents))
    return is_found or "GIT_DIR" in os.environ


def _git(folder: Path, *words: str) -> str | None:
    """Return the output of git, None if it fails."""
    from drawcli.system.programs import run_program  # its threads cost each start some milliseconds

    command = ["git", "--no-optional-locks", "-C", str(folder), *words]
    ended = run_program(command, EXCHANGES["git"])
    return ended.output.decode("utf-8", "replace").strip() if ended.code == 0 else None
