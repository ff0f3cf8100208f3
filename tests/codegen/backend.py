"""The single-operator cases of ONNX's own backend suite, as nets that C can be made of.

C takes one image, so what a case feeds comes in as one row, and is cut and shaped inside the net.
What a case feeds as whole numbers, and what is `constant`, are constants of the net; outputs that
are neither floats nor bytes are left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

_SUITE = "onnx.backend.test.case.node"
_GIVEN = (TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT8)
_KINDS = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


@dataclass(frozen=True, eq=False)
class Case:
    """A case of the suite.

    Attributes:
        name: As the suite has it.
        model: A net that takes all that the case feeds as one row.
        row: What the case feeds, [1, N].
        expected: What the suite expects, by output.
    """

    name: str
    model: onnx.ModelProto
    row: NDArray[Any]
    expected: dict[str, NDArray[Any]]


def names(*modules: str, constant: Sequence[int] = ()) -> list[str]:
    """Name the cases with one node that feed floats or bytes, in modules such as `conv`.

    Args:
        modules: Where in the suite to look.
        constant: Which inputs do not count.
    """
    return sorted(name for name, each in _cases(*modules).items() if _feeds(each, constant))


def case(name: str, *modules: str, constant: Sequence[int] = ()) -> Case:
    """Give a case.

    Args:
        name: As the suite has it.
        modules: Where in the suite to look.
        constant: Which inputs are constants of the net.
    """
    found = _cases(*modules)[name]
    ((inputs, outputs),) = found.data_sets
    model: onnx.ModelProto = found.model
    fed = {
        value.name: (place, _array(given))
        for place, (value, given) in enumerate(zip(model.graph.input, inputs, strict=True))
    }
    data = {
        key: array
        for key, (place, array) in fed.items()
        if place not in constant and array.dtype.name in _KINDS
    }
    constants = {key: array for key, (_, array) in fed.items() if key not in data}
    row = np.concatenate([array.reshape(-1) for array in data.values()])[None]
    answers = {
        value.name: _array(given)
        for value, given in zip(model.graph.output, outputs, strict=True)
        if value.type.tensor_type.elem_type in _GIVEN
    }
    return Case(name, _model(model, data, constants, row), row, answers)


@cache
def _cases(*modules: str) -> dict[str, Any]:
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for module in modules:
            import_module(f"{_SUITE}.{module}")
    found = import_module(_SUITE)._NodeTestCases
    sources = {module: _operators(module) for module in modules}
    wanted = {operator for each in sources.values() for operator in each}
    return {
        each.name: each
        for each in found
        if len(each.model.graph.node) == 1 and each.model.graph.node[0].op_type in wanted
    }


def _feeds(found: Any, constant: Sequence[int]) -> bool:
    ((inputs, _),) = found.data_sets
    fed = [each for place, each in enumerate(inputs) if place not in constant]
    return any(each.size for each in fed if str(getattr(each, "dtype", "")) in _KINDS)


def _operators(module: str) -> list[str]:
    """Name the operators that a module of the suite is about: its classes."""
    content = vars(import_module(f"{_SUITE}.{module}"))
    return [name for name, each in content.items() if isinstance(each, type) and name != "Base"]


def _model(
    model: onnx.ModelProto,
    data: dict[str, NDArray[Any]],
    constants: dict[str, NDArray[Any]],
    row: NDArray[Any],
) -> onnx.ModelProto:
    nodes = [] if len(data) == 1 else [_split(data, constants)]
    for name, array in data.items():
        constants[f"{name}/shape"] = np.array(array.shape, np.int64)
        shaped = ["row" if len(data) == 1 else f"{name}/flat", f"{name}/shape"]
        nodes.append(helper.make_node("Reshape", shaped, [name], f"{name}/shaped"))
    nodes += model.graph.node
    nodes[-1].name = nodes[-1].name or "node"
    kind = _KINDS[row.dtype.name]
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("row", kind, row.shape)],
        [each for each in model.graph.output if each.type.tensor_type.elem_type in _GIVEN],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    made = helper.make_model(graph, opset_imports=model.opset_import, ir_version=model.ir_version)
    for value in list(made.graph.output):
        if value.type.tensor_type.elem_type != TensorProto.FLOAT:
            _dequantize(made.graph, value)
    return made


def _split(data: dict[str, NDArray[Any]], constants: dict[str, NDArray[Any]]) -> onnx.NodeProto:
    """Cut the row into what the case feeds."""
    constants["sizes"] = np.array([array.size for array in data.values()])
    flat = [f"{name}/flat" for name in data]
    return helper.make_node("Split", ["row", "sizes"], flat, "cut", axis=1)


def _dequantize(graph: onnx.GraphProto, value: onnx.ValueInfoProto) -> None:
    """Let bytes leave the net as floats."""
    kind = value.type.tensor_type.elem_type
    zero = np.zeros((), helper.tensor_dtype_to_np_dtype(kind))
    graph.initializer.append(numpy_helper.from_array(np.array(1, np.float32), f"{value.name}/one"))
    graph.initializer.append(numpy_helper.from_array(zero, f"{value.name}/zero"))
    for node in graph.node:
        node.output[:] = [f"{n}/bytes" if n == value.name else n for n in node.output]
    read = [f"{value.name}/bytes", f"{value.name}/one", f"{value.name}/zero"]
    graph.node.append(helper.make_node("DequantizeLinear", read, [value.name], "floats"))
    value.type.tensor_type.elem_type = TensorProto.FLOAT


def _array(given: Any) -> NDArray[Any]:
    return (
        numpy_helper.to_array(given) if isinstance(given, onnx.TensorProto) else np.asarray(given)
    )
