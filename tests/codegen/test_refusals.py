"""Nets that C cannot be made of: what is said, and of which node."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgecnn.errors import ModelError
from tests.codegen.compiled import compile_net
from tests.codegen.graphs import QuantizedNet
from tests.codegen.test_operators import SHAPE, FloatNet


def test_every_node_without_a_kernel_is_named(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ArgMax", ["x"], ["places"], "best", axis=1),
        helper.make_node("Cast", ["places"], ["a"], "floats", to=TensorProto.FLOAT),
        helper.make_node("Sin", ["x"], ["b"], "wave"),
        helper.make_node("Sin", ["b"], ["c"], "wave of a wave"),
    ]
    shapes = {"x": [1, 4], "a": [1, 1], "c": [1, 4]}
    values = {
        name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    }
    graph = helper.make_graph(nodes, "strange", [values["x"]], [values["a"], values["c"]])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    expected = r"ArgMax \('best'\), Sin \('wave', 'wave of a wave'\): there is no kernel"
    with pytest.raises(ModelError, match=expected):
        compile_net(model, tmp_path)
    assert not list(tmp_path.iterdir())


def test_places_that_are_computed_are_refused(tmp_path: Path) -> None:
    net = FloatNet(SHAPE)
    chosen = net.node("Cast", ["image"], to=TensorProto.INT64)
    model = net.model(net.node("Gather", ["image", chosen], axis=1))
    with pytest.raises(ModelError, match="casts to something other than float32 or uint8"):
        compile_net(model, tmp_path)


@pytest.mark.parametrize("number", [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_refused(number: float, tmp_path: Path) -> None:
    net = FloatNet(SHAPE)
    model = net.model(net.node("Add", ["image", net.constant(np.array(number, np.float32))]))
    with pytest.raises(ModelError, match="'constant0', whose weights or scales hold NaN"):
        compile_net(model, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [0.0, -0.5, np.nan, np.inf])
def test_scales_that_no_bytes_have_are_refused(number: float, tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    model = net.model(net.add(net.first, net.first))
    kept = {each.name: each for each in model.graph.initializer}
    node = model.graph.node[-1]
    wrong = numpy_helper.from_array(np.array(number, np.float32), node.input[1])
    kept[node.input[1]].CopyFrom(wrong)
    expected = f"whose scale is {number:g}, not a finite number above zero"
    with pytest.raises(ModelError, match=expected):
        compile_net(model, tmp_path)


def test_a_refusal_names_what_it_is_about(tmp_path: Path) -> None:
    net = FloatNet((1, 1, 3, 3))
    with pytest.raises(ModelError, match=r"'conv0' \(Conv\), whose weights are computed"):
        compile_net(net.model(net.node("Conv", ["image", "image"])), tmp_path)
    net = FloatNet(SHAPE)
    nothing = net.constant(np.zeros((1, SHAPE[1], 0, SHAPE[3]), np.float32))
    with pytest.raises(ModelError, match=r"'concat0' \(Concat\), which reads no numbers"):
        compile_net(net.model(net.node("Concat", ["image", nothing], axis=2)), tmp_path)
    net = FloatNet(SHAPE)
    model = net.model(net.node("Relu", ["image"]), net.constant(np.ones(3, np.float32)))
    with pytest.raises(ModelError, match="whose output 'constant0' is an input or a constant"):
        compile_net(model, tmp_path)
