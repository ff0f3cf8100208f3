"""Shapes found node by node, against onnx's own inference and what is worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, shape_inference

from edgecnn.graph.limits import Refusal
from edgecnn.graph.walk import Contradiction, full_shape, walk
from edgecnn.graph.wire import check_wire
from tests.graph.hostile import field, model, node


@pytest.mark.parametrize("name", ["squeezenet", "shufflenet", "inception_v1"])
def test_shapes_are_those_of_onnx(name: str) -> None:
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    found = onnx.load(folder / f"light_{name}.onnx")
    ours = {tensor: full_shape(kind) for tensor, kind in walk(found).types.items()}
    inferred = shape_inference.infer_shapes(found, data_prop=True).graph.value_info
    theirs = {value.name: full_shape(value.type) for value in inferred}
    assert theirs
    assert {tensor: ours[tensor] for tensor in theirs} == theirs


def shape_of(*nodes: Any, shape: Any = ("N", 3, 8, 6), **arrays: Any) -> tuple[int, ...] | None:
    return full_shape(walk(model(*nodes, shape=shape, **arrays)).types["y"])


def test_a_shape_that_is_computed_is_known() -> None:
    flat = [
        node("Shape", "x", "s"),
        node("Gather", "s first", "n"),
        node("Unsqueeze", "n axis", "u"),
    ]
    flat += [node("Concat", "u rest", "d", axis=0), node("Reshape", "x d", "y")]
    arrays = {"first": np.int64(0), "axis": np.array([0]), "rest": np.array([-1])}
    assert shape_of(*flat, **arrays) == (1, 144)


def test_a_size_that_is_computed_in_floats_is_known() -> None:
    nodes = [node("Shape", "x", "s"), node("Slice", "s two four", "hw")]
    nodes += [node("Cast", "hw", "f", to=TensorProto.FLOAT), node("Mul", "f twice", "g")]
    nodes += [node("Floor", "g", "h"), node("Cast", "h", "i", to=TensorProto.INT64)]
    nodes += [node("Slice", "s zero two", "nc"), node("Concat", "nc i", "size", axis=0)]
    nodes += [node("ConstantOfShape", "size", "y")]
    arrays = {"zero": [0], "two": [2], "four": [4], "twice": np.array([1.5, 2], np.float32)}
    assert shape_of(*nodes, **arrays) == (1, 3, 12, 12)


def test_shapes_split_and_picked_are_known() -> None:
    nodes = [node("Shape", "x", "s", start=2), node("Size", "x", "all")]
    nodes += [node("ReduceProd", "s", "area", keepdims=1), node("Div", "all area", "nc")]
    nodes += [node("Concat", "nc s", "d", axis=0), node("Expand", "one d", "y")]
    assert shape_of(*nodes, one=np.float32(1)) == (3, 8, 6)


def test_an_open_axis_stays_open() -> None:
    assert shape_of(node("Relu", "x", "y"), shape=("N", 3, "H", 6)) is None
    assert shape_of(node("GlobalAveragePool", "x", "y"), shape=("N", 3, "H", "W")) == (1, 3, 1, 1)
    assert shape_of(node("Add", "x x", "y"), shape=("N", "N")) == (1, 1)  # the same name


def test_what_nobody_knows_is_unknown_and_stops_nothing() -> None:
    nodes = [node("Magic", "x", "m", domain="com.acme"), node("Relu", "m", "a")]
    assert "a" not in walk(model(*nodes, node("Relu", "x", "y"))).types


def test_a_contradiction_is_told_from_what_is_forbidden() -> None:
    with pytest.raises(Contradiction, match=r"contradicts itself at 'y' \(MatMul\)"):
        shape_of(node("MatMul", "x w", "y"), w=np.zeros((5, 2), np.float32))
    with pytest.raises(Refusal, match="negative size") as caught:
        shape_of(node("MaxPool", "x", "y", kernel_shape=[9, 9]))
    assert caught.value.remedy == ""


def test_the_wire_counts_what_a_parser_would_make() -> None:
    message = onnx.ModelProto.DESCRIPTOR
    check_wire(model(node("Relu", "x", "y")).SerializeToString(), message)
    check_wire(field(99, b"unknown fields are kept as they are"), message)
    for content in (
        b"\x0b",
        b"\x3a\x05abc",
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x08",
    ):
        with pytest.raises(Refusal, match="no ONNX file"):
            check_wire(content, message)
