"""Several callers on one session."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from edgecnn.benchmark.scenarios.concurrency import CallersTurn, call_at_once, throughput
from edgecnn.runtime import CheckedSession
from edgecnn.spec import TensorSpec
from edgecnn.worker import Prepared


class _Engine:
    """An engine whose calls take 10 ms, one that hands out one buffer to all, or one that fails."""

    provider = "cpu"
    inputs: tuple[TensorSpec, ...] = (TensorSpec("x", "float32", (1,)),)
    outputs: tuple[TensorSpec, ...] = (TensorSpec("y", "float32", (1,)),)

    def __init__(self, *, shares: bool = False, fails_at: int = 0) -> None:
        self._shares = shares
        self._left = fails_at
        self._buffer = np.zeros(1, np.float32)

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        self._left -= 1
        if self._left == 0:
            raise RuntimeError("enough for today")
        answer = self._buffer if self._shares else np.zeros(1, np.float32)
        answer[:] = inputs["x"] * 2
        time.sleep(0.01)
        return {"y": answer.copy()}

    def prepare(self, inputs: Mapping[str, Any]) -> Callable[[], object]:
        return partial(self.run, inputs)

    def close(self) -> None:
        pass


def held(prepared: Prepared, engine: _Engine) -> Prepared:
    batches = [{"x": np.full(1, value, np.float32)} for value in (1, 50, 900)]
    return replace(prepared, session=CheckedSession(engine, "mine", 1), batches=batches)


def test_callers_call_side_by_side(prepared: Prepared) -> None:
    turn = call_at_once(held(prepared, _Engine()), callers=3, seconds=0.1, replicate=2)
    assert turn.replicate == 2
    assert turn.agrees
    assert len(turn.times_ns) == len(turn.walls_ns) == 3
    assert all(len(times) >= 3 for times in turn.times_ns)
    assert min(min(times) for times in turn.times_ns) >= 10_000_000
    for times, wall in zip(turn.times_ns, turn.walls_ns, strict=True):
        assert sum(times) <= wall


def test_a_real_engine_answers_all_alike(prepared: Prepared) -> None:
    turn = call_at_once(prepared, callers=2, seconds=0.01, replicate=0)
    assert turn.agrees
    assert turn.per_second > 0


def test_answers_that_change_while_others_call_are_noticed(prepared: Prepared) -> None:
    shared = call_at_once(held(prepared, _Engine(shares=True)), callers=3, seconds=0, replicate=0)
    assert not shared.agrees
    assert not throughput("bad", 3, "-", [shared], [], 1).agrees


def test_a_failing_caller_does_not_leave_the_others_waiting(prepared: Prepared) -> None:
    # Three calls alone and three of each caller are compared; the tenth is before the start.
    with pytest.raises(RuntimeError, match="enough for today"):
        call_at_once(held(prepared, _Engine(fails_at=10)), callers=2, seconds=0, replicate=0)


def test_rates_of_callers_add_up() -> None:
    turn = CallersTurn(0, [[10] * 5, [20] * 5], [100, 200], cpu_ns=150, agrees=True)
    assert turn.per_second == pytest.approx(5 / 100e-9 + 5 / 200e-9)


def test_the_gain_is_over_one_caller_of_the_same_session() -> None:
    alone = [CallersTurn(0, [[10] * 10], [100], 100, True)]
    alone += [CallersTurn(1, [[20] * 10], [200], 200, True)]
    both = [CallersTurn(0, [[10] * 10, [10] * 10], [100, 100], 200, True)]
    both += [CallersTurn(1, [[20] * 10, [20] * 10], [200, 200], 400, True)]
    found = throughput("fp32", 2, "on", both, alone, batch_size=4)
    assert found.gain is not None
    assert found.gain.low == pytest.approx(2)
    assert found.gain.high == pytest.approx(2)
    assert found.images_per_second is not None
    assert found.images_per_second.estimate == pytest.approx(4 * 2 * (1e8 * 5e7) ** 0.5)
    assert found.cores == pytest.approx(2)
    assert found.cpu_seconds == pytest.approx(15e-9)
    assert found.calls == 40
    assert throughput("fp32", 1, "on", alone, alone, 4).gain is None
