"""Writing a graph with an older version of ONNX's operators, for runtimes that know no newer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import ModelError
from edgecnn.graph.clean import clean, from_bytes, to_bytes

if TYPE_CHECKING:
    import onnx_ir as ir


def lower_opset(model: ir.Model, opset: int, *, where: str) -> ir.Model:
    """Write a model with an older version of ONNX's operators; whoever keeps it must prove it.

    Args:
        model: A model; it is left as it is.
        opset: The version to use.
        where: Names the model in the error.

    Raises:
        ModelError: An operator of it cannot be written so.
    """
    import onnx
    from onnx import version_converter

    source = onnx.load_model_from_string(to_bytes(model))
    try:
        lowered = version_converter.convert_version(source, opset)
    except Exception as error:  # whatever the converter stumbles over
        why = " ".join(str(error).split()).rstrip(".")
        raise ModelError(
            f"{where} cannot be written with opset {opset}: {why}.",
            "Leave --min-ort out, or name a newer ONNX Runtime.",
        ) from error
    return clean(from_bytes(lowered.SerializeToString(), where=where))
