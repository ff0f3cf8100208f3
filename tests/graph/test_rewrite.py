"""Rewrites that keep what a graph computes."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from numpy.typing import NDArray
from onnx_ir.passes import common

from edgecnn.errors import ModelError
from edgecnn.graph import clean, rewrite
from edgecnn.graph.opset import lower_to_17

HEAD = '<ir_version: 8, opset_import: ["" : 18]>'


def graph(body: str, *, constants: str = "", output: str = "float[N,4]") -> ir.Model:
    text = f"{HEAD} net (float[N,4,6,6] x) => ({output} y) <{constants}> {{ {body} }}"
    model = ir.from_onnx_text(text)
    common.ShapeInferencePass()(model)
    return model


def answers(model: ir.Model) -> NDArray[Any]:
    import onnxruntime

    content = clean.to_bytes(clean.clean(model))
    onnx.checker.check_model(onnx.load_from_string(content), full_check=True)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    x = np.random.default_rng(5).normal(size=(3, 4, 6, 6)).astype(np.float32)
    output: NDArray[Any] = session.run(None, {"x": x})[0]
    return output


def operators(model: ir.Model) -> list[str]:
    return [node.op_type for node in model.graph]


@pytest.mark.parametrize("axes", ["2,3", "-1,-2"])
@pytest.mark.parametrize(
    ("keep", "output", "expected"),
    [
        (1, "float[N,4,1,1]", ["AveragePool"]),
        (0, "float[N,4]", ["AveragePool", "Flatten"]),
    ],
)
def test_a_spatial_mean_becomes_an_average_pool(
    axes: str, keep: int, output: str, expected: list[str]
) -> None:
    model = graph(
        f"y = ReduceMean<keepdims={keep}>(x, axes)",
        constants=f"int64[2] axes = {{{axes}}}",
        output=output,
    )
    before = answers(model)
    rewrite.pool_spatial_means(model)
    assert operators(model) == expected
    np.testing.assert_allclose(answers(model), before, atol=1e-6)


@pytest.mark.parametrize("axes", ["1,2", "1", "0,2,3"])
def test_other_means_stay(axes: str) -> None:
    count = len(axes.split(","))
    model = graph("y = ReduceMean(x, axes)", constants=f"int64[{count}] axes = {{{axes}}}")
    rewrite.pool_spatial_means(model)
    assert operators(model) == ["ReduceMean"]


def test_nodes_are_named_by_the_layer_whose_weights_they_hold() -> None:
    conv = "Conv<kernel_shape=[1,1]>"
    model = graph(f"a = {conv}(x, w)  b = Relu(a)  c = {conv}(b, w)  d = Relu(c)  y = Flatten(d)")
    weight = ir.tensor(np.ones((4, 4, 1, 1), np.float32), name="block.conv1.weight")
    value = ir.Value(name=weight.name, const_value=weight)
    model.graph.register_initializer(value)
    for node in list(model.graph):
        if node.op_type == "Conv":
            node.replace_input_with(1, value)
        node.metadata_props["pkg.torch.onnx.name_scopes"] = "['', 'block', 'relu']"
    rewrite.name_by_layer(model)
    names = [node.name for node in model.graph]
    assert names == [
        "block.conv1/Conv",
        "block/Relu",
        "block.conv1/Conv_1",
        "block/Relu_1",
        "block/Flatten",
    ]
    assert model.graph.outputs[0].name == "y"


LOWERED = {
    "ReduceMean<noop_with_empty_axes=0>": ("y = ReduceMean(x, axes)", "int64[1] axes = {1}"),
    "ReduceMax": ("y = ReduceMax(x, axes)", "int64[2] axes = {2,3}"),
    "Split": ("a, b = Split<axis=1, num_outputs=2>(x)  y = Concat<axis=1>(b, a)", ""),
    "uneven Split": ("a, b, c, d = Split<axis=2, num_outputs=4>(x)  y = Neg(d)", ""),
    "Resize": (
        'y = Resize<mode="nearest", antialias=0, keep_aspect_ratio_policy="stretch">(x, , s)',
        "float[4] s = {1,1,2,2}",
    ),
    "Pad": ("y = Pad(x, p)", "int64[8] p = {0,0,1,1,0,0,0,2}"),
    "untouched": ("y = HardSwish(x)", ""),
}


@pytest.mark.parametrize("case", LOWERED)
def test_opset_17_computes_the_same(case: str) -> None:
    body, constants = LOWERED[case]
    model = graph(body, constants=constants, output="float[N,_,_,_]")
    before = answers(model)
    lower_to_17(model)
    assert model.opset_imports[""] == 17
    np.testing.assert_array_equal(answers(model), before)


@pytest.mark.parametrize(
    "body", ["y = Mish(x)", 'y = Resize<mode="linear", antialias=1>(x, , s)', "y = Pad(x, p, , a)"]
)
def test_what_opset_17_cannot_say_is_refused_with_the_flag(body: str) -> None:
    constants = "float[4] s = {1,1,0.5,0.5}, int64[2] p = {1,1}, int64[1] a = {2}"
    model = graph(body, constants=constants)
    with pytest.raises(ModelError, match="cannot be written in opset 17") as caught:
        lower_to_17(model)
    assert "--opset 18" in caught.value.remedy
