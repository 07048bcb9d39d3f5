"""Inputs like valid ones, the same in each run of a seed; a small fuzzer that needs no package."""

import random
from collections.abc import Iterator, Sequence
from typing import Final, Literal

from tests.fuzz.targets import Units, uncut

_ODD: Final = (0, 1, 2, 3, 4, 7, 8, 0x10, 0x20, 0x2E, 0x2F, 0x7F, 0x80, 0xFE, 0xFF)
_ORDERS: Final[tuple[Literal["big", "little"], ...]] = ("big", "little")
_LONGEST: Final = 8192
_OF_VALUES: Final = 0.75  # share of changes of messages that change a value
_OF_MESSAGES: Final = 0.6  # share of inputs that are changed as messages, and of those only so


def mutated(
    seeds: Sequence[bytes], count: int, units: Units | None = None, seed: int = 1
) -> Iterator[bytes]:
    """Yield inputs that are made of valid ones."""
    chance = random.Random(seed)  # noqa: S311 - the same in each run
    for _ in range(count):
        data = bytearray(chance.choice(seeds))
        if units is not None and chance.random() < _OF_MESSAGES:
            data = bytearray(rearranged(bytes(data), seeds, units, chance))
            if chance.random() < _OF_MESSAGES:
                yield bytes(data[:_LONGEST])
                continue
        for _ in range(chance.choice((1, 1, 1, 2, 3, 6))):
            change(data, seeds, chance)
        yield bytes(data[:_LONGEST])


def rearranged(data: bytes, seeds: Sequence[bytes], units: Units, chance: random.Random) -> bytes:
    """Return an input with messages repeated, removed, moved, or changed inside."""
    if units.alter is not None and (units.split is uncut or chance.random() < _OF_VALUES):
        try:
            return units.alter(data, chance)
        except RecursionError:  # it has too many levels to be changed
            return data
    messages = units.split(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        at = chance.randrange(len(messages) + 1)
        kind = chance.randrange(4)
        if kind == 0:
            messages[at:at] = messages[at : at + chance.choice((1, 1, 2))] * chance.choice(
                (1, 2, 40)
            )
        elif kind == 1:
            del messages[at : at + 1]
        elif kind == 2:
            messages.insert(at, chance.choice(units.split(chance.choice(seeds))))
        elif at < len(messages):
            changed = bytearray(messages[at])
            change(changed, seeds, chance)
            messages[at] = bytes(changed)
    return units.join(messages)


def change(data: bytearray, seeds: Sequence[bytes], chance: random.Random) -> None:
    """Change some bytes; `seeds` are others to take bytes from."""
    kind = chance.randrange(8)
    at = chance.randrange(len(data) + 1)
    to = min(len(data), at + chance.choice((1, 1, 2, 4, 8, 12, 64, 300)))
    if kind == 0 and data:
        data[at - 1] ^= 1 << chance.randrange(8)
    elif kind == 1 and data:
        data[at - 1] = chance.choice(_ODD)
    elif kind == 2:
        del data[at:to]
    elif kind == 3:
        data[at:at] = data[at:to] * chance.choice((1, 1, 2, 5, 60))
    elif kind == 4:
        other = chance.choice(seeds)
        data[at:] = other[min(at, len(other)) :]
    elif kind == 5:
        data[at:at] = bytes(chance.choice(_ODD) for _ in range(chance.randrange(1, 9)))
    elif kind == 6:
        other = chance.choice(seeds)
        begin = chance.randrange(len(other) + 1)
        data[at:to] = other[begin : begin + to - at]
    else:
        _shift_number(data, at, chance)


def _shift_number(data: bytearray, at: int, chance: random.Random) -> None:
    """Change a length, of either byte order, a little."""
    size, order = chance.choice((2, 4)), chance.choice(_ORDERS)
    if at + size <= len(data):
        number = int.from_bytes(data[at : at + size], order)
        shifted = (number + chance.choice((-8, -4, -2, -1, 1, 2, 4, 8))) % (1 << 8 * size)
        data[at : at + size] = shifted.to_bytes(size, order)
