"""Operators computed by PyTorch answer as ONNX Runtime does, and what is unknown is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from edgecnn.errors import ModelError
from edgecnn.graph import clean
from edgecnn.spec import InputContract

tuning = pytest.importorskip("edgecnn.training.qat.tuning")
operators = pytest.importorskip("edgecnn.training.qat.operators")
CONTRACT = InputContract(9, 10, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))
IMAGES = np.random.default_rng(0).integers(0, 256, (3, 9, 10, 3)).astype(np.uint8)


def start(*nodes: NodeProto, **tensors: Any) -> Any:
    """Make a net that reads `x` and answers `y`."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3, 9, 10])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(each), name) for name, each in tensors.items()],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    core: ir.Model = clean.from_bytes(proto.SerializeToString(), where="the net")
    return tuning.Start(core, core, CONTRACT, bounded=True)


def weights(*shape: int) -> np.ndarray[Any, Any]:
    return np.random.default_rng(1).normal(0, 0.5, shape).astype(np.float32)


NODE, INT = helper.make_node, np.int64


@pytest.mark.parametrize(
    "net",
    [
        start(
            NODE("Conv", ["x", "w", "b"], ["y"], pads=[2, 0, 1, 1], strides=[2, 1]),
            w=weights(4, 3, 3, 2),
            b=weights(4),
        ),
        start(
            NODE("Conv", ["x", "w"], ["y"], group=3, auto_pad="SAME_UPPER", strides=[2, 2]),
            w=weights(6, 1, 4, 4),
        ),
        start(
            NODE("Conv", ["x", "w"], ["y"], auto_pad="SAME_LOWER", strides=[2, 1]),
            w=weights(2, 3, 2, 2),
        ),
        start(
            NODE("ConvTranspose", ["x", "w"], ["y"], strides=[2, 2], pads=[1, 1, 1, 1]),
            w=weights(3, 4, 3, 3),
        ),
        start(
            NODE("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
        ),
        start(NODE("MaxPool", ["x"], ["y"], kernel_shape=[2, 3], pads=[0, 1, 1, 2])),
        start(NODE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])),
        start(
            NODE(
                "AveragePool",
                ["x"],
                ["y"],
                kernel_shape=[3, 3],
                pads=[0, 0, 1, 1],
                count_include_pad=1,
            )
        ),
        start(
            NODE("BatchNormalization", ["x", "s", "b", "m", "v"], ["y"], epsilon=0.01),
            s=weights(3),
            b=weights(3),
            m=weights(3),
            v=np.abs(weights(3)),
        ),
        start(
            NODE("GlobalAveragePool", ["x"], ["a"]),
            NODE("Flatten", ["a"], ["f"]),
            NODE("Gemm", ["f", "w", "b"], ["y"], alpha=0.5, beta=2.0, transB=1),
            w=weights(5, 3),
            b=weights(5),
        ),
        start(
            NODE("ReduceMean", ["x", "axes"], ["a"], keepdims=0),
            NODE("MatMul", ["a", "w"], ["m"]),
            NODE("Softmax", ["m"], ["y"]),
            axes=np.array([2, 3], INT),
            w=weights(3, 4),
        ),
        start(
            NODE("HardSwish", ["x"], ["a"]),
            NODE("HardSigmoid", ["a"], ["b"], alpha=0.17),
            NODE("LeakyRelu", ["x"], ["c"], alpha=0.3),
            NODE("Mul", ["b", "c"], ["d"]),
            NODE("Clip", ["d", "", "high"], ["e"]),
            NODE("Concat", ["e", "x"], ["y"], axis=1),
            high=np.float32(0.7),
        ),
        start(
            NODE("Transpose", ["x"], ["a"], perm=[0, 2, 3, 1]),
            NODE("Reshape", ["a", "shape"], ["b"]),
            NODE("Unsqueeze", ["b", "at"], ["c"]),
            NODE("Squeeze", ["c", "at"], ["d"]),
            NODE("Sigmoid", ["d"], ["e"]),
            NODE("Div", ["e", "two"], ["f"]),
            NODE("Sub", ["f", "two"], ["g"]),
            NODE("Tanh", ["g"], ["y"]),
            shape=np.array([0, -1], INT),
            at=np.array([1], INT),
            two=np.float32(2),
        ),
    ],
    ids=lambda net: "+".join(node.op_type for node in net.prepared.graph),
)
def test_it_answers_as_onnx_runtime_does(net: Any) -> None:
    tuning.prove(net, IMAGES)


@pytest.mark.parametrize(
    ("net", "what"),
    [
        (start(NODE("Erf", ["x"], ["y"])), "the operator Erf"),
        (
            start(NODE("AveragePool", ["x"], ["y"], kernel_shape=[3, 3], pads=[0, 0, 1, 1])),
            "an AveragePool that",
        ),
    ],
)
def test_what_it_cannot_compute_is_refused(net: Any, what: str) -> None:
    with pytest.raises(ModelError, match=f"cannot compute {what}") as caught:
        tuning.prove(net, IMAGES)
    assert "edgecnn quantize" in caught.value.remedy


def test_an_operator_that_answers_otherwise_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(operators.OPERATORS, "Relu", lambda settings, x: x)
    with pytest.raises(ModelError, match="as ONNX Runtime does"):
        tuning.prove(start(NODE("Relu", ["x"], ["y"])), IMAGES)
