"""Intervals against published worked numbers, and against what must hold of any of them."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from edgecnn.errors import InputError
from edgecnn.stats import (
    Interval,
    median_interval,
    percentile,
    samples_for_percentile,
    smallest_provable_drop,
    tango,
    wilson,
)

Z2 = 1.959963984540054**2


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # R. G. Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_published(successes: int, n: int, low: float, high: float) -> None:
    interval = wilson(successes, n)
    assert (round(interval.low, 4), round(interval.high, 4)) == (low, high)


@given(st.integers(1, 10**6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_holds_the_estimate(counts: tuple[int, int]) -> None:
    successes, n = counts
    interval = wilson(successes, n)
    assert 0 <= interval.low <= interval.estimate <= interval.high <= 1
    assert (interval.low == 0) == (successes == 0)
    assert (interval.high == 1) == (successes == n)
    mirrored = wilson(n - successes, n)
    assert mirrored.low == pytest.approx(1 - interval.high, abs=1e-12)


@pytest.mark.parametrize(
    ("b", "c", "n", "low", "high"),
    [
        # M. W. Fagerland, S. Lydersen, P. Laake, Statistical Analysis of Contingency Tables
        # (2017), chapter 8: airway hyper-responsiveness, and complete response to a therapy.
        (1, 7, 21, -0.517, -0.026),
        (6, 16, 161, -0.124, -0.005),
    ],
)
def test_tango_published(b: int, c: int, n: int, low: float, high: float) -> None:
    interval = tango(b, c, n)
    assert (round(interval.low, 3), round(interval.high, 3)) == (low, high)


tables = st.integers(1, 20_000).flatmap(
    lambda n: st.tuples(st.integers(0, n), st.integers(0, n), st.just(n))
)


@given(tables)
def test_tango_solves_the_score_equation(table: tuple[int, int, int]) -> None:
    b, c, n = table
    assume(b + c <= n)
    interval = tango(b, c, n)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    mirrored = tango(c, b, n)
    assert mirrored.low == pytest.approx(-interval.high, abs=1e-9)
    assert mirrored.high == pytest.approx(-interval.low, abs=1e-9)
    for limit in (interval.low, interval.high):
        if abs(limit) < 1 - 1e-9 and abs(limit - interval.estimate) > 1e-7:
            assert score(b, c, n, limit) == pytest.approx(Z2, rel=1e-3)


def score(b: int, c: int, n: int, difference: float) -> float:
    """Tango's statistic squared, its restricted estimate found by search and not by formula."""
    from scipy.optimize import minimize_scalar

    def unlikelihood(q: float) -> float:
        cells = ((b, q + difference), (c, q), (n - b - c, 1 - 2 * q - difference))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in cells if count)

    bounds = (max(0.0, -difference), (1 - difference) / 2)
    q = minimize_scalar(unlikelihood, bounds=bounds, method="bounded", options={"xatol": 1e-12}).x
    return float((b - c - n * difference) ** 2 / (n * (2 * q + difference - difference**2)))


@given(st.integers(1, 10**6))
def test_tango_without_a_single_flip(n: int) -> None:
    interval = tango(0, 0, n)
    assert interval.high == pytest.approx(Z2 / (n + Z2))
    assert interval.low == pytest.approx(-Z2 / (n + Z2))


def test_tango_when_all_pairs_differ() -> None:
    interval = tango(12, 0, 12)
    assert interval.high == 1
    assert interval.low == pytest.approx((12 - Z2) / (12 + Z2))


def test_smallest_provable_drop() -> None:
    # 500 images without a flip: 0.76 points by the score interval (the exact binomial bound,
    # 1 - 0.025 ** (1 / 500), is 0.74). 5,000 images prove half a point up to 3.2 % discordant.
    assert smallest_provable_drop(500, 0) == pytest.approx(0.00762, abs=5e-6)
    assert smallest_provable_drop(5000, 0.0318) < 0.005 < smallest_provable_drop(5000, 0.032)


def test_confidence_widens() -> None:
    assert tango(9, 4, 100, 0.99).high > tango(9, 4, 100, 0.95).high > tango(9, 4, 100, 0.5).high
    assert wilson(9, 100, 0.99).high > wilson(9, 100).high


@pytest.mark.parametrize(("b", "c", "n"), [(1, 0, 0), (-1, 0, 5), (3, 3, 5), (6, 0, 5)])
def test_tango_refuses(b: int, c: int, n: int) -> None:
    with pytest.raises(InputError):
        tango(b, c, n)


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 5), (6, 5)])
def test_wilson_refuses(successes: int, n: int) -> None:
    with pytest.raises(InputError):
        wilson(successes, n)


def test_confidence_must_be_between_0_and_1() -> None:
    with pytest.raises(InputError, match="95"):
        wilson(1, 2, 95)


@pytest.mark.parametrize(
    ("share", "needed"), [(0.5, 5), (0.9, 29), (0.95, 59), (0.99, 299), (0.999, 2995)]
)
def test_percentile_needs_its_samples(share: float, needed: int) -> None:
    assert samples_for_percentile(share) == needed
    assert percentile(range(needed - 1), share) is None
    assert percentile(range(needed), share) == pytest.approx(share * (needed - 1))


@pytest.mark.parametrize(("count", "outside"), [(6, 0), (8, 0), (9, 1), (20, 5), (100, 39)])
def test_the_median_lies_between_order_statistics(count: int, outside: int) -> None:
    # The textbook's table of ranks for 95 %.
    found = median_interval(range(count, 0, -1))
    assert found is not None
    assert found == Interval((count + 1) / 2, 1 + outside, count - outside)


def test_five_samples_do_not_bound_a_median() -> None:
    assert median_interval([1, 2, 3, 4, 5]) is None
    assert median_interval([]) is None
