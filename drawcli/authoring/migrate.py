"""Migrates rules and templates of a former DRAW client to the files of a site.

No meaning changes silently: a rule that our language cannot express is added to rules.yaml as a
comment, as is a template that cannot be used to templates.yaml; a difference is noted in a comment
of the rule, and existing entries are not changed. A rule is bound to the record of its template,
never to a template that only has the same name.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from drawcli.adapters.rulebook.rulebook import check_rules, check_templates, read_rulebook
from drawcli.authoring.former_export import FormerExport, FormerRule, TemplateKey
from drawcli.authoring.former_files import TemplateFiles
from drawcli.authoring.former_templates import notes_of, templates_of
from drawcli.authoring.new_template import Plan
from drawcli.core.rules.former_client import When
from drawcli.core.rules.former_test import UntranslatableError
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
_RENAME: Final = "rename one of them, at the former client or here, and import again"
_PLACE: Final = re.compile(r"^.*?:\d+:\d+: ")  # in a document that holds the one entry only
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
class _Section:
    """The entries of a file: those there, those to add, and comments on those left out."""

    kind: str  # "rule" or "template"
    entries: dict[str, Any]  # by name, with those to add
    new: list[YamlEntry] = field(default_factory=list)
    comments: list[list[str]] = field(default_factory=list)

    def add(self, name: str, content: Any, entry: YamlEntry) -> bool:
        """Add an entry; return False if it is there already.

        Raises
        ------
        UntranslatableError
            If another entry has its name.
        """
        if name not in self.entries:
            self.entries[name] = content
            self.new.append(entry)
            return True
        if self.entries[name] != content:
            raise UntranslatableError(f"another {self.kind} has this name\n{_RENAME}")
        return False

    def written_to(self, document: Document) -> Document:
        """Return the document of the section with the new entries and comments."""
        after = add_entries(document, *self.new) if self.new else document
        lines = [
            comment
            for comment in self.comments
            if f"# {comment[0]}".encode() not in document.source
        ]
        separated = (line for comment in lines for line in ("", *comment))
        return add_comment(after, list(separated)[1:]) if lines else after


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
    _bound: dict[TemplateKey, str] = field(default_factory=dict)  # to names in templates.yaml
    _unbound: dict[TemplateKey, str] = field(default_factory=dict)  # why there is none
    _files: TemplateFiles = field(default_factory=TemplateFiles)
    _times: Counter[str] = field(default_factory=Counter)  # names of rules

    def __post_init__(self) -> None:
        """Keep the original files; raise ConfigError if they have errors."""
        self._before = (self.rules, self.templates)
        if not self.is_new:
            read_rulebook(self.rules, self.templates, self.longest_name)

    @property
    def has_doubts(self) -> bool:
        """Whether an item needs a review."""
        return any(item.outcome in (DIFFERENT, LEFT) for item in self.taken)

    def take(self, paths: Sequence[Path]) -> None:
        """Migrate files: exports (JSON) and templates (YAML); templates first."""
        dumps = [FormerExport(path) for path in paths if path.suffix.casefold() == ".json"]
        templates = _Section("template", dict(self._section(self.templates) or {}))
        for path in paths:
            if path.suffix.casefold() != ".json":
                self._files.add(path, lambda plan: self._take_template(templates, plan, plan.name))
        for dump in dumps:
            self._take_templates(dump, templates)
            self.notes += notes_of(dump)
        self._take_rules([rule for dump in dumps for rule in dump.rules()], templates)
        if any(dump.all("rulegroup") for dump in dumps):
            self.notes.append(_MANY)

    def _take_templates(self, dump: FormerExport, templates: _Section) -> None:
        """Migrate the templates of an export, and find those of its template files."""
        for template in templates_of(dump):
            name = self._take_template(
                templates, template.plan, template.name, flaw=template.flaw, of_export=True
            )
            if name is not None:
                self._bound[template.key] = name
        for key, record in dump.all("modelyamlinfo").items():
            try:
                self._bound[id(dump), "modelyamlinfo", key] = self._files.named(record)
            except UntranslatableError as err:
                self._unbound[id(dump), "modelyamlinfo", key] = str(err)

    def _take_rules(self, found: Sequence[FormerRule], templates: _Section) -> None:
        rules = _Section("rule", {rule["name"]: rule for rule in self._section(self.rules) or ()})
        for rule in found:
            self._take_rule(rules, templates, rule)
        self.notes += [_SINGLE] if found else []
        self.templates = templates.written_to(self.templates)
        self.rules = rules.written_to(self.rules)
        if templates.new or rules.new:
            read_rulebook(self.rules, self.templates, self.longest_name)

    def write(self) -> None:
        """Write both files; raise ConfigError if one changed meanwhile."""
        for before, after in zip(self._before, (self.rules, self.templates), strict=True):
            if self.is_new:
                after.path.parent.mkdir(parents=True, exist_ok=True)
                write_durably(after.path, after.source, mode=_FOR_GIT)
            elif before.source != after.source:
                replace_file(before, after)

    def _section(self, document: Document) -> Any:
        return (document.data or {}).get("rules" if document is self.rules else "templates")

    def _tell(self, kind: str, name: str, outcome: str, *why: str) -> None:
        self.taken.append(MigratedItem(kind, name, outcome, why))

    def _take_template(
        self,
        templates: _Section,
        plan: Plan,
        former: str,
        *,
        flaw: str = "",
        of_export: bool = False,
    ) -> str | None:
        """Migrate a template; return its name in templates.yaml, or None.

        The remarks on a template from its own file are not differences.
        """
        try:
            is_new = templates.add(plan.name, self._checked(plan, flaw), plan.entry)
        except (UntranslatableError, ConfigError, yaml.YAMLError) as err:
            why = _why(err)
            head = f"not translated: template '{former}': {why[0]}"
            templates.comments.append([head, *(f"  {line}" for line in plan.entry.lines)])
            self._tell("template", former, LEFT, *why)
            return None
        renamed = [f"its name is now {plan.name}"] if former != plan.name else []
        changed = DIFFERENT if of_export and plan.remarks else TRANSLATED
        outcome = changed if is_new else THERE
        self._tell("template", former, outcome, *renamed, *plan.remarks)
        return plan.name

    def _checked(self, plan: Plan, flaw: str) -> Any:
        """Return a template as plain data; raise an error if it cannot be used."""
        if flaw:
            raise UntranslatableError(flaw)
        document = _alone(plan.entry)
        check_templates(document, self.longest_name)
        return document.data["templates"][plan.name]

    def _take_rule(self, rules: _Section, templates: _Section, former: FormerRule) -> None:
        """Migrate a rule; further rules of one name are numbered, since names are unique here."""
        self._times[former.name] += 1
        times = self._times[former.name]
        name = former.name if times == 1 else f"{former.name} ({times})"
        try:
            when, remarks = former.when()
            template = self._template(former)
            entry = YamlEntry("rules", tuple(_rule_lines(name, template, when, remarks)))
            document = _alone(entry)
            check_rules(document, templates.entries.keys())
            is_new = rules.add(name, document.data["rules"][0], entry)
        except (UntranslatableError, ConfigError, yaml.YAMLError) as err:
            why = _why(err)
            rules.comments.append(_rule_comment(former, name, why[0]))
            return self._tell("rule", name, LEFT, *why)
        changed = DIFFERENT if remarks else TRANSLATED
        return self._tell("rule", name, changed if is_new else THERE, *remarks)

    def _template(self, former: FormerRule) -> str:
        """Return the name in templates.yaml of the template of a rule: that of its record."""
        if former.template_key is None:
            raise UntranslatableError("has no template, so nothing was sent")
        if former.template_key not in self._bound:
            why = self._unbound.get(former.template_key)
            why = why or f"its template '{former.template}' was not translated"
            raise UntranslatableError(why)
        return self._bound[former.template_key]


def _alone(entry: YamlEntry) -> Document:
    """Return a document with one entry only; raise ConfigError if it is not valid YAML."""
    lines = "".join(f"  {line}\n" for line in entry.lines)
    return parse_yaml(Path(entry.section), f"{entry.section}:\n{lines}".encode())


def _rule_comment(former: FormerRule, name: str, why: str) -> list[str]:
    """Return the comment for a rule that cannot be translated."""
    head = f"not translated: rule '{name}' for {former.template or 'no template'}: {why}"
    return [head, *(f"  {line}" for line in former.lines())]


def _why(err: Exception) -> list[str]:
    """Return the lines of the reason why an item is not migrated."""
    if isinstance(err, yaml.YAMLError):
        return ["contains a text that YAML does not allow there: too long, or more than one line"]
    return [_PLACE.sub("", line) for line in str(err).splitlines()]


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
