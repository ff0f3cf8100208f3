"""ONNX Runtime on a GPU of NVIDIA's: where it computes, in what, and through which buffers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import helper

from edgecnn.errors import UnavailableError
from edgecnn.placing import prove_placement
from edgecnn.runtime import CheckedSession, TensorSpec, open_session
from edgecnn.spec import Variant
from edgecnn.worker import Opened
from tests.conftest import TinyNet
from tests.runtimes import graphs

pytestmark = pytest.mark.gpu

BUFFERS = [
    {"io_binding": "on"},
    {"io_binding": "pinned"},
    {"cuda_graph": "on"},
    {"cuda_graph": "on", "io_binding": "pinned"},
]


@pytest.fixture
def net(tiny_net: TinyNet, tmp_path: Path) -> Variant:
    path = tmp_path / "net.onnx"
    path.write_bytes(tiny_net.onnx())
    return graphs.variant(path)


@pytest.fixture
def part(tmp_path: Path) -> Variant:
    """A net whose Det has no kernel on CUDA."""
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["maps"]),
        helper.make_node("Det", ["maps"], ["determinants"]),
        helper.make_node("Mul", ["determinants", "two"], ["y"]),
    ]
    inputs = (TensorSpec("x", "float32", ("N", 3, 10, 10)),)
    outputs = (TensorSpec("y", "float32", ("N", 8)),)
    weights: graphs.Arrays = {
        "w": np.random.default_rng(0).normal(size=(8, 3, 3, 3)).astype(np.float32),
        "two": np.full((8,), 2, np.float32),
    }
    return graphs.save(graphs.model(nodes, inputs, outputs, weights), tmp_path / "part.onnx")


def test_every_operator_runs_there(net: Variant, tiny_net: TinyNet) -> None:
    batch = {"pixels": tiny_net.images[:8]}
    found = prove_placement(net, lambda _: [batch], provider="cuda", threads=1)
    assert found is not None
    assert found.complete
    assert found.coverage == 1
    assert found.copies == ()
    assert {share.provider for share in found.shares} == {"cuda"}
    names = {library.name.partition(".so")[0] for library in found.libraries}
    assert {"libonnxruntime_providers_cuda", "libcudart", "libcublas", "libcudnn"} <= names
    assert all(library.version for library in found.libraries if "libcudart" in library.name)


def test_a_part_on_the_cpu_is_refused_with_its_operators(part: Variant) -> None:
    with pytest.raises(UnavailableError, match="cuda") as refusal:
        open_session(part, provider="cuda")
    assert any("Det" in need.name for need in refusal.value.requirements)


def test_copies_between_gpu_and_memory_are_counted(part: Variant) -> None:
    def ones(opened: Opened) -> list[graphs.Arrays]:
        return [{"x": np.ones((1, 3, 10, 10), np.float32)}]

    found = prove_placement(part, ones, provider="cuda", threads=1, options={"fallback": "on"})
    assert found is not None
    assert [each.operator for each in found.elsewhere] == ["Det"]
    counts = {each.direction: each.count for each in found.copies}
    assert counts == {"to host": 1, "from host": 1}
    assert 0 < found.coverage < 1


@pytest.mark.parametrize("options", BUFFERS, ids=str)
def test_buffers_change_no_answer(net: Variant, tiny_net: TinyNet, options: dict[str, str]) -> None:
    batches = [tiny_net.images[:4], tiny_net.images[4:8], tiny_net.images[:3]]
    with open_session(net, provider="cuda", options=options) as session:
        answers = [_logits(session, images) for images in batches]
        calls = [session.prepare({"pixels": images}) for images in batches]
        for _ in range(3):  # a graph is recorded in the first, and replayed from then on
            for call, images, answer in zip(calls, batches, answers, strict=True):
                outputs: Any = call()
                np.testing.assert_array_equal(outputs[0], answer)
                np.testing.assert_array_equal(_logits(session, images), answer)
    with open_session(net, provider="cuda") as plain:  # which may choose other algorithms
        for images, answer in zip(batches, answers, strict=True):
            assert _error(answer, _logits(plain, images).astype("f8")) <= 1e-6


@pytest.mark.parametrize("options", BUFFERS, ids=str)
def test_buffers_take_other_inputs(
    net: Variant, tiny_net: TinyNet, options: dict[str, str]
) -> None:
    """A replayed graph must read what was put in last, not what it was recorded on."""
    with open_session(net, provider="cuda", options=options) as session:
        for start in range(0, 40, 4):
            images = tiny_net.images[start : start + 4]
            exact = tiny_net.exact(images)
            assert _error(_logits(session, images), exact) <= 1e-5


@pytest.mark.parametrize("search", ["exhaustive", "heuristic", "default"])
def test_algorithms_of_convolutions(net: Variant, tiny_net: TinyNet, search: str) -> None:
    options = {"cudnn_conv_algo_search": search}
    with open_session(net, provider="cuda", options=options) as session:
        logits = _logits(session, tiny_net.images[:8])
    assert _error(logits, tiny_net.exact(tiny_net.images[:8])) <= 1e-5


def test_float32_is_not_rounded_to_tf32(tmp_path: Path) -> None:
    """TF32 keeps 10 bits of mantissa: about 1e-3 of each factor, where float32 errs by 1e-7."""
    random = np.random.default_rng(0)
    x = random.normal(size=(64, 1024)).astype(np.float32)
    matrix = random.normal(size=(1024, 256)).astype(np.float32)
    product = graphs.single("MatMul", {"x": x, "matrix": matrix})
    variant = graphs.save(product, tmp_path / "product.onnx")
    exact = x.astype("f8") @ matrix.astype("f8")
    with open_session(variant, provider="cuda") as session:
        assert session.precision == "fp32"
        assert _error(session.run({"x": x})["y"], exact) <= 2e-6
    with open_session(variant, provider="cuda", options={"precision": "tf32"}) as session:
        assert session.precision == "tf32"
        assert _error(session.run({"x": x})["y"], exact) <= 1e-2


def test_int8_runs_if_it_is_forced(tiny_net: TinyNet, tmp_path: Path) -> None:
    path = tmp_path / "int8.onnx"
    path.write_bytes(tiny_net.onnx("int8"))
    with pytest.raises(UnavailableError, match="quantized to int8"):
        open_session(graphs.variant(path), provider="cuda")
    options = {"int8": "force"}
    with open_session(graphs.variant(path), provider="cuda", options=options) as session:
        logits = _logits(session, tiny_net.images[:8])
    assert _error(logits, tiny_net.exact(tiny_net.images[:8])) <= 0.05


def _logits(session: CheckedSession, images: NDArray[np.uint8]) -> NDArray[np.generic]:
    return session.run({"pixels": images})["logits"]


def _error(found: NDArray[np.generic], exact: NDArray[np.float64]) -> float:
    return float(np.abs(found.astype("f8") - exact).max() / np.abs(exact).max())
