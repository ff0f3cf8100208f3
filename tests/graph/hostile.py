"""ONNX files that would hang an engine, fill the memory or reach out of their folder."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from onnx import (
    ModelProto,
    NodeProto,
    TensorProto,
    helper,
    numpy_helper,
)

Maker = Callable[[Path], Path]

_MODULES = ("structure", "tensors", "sizes")
_FOUND: dict[str, tuple[Maker, str]] = {}

NODE, ATTRIBUTE, GRAPH = 1, 5, 7  # GraphProto.node, NodeProto.attribute, ModelProto.graph


def hostile(says: str) -> Callable[[Callable[[], Any]], Callable[[], Any]]:
    """Enter a function that makes a model or its bytes."""

    def enter(make: Callable[[], ModelProto | bytes]) -> Callable[[], ModelProto | bytes]:
        def write(folder: Path) -> Path:
            content = make()
            data = content if isinstance(content, bytes) else content.SerializeToString()
            path = folder / f"{make.__name__}.onnx"
            path.write_bytes(data)
            return path

        _FOUND[make.__name__] = (write, says)
        return make

    return enter


def hostile_place(says: str) -> Callable[[Maker], Maker]:
    """Enter a function that makes a file in a folder of its own."""

    def enter(make: Maker) -> Maker:
        _FOUND[make.__name__] = (make, says)
        return make

    return enter


def model(
    *nodes: NodeProto, opset: int = 18, shape: Any = (1, 3, 8, 8), **arrays: Any
) -> ModelProto:
    """Put nodes between an input `x` and an output `y`."""
    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        weights,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def node(operator: str, inputs: str, outputs: str, **attributes: Any) -> NodeProto:
    return helper.make_node(operator, inputs.split(), outputs.split(), **attributes)


def relu() -> ModelProto:
    return model(node("Relu", "x", "y"))


def field(number: int, content: bytes) -> bytes:
    """Write a field of bytes in protobuf's format."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def in_steps(make: Callable[[str, str], NodeProto], count: int) -> list[NodeProto]:
    """Chain so many nodes from `x` to `y`."""
    names = ["x", *(f"t{number}" for number in range(1, count)), "y"]
    return [make(before, after) for before, after in itertools.pairwise(names)]


def with_weight(**fields: Any) -> ModelProto:
    found = model(node("Add", "x w", "y"))
    found.graph.initializer.append(TensorProto(name="w", data_type=TensorProto.FLOAT, **fields))
    return found


def every_hostile_file() -> dict[str, tuple[Maker, str]]:
    """By name: what makes the file in an empty folder, and what its refusal must say."""
    for name in _MODULES:
        importlib.import_module(f"tests.graph.hostile_{name}")
    return _FOUND
