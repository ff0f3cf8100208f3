"""Writing a graph with an older version of ONNX's operators, for runtimes that know no newer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import ModelError
from edgecnn.graph.clean import clean, from_bytes, to_bytes

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto


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
    except Exception as error:  # its own words name files of the converter's source
        newer = ", ".join(_newer(source, opset))
        why = f"it has {newer}" if newer else "an operator of it has changed since"
        raise ModelError(
            f"{where} cannot be written with opset {opset}: {why}.",
            "Leave --min-ort out, or name a newer ONNX Runtime.",
        ) from error
    return clean(from_bytes(lowered.SerializeToString(), where=where))


def _newer(model: ModelProto, opset: int) -> list[str]:
    """Name the operators of a model that an older version of ONNX did not have at all."""
    from onnx import defs

    first: dict[str, int] = {}
    for schema in defs.get_all_schemas_with_history():
        if schema.domain == "":
            since = first.get(schema.name, schema.since_version)
            first[schema.name] = min(since, schema.since_version)
    used = sorted({node.op_type for node in model.graph.node})
    return [name for name in used if first.get(name, 0) > opset]
