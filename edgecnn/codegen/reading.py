"""From an ONNX file to the graph that is lowered: one image, constants folded, shapes known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import ModelError
from edgecnn.graph.batch import with_batch
from edgecnn.graph.clean import from_bytes, to_bytes
from edgecnn.graph.folding import fold_arithmetic, fold_batch_norms, fold_constants
from edgecnn.graph.limits import Refusal
from edgecnn.graph.qoperator import has_integer_operators, spell_out
from edgecnn.graph.shapes import static_shapes

if TYPE_CHECKING:
    import onnx_ir as ir
    from onnx import ModelProto


@dataclass(frozen=True, eq=False)
class Read:
    """A graph that is ready to be lowered.

    Attributes:
        graph: The graph, for a batch of one.
        shapes: The shape of every tensor, by name.
    """

    graph: ir.Graph
    shapes: Mapping[str, tuple[int, ...]]


def read_graph(content: bytes, where: str) -> Read:
    """Read an ONNX file for one image.

    Args:
        content: The file.
        where: What it is called in messages.

    Raises:
        ModelError: It cannot be read, takes several images at once, or leaves a size open.
    """
    import onnx
    import onnx_ir as ir

    model = from_bytes(content, where=where)
    _check_batch(model, where)
    proto = onnx.load_model_from_string(to_bytes(with_batch(model, 1)))
    if has_integer_operators(proto):
        proto = spell_out(proto)
    fold_constants(proto)
    _fold_shapes(proto, where)
    model = ir.serde.deserialize_model(proto)
    fold_batch_norms(model)
    fold_arithmetic(model)
    shapes = _shapes(onnx.load_model_from_string(to_bytes(model)), where)
    for node in model.graph:
        for value in node.outputs:
            if value.name and value.name not in shapes:
                raise ModelError(
                    f"{where} leaves the shape of '{value.name}' open.",
                    "C needs every size but the batch: export the net with a fixed input size.",
                )
    return Read(model.graph, shapes)


def _fold_shapes(proto: ModelProto, where: str) -> None:
    """Compute what a graph computes from the sizes of its tensors, as exporters leave it."""
    from onnx import helper

    sized = [node for node in proto.graph.node if node.op_type == "Shape"]
    shapes = _shapes(proto, where) if sized else {}
    for node in sized:
        shape = shapes.get(node.input[0])
        if shape is not None:
            bounds = {each.name: each.i for each in node.attribute}
            values = shape[bounds.get("start") : bounds.get("end")]
            node.CopyFrom(helper.make_node("Constant", [], node.output, value_ints=values))
    if sized:
        fold_constants(proto)


def _shapes(proto: ModelProto, where: str) -> dict[str, tuple[int, ...]]:
    try:
        found = static_shapes(proto)
    except Refusal as error:
        raise ModelError(f"{where} {error}.", "Export it anew.") from error
    return {name: tensor.shape for name, tensor in found.items() if tensor.shape is not None}


def _check_batch(model: ir.Model, where: str) -> None:
    if len(model.graph.inputs) != 1:
        names = ", ".join(str(value.name) for value in model.graph.inputs)
        raise ModelError(f"{where} has the inputs {names}, and C is made for one image.", "")
    shape = list(model.graph.inputs[0].shape or ())
    if not shape or (isinstance(shape[0], int) and shape[0] != 1):
        raise ModelError(
            f"{where} takes batches of {shape[0] if shape else '?'}, and C one image at a time.",
            "Name a variant with an open batch, or a batch of 1, with --from.",
        )
    if not all(isinstance(axis, int) for axis in shape[1:]):
        raise ModelError(
            f"{where} leaves the image's size open, and C needs it.",
            "Export the net with a fixed input size.",
        )
