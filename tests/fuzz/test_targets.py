"""Each target holds for the inputs of its corpus, and for many that are like them."""

import os

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.targets import CORPUS, UNITS, corpus, targets

MANY = 30_000 if int(os.environ.get("TORTURE", "1")) > 1 else 3_000
CASES = [(name, one) for name in targets() for one in corpus(name)]


def test_every_target_has_a_corpus_and_every_corpus_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(targets())
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 200_000


@pytest.mark.parametrize(("name", "one"), CASES)
def test_what_was_found_once_stays_fixed(name: str, one: str) -> None:
    targets()[name](corpus(name)[one])


@pytest.mark.sweep
@pytest.mark.parametrize("name", targets())
def test_what_is_like_a_valid_input_breaks_nothing(name: str) -> None:
    run = targets()[name]
    for number, data in enumerate(mutated([*corpus(name).values()], MANY, UNITS.get(name))):
        try:
            run(data)
        except Exception as err:
            raise AssertionError(f"input {number}: {data.hex()}") from err
