import hashlib
import json
from collections.abc import Callable

import pytest

from drawcli.adapters.state.hash_chain import (
    BEFORE_ALL,
    Break,
    find_breaks,
    is_torn_line,
    make_line,
    read_line,
    torn_note,
)

Lines = list[bytes]


def chain(length: int = 5) -> Lines:
    lines: Lines = []
    link = BEFORE_ALL
    for number in range(1, length + 1):
        lines.append(make_line(link, {"what": "attempt", "job": f"{number:012x}-1"}))
        line = read_line(lines[-1])
        assert line is not None
        link = line.link
    return lines


def found(lines: Lines) -> list[Break]:
    return [*find_breaks((str(number), raw) for number, raw in enumerate(lines, 1))]


def test_an_unchanged_chain_has_no_breaks() -> None:
    assert found(chain(20)) == []
    assert found([]) == []


def test_the_digests_can_be_checked_with_ordinary_tools() -> None:
    before = "0" * 64
    for raw in chain():
        body, _, _ = raw.rpartition(b",")
        plain = json.loads(raw)
        assert plain["after"] == before
        before = plain["sha256"]
        assert before == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("at", range(5))
def test_a_change_of_any_byte_is_detected(at: int) -> None:
    whole = chain()
    for place in range(len(whole[at])):
        raw = bytearray(whole[at])
        raw[place] ^= 0x01
        assert found([*whole[:at], bytes(raw), *whole[at + 1 :]]), place


def forged(lines: Lines) -> Lines:
    """Change a line and give it a digest that fits."""
    second = read_line(lines[1])
    first = read_line(lines[0])
    assert second is not None
    assert first is not None
    return [lines[0], make_line(first.link, {**second.facts, "job": "another-1"}), *lines[2:]]


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda lines: lines[1:], ("1", "lines 1 to 1 are missing before it")),
        (lambda lines: [*lines[:2], *lines[4:]], ("3", "lines 3 to 4 are missing before it")),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], ("4", "has number 3 in place of 4")),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], ("2", "lines 2 to 2 are miss")),
        (forged, ("3", "does not follow the line before it")),
        (lambda lines: [*lines[:2], b"", *lines[2:]], ("3", "is no line of the log")),
        (lambda lines: [*lines[:2], lines[2][:40], *lines[3:]], ("3", "is no line of the log")),
        (lambda lines: [*lines[:4], lines[4][:40]], ("5", "is cut short")),
        (lambda lines: [*lines[:4], b"[" * 9000], ("5", "is cut short")),
    ],
)
def test_a_break_is_reported_with_its_place(
    tamper: Callable[[Lines], Lines], told: tuple[str, str]
) -> None:
    first = found(tamper(chain()))[0]

    assert first.where == told[0]
    assert first.what.startswith(told[1])


def test_a_torn_line_is_accounted_for_by_the_next_line_only() -> None:
    lines = chain(2)
    torn = lines[1][:50]
    first = read_line(lines[0])
    assert first is not None

    healed = [lines[0], torn, make_line(first.link, torn_note(torn))]
    other = [lines[0], lines[1][:51], make_line(first.link, torn_note(torn))]
    without = [lines[0], make_line(first.link, torn_note(torn))]

    assert found(healed) == []
    assert found(other)[0].what == "is no line of the log, and no later line accounts for it"
    assert "is missing" in found(without)[0].what


RICH = make_line(
    BEFORE_ALL,
    {"who": {"user": "jürgen", "attended": False}, "code": None, "zip_bytes": 5, "one": "a\\b"},
)


def test_every_beginning_of_a_line_is_accepted_as_torn() -> None:
    assert [n for n in range(1, len(RICH)) if not is_torn_line(RICH[:n], BEFORE_ALL)] == []
    assert is_torn_line(RICH[:90] + b"\0" * 30, BEFORE_ALL)  # as a file system may leave it
    assert not is_torn_line(b"", BEFORE_ALL)


@pytest.mark.parametrize("shift", range(8))
def test_no_line_with_a_changed_byte_is_accepted_as_torn(shift: int) -> None:
    changed = bytearray(RICH)
    for place, right in enumerate(RICH):
        for byte in range(max(shift, 1), 256, 8):  # a last byte of zero is one that is not there
            changed[place] = byte
            assert byte == right or not is_torn_line(bytes(changed), BEFORE_ALL), (place, byte)
        changed[place] = right


def test_torn_lines_of_several_crashes_are_accounted_for_together() -> None:
    lines = chain(2)
    first = read_line(lines[0])
    assert first is not None
    pieces = [lines[1][:50], make_line(first.link, torn_note(lines[1][:50]))[:70], lines[1][:9]]

    def healed(told: Lines, there: Lines) -> list[str]:
        last = make_line(first.link, torn_note(b"\n".join(told)))
        return [one.what for one in found([lines[0], *there, last])]

    assert healed(pieces, pieces) == []
    assert healed(pieces[:2], pieces) != []
    assert healed(pieces, pieces[:2]) != []
    assert healed(pieces, [pieces[1], pieces[0], pieces[2]]) != []


def test_a_changed_line_is_never_accepted_as_torn() -> None:
    *lines, last = chain(3)
    before = read_line(lines[-1])
    assert before is not None
    changed = last[:-1] + b"]"

    told = found([*lines, changed, make_line(before.link, torn_note(changed))])

    assert [(one.where, "was changed" in one.what) for one in told] == [("3", True)]


@pytest.mark.parametrize("name", ["n", "after", "sha256"])
def test_a_fact_cannot_take_the_place_of_a_part_of_the_chain(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        make_line(BEFORE_ALL, {name: "x"})
