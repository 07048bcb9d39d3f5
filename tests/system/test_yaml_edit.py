"""An entry goes into a hand-written file; every other byte stays, or nothing is written."""

import random
from difflib import ndiff
from pathlib import Path
from typing import Any

import pytest
import yaml

from drawcli.errors import ConfigError
from drawcli.system.yaml_edit import YamlEntry, add_entries, flow_style, replace_file
from drawcli.system.yaml_read import Document, parse_yaml, read_yaml

RULE = YamlEntry("rules", ("- b: 2",))
TEST = YamlEntry("tests", ("- name: t",), before="rules")
SITE = Path(__file__).parents[2]


def parsed(text: str) -> Document:
    return parse_yaml(Path("rules.yaml"), text.encode())


def added(text: str, *entries: YamlEntry) -> str:
    return add_entries(parsed(text), *(entries or (RULE,))).source.decode()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("rules:\n", "rules:\n  - b: 2\n"),
        ("rules: # none\n\n# end\n", "rules: # none\n  - b: 2\n\n# end\n"),
        ("rules:\n- a: 1", "rules:\n- a: 1\n- b: 2\n"),
        ("rules:\n    - a: 1\nz: 3\n", "rules:\n    - a: 1\n    - b: 2\nz: 3\n"),
        ("rules:\n - a: |\n     x\n\n# z\n", "rules:\n - a: |\n     x\n - b: 2\n\n# z\n"),
        ("rules:\n  - a: # no value\n\n", "rules:\n  - a: # no value\n  - b: 2\n\n"),
        ("rules:\n  - a: [1,\n   2] # x\nz: 1", "rules:\n  - a: [1,\n   2] # x\n  - b: 2\nz: 1"),
        ("rules:\n  - a: 1\n\n  - a: 2\n", "rules:\n  - a: 1\n\n  - a: 2\n\n  - b: 2\n"),
        ("rules:\r\n  - a: 1\r\nz: 2\r\n", "rules:\r\n  - a: 1\r\n  - b: 2\r\nz: 2\r\n"),
        ("\ufeffrules:\n  - a: 1\n...\n", "\ufeffrules:\n  - a: 1\n  - b: 2\n...\n"),
        ("# only a remark\n", "# only a remark\nrules:\n  - b: 2\n"),
        ("", "rules:\n  - b: 2\n"),
        ("rules: []\n", "rules:\n  - b: 2\n"),
        ("# top\nrules:  [ ]  # none yet\nz: 1\n", "# top\nrules:  # none yet\n  - b: 2\nz: 1\n"),
        ("rules:\n  []\n", "rules:\n  - b: 2\n"),
    ],
)
def test_an_entry_goes_to_the_end_of_its_section(before: str, after: str) -> None:
    assert added(before) == after


def test_a_section_that_is_missing_is_made_above_another_and_its_remark() -> None:
    text = "# top\n\n# about the rules\nrules:\n  - a: 1\n"

    assert added(text, TEST) == (
        "# top\n\ntests:\n  - name: t\n\n# about the rules\nrules:\n  - a: 1\n"
    )
    assert added("rules:\n  - a: 1\n", TEST, RULE) == (
        "tests:\n  - name: t\n\nrules:\n  - a: 1\n  - b: 2\n"
    )


def test_an_entry_of_a_mapping_goes_in_by_its_name() -> None:
    text = "templates:\n  One: {x: 1} # kept\n\n# end\n"

    after = added(text, YamlEntry("templates", ("Two:", "  x: 2")))

    assert after == "templates:\n  One: {x: 1} # kept\n  Two:\n    x: 2\n\n# end\n"


@pytest.mark.parametrize("text", ["rules: [a, b]\n", "rules: {a: 1}\n"])
def test_a_section_in_brackets_is_left_alone(text: str) -> None:
    with pytest.raises(ConfigError, match=r"rules.yaml:1:1: 'rules' is written in brackets"):
        added(text)


@pytest.mark.parametrize(
    "text",
    [
        "rules:\n  - &x {a: 1}\n  - *x\n",  # the end of an alias is that of its anchor
        "rules:\n  - a: |+\n      kept\n\n\nz: 1\n",  # its blank lines belong to the text
    ],
)
def test_what_cannot_be_added_without_harm_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="a command cannot add to this file"):
        added(text)


def test_no_line_of_a_random_file_is_lost_or_changed() -> None:
    dice = random.Random(7)  # noqa: S311 - for a test
    changed = 0
    for _ in range(150):
        text = random_file(dice)
        entry = dice.choice([RULE, TEST])
        before: dict[str, Any] = yaml.safe_load(text)

        after = added(text, entry)

        gone = [line for line in ndiff(text.splitlines(), after.splitlines()) if line[0] == "-"]
        assert not gone, text
        new = yaml.safe_load(entry.text)
        assert yaml.safe_load(after) == before | {
            entry.section: [*(before.get(entry.section) or []), *new]
        }
        changed += text != after
    assert changed == 150


def random_file(dice: random.Random) -> str:
    """Return a file of sections in some order, with remarks and blank lines anywhere."""
    sections = ["rules", "tests", "other"]
    dice.shuffle(sections)
    kept = [name for name in sections if name != "tests" or dice.random() < 0.5]
    lines = []
    for name in kept:
        lines += [f"{name}:" + dice.choice(["", "  # a remark"])]
        indent = " " * dice.choice([0, 2, 4])
        for number in range(dice.randrange(4)):
            lines += dice.choice([[], [""], [f"{indent}# of the next"]])
            lines += [f"{indent}- name: n{number}"]
            lines += dice.choice([[], [f"{indent}  deep: {{a: [1, 2]}} # why"], [f"{indent}  e:"]])
        lines += dice.choice([[], [""], ["", "# end of a section"]])
    return "\n".join(lines) + dice.choice(["", "\n", "\n\n"])


def test_the_files_of_a_new_site_take_entries() -> None:
    for name, entry in (
        ("rules.yaml", RULE),
        ("templates.yaml", YamlEntry("templates", ("T: {}",))),
    ):
        before = read_yaml(SITE / name)
        after = add_entries(before, entry)

        lines = after.source.decode().splitlines()
        assert [line for line in lines if line.strip() not in ("- b: 2", "T: {}")] != []
        assert set(before.source.decode().splitlines()) <= set(lines)


def test_a_file_is_replaced_with_its_mode_and_behind_its_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.yaml", tmp_path / "rules.yaml"
    real.write_text("rules:\n")
    real.chmod(0o640)
    link.symlink_to(real)
    before = read_yaml(link)

    replace_file(before, add_entries(before, RULE))

    assert link.is_symlink()
    assert real.read_text() == "rules:\n  - b: 2\n"
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_file_that_somebody_changed_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "rules.yaml"
    path.write_text("rules:\n")
    before = read_yaml(path)
    path.write_text("rules:\n  - theirs: 1\n")

    with pytest.raises(ConfigError, match="changed meanwhile"):
        replace_file(before, add_entries(before, RULE))

    assert path.read_text() == "rules:\n  - theirs: 1\n"


@pytest.mark.parametrize(
    "value", ["yes", "3", "2026-01-01", "a: b", "# x", "*", "", "ü", [1, "1"], {"in": ["a", 2]}]
)
def test_a_value_on_a_line_is_read_back_as_it_was(value: Any) -> None:
    text = flow_style(value)

    assert "\n" not in text
    assert yaml.safe_load(f"k: {text}") == {"k": value}
