"""What the second run must show before anything takes the default's place."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from edgecnn.benchmark.estimate import LatencyComparison, compare, contrast
from edgecnn.benchmark.samples import Samples
from edgecnn.tuning.final import decide, in_words
from edgecnn.tuning.report import Final
from tests.tuning.test_halving import DEFAULT, Machine


def final(machine: Machine, names: tuple[str, ...], replicates: int = 4) -> Final:
    samples = machine.measure(names, replicates)
    pairs = [*((DEFAULT, name) for name in names), *combinations(names, 2)]
    return Final(_compared(samples, pairs), True, (), (), samples, None, 1.0)


def _compared(samples: Samples, pairs: list[tuple[str, str]]) -> tuple[LatencyComparison, ...]:
    found = [(*pair, contrast(samples, *pair)) for pair in pairs]
    return tuple(compare(one, two, (1e-4, 1e-4), both) for one, two, both in found if both.ratios)


def test_what_is_shown_to_be_faster_is_chosen() -> None:
    found = final(Machine({DEFAULT: 100, "a": 60}), ("a",))
    assert decide(found, DEFAULT, ["a"]) == ("faster", "a")
    assert in_words(found, "faster", DEFAULT, "a").startswith("a takes 0.6")


def test_equal_candidates_are_no_better_in_nearly_every_run() -> None:
    """The rule is the engine's: 98 %, the noise floor, 1 %."""
    won = 0
    for seed in range(200):
        machine = Machine({DEFAULT: 100, "a": 100}, random=np.random.default_rng(seed))
        outcome, chosen = decide(final(machine, ("a",)), DEFAULT, ["a"])
        won += outcome == "faster"
        assert outcome == "faster" or (outcome, chosen) == ("no better", DEFAULT)
    assert won <= 4


def test_of_two_that_are_equal_the_simpler_stays() -> None:
    machine = Machine({DEFAULT: 100, "plain": 60, "with options": 60})
    found = final(machine, ("plain", "with options"))
    assert decide(found, DEFAULT, ["plain", "with options"]) == ("faster", "plain")


def test_the_second_wins_where_it_is_shown_to_be_faster() -> None:
    machine = Machine({DEFAULT: 100, "plain": 60, "with options": 40})
    found = final(machine, ("plain", "with options"))
    assert decide(found, DEFAULT, ["plain", "with options"]) == ("faster", "with options")


def test_one_that_crashes_leaves_the_other_its_place() -> None:
    machine = Machine({DEFAULT: 100, "a": 50, "b": 70}, crashing=frozenset({"a"}))
    assert decide(final(machine, ("a", "b")), DEFAULT, ["a", "b"]) == ("faster", "b")
    assert decide(final(machine, ("a",)), DEFAULT, ["a"]) == ("inconclusive", None)


@pytest.mark.parametrize(("noise", "replicates"), [(0.3, 3), (0.01, 1)])
def test_noise_or_too_little_cannot_tell(noise: float, replicates: int) -> None:
    machine = Machine({DEFAULT: 100, "a": 97}, noise=noise)
    found = final(machine, ("a",), replicates)
    outcome, chosen = decide(found, DEFAULT, ["a"])
    assert (outcome, chosen) == ("inconclusive", None)
    assert "cannot tell" in in_words(found, outcome, DEFAULT, chosen)


def test_slower_is_shown_even_in_noise() -> None:
    machine = Machine({DEFAULT: 100, "a": 900}, noise=0.2)
    assert decide(final(machine, ("a",)), DEFAULT, ["a"]) == ("no better", DEFAULT)
