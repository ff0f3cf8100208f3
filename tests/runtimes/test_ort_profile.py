"""ONNX Runtime's profile: what a session says of its operators, and what it leaves behind."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from onnx import helper

from edgecnn.errors import InputError
from edgecnn.runtime import TensorSpec, Variant, open_session
from edgecnn.spec import OperatorRun
from tests.runtimes import graphs

PROFILING = {"profiling": "on"}
SIZE = 256
INPUT = {"x": np.ones((1, SIZE), np.float32)}


def leftovers() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("edgecnn-profile-*"))


@pytest.fixture
def variant(tmp_path: Path) -> Variant:
    """Give a small product, a change of sign, and a product that is 16 times as large."""
    spec = TensorSpec("x", "float32", (1, SIZE))
    weights = {
        "w": np.ones((SIZE, SIZE), np.float32),
        "v": np.ones((SIZE, 16 * SIZE), np.float32),
    }
    model = graphs.model(
        [
            helper.make_node("MatMul", ["x", "w"], ["a"], name="small"),
            helper.make_node("Neg", ["a"], ["b"]),
            helper.make_node("MatMul", ["b", "v"], ["y"], name="large"),
        ],
        (spec,),
        (TensorSpec("y", "float32", (1, 16 * SIZE)),),
        weights,
    )
    return graphs.save(model, tmp_path / "model.onnx")


def profile(variant: Variant, runs: int = 5) -> tuple[OperatorRun, ...]:
    with open_session(variant, threads=1, options=PROFILING) as session:
        call = session.prepare(INPUT)
        for _ in range(runs):
            call()
        return session.profile()


def test_operators_come_in_their_order_with_what_they_read_and_make(variant: Variant) -> None:
    small, turn, large = profile(variant)
    assert [each.operator for each in (small, turn, large)] == ["MatMul", "Neg", "MatMul"]
    assert (small.name, turn.name, large.name) == ("small", "b", "large")
    assert small.inputs == (TensorSpec("x", "float32", (1, SIZE)),)
    assert small.constants == (TensorSpec("w", "float32", (SIZE, SIZE)),)
    assert turn.inputs == small.outputs == (TensorSpec("a", "float32", (1, SIZE)),)
    assert large.outputs == (TensorSpec("y", "float32", (1, 16 * SIZE)),)


def test_every_run_has_a_time(variant: Variant) -> None:
    for each in profile(variant, runs=7):
        assert len(each.times_ns) == 7
        assert min(each.times_ns) >= 0


def test_a_small_net_is_timed_more_finely(variant: Variant) -> None:
    small, turn, large = (median(each.finer_ns) for each in profile(variant))
    assert large > small > turn


def test_nothing_is_left_behind(variant: Variant) -> None:
    before = leftovers()
    profile(variant)
    assert leftovers() == before
    session = open_session(variant, threads=1, options=PROFILING)
    assert len(leftovers() - before) == 1
    session.close()
    assert leftovers() == before


def test_a_file_that_cannot_be_opened_leaves_nothing_behind(tmp_path: Path) -> None:
    before = leftovers()
    model = graphs.single("Relu", {"x": np.ones((1, 4), np.float32)})
    model.graph.node[0].op_type = "Conv"
    with pytest.raises(Exception, match="refuses"):
        open_session(graphs.save(model, tmp_path / "bad.onnx"), options=PROFILING)
    assert leftovers() == before


def test_a_session_without_a_profile_says_so(variant: Variant) -> None:
    with open_session(variant, threads=1) as session, pytest.raises(InputError, match="profiling"):
        session.profile()


def test_answers_are_those_of_a_session_without_a_profile(variant: Variant) -> None:
    with (
        open_session(variant, threads=1) as plain,
        open_session(variant, threads=1, options=PROFILING) as profiling,
    ):
        assert np.array_equal(plain.run(INPUT)["y"], profiling.run(INPUT)["y"])


def test_runs_with_checks_are_profiled_too(variant: Variant) -> None:
    with open_session(variant, threads=1, options=PROFILING) as session:
        for _ in range(9):  # one alone may be held up for so long that finer times are not worth it
            session.run(INPUT)
        assert [len(each.finer_ns) > 10 for each in session.profile()] == [True] * 3


def test_a_net_of_many_outputs_is_timed_too(tmp_path: Path) -> None:
    spec = TensorSpec("x", "float32", (1, 4))
    nodes = [
        helper.make_node("Split", ["x"], ["a", "b"], axis=1, num_outputs=2, name="halves"),
        helper.make_node("Exp", ["a"], ["y"], name="grow"),
    ]
    outputs = (TensorSpec("y", "float32", (1, 2)), TensorSpec("b", "float32", (1, 2)))
    variant = graphs.save(graphs.model(nodes, (spec,), outputs), tmp_path / "halves.onnx")
    with open_session(variant, threads=1, options=PROFILING) as session:
        call = session.prepare({"x": np.ones((1, 4), np.float32)})
        for _ in range(9):
            call()
        halves, grow = session.profile()
    assert [each.name for each in halves.outputs] == ["a", "b"]
    assert len(halves.finer_ns) == len(grow.finer_ns) > 10
