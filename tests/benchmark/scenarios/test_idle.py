"""The first call after a pause."""

from __future__ import annotations

from dataclasses import replace

import pytest

from edgecnn.benchmark.scenarios.idle import IdleTurn, latency, pause_and_call, scenario
from edgecnn.benchmark.scenarios.turns import Extent
from edgecnn.worker import Prepared

SLOW_THEN_STEADY = [9_000, 4_000, 1_000, 1_000, 1_050, 1_000]


def test_a_call_after_a_pause_is_held_against_a_steady_one() -> None:
    turns = [IdleTurn(0, [10**9] * 2, [SLOW_THEN_STEADY] * 2)]
    turns += [IdleTurn(1, [10**9], [[11_000, *SLOW_THEN_STEADY[1:]]])]
    found = latency("fp32", 1.0, turns)
    assert (found.variant, found.pause_seconds, found.pauses) == ("fp32", 1.0, 3)
    assert found.first_seconds == pytest.approx(9e-6)
    assert found.first_largest_seconds == pytest.approx(11e-6)
    assert found.steady_seconds == pytest.approx(1e-6)
    assert found.recovery_calls == 2
    assert found.ratio is not None
    assert found.ratio.estimate == pytest.approx((9 * 11) ** 0.5)
    assert found.ratio.low < 9 < 11 < found.ratio.high
    assert found.first_p90_seconds is None  # three pauses support none


def test_one_session_has_no_interval() -> None:
    found = latency("fp32", 1.0, [IdleTurn(0, [10**9], [SLOW_THEN_STEADY])])
    assert found.first_interval is None
    assert found.ratio is None
    assert found.first_seconds == pytest.approx(9e-6)


def test_the_worker_pauses_and_calls(prepared: Prepared) -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1

    counted = replace(prepared, calls=iter(lambda: call, None))
    turn = pause_and_call(counted, pause=0.01, pauses=2, replicate=3)
    assert turn.replicate == 3
    assert min(turn.pauses_ns) >= 10_000_000
    assert len(turn.calls_ns) == 2
    assert min(map(len, turn.calls_ns)) >= 6
    assert calls == 1 + sum(map(len, turn.calls_ns))


@pytest.mark.parametrize(("pause", "pauses"), [(10.0, 1), (0.07, 10), (0.001, 25)])
def test_pauses_fill_the_time_and_there_is_one_at_least(pause: float, pauses: int) -> None:
    extent = Extent(seconds=4.0, replicates=4)
    (cell,) = scenario(["fp32"], pause, extent).cells({"fp32": None})  # type: ignore[dict-item]
    assert cell.task(2).keywords == {  # type: ignore[attr-defined]
        "pause": pause,
        "pauses": pauses,
        "replicate": 2,
    }


def test_long_pauses_overlap_and_short_ones_do_not() -> None:
    offset = scenario(["a", "b"], 1.0, Extent(4.0)).offset_seconds
    assert offset is not None
    assert offset(2) == pytest.approx(0.515)
    assert scenario(["a", "b"], 0.1, Extent(4.0)).offset_seconds is None
