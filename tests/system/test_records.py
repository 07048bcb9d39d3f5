"""Records take values as YAML and the environment write them, and tell every problem at once."""

import pickle
from typing import Any

import pytest

from drawcli.system.kinds import (
    PATH,
    SWITCH,
    TEXT,
    choice,
    keyed,
    listed,
    maybe,
    number,
    section,
    several,
    text,
    whole,
    words,
)
from drawcli.system.records import Invalid, Kind, Record, message, required, setting

LIST = "a list, such as [first, second]"
KEYS = "keys with values below it"


class Inner(Record):
    size: int = setting(3, whole(least=2))


class Outer(Record):
    name: str = required(TEXT)
    inner: Inner = setting(Inner, section(Inner))
    names: list[str] = setting([], listed(TEXT, split=words))

    def check(self) -> None:
        if self.name in self.names:
            raise ValueError("the name is one of the names")


@pytest.mark.parametrize(
    ("kind", "value", "read"),
    [
        (whole(), "5", 5),
        (whole(), "5.0", 5),
        (whole(), 5.0, 5),
        (whole(), False, 0),  # `off` without quotes
        (number(), "1.5", 1.5),
        (number(), 2, 2.0),
        (SWITCH, "On", True),
        (SWITCH, 0, False),
        (maybe(SWITCH), None, None),
        (listed(TEXT, split=words), "a, b", ["a", "b"]),
        (several(whole(), 2), [1, 2], (1, 2)),
        (keyed(TEXT, whole(strict=True)), {1: "a"}, {1: "a"}),
    ],
)
def test_a_value_is_read_as_people_write_it(kind: Kind, value: Any, read: Any) -> None:
    result = kind.read(value)

    assert (result, type(result)) == (read, type(read))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        (whole(), 1.5, "should be a whole number"),
        (whole(), "1.5", "should be a whole number"),
        (whole(), "x", "should be a whole number"),
        (whole(), None, "should be a whole number"),
        (whole(), float("inf"), "should be a whole number"),
        (whole(strict=True), True, "should be a whole number"),
        (whole(strict=True), "1", "should be a whole number, without quotes"),
        (whole(above=1), 1, "should be greater than 1"),
        (number(most=10_000), 10_001, "should be at most 10000"),
        (number(least=0), -1, "should be at least 0"),
        (number(), [1], "should be a number"),
        (number(), 10**400, "should be a number"),
        (number(), "nan", "should be a finite number"),
        (SWITCH, "perhaps", "should be true or false"),
        (SWITCH, [1], "should be true or false"),
        (choice("a", "b"), ["a"], "should be 'a' or 'b'"),
        (text(most=2), "abc", "should have at most 2 characters"),
        (listed(TEXT), {"a": 1}, f"should be {LIST}"),
        (listed(TEXT, least=2), ["a"], "should have at least 2 entries"),
        (several(TEXT, 2), ["a"], "should have 2 values"),
        (keyed(TEXT, TEXT), ["a"], f"should have {KEYS}"),
        (section(Inner), 3, f"should have {KEYS}"),
        (PATH, "", "should be a path"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: Kind, value: Any, expected: str) -> None:
    with pytest.raises(Invalid) as caught:
        kind.read(value)

    assert str(caught.value) == f"this {expected}"


def test_every_problem_is_told_with_its_key() -> None:
    with pytest.raises(Invalid) as caught:
        Outer.read({"inner": {"size": 1, "sise": 2}, "names": ["a", 3], "nam": "x"})

    assert list(map(message, caught.value.problems)) == [
        "'name' is missing",
        "'inner.size' should be at least 2",
        "unknown key 'inner.sise'; did you mean 'size'?",
        "'names.1' should be a text; put it in quotes",
        "unknown key 'nam'; did you mean 'name'?",
    ]


def test_values_are_compared_when_each_is_right() -> None:
    with pytest.raises(Invalid, match=r"^the name is one of the names$"):
        Outer(name="a", names=["a"])
    with pytest.raises(Invalid, match=r"^'names' should be a list"):
        Outer(name="a", names=3)


def test_a_record_knows_what_was_given_and_cannot_be_changed() -> None:
    record = Outer(name="a", inner={"size": 4})

    assert record.as_plain(only_given=True) == {"name": "a", "inner": {"size": 4}}
    assert record.as_json() == '{"name":"a","inner":{"size":4},"names":[]}'
    assert record.replace(names=["b"]).given == {"name", "inner", "names"}
    assert pickle.loads(pickle.dumps(record)) == record  # noqa: S301 - our own
    with pytest.raises(AttributeError, match="cannot be changed"):
        record.name = "b"
    with pytest.raises(TypeError):
        hash(record)


def test_a_default_is_not_shared() -> None:
    Outer(name="a").names.append("b")

    assert Outer(name="a").names == []
    assert Outer(name="a") == Outer(name="a", names=[], inner=Inner())
    assert Outer(name="a") != Inner()
