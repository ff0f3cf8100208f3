"""Small graphs that the tests of runtimes open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from edgecnn.runtime import TensorSpec, Variant

Arrays = dict[str, NDArray[Any]]


def variant(path: Path) -> Variant:
    """Describe an ONNX file, whether or not there is one."""
    return Variant(path.name, "fp32", "onnx", (str(path),), preprocessing=False)


def model(
    nodes: list[NodeProto],
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
    constants: Arrays | None = None,
    opset: int = 18,
) -> ModelProto:
    """Put nodes into a model."""
    graph = helper.make_graph(
        nodes,
        "test",
        [_value(spec) for spec in inputs],
        [_value(spec) for spec in outputs],
        [numpy_helper.from_array(value, name) for name, value in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def save(content: ModelProto, path: Path) -> Variant:
    """Write a model and describe it."""
    path.write_bytes(content.SerializeToString(deterministic=True))
    return variant(path)


def single(operator: str, arrays: Arrays, **attributes: Any) -> ModelProto:
    """Put one operator into a model: the first array goes in, the others are constants."""
    (first, value), *others = arrays.items()
    axes = tuple(f"axis{number}" for number in range(value.ndim))
    return model(
        [helper.make_node(operator, list(arrays), ["y"], **attributes)],
        (TensorSpec(first, value.dtype.name, axes),),
        (TensorSpec("y", value.dtype.name, tuple(f"out{number}" for number in range(value.ndim))),),
        dict(others),
    )


MANY_INPUTS = (
    TensorSpec("a", "float32", ("N", 3)),
    TensorSpec("b", "int64", ("N",)),
    TensorSpec("c", "uint8", (2, 2)),
    TensorSpec("gain", "float32", ()),
    TensorSpec("flag", "bool", ("N",)),
)
MANY_OUTPUTS = (
    TensorSpec("scaled", "float32", ("N", 3)),
    TensorSpec("same", "float32", ("N", 3)),
    TensorSpec("twice", "int64", ("N",)),
    TensorSpec("bytes", "uint8", (2, 2)),
    TensorSpec("wide", "float64", ("N", 3)),
    TensorSpec("opposite", "bool", ("N",)),
    TensorSpec("fixed", "float32", (2,)),
)


def many() -> ModelProto:
    """Give a graph of many inputs, outputs and element types; some outputs share memory
    with inputs and constants where an engine does not take care."""
    nodes = [
        helper.make_node("Mul", ["a", "gain"], ["scaled"]),
        helper.make_node("Reshape", ["a", "rows"], ["same"]),
        helper.make_node("Add", ["b", "b"], ["twice"]),
        helper.make_node("Identity", ["c"], ["bytes"]),
        helper.make_node("Cast", ["scaled"], ["wide"], to=TensorProto.DOUBLE),
        helper.make_node("Not", ["flag"], ["opposite"]),
        helper.make_node("Reshape", ["constant", "pair"], ["fixed"]),
    ]
    constants: Arrays = {
        "constant": np.array([1, 2], np.float32),
        "rows": np.array([-1, 3]),
        "pair": np.array([2]),
    }
    return model(nodes, MANY_INPUTS, MANY_OUTPUTS, constants)


def many_arrays(count: int = 2) -> Arrays:
    """Give inputs for `many`."""
    random = np.random.default_rng(count)
    return {
        "a": random.normal(size=(count, 3)).astype(np.float32),
        "b": random.integers(-9, 9, count),
        "c": random.integers(0, 256, (2, 2), np.uint8),
        "gain": np.array(1.5, np.float32),
        "flag": random.random(count) < 0.5,
    }


def many_expected(arrays: Arrays) -> Arrays:
    """Compute what `many` gives."""
    scaled = arrays["a"] * arrays["gain"]
    return {
        "scaled": scaled,
        "same": arrays["a"],
        "twice": arrays["b"] * 2,
        "bytes": arrays["c"],
        "wide": scaled.astype(np.float64),
        "opposite": ~arrays["flag"],
        "fixed": np.array([1, 2], np.float32),
    }


ONE_INPUT = (TensorSpec("a", "float32", (1, 3, 4, 5)),)
ONE_OUTPUTS = (
    TensorSpec("rectified", "float32", (1, 3, 4, 5)),
    TensorSpec("negative", "float32", (1, 3, 4, 5)),
)


def one() -> ModelProto:
    """Give a graph of a single float image, for engines that take nothing else."""
    nodes = [
        helper.make_node("Relu", ["a"], ["rectified"]),
        helper.make_node("Neg", ["a"], ["negative"]),
    ]
    return model(nodes, ONE_INPUT, ONE_OUTPUTS)


def one_arrays(count: int = 1) -> Arrays:
    """Give an input for `one`; another for each count."""
    return {"a": np.random.default_rng(count).normal(size=(1, 3, 4, 5)).astype(np.float32)}


def one_expected(arrays: Arrays) -> Arrays:
    """Compute what `one` gives."""
    return {"rectified": np.maximum(arrays["a"], 0), "negative": -arrays["a"]}


@dataclass(frozen=True)
class Case:
    """A graph with what goes in and what comes out."""

    variant: Variant
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    arrays: Callable[..., Arrays]
    expected: Callable[[Arrays], Arrays]


def _value(spec: TensorSpec) -> Any:
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(spec.dtype))
    return helper.make_tensor_value_info(spec.name, kind, spec.shape)
