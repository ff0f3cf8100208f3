"""The estimate against series whose truth is known."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.benchmark.estimate import compare, log_ratio, noise_floor, outcome, ratio_interval
from edgecnn.benchmark.samples import Block

times = st.lists(st.integers(1_000, 10_000_000), min_size=1, max_size=9)
legs = st.tuples(times, times)
Logs = list[list[float]]


def block(first: Sequence[list[int]], second: Sequence[list[int]], replicate: int = 0) -> Block:
    return Block(replicate, "a", "b", tuple(first), tuple(second), idle=True)


def series(
    random: np.random.Generator, ratio: float, *, replicates: int = 5, session: float, noise: float
) -> Logs:
    """Draw log ratios: each replicate errs as a whole, and each of its blocks by itself."""
    return [
        list(math.log(ratio) + random.normal(0, session) + random.normal(0, noise, 4))
        for _ in range(replicates)
    ]


def test_a_block_s_ratio_is_that_of_its_medians() -> None:
    found = log_ratio(block(([100, 100, 900], [100]), ([200, 200, 1], [200])))
    assert math.exp(found) == pytest.approx(2)


@given(start=st.floats(1e3, 1e6), drift=st.floats(0.5, 2), ratio=st.floats(0.1, 10))
def test_a_steady_drift_cancels_out(start: float, drift: float, ratio: float) -> None:
    true = [start * drift**turn * (ratio if turn in (1, 2) else 1) for turn in range(4)]
    a1, b1, b2, a2 = ([round(time * 1e6)] for time in true)
    assert log_ratio(block((a1, a2), (b1, b2))) == pytest.approx(math.log(ratio), abs=1e-6)


@given(first=legs, second=legs)
def test_the_ratio_the_other_way_round_is_its_inverse(
    first: tuple[list[int], list[int]], second: tuple[list[int], list[int]]
) -> None:
    there, back = log_ratio(block(first, second)), log_ratio(block(second, first))
    assert there == pytest.approx(-back)


def test_the_noise_floor_is_the_largest_false_difference() -> None:
    null = [[math.log(1.01)] * 3, [math.log(0.96), math.log(0.96), math.log(2)]]
    assert noise_floor(null) == pytest.approx(1 / 0.96 - 1)
    assert noise_floor([]) == math.inf


def test_the_interval_by_hand() -> None:
    # Medians .1 and .3 around .2, nulls -.1 and .1: variance (.02 + .02) / 3, t of 3 is 3.1824.
    found = ratio_interval([[0.1], [0.3]], [[-0.1], [0.1]])
    half = 3.1824463 * math.sqrt(0.04 / 3 / 2)
    assert math.log(found.estimate) == pytest.approx(0.2)
    assert math.log(found.low) == pytest.approx(0.2 - half)
    assert math.log(found.high) == pytest.approx(0.2 + half)


def test_one_pair_alone_bounds_nothing() -> None:
    found = ratio_interval([[0.1, 0.2]], [])
    assert (found.low, found.high) == (0.0, math.inf)


@pytest.mark.parametrize("replicates", [2, 4, 8])
@pytest.mark.parametrize(("session", "noise"), [(0.01, 0.02), (0.03, 0.01)])
def test_nineteen_in_twenty_intervals_hold_the_truth(
    replicates: int, session: float, noise: float
) -> None:
    random, runs, held = np.random.default_rng(1), 400, 0
    for _ in range(runs):
        null = series(random, 1, replicates=replicates, session=session, noise=noise)
        logs = series(random, 1.3, replicates=replicates, session=session, noise=noise)
        found = ratio_interval(logs, null)
        held += found.low <= 1.3 <= found.high
    assert 0.925 * runs <= held


@pytest.mark.parametrize(("session", "noise"), [(0.002, 0.01), (0.01, 0.02), (0.05, 0.05)])
def test_a_variant_seldom_beats_itself(session: float, noise: float) -> None:
    random = np.random.default_rng(2)
    winners = sum(_outcome(random, 1, session, noise) != "no difference" for _ in range(400))
    assert winners <= 20


def test_five_per_cent_are_found_where_the_floor_is_low() -> None:
    random = np.random.default_rng(3)
    slower = [_outcome(random, 1.05, 0.005, 0.01) for _ in range(200)]
    faster = [_outcome(random, 1 / 1.05, 0.005, 0.01) for _ in range(200)]
    assert slower.count("slower") >= 190
    assert faster.count("faster") >= 190


def test_below_two_per_cent_there_is_no_winner_however_quiet_it_is() -> None:
    random = np.random.default_rng(4)
    assert _outcome(random, 1.019, 0.0, 1e-6) == "no difference"
    assert _outcome(random, 1.021, 0.0, 1e-6) == "slower"


def test_there_is_no_winner_unless_all_replicates_agree() -> None:
    logs = [[0.30], [0.31], [0.29], [0.32], [-0.01]]
    ratio = ratio_interval([[0.3], [0.3]], [[0.0], [0.0]])
    assert outcome([*logs[:4], [0.3]], ratio, 0.01) == "slower"
    assert outcome(logs, ratio, 0.01) == "no difference"


@pytest.mark.parametrize("logs", [[[0.7] * 9], [[0.7] * 2, [0.7] * 2], []])
def test_too_little_is_inconclusive(logs: Logs) -> None:
    ratio = ratio_interval([[0.7], [0.7]], [[0.0], [0.0]])
    assert outcome(logs, ratio, 0.0) == "inconclusive"


@pytest.mark.parametrize(
    ("time", "says"),
    [
        (65, r"b is 1\.5 times faster than a: ratio 0\.65 \[0\.65, 0\.65\], noise floor 0\.0 %"),
        (300, r"b is 3\.0 times slower than a"),
        (95, r"b takes 5\.0 % less time than a"),
        (110, r"b takes 10\.0 % more time than a"),
        (101, r"b against a: no difference that this machine can show; ratio 1\.01"),
    ],
)
def test_the_verdict_in_words(time: int, says: str) -> None:
    pairs = [[block(([100], [100]), ([time], [time]), n)] * 3 for n in range(2)]
    found = compare("a", "b", (1e-7, time / 1e9), pairs, [[0.0], [0.0]])
    assert re.match(says, found.verdict)
    assert (found.blocks, found.replicates) == (6, 2)


def _outcome(random: np.random.Generator, ratio: float, session: float, noise: float) -> str:
    null = series(random, 1, session=session, noise=noise)
    logs = series(random, ratio, session=session, noise=noise)
    return outcome(logs, ratio_interval(logs, null), noise_floor(null))
