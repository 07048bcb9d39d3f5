"""Fuzzing bites: each planted fault is found within a stated number of inputs."""

import pytest

from tests.fuzz.mutations import mutated
from tests.fuzz.planted import FAULTS, Fault, planted
from tests.fuzz.targets import COSTLY, UNITS, corpus, targets
from tests.fuzz.test_targets import FEW

RARE = 500  # inputs until a fault is found: not with each change


def first_found(fault: Fault) -> int:
    """Return how many inputs it took to find a fault."""
    run, seeds = targets()[fault.target], [*corpus(fault.target).values()]
    inputs = [*seeds, *mutated(seeds, fault.within, UNITS.get(fault.target))]
    with planted(fault):
        for number, data in enumerate(inputs, 1):
            try:
                run(data)
            except Exception:  # noqa: BLE001 - whatever the fault causes
                return number
    return len(inputs) + 1


@pytest.mark.filterwarnings("ignore")  # of pydicom and zipfile, about what the mutator made
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.sweep] if fault.within >= RARE else [])
        for name, fault in FAULTS.items()
    ],
)
def test_a_planted_fault_is_found(name: str) -> None:
    assert first_found(FAULTS[name]) <= FAULTS[name].within


def test_the_sweep_tries_as_many_inputs_as_the_faults_need() -> None:
    for name, fault in FAULTS.items():
        assert fault.within <= FEW // COSTLY.get(fault.target, 1), name
        assert fault.target in targets()
