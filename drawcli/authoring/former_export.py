"""Reads the database export of a former DRAW client, and the rules in it.

Two clients are supported. In one, a rule group has rule sets and a set has rules, each joined to
the next by AND or OR; earlier versions have rule sets without groups. In the other, every rule of
a set must match. The field names of the records identify the client.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

from drawcli.authoring.former_records import read_entries
from drawcli.core.rules.former_client import When, join_conditions, translate
from drawcli.core.rules.former_test import FormerTest, UntranslatableError
from drawcli.errors import ConfigError
from drawcli.system.printable import plain, plain_lines

_KNOWN: Final = frozenset(
    "rulegroup ruleset rule dicomtagtype tagname autosegmentationtemplate autosegmentationmodel "
    "autosegmentationstructure structureproperties additionalstructures modelyamlinfo "
    "systemconfiguration systemsettings".split()
)
# With data of patients: read only for the history, which keeps none of these.
HISTORY: Final = frozenset(
    "dicomseries dicomseriesprocessingmodel rtstructurefileimport rtstructurefilevoidata "
    "statistics".split()
)
_ODD: Final = " odd"  # key in a record: the name of a field without a valid text
_NESTED: Final = ("roi_generation_logic", "matched_templates")  # fields that are JSON
_SECRET: Final = re.compile(r"token|password|secret|session_data|api_?key", re.IGNORECASE)
_NO_SECRET: Final = re.compile(r"endpoint|expir|valid|verified|date|time", re.IGNORECASE)
Record = Mapping[str, Any]
TemplateKey = tuple[int, str, str]  # of an export, a kind of record, and the key of the record


@dataclass(frozen=True, slots=True)
class FormerRule:
    """Tests that select a template, as the former client stored them."""

    name: str
    template: str  # the former name, for messages; "" if it had none
    template_key: TemplateKey | None  # the record, which decides: names are not unique
    sets: tuple[
        tuple[tuple[FormerTest, str], ...], ...
    ]  # each test, and the operator that joins the next one
    joiners: tuple[str, ...]  # after each set
    flaw: str = ""  # why it never matched

    def lines(self) -> Iterator[str]:
        """Yield the tests as readable lines."""
        for number, tests in enumerate(self.sets):
            last_of_all = number == len(self.sets) - 1
            for at, (asked, joiner) in enumerate(tests):
                end = at == len(tests) - 1
                yield asked.text + ("" if end else f" {joiner}")
            if not last_of_all:
                yield f"-- {self.joiners[number]} --"

    def when(self) -> tuple[When, list[str]]:
        """Return the condition in our rule language, and its differences.

        Raises
        ------
        UntranslatableError
            If our rule language cannot express it.
        """
        if self.flaw:
            raise UntranslatableError(self.flaw)
        remarks: dict[str, None] = {}
        parts = [_set_of(tests, remarks) for tests in self.sets]
        return join_conditions(parts, self.joiners[: len(parts) - 1]), list(remarks)


class FormerExport:
    """The records of an export, by kind and key."""

    def __init__(self, path: Path, kinds: Collection[str] = _KNOWN) -> None:
        self.path = path
        self._records: dict[str, dict[str, Record]] = {}
        self._owned: dict[tuple[str, str], dict[str, list[tuple[str, Record]]]] = {}
        self.passed_over: Counter[str] = Counter()  # records of other kinds: patients, series ...
        self.secrets: dict[str, None] = {}  # kind and field of tokens and the like; no values
        for entry in read_entries(path):
            kind = str(entry.get("model", "")).rpartition(".")[2].casefold()
            kind = kind if kind.isidentifier() else "unknown"
            fields = entry.get("fields")
            self.secrets |= dict.fromkeys(_secrets(kind, entry, fields))
            if kind in kinds and isinstance(fields, dict):
                self._add(kind, entry.get("pk"), _cleaned(fields))
            else:
                self.passed_over[kind] += 1

    def _add(self, kind: str, key: Any, record: Record) -> None:
        """Add a record; raise ConfigError if its key is not its own: rules would be mixed up."""
        is_key = isinstance(key, int | str) and not isinstance(key, bool) and str(key).isprintable()
        if not is_key or not str(key):
            text = f"{self.path}: a record of '{kind}' has no key"
            raise ConfigError(text, hint="Export without --natural-primary.")
        there = self._records.setdefault(kind, {}).setdefault(str(key), record)
        if there != record:
            text = f"{self.path}: two different records of '{kind}' have the same key"
            raise ConfigError(text, hint="Export each client into a file of its own.")

    def all(self, kind: str) -> dict[str, Record]:
        """Return the records of a kind, by their keys."""
        return self._records.get(kind, {})

    def of(self, kind: str, key: str, owner: str) -> list[tuple[str, Record]]:
        """Return the records of a kind whose field `key` refers to an owner."""
        if (kind, key) not in self._owned:
            by_owner = self._owned[kind, key] = {}
            for pk, record in self.all(kind).items():
                by_owner.setdefault(_reference(record, key), []).append((pk, record))
        return self._owned[kind, key].get(owner, [])

    def rules(self) -> Iterator[FormerRule]:
        """Yield the rules of the export."""
        for key, group in self.all("rulegroup").items():
            sets = self.of("ruleset", "rulegroup", key)
            yield self._made(_text(group.get("rulegroup_name")) or "unnamed", group, sets)
        for key, record in self.all("ruleset").items():
            name = _text(record.get("ruleset_name") or record.get("rule_set_name")) or "unnamed"
            if "rulegroup" not in record:
                yield self._made(name, record, [(key, record)])
            elif _reference(record, "rulegroup") not in self.all("rulegroup"):
                flaw = "belongs to no rule group of the export and was never evaluated"
                yield FormerRule(name, "", None, (self._tests(key, record),), (), flaw)

    def _made(self, name: str, owner: Record, sets: list[tuple[str, Record]]) -> FormerRule:
        ordered, flaw = _in_order(sets, "rulset_order", "ruleset_combination_type")
        flaw = find_oddity(owner, *(record for _, record in ordered)) or flaw
        tests = []
        for key, record in ordered:
            mine, doubt = _in_order(self._rules_of(key), "rule_order", "rule_combination_type")
            flaw = flaw or doubt or find_oddity(*map(self._whole, mine))
            tests.append(self._tests(key, record, mine))
        if not any(tests):
            flaw = "has no rules and never matched"
        elif not all(tests):
            flaw = "has a set without rules, which never matched"
        joiners = tuple(str(record.get("ruleset_combination_type", "AND")) for _, record in ordered)
        return FormerRule(name, *self._template_of(owner), tuple(tests), joiners, flaw)

    def _whole(self, rule: tuple[str, Record]) -> Record:
        """Return a rule, marked as invalid if its DICOM element is."""
        tag = self._tag_of(rule[1])
        return rule[1] if _ODD in rule[1] else {**rule[1], **{k: tag[k] for k in tag if k == _ODD}}

    def _rules_of(self, key: str) -> list[tuple[str, Record]]:
        return [*self.of("rule", "ruleset", key), *self.of("rule", "rule_set", key)]

    def _tests(
        self, key: str, owner: Record, rules: list[tuple[str, Record]] | None = None
    ) -> tuple[tuple[FormerTest, str], ...]:
        of_the_set = str(owner.get("rule_combination_type", "AND"))
        mine = self._rules_of(key) if rules is None else rules
        return tuple(
            (self._asked(rule), str(rule.get("rule_combination_type", of_the_set)))
            for _, rule in mine
        )

    def _asked(self, rule: Record) -> FormerTest:
        tag = self._tag_of(rule)
        return FormerTest(
            name=str(tag.get("tag_name") or ""),
            tag=str(tag.get("tag_id") or ""),
            operator=_text(rule.get("operator_type", "EQUALS")),
            wanted=str(rule.get("tag_value_to_evaluate", rule.get("tag_value")) or ""),
            client=2 if "dicom_tag_type" in rule else 1,
        )

    def _tag_of(self, rule: Record) -> Record:
        if "dicom_tag_type" in rule:
            return self.all("dicomtagtype").get(_reference(rule, "dicom_tag_type"), {})
        return self.all("tagname").get(_reference(rule, "tag_name"), {})

    def _template_of(self, owner: Record) -> tuple[str, TemplateKey | None]:
        """Return name and key of the template of a rule."""
        for kind, field, name in (
            ("autosegmentationtemplate", "associated_autosegmentation_template", "template_name"),
            ("modelyamlinfo", "model_yaml", "yaml_name"),
        ):
            key = _reference(owner, field)
            if key in self.all(kind):
                return _text(self.all(kind)[key].get(name)), (id(self), kind, key)
        return "", None


def find_oddity(*records: Record) -> str:
    """Return what is wrong with records that have an invalid text; "" if nothing is."""
    odd = next((record[_ODD] for record in records if _ODD in record), "")
    return f"'{odd}' in the export is not valid text" if odd else ""


def _reference(record: Record, key: str) -> str:
    """Return the key that a field refers to; "" if it refers to nothing."""
    value = record.get(key)
    return "" if value is None else str(value)


def _secrets(kind: str, entry: Mapping[str, Any], fields: Any) -> Iterator[str]:
    """Yield the fields of a record that hold a token, a password or the like."""
    if kind == "token" and entry.get("pk"):
        yield "token.key"  # Django's own tokens: the key of the record is the token
    for name, value in fields.items() if isinstance(fields, dict) else ():
        is_secret = _SECRET.search(name) and not _NO_SECRET.search(name)
        if is_secret and isinstance(value, str) and value:
            yield f"{kind}.{plain(name)}"


def _cleaned(fields: Mapping[Any, Any]) -> Record:
    """Return the fields of a record as texts and numbers; note the first one that was neither.

    Its text is kept for display, with control characters replaced.
    """
    made: dict[str, Any] = {}
    for name, value in fields.items():
        is_nested = name in _NESTED and isinstance(value, dict | list)
        made[plain(name)] = kept = value if is_nested else _scalar(value)
        if kept != value:
            made.setdefault(_ODD, plain(name))
    return made


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        lines = value.replace("\r", "\n")
        return value if plain_lines(lines) == lines else plain(value)
    is_number = isinstance(value, int) or (isinstance(value, float) and isfinite(value))
    return value if is_number or value is None else plain(str(value))


def _set_of(tests: tuple[tuple[FormerTest, str], ...], remarks: dict[str, None]) -> When:
    parts = []
    for asked, _ in tests:
        try:
            translated = translate(asked)
        except UntranslatableError as err:
            name = " ".join(asked.name.split()) or "an element that the export does not name"
            raise UntranslatableError(f"{name} {err}") from None
        parts.append(translated.when)
        if translated.remark:
            remarks[translated.remark] = None
    return join_conditions(parts, [joiner for _, joiner in tests][: len(parts) - 1])


def _in_order(
    records: list[tuple[str, Record]], order: str, joiner: str
) -> tuple[list[tuple[str, Record]], str]:
    """Return records in their order, and a flaw if the order matters and is not defined."""
    places = [record.get(order) for _, record in records]
    joiners = {str(record.get(joiner)) for _, record in records}
    if len({str(place) for place in places}) < len(places) and len(joiners) > 1:
        return records, "does not define the order of its AND and OR"
    return sorted(records, key=lambda record: _place(record[1].get(order))), ""


def _place(order: Any) -> float:
    return order if isinstance(order, int | float) else 0.0


def _text(value: Any) -> str:
    return " ".join(str(value or "").split())
