"""Finding the model's layers among the operators that ONNX Runtime really runs."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, helper

from edgecnn.profiling.findings import hints, unfused
from edgecnn.profiling.mapping import map_layers
from edgecnn.profiling.roofline import place_operators
from edgecnn.spec import OperatorRun, TensorSpec
from tests.conftest import TinyNet
from tests.profiling.conftest import See, Seen
from tests.profiling.test_parts import PEAKS
from tests.runtimes import graphs

X, Y = TensorSpec("x", "float32", (1, 16, 8, 8)), TensorSpec("y", "float32", (1, 16, 8, 8))
random = np.random.default_rng(0)


def weights(*shape: int) -> NDArray[np.float32]:
    return random.standard_normal(shape).astype(np.float32)


def conv(name: str, before: str, after: str, weight: str = "w") -> NodeProto:
    return helper.make_node("Conv", [before, weight], [after], name=name, pads=[1, 1, 1, 1])


def of(nodes: list[NodeProto], constants: dict[str, NDArray[Any]] | None = None) -> ModelProto:
    return graphs.model(nodes, (X,), (Y,), {"w": weights(16, 16, 3, 3), **(constants or {})})


def test_fused_layers_are_named_together(see: See) -> None:
    seen = see(
        of(
            [
                conv("first", "x", "a"),
                helper.make_node("Relu", ["a"], ["b"], name="bend"),
                conv("second", "b", "c"),
                helper.make_node("Add", ["c", "b"], ["d"], name="around"),
                helper.make_node("Relu", ["d"], ["y"], name="end"),
            ]
        )
    )
    computing = [layers for kind, layers in seen.layers if kind == "Conv"]
    assert computing == [("first", "bend"), ("second", "around", "end")]
    added = [kind for kind, layers in seen.layers if not layers]
    assert set(added) <= {"ReorderInput", "ReorderOutput"}
    assert added
    assert not seen.mapped.removed


def test_every_mac_is_in_one_operator(see: See, tiny_net: TinyNet) -> None:
    for precision in ("fp32", "int8"):
        seen = see(tiny_net.onnx(precision))
        assert sum(work.macs or 0 for work in seen.works) == 6 * 27 * 36 + 6 * 4
        places = [place for work in seen.works for place in work.layers]
        assert len(places) == len(set(places))


def test_names_of_layers_are_those_of_inspect(see: See, tiny_net: TinyNet) -> None:
    from edgecnn.graph.summary import summarise

    known = {layer.name for layer in summarise(tiny_net.onnx("int8"), where="x").layers}
    seen = see(tiny_net.onnx("int8"))
    shown = {name for _, layers in seen.layers for name in layers}
    removed = {seen.graph.name(place) for place in seen.mapped.removed}
    assert shown | removed == known


def test_operators_without_names_are_found(see: See) -> None:
    seen = see(of([conv("", "x", "a"), helper.make_node("Relu", ["a"], ["y"])]))
    assert ("Conv", ("a", "y")) in seen.layers


def test_a_spelt_out_pattern_is_one_operator(see: See) -> None:
    seen = see(
        of(
            [
                conv("before", "x", "a"),
                helper.make_node("Sigmoid", ["a"], ["s"], name="gate"),
                helper.make_node("Mul", ["a", "s"], ["y"], name="swish"),
            ]
        )
    )
    assert ("QuickGelu", ("gate", "swish")) in seen.layers


def test_a_matmul_and_an_add_are_a_gemm(see: See) -> None:
    model = graphs.model(
        [
            helper.make_node("MatMul", ["x", "w"], ["a"], name="times"),
            helper.make_node("Add", ["a", "b"], ["y"], name="plus"),
        ],
        (TensorSpec("x", "float32", (1, 8)),),
        (TensorSpec("y", "float32", (1, 4)),),
        {"w": weights(8, 4), "b": weights(4)},
    )
    assert see(model).layers == [("Gemm", ("times", "plus"))]


def test_batch_normalisation_is_folded_into_the_layer_before(see: See) -> None:
    ones = np.ones(16, np.float32)
    statistics = {"s": ones, "o": ones, "m": ones, "v": 2 * ones}
    nodes = [
        conv("conv", "x", "a"),
        helper.make_node("BatchNormalization", ["a", *statistics], ["y"], name="norm"),
    ]
    seen = see(of(nodes, statistics))
    assert ("Conv", ("conv", "norm")) in seen.layers


def test_layers_that_move_nothing_are_said_to_be_gone(see: See) -> None:
    turn: dict[str, Any] = {"perm": [0, 2, 3, 1]}
    back: dict[str, Any] = {"perm": [0, 3, 1, 2]}
    seen = see(
        of(
            [
                helper.make_node("Transpose", ["x"], ["a"], name="there", **turn),
                helper.make_node("Transpose", ["a"], ["b"], name="back", **back),
                helper.make_node("Relu", ["b"], ["y"], name="bend"),
            ]
        )
    )
    assert [seen.graph.name(place) for place in seen.mapped.removed] == ["there", "back"]


def test_two_equal_operators_do_not_share_layers() -> None:
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["b"])]
    made = [(TensorSpec(name, "float32", (1,)),) for name in "ab"]
    runs = [OperatorRun(name, "Relu", (), (), out, [1]) for name, out in zip("ab", made)]  # noqa: B905
    assert map_layers(nodes, runs).layers == ((0,), (1,))


def test_bytes_and_operations_are_counted(see: See, tiny_net: TinyNet) -> None:
    seen = see(tiny_net.onnx())
    multiply = next(work for work in seen.works if work.kind == "Gemm")
    assert multiply.bytes_weights == 4 * (6 * 4 + 4)
    assert (multiply.bytes_in, multiply.bytes_out) == (4 * 6, 4 * 4)
    assert multiply.operations == 2 * 6 * 4
    assert multiply.arithmetic == "fp32"
    mean = seen.of("means")
    assert mean.operations == 6 * 36
    (convolved,) = (work for work in seen.works if work.macs == 6 * 27 * 36)
    assert convolved.operations == 2 * 6 * 27 * 36 + 6 * 36  # and the ReLU's


def test_a_pool_counts_its_window(see: See) -> None:
    pool = helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    assert see(of([pool])).of("y").operations == 9 * 16 * 8 * 8


def quantized(operator: str, **attributes: Any) -> ModelProto:
    """Give conv → operator → conv, all between QuantizeLinear and DequantizeLinear."""
    constants: dict[str, NDArray[Any]] = {
        "s": np.array(0.05, np.float32),
        "z": np.array(128, np.uint8),
        "ws": np.array(0.01, np.float32),
        "wz": np.array(0, np.int8),
        "w8": random.integers(-60, 60, (16, 16, 3, 3)).astype(np.int8),
    }
    nodes = [
        helper.make_node("DequantizeLinear", ["w8", "ws", "wz"], ["w"]),
        *pair("x"),
        conv("first", "x_dq", "a"),
        *pair("a"),
        helper.make_node(operator, ["a_dq"], ["b"], name="between", **attributes),
        *pair("b"),
        conv("second", "b_dq", "c"),
        *pair("c", "y"),
    ]
    return graphs.model(nodes, (X,), (Y,), constants)


def pair(name: str, after: str = "") -> list[NodeProto]:
    return [
        helper.make_node("QuantizeLinear", [name, "s", "z"], [f"{name}_q"]),
        helper.make_node("DequantizeLinear", [f"{name}_q", "s", "z"], [after or f"{name}_dq"]),
    ]


def unfused_in(seen: Seen) -> dict[str, str]:
    operators = place_operators(seen.works, seen.graph, PEAKS, 1e-3)
    return {each.layer: each.reason for each in unfused(seen.graph, seen.works, operators)}


def test_an_operator_without_an_integer_form_is_named(see: See) -> None:
    seen = see(quantized("HardSigmoid"))
    assert unfused_in(seen) == {
        "between": "the runtime has no integer operator for HardSigmoid",
    }
    kinds = Counter(work.kind for work in seen.works)
    assert kinds["QLinearConv"] == 2


def test_what_runs_in_integers_is_not_named(see: See) -> None:
    seen = see(quantized("LeakyRelu", alpha=0.1))
    assert unfused_in(seen) == {}
    assert unfused_in(see(of([conv("conv", "x", "y")]))) == {}


def test_what_the_file_leaves_in_float_is_named(see: See) -> None:
    model = quantized("LeakyRelu", alpha=0.1)
    next(node for node in model.graph.node if node.name == "second").input[0] = "b"
    assert unfused_in(see(model)) == {
        "between": "its result is used in float in the file",
        "second": "not quantized in the file: 'b'",
    }


def test_hints_name_what_does_not_suit_an_engine(see: See, tiny_net: TinyNet) -> None:
    seen = see(tiny_net.onnx())
    found = hints(seen.graph, seen.works)
    narrow, alone = (
        next(work.run.name for work in seen.works if work.macs == count)
        for count in (6 * 27 * 36, 6 * 4)
    )
    assert found[narrow] == "3 input channels give its inner loop little to do"
    assert "a matrix by a vector" in found[alone]
