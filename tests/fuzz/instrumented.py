"""One target under atheris: python -m tests.fuzz.instrumented TARGET CORPUS ... (see __main__)."""

import hashlib
import os
import random
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.fuzz.targets import Fuzzed


def main() -> None:
    """Fuzz until atheris ends the process."""
    import atheris

    name, found = sys.argv.pop(1), Path(sys.argv[1]).parent
    with atheris.instrument_imports(include=["drawcli"]):
        from tests.fuzz.planted import FAULTS, planted
        from tests.fuzz.targets import targets

        run = targets()[name]
    fault = os.environ.get("PLANTED")
    with planted(FAULTS[fault]) if fault else nullcontext():
        atheris.Setup(sys.argv, kept(run, found), **mutator(name))
        atheris.Fuzz()


def kept(run: "Fuzzed", folder: Path) -> "Fuzzed":
    """Return a target that writes an input that breaks it to a folder: the engine may not."""

    def watched(data: bytes) -> None:
        try:
            run(data)
        except Exception:
            (folder / f"crash-{hashlib.sha1(data).hexdigest()}").write_bytes(data)  # noqa: S324 - a name
            raise

    return watched


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
