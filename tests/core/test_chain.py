import hashlib
import json
from collections.abc import Callable

import pytest

from drawcli.core.chain import BEFORE_ALL, Break, breaks, linked, mend, read_line

Lines = list[bytes]


def chain(length: int = 5) -> Lines:
    lines: Lines = []
    link = BEFORE_ALL
    for number in range(1, length + 1):
        lines.append(linked(link, {"what": "attempt", "job": f"{number:012x}-1"}))
        line = read_line(lines[-1])
        assert line is not None
        link = line.link
    return lines


def found(lines: Lines) -> list[Break]:
    return [*breaks((str(number), raw) for number, raw in enumerate(lines, 1))]


def test_a_chain_that_nobody_touched_holds() -> None:
    assert found(chain(20)) == []
    assert found([]) == []


def test_the_digests_can_be_followed_with_ordinary_tools() -> None:
    before = "0" * 64
    for raw in chain():
        body, _, _ = raw.rpartition(b",")
        plain = json.loads(raw)
        assert plain["after"] == before
        before = plain["sha256"]
        assert before == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("at", range(5))
def test_no_byte_of_a_line_can_be_changed_unseen(at: int) -> None:
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
    return [lines[0], linked(first.link, {**second.facts, "job": "another-1"}), *lines[2:]]


@pytest.mark.parametrize(
    ("tamper", "told"),
    [
        (lambda lines: lines[1:], ("1", "lines 1 to 1 are missing before it")),
        (lambda lines: [*lines[:2], *lines[4:]], ("3", "lines 3 to 4 are missing before it")),
        (lambda lines: [*lines[:3], lines[2], *lines[3:]], ("4", "says it is number 3, where 4")),
        (lambda lines: [lines[0], lines[2], lines[1], *lines[3:]], ("2", "lines 2 to 2 are miss")),
        (forged, ("3", "does not follow the line before it")),
        (lambda lines: [*lines[:2], b"", *lines[2:]], ("3", "is no line of the log")),
        (lambda lines: [*lines[:2], lines[2][:40], *lines[3:]], ("3", "is no line of the log")),
        (lambda lines: [*lines[:4], lines[4][:40]], ("5", "is cut short")),
        (lambda lines: [*lines[:4], b"[" * 9000], ("5", "is cut short")),
    ],
)
def test_what_was_done_to_a_chain_is_told_with_its_place(
    tamper: Callable[[Lines], Lines], told: tuple[str, str]
) -> None:
    first = found(tamper(chain()))[0]

    assert first.where == told[0]
    assert first.what.startswith(told[1])


def test_a_line_that_a_crash_cut_short_is_told_by_the_next_and_nothing_else_is() -> None:
    lines = chain(2)
    torn = lines[1][:50]
    first = read_line(lines[0])
    assert first is not None

    healed = [lines[0], torn, linked(first.link, mend(torn))]
    other = [lines[0], lines[1][:51], linked(first.link, mend(torn))]
    without = [lines[0], linked(first.link, mend(torn))]

    assert found(healed) == []
    assert [one.what for one in found(other)] == ["is no line of the log, and nothing says why"]
    assert "which is not there" in found(without)[0].what
