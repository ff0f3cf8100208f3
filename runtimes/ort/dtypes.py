"""ONNX Runtime's names of element types, in NumPy's words."""

from __future__ import annotations

from typing import Any

from edgecnn.errors import ModelError
from edgecnn.runtime import TensorSpec

DTYPES = {
    "float": "float32",
    "double": "float64",
    **{name: name for name in ("float16", "bool", "int8", "int16", "int32", "int64")},
    **{name: name for name in ("uint8", "uint16", "uint32", "uint64")},
}


def spec(value: Any) -> TensorSpec:
    """Describe an input or output of a session.

    Raises:
        ModelError: NumPy has no word for its type.
    """
    element = value.type.removeprefix("tensor(").removesuffix(")")
    if element not in DTYPES:
        raise ModelError(
            f"'{value.name}' is a {value.type}, which NumPy has no word for.",
            "Give the model inputs and outputs of plain numbers.",
        )
    # None where the file says nothing, -1 where it says so (PaddlePaddle).
    shape = tuple("?" if size in (None, -1) else size for size in value.shape)
    return TensorSpec(value.name, DTYPES[element], shape)
