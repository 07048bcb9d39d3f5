"""A value of a hand-written file is changed; every line of everything else stays as it is."""

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from drawcli.errors import ConfigError
from drawcli.system.yaml_read import Document, parse_yaml
from drawcli.system.yaml_text.nodes import same_data
from drawcli.system.yaml_text.splice import (
    entry_text,
    with_entry_moved,
    with_entry_text,
    with_value,
    without_entry,
)

SITE = Path(__file__).parents[3]
FILES = sorted(
    path
    for folder in (SITE / "examples" / "department", SITE / "drawcli" / "data")
    for path in (folder / "rules.yaml", folder / "templates.yaml")
)
RULES = """\
# head

rules:
  # of the pelvis
  - name: a   # first
    template: 'T'
    when:
      all:
        - Modality: CT   # always
        # the protocol
        - ProtocolName: {contains: "pelvis"}

  - name: b
    template: T
    # below
    when: always

tests: []
"""


def parsed(text: str) -> Document:
    return parse_yaml(Path("rules.yaml"), text.encode())


def text_of(document: Document) -> str:
    return document.source.decode()


def lines_changed(before: str, after: str) -> tuple[list[str], list[str]]:
    """Return the lines that are gone, and those that are new."""
    old, new = Counter(before.splitlines()), Counter(after.splitlines())
    return sorted((old - new).elements()), sorted((new - old).elements())


def changed(location: tuple[Any, ...], wanted: Any, text: str = RULES) -> tuple[list[str], ...]:
    return lines_changed(text, text_of(with_value(parsed(text), location, wanted)))


@pytest.mark.parametrize(
    ("location", "wanted", "gone", "new"),
    [
        (("rules", 0, "name"), "c", ["  - name: a   # first"], ["  - name: c   # first"]),
        (("rules", 0, "template"), "U", ["    template: 'T'"], ["    template: 'U'"]),
        (
            ("rules", 0, "when", "all", 1),
            {"ProtocolName": {"contains": "hip"}},
            ['        - ProtocolName: {contains: "pelvis"}'],
            ["        - ProtocolName: {contains: hip}"],
        ),
        (
            ("rules", 0, "when", "all"),
            [{"Modality": "CT"}, {"SliceThickness": {"at_most": 3}}],
            ['        - ProtocolName: {contains: "pelvis"}'],
            ["        - SliceThickness: {at_most: 3}"],
        ),
        (
            ("rules", 1),
            {"name": "b", "template": "T", "priority": 3, "when": "always"},
            [],
            ["    priority: 3"],
        ),
        (
            ("rules", 1, "when"),
            {"any": [{"Modality": "CT"}, {"not": {"Modality": "PT"}}]},
            ["    when: always"],
            [
                "        - Modality: CT",
                "        - not:",
                "            Modality: PT",
                "      any:",
                "    when:",
            ],
        ),
        (("rules", 0), {"name": "a", "when": "always"}, None, ["    when: always"]),
    ],
)
def test_only_the_lines_of_the_value_change(
    location: tuple[Any, ...], wanted: Any, gone: list[str] | None, new: list[str]
) -> None:
    old_lines, new_lines = changed(location, wanted)

    assert new_lines == sorted(new)
    assert gone is None or old_lines == sorted(gone)


def test_blocks_are_written_in_order() -> None:
    after = text_of(
        with_value(parsed(RULES), ("rules", 1, "when"), {"any": [{"not": {"Modality": "PT"}}]})
    )

    block = "    when:\n      any:\n        - not:\n            Modality: PT\n"
    assert after == RULES.replace("    when: always\n", block)


def test_an_entry_goes_with_its_comment() -> None:
    assert text_of(without_entry(parsed(RULES), ("rules", 0))) == (
        "# head\n\nrules:\n  - name: b\n    template: T\n    # below\n    when: always\n"
        "\ntests: []\n"
    )
    last = text_of(without_entry(parsed(RULES), ("rules", 1)))
    assert last == RULES.replace(
        "\n  - name: b\n    template: T\n    # below\n    when: always\n", ""
    )


def test_the_last_entry_leaves_an_empty_section() -> None:
    alone = text_of(without_entry(parsed("rules: # all\n  - name: a\n# end\n"), ("rules", 0)))

    assert alone == "rules: [] # all\n# end\n"


def test_entries_change_places_with_their_comments() -> None:
    moved = text_of(with_entry_moved(parsed(RULES), ("rules", 1), 0))

    assert lines_changed(RULES, moved) == ([], [])
    assert moved.index("name: b") < moved.index("# of the pelvis") < moved.index("name: a")
    assert text_of(with_entry_moved(parsed(moved), ("rules", 1), 0)) == RULES


def test_the_text_of_an_entry_is_replaced() -> None:
    text = entry_text(parsed(RULES), ("rules", 0))
    assert text.startswith("# of the pelvis\n- name: a   # first\n  template: 'T'\n")

    new = text.replace("name: a", "name: z")
    wanted = {**parsed(RULES).data["rules"][0], "name": "z"}
    after = with_entry_text(parsed(RULES), ("rules", 0), new, wanted)
    assert text_of(after) == RULES.replace("name: a ", "name: z ")


def test_windows_line_ends_stay() -> None:
    text = RULES.replace("\n", "\r\n")
    for after in (
        with_value(parsed(text), ("rules", 1, "when"), {"Modality": "CT"}),
        with_entry_moved(parsed(text), ("rules", 1), 0),
        without_entry(parsed(text), ("rules", 0)),
        with_entry_text(parsed(text), ("rules", 1), "- name: q\n  x: 1\n", {"name": "q", "x": 1}),
    ):
        assert text_of(after).count("\n") == text_of(after).count("\r\n")


@pytest.mark.parametrize(
    ("text", "change"),
    [
        ("rules: [{name: a}, {name: b}]\n", lambda d: without_entry(d, ("rules", 0))),
        (
            "rules:\n  - &x {name: a}\n  - *x\n",
            lambda d: with_value(d, ("rules", 1), {"name": "b"}),
        ),
        ("rules:\n  - &x {name: a}\n  - *x\n", lambda d: without_entry(d, ("rules", 0))),
        (
            RULES,
            lambda d: with_entry_text(d, ("rules", 0), "- name: a\n- name: c\n", {"name": "a"}),
        ),
        (RULES, lambda d: with_entry_text(d, ("rules", 0), "- name: a\ntests: []", {"name": "a"})),
        (RULES, lambda d: with_entry_text(d, ("rules", 0), "- name: a\n---\n", {"name": "a"})),
    ],
)
def test_nothing_is_changed_where_something_else_would(text: str, change: Any) -> None:
    with pytest.raises(ConfigError):
        change(parsed(text))


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_entries_of_real_files_move_and_keep_every_line(path: Path) -> None:
    document = parse_yaml(path, path.read_bytes())
    section = "rules" if path.name == "rules.yaml" else "templates"
    entries = document.data[section]
    keys = list(range(len(entries))) if isinstance(entries, list) else list(entries)
    for key in keys:
        for to in (0, len(keys) - 1):
            moved = with_entry_moved(document, (section, key), to)
            assert lines_changed(text_of(document), text_of(moved)) == ([], [])
        gone, new = lines_changed(
            text_of(document), text_of(without_entry(document, (section, key)))
        )
        assert gone
        assert new in ([], [f"{section}: []"], [f"{section}: {{}}"])
        raw = entry_text(document, (section, key))
        wanted = entries[key] if section == "rules" else (key, entries[key])
        again = with_entry_text(document, (section, key), raw, wanted)
        assert again.source == document.source


def mutated(value: Any, random_: random.Random) -> Any:  # noqa: PLR0911 - one for each change
    """Return a value with one change at a random depth."""
    if isinstance(value, dict) and value:
        key = random_.choice(list(value))
        choice = random_.random()
        if choice < 0.2:
            return {
                **value,
                f"new{random_.randrange(9)}": random_.choice([1, "x: y", [1, 2], None]),
            }
        if choice < 0.35 and len(value) > 1:
            return {name: one for name, one in value.items() if name != key}
        return {**value, key: mutated(value[key], random_)}
    if isinstance(value, list) and value:
        at = random_.randrange(len(value))
        choice = random_.random()
        if choice < 0.2:
            return [
                *value[:at],
                random_.choice([{"a": 1}, {"all": [{"b": "c"}]}, "t"]),
                *value[at:],
            ]
        if choice < 0.35 and len(value) > 1:
            return [*value[:at], *value[at + 1 :]]
        return [*value[:at], mutated(value[at], random_), *value[at + 1 :]]
    return random_.choice(
        [7, "text", "yes", "# no", True, None, {"k": "v"}, {"when": {"x": 1}}, [3]]
    )


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_any_change_gives_the_wanted_data_and_keeps_the_other_entries(path: Path) -> None:
    document = parse_yaml(path, path.read_bytes())
    section = "rules" if path.name == "rules.yaml" else "templates"
    entries = document.data[section]
    keys = list(range(len(entries))) if isinstance(entries, list) else list(entries)
    random_ = random.Random(7)  # noqa: S311 - no secret
    for _ in range(20):
        key = random_.choice(keys)
        wanted = entries[key]
        for _ in range(random_.randint(1, 3)):
            wanted = mutated(wanted, random_)
        after = with_value(document, (section, key), wanted)
        assert same_data(after.data[section][key], wanted)
        for other in keys:
            if other != key:
                assert entry_text(after, (section, other)) == entry_text(document, (section, other))


def test_a_value_in_braces_stays_on_its_line() -> None:
    text = "a:\n  b: {c: [1, 2], d: x}   # note\n"

    after = with_value(parse_yaml(Path("f.yaml"), text.encode()), ("a", "b", "c"), [1, 3])
    whole = with_value(parse_yaml(Path("f.yaml"), text.encode()), ("a",), {"b": {"c": [1]}})

    assert after.source.decode() == text.replace("2]", "3]")
    assert whole.source.decode() == "a:\n  b: {c: [1]}   # note\n"
