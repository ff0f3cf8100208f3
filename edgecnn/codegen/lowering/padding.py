"""Pad: numbers around a tensor, and those that are a convolution's own."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import ints, real, text
from edgecnn.codegen.lowering.gathering import gathered
from edgecnn.codegen.lowering.moving import move, moving
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.scales import scale_of
from edgecnn.codegen.lowering.tables import NOWHERE
from edgecnn.codegen.lowering.values import Moved, quantize, sizes_of
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering

# What numpy calls the ways in which ONNX continues a tensor.
_MODES = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}

_PICTURE_AXES = 4


@dataclass(frozen=True, eq=False)
class Padding:
    """What a Pad puts around a tensor.

    Attributes:
        mode: ONNX's word for what it puts there.
        before: How many, for each axis; fewer than none cuts off.
        behind: As before.
        value: The number, if they are all one.
    """

    mode: str
    before: tuple[int, ...]
    behind: tuple[int, ...]
    value: float


@lowers("Pad")
def lower_pad(lower: Lowering, node: ir.Node) -> None:
    """Put numbers around a tensor."""
    padding = read_padding(lower, node)
    if _give_to_convolution(lower, node, padding):
        move(lower, node, lambda old: old)
        return
    moved = moving(lower, node)
    name = str(moved.target.values[0].name)
    tensor = _cut(lower, node, moved.tensor, padding)
    if padding.mode == "constant":
        tensor = _surround(lower, node, Moved(tensor, moved.target), padding, name)
    else:
        tensor = _continue(lower, node, tensor, padding)
    shape = lower.shape(moved.target.values[0])
    back = lower.layouts.strided(tensor).reshaped(shape)
    assert back is not None
    lower.give(moved.target, tensor if tensor.name == name else lower.layouts.move(name, back))


def read_padding(lower: Lowering, node: ir.Node) -> Padding:
    """Read what a Pad puts around its input.

    Raises:
        ModelError: It is computed, or of a mode that there is no kernel for.
    """
    count = len(lower.shape(node.inputs[0]))
    given = [lower.constant(each) if each is not None else None for each in node.inputs[1:]]
    given += [None] * (3 - len(given))
    pads = ints(node, "pads", ints(node, "paddings", ()))
    if len(node.inputs) > 1:
        if any(e is None and v is not None for e, v in zip(given, node.inputs[1:], strict=False)):
            raise unsupported(node, "whose sizes are computed, not constant")
        assert given[0] is not None
        pads = tuple(int(each) for each in given[0].reshape(-1))
    value = real(node, "value", 0.0) if given[1] is None else float(given[1].item())
    axes = range(count) if given[2] is None else [int(each) % count for each in given[2]]
    before, behind = [0] * count, [0] * count
    for place, axis in enumerate(axes):
        before[axis], behind[axis] = pads[place], pads[place + len(pads) // 2]
    mode = text(node, "mode", "constant")
    if mode != "constant" and mode not in _MODES:
        raise unsupported(node, f"whose mode is {mode}")
    return Padding(mode, tuple(before), tuple(behind), value)


def _give_to_convolution(lower: Lowering, node: ir.Node, padding: Padding) -> bool:
    """Let a Conv that alone reads zeros around its picture have them as pads of its own."""
    import onnx_ir as ir

    conv = _convolution_behind(lower, node)
    sizes = (*padding.before, *padding.behind)
    outside = (*padding.before[:2], *padding.behind[:2])
    if (
        conv is None
        or padding.mode != "constant"
        or padding.value
        or len(sizes) != 2 * _PICTURE_AXES
    ):
        return False
    if any(outside) or min(sizes) < 0 or text(conv, "auto_pad", "NOTSET") != "NOTSET":
        return False
    own = ints(conv, "pads", (0, 0, 0, 0))
    more = (*padding.before[2:], *padding.behind[2:])
    conv.attributes["pads"] = ir.AttrInt64s("pads", [a + b for a, b in zip(own, more, strict=True)])
    return True


def _convolution_behind(lower: Lowering, node: ir.Node) -> ir.Node | None:
    scale, value = None, node.outputs[0]
    source = lower.at_hand(node.inputs[0]).scale
    for _ in range(3):
        readers = lower.readers(value)
        if len(readers) != 1 or value.is_graph_output():
            return None
        (reader,) = readers
        if reader.op_type == "Conv":
            return reader if reader.inputs[0] is value and scale in (None, source) else None
        if reader.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            return None
        scale, value = scale_of(reader), reader.outputs[0]
    return None


def _cut(lower: Lowering, node: ir.Node, tensor: Tensor, padding: Padding) -> Tensor:
    """Take off what a Pad of fewer than none takes off."""
    strided = lower.layouts.strided(tensor)
    if min(*padding.before, *padding.behind) >= 0:
        return lower.layouts.settled(tensor, node)
    for axis, (before, behind) in enumerate(zip(padding.before, padding.behind, strict=True)):
        start, end = max(0, -before), strided.shape[axis] - max(0, -behind)
        found = strided.sliced(axis, start, 1, end - start)
        assert found is not None
        strided = found
    return lower.layouts.settled(lower.layouts.move(f"{tensor.name}/cut", strided), node)


def _surround(lower: Lowering, node: ir.Node, moved: Moved, padding: Padding, name: str) -> Tensor:
    """Put one number around: everywhere, and then the tensor into its place."""
    old, scale = moved.tensor, moved.target.scale
    value = padding.value if scale is None else quantize(padding.value, scale)
    before, behind = (tuple(max(0, n) for n in each) for each in (padding.before, padding.behind))
    if len(old.shape) == _PICTURE_AXES and old.shape[0] == 1 and not before[0] + behind[0]:
        old = lower.picture(old, node)
        places = {"channel": before[1], "top": before[2], "left": before[3]}
        made = Tensor(name, _grown(old, before, behind), old.number, picture=True)
        lower.add(node, f"fill_{old.suffix}", (), made, shape=sizes_of(made) | {"value": value})
        lower.add(
            node, f"place_{old.suffix}", (old,), made, shape=sizes_of(old) | places, part=True
        )
        return made
    old = lower.plain(old, node)
    for axis in [axis for axis in range(len(old.shape)) if before[axis] + behind[axis]]:
        one = tuple(n if place == axis else 0 for place, n in enumerate(before))
        two = tuple(n if place == axis else 0 for place, n in enumerate(behind))
        made = Tensor(f"{name}/{axis}", _grown(old, one, two), old.number)
        lower.add(node, f"fill_{old.suffix}", (), made, shape=sizes_of(made) | {"value": value})
        inner = math.prod(old.shape[axis + 1 :])
        sizes = {
            **NOWHERE,
            "height": 1,
            "width": math.prod(old.shape[:axis]),
            "channels": old.shape[axis] * inner,
            "in_pixel": old.shape[axis] * inner,
            "out_pixel": made.shape[axis] * inner,
            "channel": before[axis] * inner,
        }
        lower.add(node, f"place_{old.suffix}", (old,), made, shape=sizes, part=True)
        old = made
    return old


def _continue(lower: Lowering, node: ir.Node, tensor: Tensor, padding: Padding) -> Tensor:
    """Continue a tensor beyond its edges, one axis after the other."""
    for axis, (before, behind) in enumerate(zip(padding.before, padding.behind, strict=True)):
        if max(before, behind) > 0:
            every = np.arange(tensor.shape[axis])
            around = (max(0, before), max(0, behind))
            places = np.pad(every, around, mode=_MODES[padding.mode])  # type: ignore[call-overload]
            tensor = gathered(lower, node, tensor, axis, places)
    return tensor


def _grown(old: Tensor, before: tuple[int, ...], behind: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sum(sizes) for sizes in zip(old.shape, before, behind, strict=True))
