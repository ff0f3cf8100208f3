from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgecnn.benchmark.plan import make_plan
from edgecnn.errors import InputError


@given(st.floats(0.01, 1000))
def test_more_time_brings_more_replicates(duration: float) -> None:
    plan = make_plan(duration)
    assert 2 <= plan.replicates <= 30
    assert plan.replicates <= make_plan(2 * duration).replicates
    assert plan.slot_seconds * plan.replicates == pytest.approx(duration)


@given(st.integers(1, 100_000))
def test_iterations_are_reached_and_not_by_far_exceeded(iterations: int) -> None:
    plan = make_plan(iterations=iterations)
    assert plan.blocks is not None
    turns = 2 * plan.replicates * plan.blocks * 2
    assert iterations <= turns * plan.leg.calls <= iterations + 2 * turns
    assert plan.leg.seconds == 0


def test_a_plan_may_fix_the_warm_up() -> None:
    assert make_plan(warmup=0).warmup_runs == 0
    assert make_plan().warmup_runs is None


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"duration": 1.0, "iterations": 5}, "exclude one another"),
        ({"duration": 1.0, "budget": 5.0}, "--duration and --budget exclude one another"),
        ({"budget": -1.0}, "A budget of -1 s cannot be measured"),
        ({"duration": 0.0}, "cannot be measured"),
        ({"duration": float("nan")}, "cannot be measured"),
        ({"duration": float("inf")}, "cannot be measured"),
        ({"iterations": 0}, "--iterations 0 is too few"),
        ({"warmup": -1}, "--warmup -1 is too few"),
    ],
)
def test_numbers_that_cannot_be(arguments: dict[str, float], says: str) -> None:
    with pytest.raises(InputError, match=says):
        make_plan(**arguments)  # type: ignore[arg-type]
