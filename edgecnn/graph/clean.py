"""What a model file must not carry: traces of the machine that built it, and needless demands.

The same model gives the same bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir

BATCH = "N"
PRODUCER = "edgecnn"


def clean(model: ir.Model) -> ir.Model:
    """Strip a model of everything that does not compute.

    Gone are stack traces and other metadata, doc strings, unused nodes, initializers and operator
    sets. An open batch is called N, the IR version is the oldest that holds the model's operators,
    and the producer says nothing of the machine.

    Args:
        model: A model; it is left as it is.
    """
    from onnx_ir.passes import common

    model = model.clone()
    for step in (
        common.ClearMetadataAndDocStringPass(),
        common.RemoveUnusedNodesPass(),
        common.RemoveUnusedOpsetsPass(),
    ):
        model = step(model).model
    model.metadata_props.clear()
    model.doc_string = None
    model.producer_name, model.producer_version = PRODUCER, None
    model.domain, model.model_version = None, None
    model.graph.name = PRODUCER
    model.ir_version = lowest_ir_version(opset(model))
    for value in (*model.graph.inputs, *model.graph.outputs):
        value.metadata_props.clear()
        value.doc_string = None
        if value.shape and not isinstance(value.shape[0], int):
            value.shape[0] = BATCH
    return model


def opset(model: ir.Model) -> int:
    """Give the version of ONNX's own operators that a model uses."""
    return model.opset_imports.get("", 1)


def lowest_ir_version(opset: int) -> int:
    """Give the oldest IR version that is enough, so that old runtimes take the file.

    ONNX Runtime 1.16 refuses IR 10 whatever the operator set; exporters write 10 always.
    """
    return 8 if opset <= 18 else 9 if opset <= 20 else 10


def to_bytes(model: ir.Model) -> bytes:
    """Serialise a model; the same model gives the same bytes.

    Shapes of inner tensors are left out: quantizing and exporting leave wrong or open ones there,
    which strict runtimes refuse, and every runtime infers them itself.
    """
    import onnx_ir as ir

    proto = ir.to_proto(model)
    del proto.graph.value_info[:]
    content: bytes = proto.SerializeToString(deterministic=True)
    return content


def from_bytes(content: bytes, *, where: str) -> ir.Model:
    """Read a model; `where` names it in the error.

    Raises:
        ModelError: The bytes are no ONNX model.
    """
    import onnx
    import onnx_ir as ir

    try:
        model = ir.from_proto(onnx.load_model_from_string(content))
    except Exception as error:  # whatever a parser may stumble over
        raise _unreadable(where, str(error).strip().rstrip(".")) from error
    if not len(model.graph):
        raise _unreadable(where, "it has no operators")
    return model


def _unreadable(where: str, why: str) -> ModelError:
    return ModelError(f"{where} cannot be read as ONNX: {why}.", "Check that the file is whole.")
