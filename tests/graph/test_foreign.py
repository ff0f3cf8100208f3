from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

from edgecnn.graph import foreign
from edgecnn.graph.clean import opset, to_bytes
from edgecnn.graph.folding import fold_batch_norms, fold_constants
from edgecnn.graph.gate import check_file

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"


def _model(nodes: list[onnx.NodeProto], **weights: NDArray[Any]) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def test_every_node_gets_a_name_of_its_own() -> None:
    names = ["", "same", "same", "Relu_1", "", "edgecnn/0_reshape"]
    links = ["x", *(f"t{number}" for number in range(5)), "y"]
    nodes = [
        helper.make_node("Relu", [links[i]], [links[i + 1]], name=name)
        for i, name in enumerate(names)
    ]
    model = foreign.to_ir(_model(nodes))
    foreign.name_nodes(model)
    found = [node.name for node in model.graph]
    assert len(set(found)) == 6
    assert not any(str(name).startswith("edgecnn/") for name in found)
    assert found[:2] == ["Relu", "same"]


def test_what_no_input_reaches_becomes_weights() -> None:
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["ones"]),
        helper.make_node("Add", ["ones", "step"], ["bias"]),
        helper.make_node("Add", ["x", "bias"], ["y"]),
    ]
    model = _model(nodes, shape=np.array([2]), step=np.array([1, 2], np.float32))
    assert fold_constants(model) == 2
    assert [node.op_type for node in model.graph.node] == ["Add"]
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    np.testing.assert_array_equal(weights["bias"], [1, 2])


@pytest.mark.parametrize("operator", ["DequantizeLinear", "Unknown"])
def test_packed_weights_and_what_nobody_computes_stay(operator: str) -> None:
    half = numpy_helper.from_array(np.array(0.5, np.float32))
    nodes = [
        helper.make_node("Constant", [], ["scale"], value=half),
        helper.make_node(operator, ["w", "scale"], ["unpacked"]),
        helper.make_node("Add", ["x", "unpacked"], ["y"]),
    ]
    model = _model(nodes, w=np.array([3, 4], np.int8))
    assert fold_constants(model) == 1
    assert [node.op_type for node in model.graph.node] == [operator, "Add"]
    assert [tensor.name for tensor in model.graph.initializer] == ["w", "scale"]


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet"])
def test_the_onnx_packages_light_models(name: str) -> None:
    model = check_file(LIGHT / f"light_{name}.onnx")
    assert (model.ir_version, foreign.opset_of(model)) == (3, 9)
    assert foreign.drop_declared_weights(model) > 50
    converted = foreign.convert(model, 17)
    assert fold_constants(converted) > 30
    graph = foreign.to_ir(converted)
    norms = fold_batch_norms(graph)
    operators = {node.op_type for node in graph.graph}
    assert norms == (0 if name == "squeezenet" else 49)
    assert not operators & {"ConstantOfShape", "BatchNormalization"}
    assert opset(graph) == 17
    constants = set(graph.graph.initializers)
    convolutions = [node for node in graph.graph if node.op_type == "Conv"]
    assert all(str(node.inputs[1].name) in constants for node in convolutions if node.inputs[1])
    assert len(to_bytes(graph)) > 4_000_000


def test_what_cannot_be_converted_is_an_error() -> None:
    nodes = [helper.make_node("Upsample", ["x", "s"], ["y"])]
    model = _model(nodes, s=np.ones(2, np.float32))
    model.opset_import[0].version = 9
    model.graph.node[0].input[1] = "nowhere"
    with pytest.raises(Exception, match="opset 9 to 17"):
        foreign.convert(model, 17)
