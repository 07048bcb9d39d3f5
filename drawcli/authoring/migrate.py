"""Migrates rules and templates of a former DRAW client to the files of a site.

No meaning changes silently: a rule that our language cannot express is added to rules.yaml as a
comment, a difference is noted in a comment of the rule, and existing entries are not changed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from drawcli.adapters.rulebook.rulebook import read_rulebook
from drawcli.authoring.former_export import FormerExport, FormerRule
from drawcli.authoring.former_templates import notes_of, plans_of
from drawcli.authoring.new_template import Plan, import_template, plain_name
from drawcli.core.rules.former_client import UntranslatableError, When
from drawcli.core.templates.appearance import LONGEST_ROI_NAME
from drawcli.errors import ConfigError, UsageError
from drawcli.system.files import write_durably
from drawcli.system.yaml_edit import YamlEntry, add_comment, add_entries, flow_style, replace_file
from drawcli.system.yaml_read import Document, parse_yaml, read_yaml

TRANSLATED: Final = "translated"
DIFFERENT: Final = "translated, and differs"
LEFT: Final = "not translated"
THERE: Final = "there already"
_FOR_GIT: Final = 0o644  # the mode that `init` uses
_SINGLE: Final = (
    "The former client tested the first image of a series; drawcli tests every slice, and an "
    "element that differs between slices does not match."
)
_MANY: Final = (
    "If several rule groups matched, the former client sent the series for each: 'match.on_many: "
    "all' does the same; 'hold', the default, holds the series for a decision."
)


@dataclass(frozen=True, slots=True)
class MigratedItem:
    """A rule or template of the former client, and the outcome of its migration."""

    kind: str  # "rule" or "template"
    name: str
    outcome: str
    why: tuple[str, ...] = ()

    def as_plain(self) -> dict[str, Any]:
        """Return it as a dict for JSON."""
        return {
            "kind": self.kind,
            "name": self.name,
            "outcome": self.outcome,
            "why": list(self.why),
        }


@dataclass(slots=True)
class Migration:
    """Migrated rules and templates; nothing is written until `write`."""

    rules: Document
    templates: Document
    longest_name: int = LONGEST_ROI_NAME  # of a structure, in characters
    is_new: bool = False  # the files do not exist yet
    taken: list[MigratedItem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _before: tuple[Document, Document] = field(init=False)
    _names: dict[str, str] = field(default_factory=dict)  # of templates: former -> ours

    def __post_init__(self) -> None:
        """Keep the original files; raise ConfigError if they have errors."""
        self._before = (self.rules, self.templates)
        if not self.is_new:
            read_rulebook(self.rules, self.templates, self.longest_name)

    @property
    def has_doubts(self) -> bool:
        """Whether an item needs a review."""
        return any(one.outcome in (DIFFERENT, LEFT) for one in self.taken)

    def take(self, paths: Sequence[Path]) -> None:
        """Migrate files: exports (JSON) and templates (YAML); templates first."""
        dumps = [FormerExport(path) for path in paths if path.suffix.casefold() == ".json"]
        for path in paths:
            if path.suffix.casefold() != ".json":
                self._take_template(import_template(path, None))
        for dump in dumps:
            for plan in plans_of(dump):
                self._take_template(*plan)
            self.notes += notes_of(dump)
        found = [one for dump in dumps for one in dump.rules()]
        for one in found:
            self._take_rule(one)
        if found:
            self.notes += [_SINGLE, *([_MANY] if any(d.all("rulegroup") for d in dumps) else ())]

    def write(self) -> None:
        """Write both files; raise ConfigError if one changed meanwhile."""
        for before, after in zip(self._before, (self.rules, self.templates), strict=True):
            if self.is_new:
                after.path.parent.mkdir(parents=True, exist_ok=True)
                write_durably(after.path, after.source, mode=_FOR_GIT)
            elif before.source != after.source:
                replace_file(before, after)

    def _tell(self, kind: str, name: str, outcome: str, *why: str) -> None:
        self.taken.append(MigratedItem(kind, name, outcome, why))

    def _take_template(self, plan: Plan, former: str = "", flaw: str = "") -> None:
        """Migrate a template; the remarks on one from its own file are not differences."""
        name, there = plan.name, self._template_names()
        try:
            self.templates = self._with_template(plan, flaw)
        except (UntranslatableError, ConfigError, yaml.YAMLError) as err:
            return self._tell("template", former or name, LEFT, *_why(err))
        renamed = [f"its name is now {name}"] if former not in ("", name) else []
        changed = DIFFERENT if former and plan.remarks else TRANSLATED
        self._names[former or name] = name
        outcome = THERE if name in there else changed
        return self._tell("template", former or name, outcome, *renamed, *plan.remarks)

    def _with_template(self, plan: Plan, flaw: str) -> Document:
        there = self._template_names()
        if flaw:
            raise UntranslatableError(flaw)
        if plan.name not in there:
            after = add_entries(self.templates, plan.entry)
            read_rulebook(self.rules, after, self.longest_name)
            return after
        if there[plan.name] != yaml.safe_load(plan.entry.text)[plan.name]:
            raise UntranslatableError("another template has this name")
        return self.templates

    def _template_names(self) -> dict[str, Any]:
        """Return the templates of the file, with those added so far."""
        return (self.templates.data or {}).get("templates") or {}

    def _take_rule(self, former: FormerRule) -> None:
        before = self.rules
        try:
            when, remarks = former.when()
            lines = tuple(_rule_lines(former.name, self._template(former), when, remarks))
            self.rules = self._with_rule(YamlEntry("rules", lines))
        except (UntranslatableError, ConfigError, yaml.YAMLError) as err:
            self._comment(former, "; ".join(_why(err)[:1]))
            return self._tell("rule", former.name, LEFT, *_why(err))
        changed = DIFFERENT if remarks else TRANSLATED
        outcome = THERE if self.rules is before else changed
        return self._tell("rule", former.name, outcome, *remarks)

    def _with_rule(self, entry: YamlEntry) -> Document:
        (wanted,) = yaml.safe_load(entry.text)
        rules = (self.rules.data or {}).get("rules") or ()
        there = [one for one in rules if one.get("name") == wanted["name"]]
        if not there:
            after = add_entries(self.rules, entry)
            read_rulebook(after, self.templates, self.longest_name)
            return after
        if wanted not in there:
            raise UntranslatableError("another rule has this name")
        return self.rules

    def _template(self, former: FormerRule) -> str:
        """Return our name for the template of a rule."""
        if not former.template:
            raise UntranslatableError("has no template, so nothing was sent")
        ours = self._names.get(former.template) or plain_name(former.template)
        if ours not in self._template_names():
            raise UntranslatableError(f"its template '{former.template}' was not migrated")
        return ours

    def _comment(self, former: FormerRule, why: str) -> None:
        """Add a rule that cannot be translated to the file as a comment."""
        template = former.template or "no template"
        head = f"not translated: rule '{former.name}' for {template}: {why.splitlines()[0]}"
        lines = [head, *(f"  {line}" for line in former.lines())]
        if f"# {head}".encode() not in self.rules.source:
            self.rules = add_comment(self.rules, lines)


def _why(err: Exception) -> list[str]:
    """Return the lines of the reason why an item is not migrated."""
    if isinstance(err, yaml.YAMLError):
        return ["contains a text that YAML does not allow there: too long, or more than one line"]
    return str(err).splitlines()


def migrate_to_folder(folder: Path) -> Migration:
    """Return a migration into a folder without rules and templates.

    Raises
    ------
    UsageError
        If it has such files.
    """
    paths = [folder / "rules.yaml", folder / "templates.yaml"]
    for path in paths:
        if path.exists():
            raise UsageError(f"{path} already exists", hint="Name another folder with --to.")
    rules, templates = (parse_yaml(path, f"{path.stem}:\n".encode()) for path in paths)
    return Migration(rules, templates, is_new=True)


def migrate_to_site(rules: Path, templates: Path, longest_name: int) -> Migration:
    """Return a migration into the files of a site; raise ConfigError if they have errors."""
    return Migration(read_yaml(rules), read_yaml(templates), longest_name)


def _rule_lines(name: str, template: str, when: When, remarks: list[str]) -> Iterator[str]:
    yield f"- name: {flow_style(name)}"
    yield from (f"  # differs from the former client: {remark}" for remark in remarks)
    yield f"  template: {flow_style(template)}"
    yield f"  when: {flow_style(when)}" if not {"all", "any"} & {*when} else "  when:"
    for key in ("all", "any"):
        if key in when:
            yield f"    {key}:"
            yield from (f"      - {flow_style(part)}" for part in when[key])
