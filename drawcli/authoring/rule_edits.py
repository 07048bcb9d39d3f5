"""Edits of one rule of rules.yaml as text; see `file_drafts`."""

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from drawcli.authoring.file_drafts import Edit
from drawcli.authoring.new_rule import case_name, case_of_series
from drawcli.authoring.rule_form import RuleForm
from drawcli.core.rules.conditions import RuleHeader
from drawcli.errors import ConfigError, UsageError
from drawcli.pipeline.context import Context
from drawcli.system.yaml_edit import YamlEntry, add_entries
from drawcli.system.yaml_read import Document, parse_yaml
from drawcli.system.yaml_text.blocks import block_lines
from drawcli.system.yaml_text.splice import (
    with_entry_moved,
    with_entry_text,
    with_value,
    without_entry,
)

_COUNTED: Final = re.compile(r"(?<! ) *+# \d+ of \d+ series known when this was written(\r?)$")
_IN_TEXT: Final = Path("this rule")
LARGEST_TEXT: Final = 32_000  # characters of one rule


def rules_in(document: Document) -> list[Any]:
    """Return the rules of a file as data."""
    data = document.data if isinstance(document.data, dict) else {}
    rules = data.get("rules")
    return rules if isinstance(rules, list) else []


class RulePlace(NamedTuple):
    """A rule of the file as a page has shown it."""

    number: int  # from 0
    name: str = ""  # "" if it had none

    def find(self, document: Document) -> int:
        """Return its present number; UsageError if it is not in the file any more."""
        names = [name_of(rule) for rule in rules_in(document)]
        if self.number < len(names) and names[self.number] == self.name:
            return self.number
        if self.name not in names or not self.name:
            raise UsageError(
                "the rule is not in the file any more", hint="Reload the list of rules."
            )
        return names.index(self.name)


def name_of(rule: Any) -> str:
    """Return the name of a rule's data; "" if it has none."""
    return str(rule.get("name") or "") if isinstance(rule, dict) else ""


def rule_changed(place: RulePlace, form: RuleForm, origin: bytes | None = None) -> Edit:
    """Return the edit that changes a rule to what a form says.

    Parameters
    ----------
    place, form
        The rule, and what it is to say.
    origin
        The text of the file that the form was made from: keys of the rule that the user has not
        changed stay as others have written them since. None: all become those of the form.
    """

    def edit(document: Document) -> Document:
        number = place.find(document)
        present = rules_in(document)[number]
        wanted = form.data(present)
        if origin is not None and origin != document.source:
            first = parse_yaml(document.path, origin)
            before = rules_in(first)[place.find(first)]
            wanted = _merged(before, form.data(before), present)
        after = with_value(document, ("rules", number), wanted)
        return _without_old_counts(document, after)

    return edit


def rule_added(form: RuleForm, header: RuleHeader | None, ctx: Context) -> Edit:
    """Return the edit that adds a rule, with a test if it is made from a series."""

    def edit(document: Document) -> Document:
        first, *rest = block_lines(form.data())
        rule = YamlEntry("rules", (f"- {first}", *(f"  {line}" for line in rest)))
        with_rule = add_entries(document, rule)
        if header is None:
            return with_rule
        case, _ = case_of_series(form.name, header, with_rule, ctx)
        return with_rule if case is None else add_entries(document, case, rule)

    return edit


def rule_text_changed(place: RulePlace, text: str) -> Edit:
    """Return the edit that replaces the text of a rule."""
    wanted = _single(text)

    def edit(document: Document) -> Document:
        return with_entry_text(document, ("rules", place.find(document)), text, wanted)

    return edit


def rule_switched(place: RulePlace, *, on: bool) -> Edit:
    """Return the edit that enables or disables a rule."""

    def edit(document: Document) -> Document:
        number = place.find(document)
        rule = rules_in(document)[number]
        return with_value(document, ("rules", number), {**rule, "enabled": on})

    return edit


def rule_moved(place: RulePlace, by: int) -> Edit:
    """Return the edit that moves a rule down in the order of the file, or up."""

    def edit(document: Document) -> Document:
        number = place.find(document)
        return with_entry_moved(document, ("rules", number), number + by)

    return edit


def rule_deleted(place: RulePlace) -> Edit:
    """Return the edit that removes a rule, and the test that was written with it."""

    def edit(document: Document) -> Document:
        number = place.find(document)
        name = case_name(name_of(rules_in(document)[number]))
        after = without_entry(document, ("rules", number))
        tests = after.data.get("tests") or []
        for at, test in enumerate(tests if isinstance(tests, list) else ()):
            if isinstance(test, dict) and test.get("name") == name:
                return without_entry(after, ("tests", at))
        return after

    return edit


def _merged(
    before: dict[str, Any], wanted: dict[str, Any], present: dict[str, Any]
) -> dict[str, Any]:
    """Return the present keys of a rule, with those that a user has changed."""
    gone = object()
    changed = {
        key: wanted.get(key, gone)
        for key in (*wanted, *before)
        if wanted.get(key, gone) != before.get(key, gone)
    }
    return {key: value for key, value in {**present, **changed}.items() if value is not gone}


def _single(text: str) -> Any:
    """Return the data of the text of one rule; ConfigError with its problems."""
    if len(text) > LARGEST_TEXT:
        raise ConfigError(f"the text has more than {LARGEST_TEXT} characters")
    data = parse_yaml(_IN_TEXT, text.encode("utf-8", "replace")).data
    if not isinstance(data, list) or len(data) != 1:
        raise ConfigError("this is not one rule", hint="The text begins with '- name:'.")
    return data[0]


def _without_old_counts(before: Document, after: Document) -> Document:
    """Return a document without the counts of series behind conditions that were changed."""
    known = set(before.source.decode().split("\n"))
    lines = after.source.decode().split("\n")
    texts = [line if line in known else _COUNTED.sub(r"\1", line) for line in lines]
    return parse_yaml(after.path, "\n".join(texts).encode())
