"""Relu and Clip that stand alone: most are taken in by the kernel before them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.attributes import real
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import LARGEST, quantize, sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering


@lowers("Relu", "Clip")
def lower_clip(lower: Lowering, node: ir.Node) -> None:
    """Clip floats, or bytes where the same scale follows."""
    bounds = clip_bounds(lower, node)
    if bounds is None:
        raise unsupported(node, "whose bounds are computed, not constant")
    moved = lower.moved(node)
    old, scale = moved.tensor, moved.target.scale
    made = lower.tensor(moved.target, like=old, number=old.number)
    low, high = bounds if scale is None else (quantize(bound, scale) for bound in bounds)
    shape = sizes_of(old) | {"low": low, "high": high}
    lower.add(node, f"clip_{old.suffix}", (old,), made, shape=shape)
    lower.give(moved.target, made)


def clip_bounds(lower: Lowering, node: ir.Node) -> tuple[float, float] | None:
    """Give between what a node clips; None if it does something else."""
    if node.op_type == "Relu":
        return 0.0, LARGEST
    if node.op_type != "Clip":
        return None
    bounds = [real(node, "min", -LARGEST), real(node, "max", LARGEST)]
    for place in (1, 2):
        value = node.inputs[place] if place < len(node.inputs) else None
        if value is None:
            continue
        found = lower.constant(value)
        if found is None or found.size != 1:
            return None
        bounds[place - 1] = min(max(float(found.item()), -LARGEST), LARGEST)
    # The upper one counts where they contradict each other.
    return min(bounds), bounds[1]
