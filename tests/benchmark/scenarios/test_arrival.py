"""Inputs that arrive whether or not the last one was answered."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import fmean, stdev

import pytest

from edgecnn.benchmark.scenarios.arrival import (
    WAITING,
    ArrivalTurn,
    Waiting,
    answer_arrivals,
    latency,
    scenario,
    schedule,
)
from edgecnn.benchmark.scenarios.turns import Extent
from edgecnn.benchmark.scenarios.wanted import Arrival
from edgecnn.worker import Prepared

CAMERA = Arrival("periodic", 100)
MILLISECOND = 1_000_000


def test_a_camera_is_regular() -> None:
    moments = schedule(CAMERA, 5, 0)
    assert moments == [10_000_000 * number for number in range(1, 6)]


def test_a_crowd_is_not_but_the_same_for_all() -> None:
    moments = schedule(Arrival("poisson", 100), 5000, 1)
    gaps = [after - before for before, after in pairwise(moments)]
    assert fmean(gaps) == pytest.approx(1e7, rel=0.1)
    assert stdev(gaps) == pytest.approx(1e7, rel=0.1)  # as exponential gaps have it
    assert moments == schedule(Arrival("poisson", 100), 5000, 1)
    assert moments != schedule(Arrival("poisson", 100), 5000, 2)


@pytest.mark.parametrize("waiting", WAITING)
def test_an_input_that_waits_behind_a_slow_one_is_late(
    prepared: Prepared, waiting: Waiting
) -> None:
    seconds = [0.003, 0.05, 0, 0, 0, 0, 0]  # the first call is there to wake up
    held = replace(prepared, calls=iter([partial(time.sleep, each) for each in seconds]))
    moments = [MILLISECOND * (1 + 5 * number) for number in range(6)]
    turn = answer_arrivals(held, moments=moments, waiting=waiting, replicate=0)
    # The second came 5 ms after the first and waited for it; its own call was fast.
    assert turn.latencies_ns[0] >= 50 * MILLISECOND
    assert turn.latencies_ns[1] >= 45 * MILLISECOND
    assert turn.calls_ns[1] < turn.latencies_ns[1]
    for call, whole in zip(turn.calls_ns, turn.latencies_ns, strict=True):
        assert 0 <= call <= whole
    assert (turn.given_up, len(turn.calls_ns)) == (0, 6)


def test_who_falls_a_second_behind_gives_up(prepared: Prepared) -> None:
    calls = iter(lambda: lambda: time.sleep(0.6), None)
    held = replace(prepared, calls=calls)
    moments = [MILLISECOND * number for number in range(1, 11)]
    turn = answer_arrivals(held, moments=moments, waiting="sleeping", replicate=0)
    assert len(turn.calls_ns) == 2
    assert turn.given_up == 8
    found = latency("slow", Arrival("periodic", 1000), "sleeping", [turn])
    assert not found.keeps_up
    assert found.arrivals == 10
    assert found.missed is not None
    assert found.missed.estimate == 1


def turn(latencies: list[int], calls: list[int], wall: int, replicate: int = 0) -> ArrivalTurn:
    return ArrivalTurn(replicate, latencies, calls, 0, wall, cpu_ns=sum(calls))


def test_the_figures() -> None:
    turns = [turn([2, 4, 6], [1, 1, 1], 100), turn([8, 10, 12], [1, 2, 1], 100, 1)]
    found = latency("fp32", CAMERA, "sleeping", turns)
    assert found.median_seconds == pytest.approx(7e-9)
    assert found.interval is not None
    assert found.interval.estimate == pytest.approx((4 * 10) ** 0.5 * 1e-9)
    assert found.call_seconds == pytest.approx(1e-9)
    assert found.busy_share == pytest.approx(7 / 200)
    assert found.keeps_up
    assert found.deadline_seconds == pytest.approx(0.01)
    assert found.missed is not None
    assert found.missed.estimate == 0
    assert found.missed.high > 0.3  # six arrivals prove little
    assert found.p90_seconds is None


def test_a_deadline_of_ones_own() -> None:
    turns = [turn([2, 4, 6], [1, 1, 1], 100)]
    found = latency("fp32", Arrival("poisson", 5), "sleeping", turns, deadline=5e-9)
    assert found.missed is not None
    assert found.missed.estimate == pytest.approx(1 / 3)
    assert latency("fp32", Arrival("poisson", 5), "sleeping", turns).missed is None


def test_who_is_busy_all_the_time_does_not_keep_up() -> None:
    assert not latency("fp32", CAMERA, "sleeping", [turn([50, 99], [50, 49], 100)]).keeps_up


def test_every_variant_gets_the_same_arrivals() -> None:
    opened = dict.fromkeys(("a", "b"))
    many = scenario(["a", "b"], CAMERA, Extent(8.0, 4))
    cells = many.cells(opened)  # type: ignore[arg-type]
    assert [(cell.lane, cell.key[3]) for cell in cells] == [
        (name, waiting) for name in ("a", "b") for waiting in WAITING
    ]
    moments = [cell.task(1).keywords["moments"] for cell in cells]  # type: ignore[attr-defined]
    assert len(moments[0]) == 100  # a second of each slot, asleep and watching
    assert all(each == moments[0] for each in moments)
