"""The sentence that says what C cannot be made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import onnx_ir as ir


def unsupported(where: ir.Node | ir.Value | None, why: str) -> ModelError:
    """Say what C cannot be made of, and where it is in the graph.

    Args:
        where: A node, or a value: the node that gives it, or that reads what none gives.
        why: What is wrong with it; continues a sentence.
    """
    import onnx_ir as ir

    node = _node_at(where) if isinstance(where, ir.Value) else where
    name = "the graph" if node is None else f"'{node.name or node.outputs[0].name}'"
    kind = "" if node is None else f" ({node.op_type})"
    return ModelError(
        f"C cannot be made of {name}{kind}, {why}.",
        "Change that part of the net, or use a runtime such as ONNX Runtime.",
    )


def _node_at(value: ir.Value) -> ir.Node | None:
    return value.producer() or next((use.node for use in value.uses()), None)
