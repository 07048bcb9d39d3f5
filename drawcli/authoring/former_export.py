"""Reads the database export of a former DRAW client, and the rules in it.

Two clients are supported. In one, a rule group has rule sets and a set has rules, each joined to
the next by AND or OR; earlier versions have rule sets without groups. In the other, every rule of
a set must match. The field names of the records identify the client.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any, Final

from drawcli.core.rules.former_client import (
    FormerTest,
    UntranslatableError,
    When,
    join_conditions,
    translate,
)
from drawcli.errors import ConfigError
from drawcli.system.printable import plain, plain_lines

_LARGEST: Final = 200_000_000  # bytes
_KNOWN: Final = frozenset(
    "rulegroup ruleset rule dicomtagtype tagname autosegmentationtemplate autosegmentationmodel "
    "autosegmentationstructure structureproperties additionalstructures modelyamlinfo "
    "systemconfiguration".split()
)
_EXPORT_HINT: Final = (
    "Run 'python manage.py dumpdata ... -o FILE.json' on the former client to export the records."
)
_ODD: Final = " odd"  # key in a record: the name of a field without a valid text
Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FormerRule:
    """Tests that select a template, as the former client stored them."""

    name: str
    template: str  # the former name; "" if it had none
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

    def __init__(self, path: Path) -> None:
        self.path = path
        self._records: dict[str, dict[str, Record]] = {}
        self.passed_over: Counter[str] = Counter()  # records of other kinds: patients, series ...
        for entry in _entries(path):
            kind = str(entry.get("model", "")).rpartition(".")[2].casefold()
            fields = entry.get("fields")
            if kind not in _KNOWN or not isinstance(fields, dict):
                self.passed_over[kind if kind.isidentifier() else "unknown"] += 1
                continue
            self._records.setdefault(kind, {})[plain(str(entry.get("pk")))] = _cleaned(fields)

    def all(self, kind: str) -> dict[str, Record]:
        """Return the records of a kind, by their keys."""
        return self._records.get(kind, {})

    def of(self, kind: str, key: str, owner: object) -> list[tuple[str, Record]]:
        """Return the records of a kind whose field `key` refers to an owner."""
        wanted = str(owner)
        return [(pk, one) for pk, one in self.all(kind).items() if str(one.get(key)) == wanted]

    def rules(self) -> Iterator[FormerRule]:
        """Yield the rules of the export."""
        for key, group in self.all("rulegroup").items():
            sets = self.of("ruleset", "rulegroup", key)
            yield self._made(_text(group.get("rulegroup_name")) or "unnamed", group, sets)
        for key, one in self.all("ruleset").items():
            name = _text(one.get("ruleset_name") or one.get("rule_set_name")) or "unnamed"
            if "rulegroup" not in one:
                yield self._made(name, one, [(key, one)])
            elif str(one["rulegroup"]) not in self.all("rulegroup"):
                flaw = "belongs to no rule group of the export and was never evaluated"
                yield FormerRule(name, "", (self._tests(key, one),), (), flaw)

    def _made(self, name: str, owner: Record, sets: list[tuple[str, Record]]) -> FormerRule:
        ordered, flaw = _in_order(sets, "rulset_order", "ruleset_combination_type")
        flaw = find_oddity(owner, *(one for _, one in ordered)) or flaw
        tests = []
        for key, one in ordered:
            mine, doubt = _in_order(self._rules_of(key), "rule_order", "rule_combination_type")
            flaw = flaw or doubt or find_oddity(*map(self._whole, mine))
            tests.append(self._tests(key, one, mine))
        if not any(tests):
            flaw = "has no rules and never matched"
        elif not all(tests):
            flaw = "has a set without rules, which never matched"
        joiners = tuple(str(one.get("ruleset_combination_type", "AND")) for _, one in ordered)
        return FormerRule(name, self._template_of(owner), tuple(tests), joiners, flaw)

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
            name=_text(tag.get("tag_name")),
            tag=_text(tag.get("tag_id")),
            operator=_text(rule.get("operator_type", "EQUALS")),
            wanted=str(rule.get("tag_value_to_evaluate", rule.get("tag_value")) or ""),
        )

    def _tag_of(self, rule: Record) -> Record:
        tags = self.all("dicomtagtype") | self.all("tagname")
        return tags.get(str(rule.get("dicom_tag_type", rule.get("tag_name"))), {})

    def _template_of(self, owner: Record) -> str:
        key = str(owner.get("associated_autosegmentation_template"))
        template = self.all("autosegmentationtemplate").get(key)
        if template is not None:
            return _text(template.get("template_name"))
        named = self.all("modelyamlinfo").get(str(owner.get("model_yaml")), {})
        return _text(named.get("yaml_name")).removesuffix(".yml").removesuffix(".yaml")


def find_oddity(*records: Record) -> str:
    """Return what is wrong with records that have an invalid text; "" if nothing is."""
    odd = next((one[_ODD] for one in records if _ODD in one), "")
    return f"'{odd}' in the export is not valid text" if odd else ""


def _cleaned(fields: Mapping[Any, Any]) -> Record:
    """Return the fields of a record as texts and numbers; note the first one that was neither.

    Its text is kept for display, with control characters replaced.
    """
    made: dict[str, Any] = {}
    for name, value in fields.items():
        made[plain(name)] = one = _scalar(value)
        if one != value:
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
            one = translate(asked)
        except UntranslatableError as err:
            name = " ".join(asked.name.split()) or "an element that the export does not name"
            raise UntranslatableError(f"{name} {err}") from None
        parts.append(one.when)
        if one.remark:
            remarks[one.remark] = None
    return join_conditions(parts, [joiner for _, joiner in tests][: len(parts) - 1])


def _in_order(
    records: list[tuple[str, Record]], order: str, joiner: str
) -> tuple[list[tuple[str, Record]], str]:
    """Return records in their order, and a flaw if the order matters and is not defined."""
    places = [one.get(order) for _, one in records]
    joiners = {one.get(joiner) for _, one in records}
    if len({str(place) for place in places}) < len(places) and len(joiners) > 1:
        return records, "does not define the order of its AND and OR"
    return sorted(records, key=lambda one: _place(one[1].get(order))), ""


def _place(order: Any) -> float:
    return float(order) if isinstance(order, int | float) else 0.0


def _entries(path: Path) -> list[dict[str, Any]]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ConfigError(f"{path}: larger than {_LARGEST} bytes", hint=_EXPORT_HINT)
        data = json.loads(path.read_bytes().decode("utf-8-sig"))
    except OSError as err:
        raise ConfigError(f"{path}: {err.strerror}") from None
    except ValueError:
        raise ConfigError(f"{path}: not JSON in UTF-8", hint=_EXPORT_HINT) from None
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply") from None
    if not isinstance(data, list) or not all(isinstance(one, dict) for one in data):
        raise ConfigError(f"{path}: not a list of records", hint=_EXPORT_HINT)
    if not any("model" in one for one in data):
        raise ConfigError(f"{path}: contains no record of a DRAW client", hint=_EXPORT_HINT)
    return data


def _text(value: Any) -> str:
    return " ".join(str(value or "").split())
