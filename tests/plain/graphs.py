"""Small files that belong to no bundle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from onnx import ModelProto, TensorProto, helper

from edgecnn.plain import PlainFile, open_files
from edgecnn.spec import TensorSpec
from tests.runtimes import graphs


def taking(path: Path, *inputs: TensorSpec) -> PlainFile:
    """Write a file that takes some inputs and hands each on."""
    nodes = [helper.make_node("Identity", [spec.name], [f"{spec.name}_out"]) for spec in inputs]
    outputs = tuple(TensorSpec(f"{spec.name}_out", spec.dtype, spec.shape) for spec in inputs)
    return opened(path, graphs.model(nodes, inputs, outputs))


def opened(path: Path, model: ModelProto) -> PlainFile:
    """Write a model and let it in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
    return open_files([path])[0]


def weighed(weight: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> ModelProto:
    """Give a model that multiplies its input by a matrix."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
    kind = weight.dtype.name
    return graphs.model(
        nodes,
        (TensorSpec("x", kind, ("N", weight.shape[0])),),
        (TensorSpec("y", kind, ("N", weight.shape[1])),),
        {"w": weight},
    )


def put_outside(model: ModelProto, name: str, place: str) -> bytes:
    """Move a weight into a file of its own; give what belongs there."""
    for tensor in model.graph.initializer:
        if tensor.name == name:
            content = tensor.raw_data
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            entry = tensor.external_data.add()
            entry.key, entry.value = "location", place
            return bytes(content)
    raise AssertionError(name)
