"""What moves numbers and does not change them: Transpose, Reshape, Slice, Split and their like.

Nothing is copied here: a move changes where numbers are looked for, and what reads them copies them
once, after all moves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, number
from edgecnn.codegen.lowering.gathering import gather
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.strided import Strided
from edgecnn.codegen.lowering.tables import requantized
from edgecnn.codegen.lowering.values import Moved, sizes_of
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering

Change = Callable[[Strided], Strided | None]


@lowers("Reshape", "Flatten", "Squeeze", "Unsqueeze")
def lower_reshape(lower: Lowering, node: ir.Node) -> None:
    """Look at the same numbers in another shape."""
    shape = lower.shape(node.outputs[0])
    move(lower, node, lambda old: old.reshaped(shape))


@lowers("Identity", "Dropout")
def lower_identity(lower: Lowering, node: ir.Node) -> None:
    """Know a value by another name."""
    if len(node.outputs) > 1 and any(True for _ in node.outputs[1].uses()):
        raise unsupported(node, "which gives what it left out, too")
    ratio, training = (
        lower.constant(node.inputs[place]) if place < len(node.inputs) else None for place in (1, 2)
    )
    if training is not None and training.any() and (ratio is None or ratio.any()):
        raise unsupported(node, "which leaves numbers out at random")
    source = lower.at_hand(node.inputs[0])
    if source.scale is not None and lower.scale_behind(node.outputs[0]) is None:
        lower.sources[node.outputs[0]] = source
        return
    move(lower, node, lambda old: old)


@lowers("Transpose")
def lower_transpose(lower: Lowering, node: ir.Node) -> None:
    """Turn axes."""
    count = len(lower.shape(node.inputs[0]))
    order = ints(node, "perm", tuple(reversed(range(count))))
    move(lower, node, lambda old: old.transposed(order))


@lowers("Expand")
def lower_expand(lower: Lowering, node: ir.Node) -> None:
    """Repeat numbers along axes."""
    shape = lower.shape(node.outputs[0])
    move(lower, node, lambda old: old.expanded(shape))


@lowers("Split")
def lower_split(lower: Lowering, node: ir.Node) -> None:
    """Part a tensor along an axis."""
    axis = _axis(lower, node, number(node, "axis", 0))
    start = 0
    for output, value in enumerate(node.outputs):
        count = lower.shape(value)[axis]
        if lower.readers(value) or value.is_graph_output():
            move(lower, node, _slice(axis, start, 1, count), output)
        start += count


@lowers("Slice")
def lower_slice(lower: Lowering, node: ir.Node) -> None:
    """Take a part of a tensor: every so many numbers of some axes."""
    shape, count = lower.shape(node.inputs[0]), len(lower.shape(node.inputs[0]))
    starts, ends = (_given(lower, node, place) for place in (1, 2))
    if starts is None or ends is None:
        raise unsupported(node, "whose bounds are computed, not constant")
    axes = _given(lower, node, 3) or list(range(len(starts)))
    steps = _given(lower, node, 4) or [1] * len(starts)
    cuts = {
        axis % count: range(shape[axis])[start:end:step]
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    }

    def change(old: Strided) -> Strided | None:
        found: Strided | None = old
        for axis, cut in cuts.items():
            found = found and found.sliced(axis, cut.start, cut.step, len(cut))
        return found

    move(lower, node, change)


@lowers("Gather")
def lower_gather(lower: Lowering, node: ir.Node) -> None:
    """Take numbers of an axis by constant places."""
    places = lower.constant(node.inputs[1])
    axis = _axis(lower, node, number(node, "axis", 0))
    size = lower.shape(node.inputs[0])[axis]
    if places is None:
        raise unsupported(node, "whose places are computed, not constant")
    taken = np.where(places < 0, places + size, places).reshape(-1)
    shape = lower.shape(node.outputs[0])
    steps = set(np.diff(taken).tolist())
    if len(steps) > 1 or 0 in steps:
        gather(lower, node, moving(lower, node), axis, taken)
        return
    cut = _slice(axis, int(taken[0]), steps.pop() if steps else 1, len(taken))
    move(lower, node, lambda old: _then(cut(old), shape))


def move(lower: Lowering, node: ir.Node, change: Change, output: int = 0) -> None:
    """Make the numbers that a node moves known as its output.

    Args:
        lower: The graph.
        node: The node; what it moves is its first input.
        change: Gives where the numbers lie after it; None if that is no order with steps.
        output: Which of the node's outputs it is about.
    """
    moved = moving(lower, node, output)
    found = change(lower.layouts.strided(moved.tensor))
    if found is None:
        found = change(lower.layouts.strided(lower.plain(moved.tensor, node)))
    assert found is not None, node.name
    name = str(moved.target.values[0].name)
    lower.give(moved.target, lower.layouts.move(name, found))


def moving(lower: Lowering, node: ir.Node, output: int = 0) -> Moved:
    """Give what a node moves, in whatever order it lies, with the scale that follows the node."""
    source = lower.at_hand(node.inputs[0])
    target = lower.target(node, clip=False, output=output)
    if source.scale is not None and target.scale is not None:
        return Moved(requantized(lower, node, source, target.scale), target)
    if source.scale is None and target.scale is None:
        return Moved(source.tensor, target)
    floats = lower.floats(node.inputs[0])
    if target.scale is None:
        return Moved(floats, target)
    made = Tensor(f"{floats.name}/quantized", floats.shape, "uint8", floats.picture)
    lower.add(node, "quantize_u8", (floats,), made, shape=sizes_of(made, target.scale))
    return Moved(made, target)


def _slice(axis: int, start: int, step: int, count: int) -> Change:
    return lambda old: old.sliced(axis, start, step, count)


def _then(found: Strided | None, shape: tuple[int, ...]) -> Strided | None:
    return None if found is None else found.reshaped(shape)


def _axis(lower: Lowering, node: ir.Node, axis: int) -> int:
    return axis % len(lower.shape(node.inputs[0]))


def _given(lower: Lowering, node: ir.Node, place: int) -> list[int] | None:
    """Read a list of whole numbers: an input, or an attribute in old files."""
    if len(node.inputs) == 1 and place <= len(_SLICE):
        found = ints(node, _SLICE[place - 1], ())
        return list(found) or None
    constant = lower.constant(node.inputs[place]) if place < len(node.inputs) else None
    return None if constant is None else [int(each) for each in constant.reshape(-1)]


_SLICE = ("starts", "ends", "axes")
