"""Files that people edit: settings, rules and templates; and what commands add to them."""

import re
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from drawcli.adapters.rulebook.rulebook import Rulebook, read_rulebook
from drawcli.config.load import load_settings
from drawcli.core.rules.conditions import RuleHeader
from drawcli.core.rules.decision import decide
from drawcli.core.templates.template import server_file, structures_of
from drawcli.errors import ConfigError
from drawcli.system.yaml_edit import YamlEntry, add_comment, add_entries
from drawcli.system.yaml_read import Document, parse_yaml
from tests.fuzz.image_files import scratch
from tests.fuzz.targets import READ, UNITS, Units, corpus, target

FURTHER: Final = re.compile(r"and \d[\d,]* further errors?")
PATIENT: Final = ("PatientName", "PatientBirthDate", "PatientID")
SECRET: Final = "Mustermann"  # in the corpora only where a rule compares it with a patient
ENTRY: Final = YamlEntry("rules", ("- name: Added", "  exclude: true", "  when: {Modality: OT}"))


def lines_of(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


for _name in ("settings_file", "rules_file", "templates_file"):
    UNITS[_name] = Units(lines_of, b"".join)


@cache
def folder() -> Path:
    return scratch()


def parsed(name: str, data: bytes) -> Document | None:
    """Return a document, after checks that hold for every file; None if it is refused."""
    try:
        document = parse_yaml(Path(name), data)
    except ConfigError as err:
        check_message(err, name)
        return None
    assert document.source == data
    assert document.data == yaml.safe_load(data.decode("utf-8-sig"))
    lines = data.count(b"\n") + data.count(b"\r") + 1
    for place in document.places.values():
        assert (
            1
            <= place[0]
            <= lines + data.decode("utf-8-sig").count("\x85") * 2 + 2 * data.count(b"\xe2\x80")
        )
    return document


def check_message(err: ConfigError, name: str) -> None:
    """Each line of a message names the file or a variable; of very many the last counts others."""
    first, *others = str(err).splitlines()
    if others and FURTHER.fullmatch(others[-1]):
        others.pop()
    assert all(line.startswith((name, "environment ")) for line in (first, *others))


@target
def settings_file(data: bytes) -> None:
    """drawcli.yaml."""
    path = folder() / "drawcli.yaml"
    path.write_bytes(data)
    parsed(str(path), data)
    try:
        settings = load_settings(path, {})
    except ConfigError as err:
        check_message(err, "")
        return
    assert settings.datastore
    assert all(one.is_absolute() for one in (*settings.datastore, settings.state_dir))
    assert settings.rules.is_absolute()
    assert settings.server.timeout_seconds > 0
    settings.as_plain()
    READ["settings_file"] += 1


@cache
def other(name: str) -> Document:
    """Return the valid document that belongs to the one that is fuzzed."""
    return parse_yaml(Path(f"{name}.yaml"), corpus(f"{name}_file")["valid-1"])


def rulebook(rules: Document, templates: Document) -> Rulebook | None:
    try:
        return read_rulebook(rules, templates)
    except ConfigError as err:
        text = f"{err} {err.hint}"
        assert SECRET not in text or any(is_public(one.data) for one in (rules, templates))
        return None


def is_public(value: Any) -> bool:
    """Return whether the secret stands where it is no value of a patient, and may be shown."""
    if isinstance(value, dict):
        return any(
            is_public(key) or is_public(inner)
            for key, inner in value.items()
            if not str(key).startswith(PATIENT)
        )
    return any(map(is_public, value)) if isinstance(value, list) else SECRET in str(value)


@target
def rules_file(data: bytes) -> None:
    """rules.yaml, with its tests; what is read decides, and a command can add to it."""
    document = parsed("rules.yaml", data)
    if document is None:
        return
    book = rulebook(document, other("templates"))
    if book is None:
        return
    assert all(rule.exclude or rule.template in book.templates for rule in book.rules)
    for case in book.cases:
        if case.header is not None:
            decision = decide(RuleHeader(case.header), book.rules)
            assert {*decision.templates} <= {*book.templates}
            assert case.agrees(decision) in (True, False)
    try:
        after = add_entries(document, ENTRY)
    except ConfigError as err:
        check_message(err, "rules.yaml")
    else:
        assert {**after.data, "rules": after.data["rules"][:-1]} == {
            **document.data,
            "rules": document.data["rules"] or [],
        }
    commented = add_comment(document, ["a line", "", "another: [line"])
    assert commented.data == document.data
    READ["rules_file"] += 1


@target
def templates_file(data: bytes) -> None:
    """templates.yaml, and the file of each template that goes to the server."""
    document = parsed("templates.yaml", data)
    if document is None:
        return
    book = rulebook(other("rules"), document)
    for name, template in (book.templates if book else {}).items():
        sent = server_file(name, template)
        again = yaml.safe_load(sent)
        assert again["name"] == name
        assert {*again} == {"name", "protocol", "models"}
        assert structures_of(sent) == template.drawn
        for number, model in again["models"].items():
            assert type(number) is int
            assert {*model} == {"name", "config", "map", "trainer_name", "postprocess"}
            READ["templates_file"] += 1
            assert all(type(one) is int and type(text) is str for one, text in model["map"].items())
