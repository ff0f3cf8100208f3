"""The estimate against series whose truth is known."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.benchmark.estimate import (
    Contrast,
    alone,
    compare,
    contrast,
    noise_floor,
    outcome,
    ratio_interval,
    session_interval,
)
from edgecnn.benchmark.samples import Block, Leg, Samples, SessionRecord, Warmup


def samples(*blocks: list[list[int]]) -> Samples:
    """Make a run of a, b, b and a in one replicate: for each block, the times of its eight legs."""
    sessions = tuple(SessionRecord(name, 0, 0, 0, 0, 0, Warmup(0, None)) for name in "abba")
    order = (0, 1, 2, 3, 3, 2, 1, 0)
    made = [
        Block(0, tuple(Leg(n, 0.0, times, 0, 0, True) for n, times in zip(order, row, strict=True)))
        for row in blocks
    ]
    return Samples(sessions, tuple(made))


def draw(
    random: np.random.Generator,
    ratio: float,
    session: float,
    *,
    replicates: int = 5,
    drift: float = 0.0,
) -> Contrast:
    """Draw a run: each session errs as a whole, and the ratio may drift between replicates."""
    a, b = random.normal(0, session, (2, replicates, 2))
    found = math.log(ratio) + b.mean(1) - a.mean(1) + random.normal(0, drift, replicates)
    nulls = [*(a[:, 1] - a[:, 0]) / 2, *(b[:, 1] - b[:, 0]) / 2]
    return Contrast(tuple(found), tuple(map(float, nulls)), 4 * replicates)


def test_a_turn_counts_with_the_median_of_its_calls() -> None:
    first, second = [[100, 100, 900]], [[200, 200, 1]]
    found = contrast(samples(first + second * 2 + first * 2 + second * 2 + first), "a", "b")
    assert math.exp(found.ratios[0]) == pytest.approx(2)
    assert found.nulls == (0.0, 0.0)


@given(start=st.floats(1e3, 1e6), drift=st.floats(0.5, 2), ratio=st.floats(0.1, 10))
def test_a_steady_drift_cancels_out(start: float, drift: float, ratio: float) -> None:
    is_b = (0, 1, 1, 0, 0, 1, 1, 0)
    true = [start * drift**turn * (ratio if b else 1) for turn, b in enumerate(is_b)]
    found = contrast(samples([[round(time * 1e6)] for time in true]), "a", "b")
    assert found.ratios[0] == pytest.approx(math.log(ratio), abs=1e-6)
    assert found.nulls == pytest.approx((0, 0), abs=1e-6)


@given(st.lists(st.lists(st.integers(1_000, 10_000_000), min_size=1), min_size=8, max_size=8))
def test_the_ratio_the_other_way_round_is_its_inverse(legs: list[list[int]]) -> None:
    run = samples(legs, legs)
    there, back = contrast(run, "a", "b"), contrast(run, "b", "a")
    assert there.ratios[0] == pytest.approx(-back.ratios[0])
    assert sorted(there.nulls) == sorted(back.nulls)
    assert there.blocks == 2


def test_a_session_that_is_slower_is_no_difference_but_noise() -> None:
    slow_a = [[100], [100], [100], [121], [121], [100], [100], [100]]
    found = contrast(samples(slow_a), "a", "b")
    assert found.ratios[0] == pytest.approx(-math.log(1.21) / 2)
    assert found.nulls == pytest.approx((math.log(1.21) / 2, 0))
    assert alone(samples(slow_a), "a").nulls == pytest.approx((math.log(1.21) / 2,))


def test_the_noise_floor_by_hand() -> None:
    # Variance 2 x (.01 + .03) / 4 of a replicate, two replicates, t of 4 is 2.7764.
    found = Contrast((0.5, 0.7), (0.1, -0.1, 0.1, 0.1), 6)
    assert noise_floor(found) == pytest.approx(math.expm1(2.7764451 * math.sqrt(0.02 / 2)))
    assert noise_floor(Contrast((), (), 0)) == math.inf


def test_the_noise_floor_is_what_another_measurement_of_the_same_shows() -> None:
    random, beyond = np.random.default_rng(5), 0
    for _ in range(400):
        found = draw(random, 1, 0.02)
        beyond += abs(sum(found.ratios) / 5) > math.log1p(noise_floor(found))
    assert 8 <= beyond <= 34


def test_the_interval_by_hand() -> None:
    # Replicates .1 and .3 around .2, nulls .1 twice: (.02 + 2 x .02) / 3, t of 3 is 3.1824.
    found = ratio_interval(Contrast((0.1, 0.3), (-0.1, 0.1), 2))
    half = 3.1824463 * math.sqrt(0.06 / 3 / 2)
    assert math.log(found.estimate) == pytest.approx(0.2)
    assert math.log(found.low) == pytest.approx(0.2 - half)
    assert math.log(found.high) == pytest.approx(0.2 + half)


def test_without_nulls_nothing_is_bounded() -> None:
    found = ratio_interval(Contrast((0.1,), (), 2))
    assert (found.low, found.high) == (0.0, math.inf)


@pytest.mark.parametrize("replicates", [2, 4, 8])
@pytest.mark.parametrize("session", [0.01, 0.1])
def test_nineteen_in_twenty_intervals_hold_the_truth(replicates: int, session: float) -> None:
    random, runs, held = np.random.default_rng(1), 400, 0
    for _ in range(runs):
        found = ratio_interval(draw(random, 1.3, session, replicates=replicates))
        held += found.low <= 1.3 <= found.high
    assert 0.925 * runs <= held <= 0.98 * runs


@pytest.mark.parametrize("session", [0.005, 0.02, 0.05])
@pytest.mark.parametrize("replicates", [2, 3, 5, 8])
@pytest.mark.parametrize("drift", [0.0, 0.5])
def test_a_variant_seldom_beats_itself(session: float, replicates: int, drift: float) -> None:
    random = np.random.default_rng(2)
    found = [
        outcome(draw(random, 1, session, replicates=replicates, drift=drift * session))
        for _ in range(400)
    ]
    assert len(found) - found.count("no difference") <= 20


def test_five_per_cent_are_found_where_the_floor_is_low() -> None:
    random = np.random.default_rng(3)
    slower = [outcome(draw(random, 1.05, 0.015)) for _ in range(200)]
    faster = [outcome(draw(random, 1 / 1.05, 0.015)) for _ in range(200)]
    assert slower.count("slower") >= 190
    assert faster.count("faster") >= 190


def test_more_replicates_find_less() -> None:
    random = np.random.default_rng(6)
    found = [outcome(draw(random, 1.02, 0.015, replicates=20)) for _ in range(100)]
    assert found.count("slower") >= 90


def test_below_one_per_cent_there_is_no_winner_however_quiet_it_is() -> None:
    random = np.random.default_rng(4)
    assert outcome(draw(random, 1.009, 1e-6)) == "no difference"
    assert outcome(draw(random, 1.011, 1e-6)) == "slower"


@pytest.mark.parametrize(
    "found",
    [
        Contrast((0.7,), (0.0, 0.0), 9),
        Contrast((0.7, 0.7), (0.0,) * 4, 4),
        Contrast((), (), 0),
    ],
)
def test_too_little_is_inconclusive(found: Contrast) -> None:
    assert outcome(found) == "inconclusive"


def test_the_interval_of_a_figure_over_sessions() -> None:
    found = session_interval([1.0, 4.0])
    assert found is not None
    assert found.estimate == pytest.approx(2)
    # Logs -d and d around log 2: standard error d, t of 1 is 12.706.
    assert math.log(found.high / 2) == pytest.approx(12.706205 * math.log(2))
    assert session_interval([1.0]) is None


@pytest.mark.parametrize(
    ("time", "says"),
    [
        (65, r"b is 1\.5 times faster than a: ratio 0\.65 \[0\.65, 0\.65\], noise floor 0\.0 %"),
        (300, r"b is 3\.0 times slower than a"),
        (95, r"b takes 5\.0 % less time than a"),
        (110, r"b takes 10\.0 % more time than a"),
        (100.5, r"b against a: no difference that this machine can show; ratio 1\.0"),
    ],
)
def test_the_verdict_in_words(time: float, says: str) -> None:
    blocks = Contrast((math.log(time / 100),) * 2, (0.0,) * 4, 6)
    found = compare("a", "b", (1e-7, time / 1e9), blocks)
    assert re.match(says, found.verdict)
    assert (found.blocks, found.replicates) == (6, 2)
