"""Average run lengths of control charts, by theory, and by simulation of the rules.

An average run length is the mean number of values up to and with the first that meets a rule, of
independent normal values with known limits, sigma 1 and a mean that is `shift` from the centre.
"""

import random
from math import erf, sqrt
from statistics import fmean

import numpy as np

from drawcli.core.qa.nelson import Limits, rule_hits

STANDARD = Limits(0.0, -3.0, 3.0, 1.0, 0)


def below(z: float) -> float:
    """Return the chance of a normal value below z."""
    return (1 + erf(z / sqrt(2))) / 2


def run_length_of_limits(shift: float = 0.0) -> float:
    """Return the average run length of one value beyond 3 sigma."""
    return 1 / (1 - below(3 - shift) + below(-3 - shift))


def run_length_with_runs(shift: float = 0.0, length: int = 9) -> float:
    """Return that of a value beyond 3 sigma or so many in a row on one side (a Markov chain)."""
    up, down = below(3 - shift) - below(-shift), below(-shift) - below(-3 - shift)
    size = 2 * length - 1  # no value yet; 1 ... length - 1 above; as many below
    chain = np.zeros((size, size))
    for state in range(size):
        above = state if state < length else 0
        under = state - length + 1 if state >= length else 0
        if above + 1 < length:
            chain[state, above + 1] += up
        if under + 1 < length:
            chain[state, length + under] += down
    return float(np.linalg.solve(np.eye(size) - chain, np.ones(size))[0])


def run_length_of_trends(length: int = 6, most: int = 3000) -> float:
    """Return that of so many in a row, each above (each below) the one before.

    It does not depend on the distribution: the rank of the last value among all is what counts.
    """
    steps = length - 1
    chances = np.zeros((2, steps, 1))  # rising or falling, steps in a row, rank of the last value
    chances[0, 0, 0] = 1.0  # no step yet
    total, left = 1.0, 1.0
    for n in range(1, most):
        ranks = n + 1
        rising = np.concatenate([np.zeros((2, steps, 1)), np.cumsum(chances, axis=2)], axis=2)
        falling = rising[:, :, -1:] - rising[:, :, :ranks]
        after = np.zeros((2, steps, ranks))
        for row in range(steps - 1):
            after[0, row + 1] += rising[0, row]
            after[1, row + 1] += falling[1, row]
        after[0, 1] += rising[1, 1:].sum(axis=0)  # a turn is the first step of the other way
        after[1, 1] += falling[0, 1:].sum(axis=0)
        if n == 1:
            after[1, 1] += falling[0, 0]
        chances = after / ranks
        total, before, left = total + left, left, chances.sum()
    return float(total + left / (1 - left / before))


def first_hits(shift: float, rules: set[str], repeats: int, seed: int) -> tuple[float, float]:
    """Return the mean number of values up to the first hit, and its standard error."""
    dice = random.Random(seed)  # noqa: S311 - a simulation
    lengths = []
    for _ in range(repeats):
        values: list[float] = []
        found: list[int] = []
        while not found:
            values += [dice.gauss(shift, 1) for _ in range(max(25, len(values)))]
            found = [hit.index for hit in rule_hits(values, STANDARD) if hit.rule in rules]
        lengths.append(found[0] + 1)
    mean = fmean(lengths)
    return mean, sqrt(fmean((length - mean) ** 2 for length in lengths) / repeats)
