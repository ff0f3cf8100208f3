"""Steady or not: on series that are made up, and on real sessions."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from edgecnn.benchmark.engine import Batches, Place, Subject
from edgecnn.benchmark.scenarios import Wanted, idle
from edgecnn.benchmark.scenarios.report import sum_up
from edgecnn.benchmark.scenarios.turns import Extent, Turns, take_turns
from edgecnn.benchmark.warmup import LONGEST_SECONDS, is_steady, truncation, warm_up
from edgecnn.spec import Variant
from edgecnn.worker import Opened, Worker

TROUBLED = str(Path(__file__).parents[1] / "runtimes" / "troubled")


def noise(share: float, windows: int, seed: int = 0) -> list[float]:
    return list(np.random.default_rng(seed).normal(0, share, windows))


def series(windows: int, shape: Callable[[int], float], share: float = 0.01) -> list[float]:
    """Make logarithms of windows' medians: a shape, as a factor of the time, with noise on it."""
    return [math.log(shape(n)) + off for n, off in enumerate(noise(share, windows))]


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        pytest.param(lambda n: 1.0, 0.0, id="level"),
        pytest.param(lambda n: 1.0, 0.01, id="as noisy as an idle machine"),
        pytest.param(lambda n: 1.0, 0.03, id="as noisy as a machine with other work"),
        pytest.param(lambda n: 1.3 if n < 5 else 1.0, 0.01, id="stepped down"),
        pytest.param(lambda n: 1.0 if n < 5 else 1.1, 0.01, id="stepped up"),
        pytest.param(lambda n: 1 + math.exp(-n), 0.01, id="fell at first"),
        pytest.param(lambda n: 3.0 if n in (4, 9) else 1.0, 0.0, id="disturbed at first"),
        pytest.param(lambda n: 0.9999**n, 0.0, id="falling by too little to matter"),
    ],
)
def test_what_has_come_to_rest_is_steady(shape: Callable[[int], float], share: float) -> None:
    assert is_steady(series(25, shape, share))


@pytest.mark.parametrize(
    ("shape", "share"),
    [
        pytest.param(lambda n: 0.98**n, 0.01, id="falling"),
        pytest.param(lambda n: 0.995**n, 0.0, id="falling slowly"),
        pytest.param(lambda n: 1.02**n, 0.01, id="rising"),
        pytest.param(lambda n: 1 + math.exp(-n / 10), 0.01, id="still on its way"),
        pytest.param(lambda n: 1.3 if n < 20 else 1.0, 0.01, id="stepped just now"),
        pytest.param(lambda n: 1.15 if n % 2 else 1.0, 0.01, id="oscillating"),
        pytest.param(lambda n: 1.15 if n // 4 % 2 else 1.0, 0.01, id="oscillating slowly"),
        pytest.param(lambda n: 1.0, 0.15, id="nothing but noise"),
    ],
)
def test_what_has_not_is_not(shape: Callable[[int], float], share: float) -> None:
    assert not is_steady(series(25, shape, share))


def test_too_few_windows_say_nothing() -> None:
    assert not is_steady([])
    assert not is_steady([0.0, 0.0])
    assert is_steady([0.0, 0.0, 0.0])


def test_a_fall_over_the_fewest_windows_is_not_steady() -> None:
    # Half of them may be left out, and the spread of the rest is small; its halves tell.
    assert not is_steady([-0.02 * window for window in range(6)])


def test_the_beginning_is_left_out_where_the_rest_is_better_without() -> None:
    assert truncation([0.0] * 8) == 0
    assert truncation([0.4, 0.3, 0.0, 0.0, 0.01, 0.0, 0.0, 0.01]) == 2
    assert truncation([1.0, 0.9, 0.8, 0.7, 0.6, 0.5]) == 3  # all that may be left out


def test_noise_alone_is_soon_taken_for_steady() -> None:
    """Each window is another chance: of 200 sessions that are level, none waits for long."""
    waited = []
    for seed in range(200):
        levels = noise(0.02, 60, seed)
        waited.append(next(n for n in range(6, 61) if n == 60 or is_steady(levels[:n])))
    assert float(np.median(waited)) <= 8
    assert max(waited) < 40


NET = Variant("net", "fp32", "onnx", ("nowhere.onnx",))
RESTLESS = {"delay": "0.001", "growth": "0.02"}


def ones(opened: Opened) -> Batches:
    return [{"pixels": np.ones((1, 8, 8, 3), np.uint8)}]


@pytest.fixture
def worker() -> Iterator[Worker]:
    with Worker() as fresh:
        fresh.feed(ones(fresh.open(NET, runtime=TROUBLED, threads=1, options={"delay": "0.001"})))
        yield fresh


def test_a_real_session_is_warmed_up_in_time(worker: Worker) -> None:
    began = time.perf_counter()
    warmup, about = warm_up(worker, None)
    # It sleeps for a millisecond; on a machine with much else to do it may never be steady.
    assert warmup.steady is True or time.perf_counter() - began >= LONGEST_SECONDS
    assert warmup.runs >= 6
    assert 0.001 < about < 1


def test_a_given_number_of_runs_is_not_judged(worker: Worker) -> None:
    warmup, about = warm_up(worker, 3)
    assert (warmup.runs, warmup.steady) == (3, None)
    assert about > 0.001
    assert warm_up(worker, 0)[0].runs == 0


def test_what_is_slower_each_time_is_doubted_in_scenarios_too() -> None:
    turns, place = Turns(), Place(TROUBLED, threads=1, options=RESTLESS)
    subject, pause = (
        Subject("net", NET, ones, place),
        idle.scenario(["net"], 0.001, Extent(0.01, 1)),
    )
    take_turns(turns, [subject], [pause], progress=lambda text, share: None, replicates=1)
    assert turns.unsteady == {"net"}
    found = sum_up(turns, Wanted(idle=(0.001,)), 1, pictures=None, meter=None)
    [doubt] = found.doubts
    assert doubt.what == "net was not steady when a scenario began"
    assert "`--warmup 1000`" in doubt.remedy
