"""HardSwish written as its input times a HardSigmoid, which rounding to 8 bits can compute.

Both have no integer kernel in ONNX Runtime: an int8 net turns to float around each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx_ir as ir


def open_gates(model: ir.Model) -> ir.Model:
    """Write each HardSwish as `x * HardSigmoid(x)`, as ONNX defines it.

    Args:
        model: A float core; it is left as it is.

    Returns:
        A model that computes the same.
    """
    found = model.clone()
    for node in list(found.graph):
        if node.op_type == "HardSwish" and not node.domain:
            _open(node)
    return found


def _open(node: ir.Node) -> None:
    import onnx_ir as ir

    image, old = node.inputs[0], node.outputs[0]
    gate = ir.node(
        "HardSigmoid", [image], {"alpha": 1 / 6, "beta": 0.5}, name=f"{node.name or old.name}/gate"
    )
    gate.outputs[0].name = f"{old.name}/gate"
    product = ir.node("Mul", [image, gate.outputs[0]], name=node.name)
    assert node.graph is not None
    ir.convenience.replace_nodes_and_values(
        node.graph, node, [node], [gate, product], [old], [product.outputs[0]]
    )
