"""Files that are no ONNX files, or are made of what no plain net needs."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from onnx import (
    FunctionProto,
    ModelProto,
    TensorProto,
    TrainingInfoProto,
    helper,
    numpy_helper,
)

from tests.graph.hostile import (
    ATTRIBUTE,
    GRAPH,
    NODE,
    field,
    hostile,
    hostile_place,
    in_steps,
    model,
    node,
    relu,
)


@hostile("has no operators")
def nothing() -> bytes:
    return b""


@hostile("no ONNX file")
def a_picture() -> bytes:
    return b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


@hostile("no ONNX file")
def half_of_it() -> bytes:
    content: bytes = relu().SerializeToString()
    return content[:-20]


@hostile_place("no plain file")
def a_pipe(folder: Path) -> Path:
    os.mkfifo(folder / "pipe.onnx")
    return folder / "pipe.onnx"


@hostile_place("has 1,024 GiB")
def larger_than_memory(folder: Path) -> Path:
    path = folder / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(1 << 40)  # sparse: it takes no disk
    return path


@hostile("more than 500,000 fields")
def a_million_nodes() -> bytes:
    return field(GRAPH, field(NODE, b"") * 1_000_000)


@hostile("more than 500,000 fields")
def a_million_attributes() -> bytes:
    return field(GRAPH, field(NODE, field(ATTRIBUTE, b"") * 1_000_000))


@hostile("operators, of which 10,000 are allowed")
def twenty_thousand_nodes() -> ModelProto:
    return model(*in_steps(lambda a, b: node("Relu", a, b), 20_000))


@hostile("nests more than 16 messages")
def graphs_in_graphs() -> ModelProto:
    found = model(node("Relu", "x", "y"))
    for _ in range(20):
        outer = node("If", "x", "y")
        outer.attribute.append(helper.make_attribute("then_branch", found.graph))
        found = model(outer)
    return found


@hostile("nests more than 16 messages")
def a_message_in_itself() -> bytes:
    content = b""
    for _ in range(5_000):
        content = field(NODE, field(ATTRIBUTE, field(6, content)))
    return field(GRAPH, content)


@hostile("opset 99")
def of_the_future() -> ModelProto:
    return model(node("Relu", "x", "y"), opset=99)


@hostile("opset 5")
def of_the_past() -> ModelProto:
    return model(node("Relu", "x", "y"), opset=5)


@hostile("of IR 99")
def of_another_format() -> ModelProto:
    found = relu()
    found.ir_version = 99
    return found


@hostile("two versions of one operator set")
def of_two_minds() -> ModelProto:
    found = relu()
    found.opset_import.append(helper.make_opsetid("", 9))
    return found


@hostile("40 functions")
def functions_in_functions() -> ModelProto:
    found = model(helper.make_node("f40", ["x"], ["y"], domain="own"))
    found.opset_import.append(helper.make_opsetid("own", 1))
    for number in range(1, 41):
        inner = f"f{number - 1}" if number > 1 else "Relu"
        domain = "own" if number > 1 else ""
        calls = [helper.make_node(inner, ["a"], ["b"], domain=domain)]
        calls.append(helper.make_node(inner, ["b"], ["c"], domain=domain))
        imports = [helper.make_opsetid("", 18), helper.make_opsetid("own", 1)]
        made: FunctionProto = helper.make_function(
            "own", f"f{number}", ["a"], ["c"], calls, imports
        )
        found.functions.append(made)
    return found


@hostile("training loop")
def a_training_loop() -> ModelProto:
    found = relu()
    found.training_info.append(TrainingInfoProto(algorithm=relu().graph))
    return found


@hostile("com.example:Shell")
def an_operator_of_its_own() -> ModelProto:
    found = model(helper.make_node("Shell", ["x"], ["y"], domain="com.example"))
    found.opset_import.append(helper.make_opsetid("com.example", 1))
    return found


@hostile("com.microsoft:Attention")
def an_engines_own_operator() -> ModelProto:
    found = model(helper.make_node("Attention", ["x"], ["y"], domain="com.microsoft"))
    found.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return found


@hostile("'Formolate'.*opset 18 does not have")
def an_operator_nobody_knows() -> ModelProto:
    return model(node("Formolate", "x", "y"))


@hostile("graph within the graph.*'body'")
def a_loop_of_ten_to_the_twelve() -> ModelProto:
    flag = helper.make_tensor_value_info("more", TensorProto.BOOL, [])
    count = helper.make_tensor_value_info("i", TensorProto.INT64, [])
    body = helper.make_graph([node("Identity", "more", "again")], "b", [count, flag], [flag])
    body.output[0].name = "again"
    loop = node("Loop", "times go", "last")
    loop.attribute.append(helper.make_attribute("body", body))
    return model(loop, node("Relu", "x", "y"), times=np.int64(10**12), go=np.bool_(True))


@hostile("random numbers")
def dice() -> ModelProto:
    return model(node("RandomNormalLike", "x", "y"))


@hostile("uses Conv wrongly")
def a_convolution_of_nothing() -> ModelProto:
    return model(node("Conv", "", "y"))


@hostile("'group'.*above zero")
def division_by_zero() -> ModelProto:
    weights = np.zeros((3, 3, 1, 1), np.float32)
    return model(node("Conv", "x w", "y", group=0), w=weights)


@hostile("'num_outputs'.* to 1, but has 2")
def split_into_fewer_than_it_gives() -> ModelProto:
    # onnx's own shape inference aborts the process on this one, and on the next.
    return model(node("Split", "x", "y z", num_outputs=1))


@hostile("'batch_dims'.*must not be negative")
def batches_before_the_first() -> ModelProto:
    return model(node("GatherND", "x i", "y", batch_dims=-7), i=np.zeros((8, 1, 3), np.int64))


@hostile("'strides'.*above zero")
def steps_of_nothing() -> ModelProto:
    return model(node("MaxPool", "x", "y", kernel_shape=[2, 2], strides=[0, 0]))


@hostile("beyond 2,147,483,648")
def padding_that_overflows() -> ModelProto:
    big = 2**62
    return model(node("MaxPool", "x", "y", kernel_shape=[2, 2], pads=[big, big, big, big]))


@hostile("text of more than 4,096 bytes")
def an_endless_equation() -> ModelProto:
    return model(node("Einsum", "x", "y", equation="a" * 1_000_000))


@hostile("name of 1,000,000 characters")
def an_endless_name() -> ModelProto:
    return model(node("Relu", "x", "y", name="n" * 1_000_000))


@hostile("control characters")
def a_name_that_clears_the_screen() -> ModelProto:
    return model(node("Relu", "x", "y", name="\x1b[2J\x1b]0;owned\x07"))


@hostile("'y' before it is made")
def a_circle() -> ModelProto:
    return model(node("Add", "x y", "z"), node("Relu", "z", "y"))


@hostile("'a' before it is made")
def out_of_order() -> ModelProto:
    return model(node("Relu", "a", "y"), node("Relu", "x", "a"))


@hostile("makes 'y' twice")
def one_name_for_two_results() -> ModelProto:
    return model(node("Relu", "x", "y"), node("Neg", "x", "y"))


@hostile("one name to two")
def one_name_for_two_weights() -> ModelProto:
    found = model(node("Add", "x w", "y"), w=np.float32(1))
    found.graph.initializer.append(numpy_helper.from_array(np.array(2, np.float32), "w"))
    return found


@hostile("never makes its output 'y'")
def an_output_from_nowhere() -> ModelProto:
    return model(node("Relu", "x", "z"))
