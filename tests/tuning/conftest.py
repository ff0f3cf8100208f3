"""Runtimes and bundles whose order is known: each is slower, or wrong, by construction."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conftest import TinyNet

# ONNX Runtime behind another name, with something done before each run.
_WRAPPED = """
import os, time

from edgecnn.runtime import load_runtime

ort = load_runtime("ort")
NAME, FORMATS, PROVIDERS = "{name}", frozenset({{"onnx"}}), ("cpu",)
OPTIONS = {{"precision": ("fp32", "bf16"), "nap": ("short", "long", "longer"), "word": ("a", "b")}}
TUNED = ("nap", "word")
availability = ort.availability


class Session:
    provider = "cpu"

    def __init__(self, inner, precision):
        self.inner, self.precision = inner, precision
        self.inputs, self.outputs = inner.inputs, inner.outputs

    def run(self, inputs):
        {before}
        return self.inner.run(inputs)

    def prepare(self, inputs):
        call = self.inner.prepare(inputs)

        def slowly():
            {before}
            return call()

        return slowly

    def close(self):
        self.inner.close()


def open_session(variant, *, provider, threads, options):
    inner = ort.open_session(variant, provider=provider, threads=threads, options={{}})
    return Session(inner, options.get("precision", "fp32"))
"""

Wrap = Callable[..., Path]


@pytest.fixture
def wrap(tmp_path: Path) -> Wrap:
    """Give a function that writes a runtime: ONNX Runtime with something done before each run."""

    def write(name: str, before: str, more: str = "") -> Path:
        folder = tmp_path / "runtimes" / name
        folder.mkdir(parents=True)
        text = _WRAPPED.format(name=name, before=before) + more
        (folder / "runtime.py").write_text(text)
        return folder

    return write


@pytest.fixture(scope="session")
def slow_net(tiny_net: TinyNet) -> bytes:
    """The tiny net with a product of large matrices in it that adds nothing: 50 times slower."""
    from onnx import TensorProto, helper, load_model_from_string, numpy_helper

    model = load_model_from_string(tiny_net.onnx())
    graph = model.graph
    graph.node[-1].output[0] = "scores"
    large = np.random.default_rng(1).normal(size=(320, 320)).astype(np.float32)
    constants: dict[str, Any] = {"large": large, "none": np.float32(0)}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(v), k) for k, v in constants.items()
    )
    graph.node.extend(
        [
            # From what comes in, or it would be computed once, at the start.
            helper.make_node("ReduceMean", ["scores"], ["level"], keepdims=0),
            helper.make_node("Mul", ["large", "level"], ["leveled"]),
            helper.make_node("MatMul", ["leveled", "large"], ["product"]),
            helper.make_node("ReduceMean", ["product"], ["whole"], keepdims=0),
            helper.make_node("Mul", ["whole", "none"], ["nothing"]),
            helper.make_node("Add", ["scores", "nothing"], ["logits"]),
        ]
    )
    assert graph.output[0].type.tensor_type.elem_type == TensorProto.FLOAT
    content: bytes = model.SerializeToString(deterministic=True)
    return content


@pytest.fixture(scope="session")
def wrong_net(tiny_net: TinyNet) -> bytes:
    """The tiny net with its classes in another order."""
    turned = TinyNet(
        tiny_net.filters,
        tiny_net.matrix[::-1].copy(),
        tiny_net.bias[::-1].copy(),
        tiny_net.images,
        tiny_net.labels,
    )
    return turned.onnx()
