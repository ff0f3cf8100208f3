"""What moves numbers and does not change them: Reshape, Flatten, Squeeze, Unsqueeze, Transpose."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.attributes import ints
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import view

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity", "Dropout")
def lower_reshape(lower: Lowering, node: ir.Node) -> None:
    """Look at the same numbers in another shape."""
    moved = lower.moved(node)
    shape = lower.shape(moved.target.values[0])
    old = moved.tensor
    if old.picture and shape == old.shape:
        lower.give(moved.target, old)
    elif old.picture and len(shape) == 2:
        lower.give_flattened(moved.target, old, shape)
    else:
        lower.give(moved.target, view(lower.plain(old, node), shape, picture=False))


@lowers("Transpose")
def lower_transpose(lower: Lowering, node: ir.Node) -> None:
    """Turn axes: a picture's are another view of the same numbers."""
    moved = lower.moved(node)
    shape, old = lower.shape(moved.target.values[0]), moved.tensor
    order = ints(node, "perm", tuple(reversed(range(len(old.shape)))))
    axes = (0, 2, 3, 1)
    before = axes if old.picture else tuple(range(len(old.shape)))
    for picture in (len(shape) == 4 and shape[0] == 1, False):
        behind = axes if picture else tuple(range(len(shape)))
        if tuple(order[axis] for axis in behind) == before:
            lower.give(moved.target, view(old, shape, picture=picture))
            return
    raise unsupported(node, f"which turns the axes of [{', '.join(map(str, old.shape))}]")
