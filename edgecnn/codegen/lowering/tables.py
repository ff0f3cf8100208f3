"""Functions of one byte: a table of 256, computed at generation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.values import Scale, Source
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.functions import Compute
    from edgecnn.codegen.lowering.state import Lowering


def table_of(old: Scale, new: Scale, functions: Sequence[Compute] = ()) -> NDArray[np.uint8]:
    """Give what each byte becomes: dequantized, put through functions, quantized.

    Each step is rounded to float32, and the last to even, as in ONNX Runtime's
    QlinearBuildLookupTable and in its DequantizeLinear and QuantizeLinear.
    """
    values = (np.arange(256) - old.zero).astype(np.float32) * np.float32(old.scale)
    with np.errstate(all="ignore"):
        for compute in functions:
            values = compute(values).astype(np.float32)
        steps = values / np.float32(new.scale)
    low, high = np.float32(-new.zero), np.float32(255 - new.zero)
    steps = np.where(np.isnan(steps), low, np.clip(steps, low, high))
    table: NDArray[np.uint8] = (np.rint(steps) + new.zero).astype(np.uint8)
    return table


def requantized(lower: Lowering, node: ir.Node, source: Source, scale: Scale) -> Tensor:
    """Give bytes with another scale; the same tensor if they have it already."""
    assert source.scale is not None
    if source.scale == scale:
        return source.tensor
    old = lower.layouts.settled(source.tensor, node)
    made = Tensor(f"{old.name}/requantized", old.shape, "uint8", old.picture)
    add_table(lower, node, old, made, table_of(source.scale, scale))
    return made


def add_table(
    lower: Lowering, node: ir.Node, old: Tensor, made: Tensor, table: NDArray[np.uint8]
) -> None:
    """Add a layer that looks each byte up."""
    row = {"height": old.height, "width": 1, "channels": old.width * old.channels}
    lower.add(node, "table_u8", (old,), made, (table,), row | NOWHERE)


# Where in its output a layer begins that writes all of it.
NOWHERE = {"top": 0, "left": 0, "channel": 0}
