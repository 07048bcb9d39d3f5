import time
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drawcli.errors import ConfigError
from drawcli.system import yaml_read
from drawcli.system.records import suggest
from drawcli.system.yaml_read import Document, parse_yaml, raise_problems, read_yaml


def read(tmp_path: Path, text: str | bytes) -> Document:
    path = tmp_path / "rules.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path)


def problems(tmp_path: Path, text: str | bytes) -> list[str]:
    """Return what is wrong, each line without the folder."""
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    return [line.removeprefix(f"{tmp_path}/") for line in str(caught.value).splitlines()]


def test_every_key_and_item_has_its_place(tmp_path: Path) -> None:
    document = read(tmp_path, "rules:\n  - name: a\n    when:\n      Modality: CT\n  - name: b\n")

    assert document.data == {"rules": [{"name": "a", "when": {"Modality": "CT"}}, {"name": "b"}]}
    at = f"{tmp_path}/rules.yaml"
    assert document.place(()) == f"{at}:1:1"
    assert document.place(("rules", 0, "when", "Modality")) == f"{at}:4:7"
    assert document.place(("rules", 1, "name")) == f"{at}:5:5"


def test_what_is_missing_has_the_place_of_what_it_should_stand_in(tmp_path: Path) -> None:
    document = read(tmp_path, "templates:\n  A:\n    models:\n      720.5:\n        name: x\n")

    at = f"{tmp_path}/rules.yaml"
    assert document.place(("templates", "A", "models", "720.5", "config")) == f"{at}:4:7"
    assert document.place(("templates", "A", "description")) == f"{at}:2:3"
    assert document.place(("nothing", "of", "this")) == f"{at}:1:1"


def test_an_empty_file_is_no_error_yet(tmp_path: Path) -> None:
    assert read(tmp_path, "").data is None
    assert read(tmp_path, "# only a comment\n").data is None


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    assert read(tmp_path, b"\xef\xbb\xbfa: 1\r\nb: 2\r\n").data == {"a": 1, "b": 2}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a:\n\tb: 1\n", "2:1: a tab; indent with spaces"),
        (
            "rules:\n  - name: x\n    template: y\n   when: z\n",
            "4:4: this line is not indented like its block",
        ),
        (
            "a: b: c\n",
            "1:5: a second ':', or wrong indentation; quote a text with ': ' in it",
        ),
        ('a: 1\nb: "x\nc: 2\n', "2:4: a quote opens here and is not closed"),
        ("a: [1, 2\nb: 3\n", "1:4: a bracket opens here and is not closed, or lacks a comma"),
        ("a: 1\nfoo\nb: 2\n", "2:1: a key without a ':' after it"),
        ("a: @x\n", "1:4: a text cannot begin with this character; put it in quotes"),
        ("a: *x\n", "1:4: a text that begins with '*'; put it in quotes"),
        ("a: !x y\n", "1:4: a text that begins with '!'; put it in quotes"),
        ('a: "\\d"\n', "1:6: a backslash in double quotes; use single quotes"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document after '---'; a file may have only one"),
        ("a: 1\nb: \0\n", "2:4: a control character; is the file damaged?"),
        ("a: ]\n", "1:4: an unexpected closing bracket, or a missing value"),
        ("[a]: 1\n", "1:1: a key is a single value; put a text with brackets in quotes"),
        ("a: 2026-13-45\n", "1:4: 2026-13-45 is neither a number nor a date; put a text in quotes"),
        ("a: &x [*x]\n", "1:4: '*' refers to a value that contains it"),
        (b"a: 1\nb: \xff\n", "2:4: not UTF-8"),
        ("a: 1\n".encode("utf-16"), "1:1: not UTF-8"),
    ],
)
def test_a_slip_is_told_where_it_is_and_in_plain_words(
    tmp_path: Path, text: str | bytes, told: str
) -> None:
    assert problems(tmp_path, text) == [f"rules.yaml:{told}"]


def test_every_repeated_key_is_told_at_once(tmp_path: Path) -> None:
    assert problems(tmp_path, "a: 1\nb:\n  c: 1\n  d: 1\n  c: 2\na: 3\n") == [
        "rules.yaml:5:3: duplicate key 'c'",
        "rules.yaml:6:1: duplicate key 'a'",
    ]


def test_a_number_that_yaml_reads_otherwise_than_a_person_is_told(tmp_path: Path) -> None:
    text = "a: 0123\nb: 12:30\nc: 1_000\nd: 0x1f\ne: 1:30.5\n"

    assert problems(tmp_path, text) == [
        "rules.yaml:1:4: YAML reads 0123 as 83; put a text in quotes",
        "rules.yaml:2:4: YAML reads 12:30 as 750; put a text in quotes",
        "rules.yaml:3:4: YAML reads 1_000 as 1000; put a text in quotes",
        "rules.yaml:4:4: YAML reads 0x1f as 31; put a text in quotes",
        "rules.yaml:5:4: YAML reads 1:30.5 as 90.5; put a text in quotes",
    ]


def test_numbers_that_mean_what_they_say_pass(tmp_path: Path) -> None:
    document = read(tmp_path, "a: 0\nb: 10\nc: -1.5\nd: 720.0\ne: '0123'\nf: .inf\ng: 2.5e+3\n")

    assert document.data == {
        "a": 0,
        "b": 10,
        "c": -1.5,
        "d": 720.0,
        "e": "0123",
        "f": float("inf"),
        "g": 2500.0,
    }


def test_a_merged_key_may_be_set_anew(tmp_path: Path) -> None:
    document = read(tmp_path, "base: &b {x: 1, y: 2}\nmine:\n  <<: *b\n  x: 5\n")

    assert document.data["mine"] == {"x": 5, "y": 2}


def test_aliases_that_grow_without_end_are_refused_at_once(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 30)]
    begun = time.process_time()

    told = problems(tmp_path, "\n".join(lines))

    assert told == ["rules.yaml: more than 100000 values with aliases expanded"]
    assert time.process_time() - begun < 20


def test_brackets_without_end_are_refused(tmp_path: Path) -> None:
    assert problems(tmp_path, "[" * 600) == ["rules.yaml: nested too deep"]


def test_a_file_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    assert problems(tmp_path, b"#" * 2_000_000) == ["rules.yaml: larger than 1000000 bytes"]


def test_a_missing_file_comes_with_the_way_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file") as caught:
        read_yaml(tmp_path / "drawcli.yaml")

    assert "drawcli init" in caught.value.hint


def test_a_folder_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Is a directory"):
        read_yaml(tmp_path)


def test_indentation_comes_with_advice(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "a:\n\tb: 1\n")

    assert "not tabs" in caught.value.hint


@pytest.mark.parametrize("text", ["abc", "''", "'-'", "_"])
@pytest.mark.parametrize("tag", ["bool", "int", "float", "timestamp"])
def test_a_text_that_contradicts_its_tag_is_reported(tmp_path: Path, tag: str, text: str) -> None:
    (found,) = problems(tmp_path, f"a: !!{tag} {text}\n")

    assert found.startswith("rules.yaml:1:4: ")
    assert found.endswith("put a text in quotes")


@pytest.mark.parametrize("begin", ["", "0x", "0b1", "0", "1:", "0.", "-"])
def test_a_very_long_number_is_reported_shortened(tmp_path: Path, begin: str) -> None:
    again = begin if ":" in begin else "11"
    (found,) = problems(tmp_path, f"a: {begin}{again * 5_000}1\n")

    assert found.endswith("; put a text in quotes")
    assert len(found) < 200


def test_the_first_of_very_many_problems_are_reported(tmp_path: Path) -> None:
    found = problems(tmp_path, "a: 1\n" * 1000)

    assert len(found) == 51
    assert found[-1] == "and 949 further errors"
    with pytest.raises(ConfigError) as caught:
        raise_problems(["x" * 100_000])
    assert len(str(caught.value)) < 2000


def test_a_problem_is_told_once() -> None:
    with pytest.raises(ConfigError) as caught:
        raise_problems(["b", "a", "b"], hint="do")

    assert (str(caught.value), caught.value.hint) == ("b\na", "do")
    raise_problems([])


def test_a_suggestion_needs_something_like_it() -> None:
    known = ["Modality", "PatientID", ""]

    assert suggest("modalty", known) == "; did you mean 'Modality'?"
    assert suggest("qqqq", known) == ""
    assert suggest("", known) == ""


@given(st.binary(max_size=200))
@settings(max_examples=50)
def test_no_bytes_whatever_do_more_than_a_told_error(
    tmp_path_factory: pytest.TempPathFactory, raw: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(raw)

    try:
        document = read_yaml(path)
    except ConfigError as err:
        assert str(path) in str(err)  # noqa: PT017 - both ways are right
    else:
        assert document.source == raw


@given(st.text(alphabet="ab:-[]{}&*!|>'\"%@`#,?\n \t01.~<=", max_size=60))
@settings(max_examples=80)
def test_no_yaml_whatever_does_more_than_a_told_error(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8")

    try:
        document = read_yaml(path)
    except ConfigError as err:
        assert str(path) in str(err)  # noqa: PT017 - both ways are right
    else:
        assert document.place(()).startswith(str(path))


@pytest.mark.parametrize("word", [r"\0", r"\ud800", r"\udfff", r"\udbff x", r"\udc00"])
@pytest.mark.parametrize("text", ['a: "b{}"', '"a{}": b', 'a: [x, "{}"]'])
def test_a_text_that_is_none_is_told_where_it_stands(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(
        ConfigError, match=r"x\.yaml:1:[0-9]+: contains a NUL or half of a surrogate pair"
    ):
        parse_yaml(tmp_path / "x.yaml", text.format(word).encode())


def test_a_folder_whose_name_is_no_utf_8_can_be_named(tmp_path: Path) -> None:
    found = parse_yaml(tmp_path / "x.yaml", rb'a: "/mnt/M\udcfcller"')

    assert found.data == {"a": "/mnt/M\udcfcller"}


@pytest.mark.parametrize("name", ["drawcli.yaml", "rules.yaml", "templates.yaml"])
def test_libyaml_reads_the_files_of_a_site_as_pyyaml_does(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    source = (resources.files("drawcli") / "data" / name).read_bytes()
    text = source.decode()
    assert yaml_read._LIBYAML is not None
    assert not yaml_read._READ_OTHERWISE.search(text)  # they are read quickly

    quick = parse_yaml(Path(name), source)
    monkeypatch.setattr(yaml_read, "_LIBYAML", None)

    assert quick == parse_yaml(Path(name), source)


@pytest.mark.parametrize(
    "text",
    [
        "a: >#\n  b",
        "? a\n",
        "[a?b: c]",
        "- \ufeffa",
        "a: |#\n b",
        "{a:\t1}",
        "a: !x b",
        "---",
        "a: [",
    ],
)
def test_what_libyaml_reads_otherwise_is_read_by_pyyaml(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    def result() -> Any:
        try:
            return parse_yaml(Path("a.yaml"), text.encode())
        except ConfigError as err:
            return str(err), err.hint

    quick = result()
    monkeypatch.setattr(yaml_read, "_LIBYAML", None)

    assert quick == result()
