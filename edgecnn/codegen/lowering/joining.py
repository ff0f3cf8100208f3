"""Concat: parts of one tensor, each written where it belongs."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.attributes import number
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.tables import NOWHERE, table_of
from edgecnn.codegen.lowering.values import Scale, Source, Target, sizes_of

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Number, Tensor

# Where a part of a picture begins, by ONNX's axis.
_PLACES = {1: "channel", 2: "top", 3: "left"}


@lowers("Concat")
def lower_concat(lower: Lowering, node: ir.Node) -> None:
    """Put tensors one behind the other along an axis.

    Bytes stay bytes, with the output's scale, as in ONNX Runtime's QLinearConcat.
    """
    target = lower.target(node, clip=False)
    sources = [lower.source(value) for value in node.inputs]
    scale = target.scale
    if scale is None or any(each.scale is None for each in sources):
        scale = None
        sources = [Source(lower.floats(value)) for value in node.inputs]
    axis = number(node, "axis", 0) % len(lower.shape(node.outputs[0]))
    made = _output(lower, target, sources, axis, scale)
    start = 0
    for place, source in enumerate(sources):
        _put(lower, node, (source, made, scale), (axis, start), part=place > 0)
        start += source.tensor.shape[axis]
    lower.finish(node, target, made)


def _output(
    lower: Lowering, target: Target, sources: list[Source], axis: int, scale: Scale | None
) -> Tensor:
    picture = axis > 0 and any(each.tensor.picture for each in sources)
    kind: Number = "float32" if scale is None else "uint8"
    return lower.tensor(target, number=kind, picture=picture)


def _put(
    lower: Lowering,
    node: ir.Node,
    what: tuple[Source, Tensor, Scale | None],
    where: tuple[int, int],
    *,
    part: bool,
) -> None:
    """Write one tensor into its part of the output."""
    (source, made, scale), (axis, start) = what, where
    sizes: dict[str, int | float]
    if made.picture:
        old = lower.picture(source.tensor, node)
        sizes = sizes_of(old) | NOWHERE | {_PLACES[axis]: start}
    else:
        old = lower.plain(source.tensor, node)
        inner = math.prod(made.shape[axis + 1 :])
        sizes = {
            **NOWHERE,
            "height": 1,
            "width": math.prod(made.shape[:axis]),
            "channels": old.shape[axis] * inner,
            "in_pixel": old.shape[axis] * inner,
            "out_pixel": made.shape[axis] * inner,
            "channel": start * inner,
        }
    if scale is None or source.scale == scale:
        lower.add(node, f"place_{old.suffix}", (old,), made, shape=sizes, part=part)
        return
    assert source.scale is not None
    table = table_of(source.scale, scale)
    lower.add(node, "table_u8", (old,), made, (table,), sizes, part=part)
