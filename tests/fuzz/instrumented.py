"""One target under atheris: python -m tests.fuzz.instrumented TARGET CORPUS ... (see __main__)."""

import random
import sys
from typing import Any


def main() -> None:
    """Fuzz until atheris ends the process."""
    import atheris

    name = sys.argv.pop(1)
    with atheris.instrument_imports(include=["drawcli"]):
        from tests.fuzz.targets import targets

        run = targets()[name]
    atheris.Setup(sys.argv, run, **mutator(name))
    atheris.Fuzz()


def mutator(name: str) -> dict[str, Any]:
    """Return how inputs of several messages are changed: half of them as messages."""
    import atheris

    from tests.fuzz.mutations import rearranged
    from tests.fuzz.targets import UNITS, corpus

    seeds, units = [*corpus(name).values()], UNITS.get(name)
    if units is None:
        return {}

    def change(data: bytes, longest: int, seed: int) -> bytes:
        if seed % 2 or not data:
            return bytes(atheris.Mutate(data, longest))
        chance = random.Random(seed)  # noqa: S311 - the engine chooses
        return rearranged(data, seeds, units, chance)[:longest]

    return {"custom_mutator": change}


if __name__ == "__main__":
    main()
