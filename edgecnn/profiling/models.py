"""Small ONNX models by which a machine's peaks are measured."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from edgecnn.disk import write_atomically
from edgecnn.spec import Variant

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from onnx import NodeProto, TensorProto, ValueInfoProto

    Arrays = dict[str, NDArray[np.generic]]

SIZE = 512
_OPSET, _IR = 17, 8


def product(folder: Path, rows: int, *, integer: bool) -> tuple[Variant, Arrays]:
    """Write a matrix product of [rows, 512] with constant [512, 512].

    In integers it is uint8 by int8 of 7 bits, as edgecnn quantizes.

    Returns:
        What a runtime opens, and its input.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(0)
    weights: NDArray[np.generic] = random.standard_normal((SIZE, SIZE)).astype(np.float32)
    given: NDArray[np.generic] = random.standard_normal((rows, SIZE)).astype(np.float32)
    kinds = (TensorProto.FLOAT, TensorProto.FLOAT)
    if integer:
        weights = random.integers(-64, 64, (SIZE, SIZE)).astype(np.int8)
        given = random.integers(0, 256, (rows, SIZE)).astype(np.uint8)
        kinds = (TensorProto.UINT8, TensorProto.INT32)
    node = helper.make_node("MatMulInteger" if integer else "MatMul", ["x", "w"], ["y"])
    values = [
        helper.make_tensor_value_info(name, kind, [rows, SIZE])
        for name, kind in zip("xy", kinds, strict=True)
    ]
    constant = numpy_helper.from_array(weights, "w")
    name = "int8" if integer else "fp32"
    return _written(folder, name, [node], values[:1], values[1:], [constant]), {"x": given}


def chains(folder: Path, lengths: tuple[int, ...], *, operators: int) -> tuple[Variant, Arrays]:
    """Write chains of additions that do next to nothing, side by side.

    Args:
        folder: Where to.
        lengths: Of each chain, how many numbers are added.
        operators: In each chain.
    """
    import numpy as np
    from onnx import TensorProto, helper

    nodes, inputs, outputs = [], [], []
    given: Arrays = {}
    for number, length in enumerate(lengths):
        first, one = f"x{number}", f"c{number}"
        names = [first, *(f"{first}_{step}" for step in range(operators))]
        nodes += [
            helper.make_node("Add", [before, one], [after], name=after)
            for before, after in pairwise(names)
        ]
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, [length])
            for name in (first, one)
        ]
        outputs.append(helper.make_tensor_value_info(names[-1], TensorProto.FLOAT, [length]))
        given |= {name: np.ones(length, np.float32) for name in (first, one)}
    name = f"chains-{len(lengths)}-{operators}"
    return _written(folder, name, nodes, inputs, outputs, []), given


def _written(
    folder: Path,
    name: str,
    nodes: list[NodeProto],
    inputs: list[ValueInfoProto],
    outputs: list[ValueInfoProto],
    constants: list[TensorProto],
) -> Variant:
    from onnx import helper

    graph = helper.make_graph(nodes, name, inputs, outputs, constants)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR
    )
    path = folder / f"{name}.onnx"
    write_atomically(path, model.SerializeToString())
    return Variant(name, "fp32", "onnx", (str(path),), preprocessing=False)
