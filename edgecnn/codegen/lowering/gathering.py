"""Numbers taken by their places along an axis."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.values import Moved
from edgecnn.codegen.program import Tensor

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering


def gather(
    lower: Lowering,
    node: ir.Node,
    moved: Moved,
    axis: int,
    places: Sequence[int] | NDArray[np.integer[Any]],
) -> None:
    """Give a node's output: what it moves, with some numbers of an axis, in any order."""
    taken = gathered(lower, node, moved.tensor, axis, places)
    name, shape = str(moved.target.values[0].name), lower.shape(moved.target.values[0])
    strided = lower.layouts.strided(taken).reshaped(shape)
    assert strided is not None
    lower.give(moved.target, lower.layouts.move(name, strided))


def gathered(
    lower: Lowering,
    node: ir.Node,
    tensor: Tensor,
    axis: int,
    places: Sequence[int] | NDArray[np.integer[Any]],
) -> Tensor:
    """Give a tensor with some numbers of an axis, in any order, some of them repeated."""
    old = lower.plain(tensor, node)
    shape = (*old.shape[:axis], len(places), *old.shape[axis + 1 :])
    made = Tensor(f"{old.name}/gathered", shape, old.number)
    sizes = {
        "count": math.prod(shape[:axis]),
        "size": old.shape[axis],
        "taken": len(places),
        "inner": math.prod(shape[axis + 1 :]),
    }
    constants = (np.asarray(places, np.int32),)
    lower.add(node, f"gather_{old.suffix}", (old,), made, constants, sizes)
    return made
