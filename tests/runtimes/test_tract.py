"""tract: one thread, each batch size made ready by itself, and what it lacks said in a sentence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgecnn.errors import InputError, ModelError
from edgecnn.runtime import CheckedSession, TensorSpec, Variant, open_session
from tests.conftest import TinyNet
from tests.runtimes import graphs

pytest.importorskip("tract", reason="tract is not installed: pip install 'edgecnn[tract]'")


def _run(session: CheckedSession, **inputs: NDArray[Any]) -> NDArray[np.float32]:
    (found,) = session.run(inputs).values()
    assert found.dtype == np.float32
    return found.astype(np.float32)


@pytest.fixture(params=["fp32", "int8"])
def net(request: pytest.FixtureRequest, tiny_net: TinyNet, tmp_path: Path) -> Variant:
    path = tmp_path / f"{request.param}.onnx"
    path.write_bytes(tiny_net.onnx(request.param))
    return replace(graphs.variant(path), precision=request.param)


def test_more_batch_sizes_than_are_kept(net: Variant, tiny_net: TinyNet) -> None:
    with open_session(net, runtime="tract") as session:
        for count in (1, 2, 3, 4, 5, 6, 7, 1, 6):
            images = tiny_net.images[:count]
            logits = _run(session, pixels=images)
            exact = tiny_net.exact(images)
            allowed = 1e-5 if net.precision == "fp32" else 0.05
            assert np.abs(logits - exact).max() <= allowed * np.abs(exact).max()


def test_int8_answers_as_onnx_runtime_does(net: Variant, tiny_net: TinyNet) -> None:
    with open_session(net, runtime="tract") as one, open_session(net, runtime="ort") as two:
        found, expected = (_run(session, pixels=tiny_net.images) for session in (one, two))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_a_fixed_batch(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "three.onnx"
    path.write_bytes(tiny_net.onnx(batch=3))
    with open_session(replace(graphs.variant(path), batch=3), runtime="tract") as session:
        assert session.inputs[0].shape[0] == 3
        found = _run(session, pixels=tiny_net.images[:3])
        with pytest.raises(InputError, match="shape"):
            _run(session, pixels=tiny_net.images[:2])
    np.testing.assert_allclose(found, tiny_net.exact(tiny_net.images[:3]), rtol=1e-4, atol=1e-4)


def test_height_and_width_may_be_open(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(2, 1, 8, 9)).astype(np.float32)
    content = graphs.single("Conv", {"x": x, "w": np.ones((1, 1, 3, 3), np.float32)})
    with open_session(graphs.save(content, tmp_path / "conv.onnx"), runtime="tract") as session:
        found = _run(session, x=x)
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    np.testing.assert_allclose(found, windows.sum(axis=(4, 5)), rtol=1e-4, atol=1e-5)


def test_one_thread_and_no_more(net: Variant) -> None:
    with open_session(net, runtime="tract") as session:
        assert session.threads == 1
    with pytest.raises(InputError, match="1 thread at most, not on 2") as refusal:
        open_session(net, runtime="tract", threads=2)
    assert refusal.value.remedy.startswith("Use --threads 1")


def test_it_has_no_options(net: Variant) -> None:
    with pytest.raises(InputError, match="no option 'spinning'"):
        open_session(net, runtime="tract", options={"spinning": "off"})


def test_an_operator_that_it_lacks_is_named(tmp_path: Path) -> None:
    floats = TensorSpec("x", "float32", ("N", 1, 4, 4))
    nodes = [
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("Abacus", ["a"], ["beads"], name="counting"),
        helper.make_node("Conv", ["beads", "w"], ["y"]),
    ]
    weights = {"w": np.ones((1, 1, 3, 3), np.float32)}
    content = graphs.model(nodes, (floats,), (replace(floats, name="y"),), weights)
    with pytest.raises(ModelError, match="no operator 'Abacus'") as refusal:
        open_session(graphs.save(content, tmp_path / "abacus.onnx"), runtime="tract")
    assert "counting" in refusal.value.problem
    assert "\n" not in str(refusal.value)


def test_a_file_that_changed_meanwhile_is_refused(net: Variant, tiny_net: TinyNet) -> None:
    with open_session(net, runtime="tract") as session:
        _run(session, pixels=tiny_net.images[:1])
        net.path.write_bytes(tiny_net.onnx("fp32") + b"\0")
        with pytest.raises(ModelError, match="changed while"):
            _run(session, pixels=tiny_net.images[:2])
