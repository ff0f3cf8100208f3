"""Products of two computed matrices, and matrices that are added to a product."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from edgecnn.codegen.lowering.attributes import number, real
from edgecnn.codegen.lowering.broadcasting import pair
from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.values import Source, view
from edgecnn.codegen.lowering.weights import float_weights, is_constant
from edgecnn.codegen.program import Read, Tensor

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.lowering.values import Target

_MATRIX = 2


def turned(lower: Lowering, node: ir.Node, tensor: Tensor) -> Tensor:
    """Give a tensor with its last two axes exchanged, as ONNX has it."""
    order = [*range(len(tensor.shape) - 2), len(tensor.shape) - 1, len(tensor.shape) - 2]
    strided = lower.layouts.strided(tensor).transposed(order)
    return lower.plain(lower.layouts.move(f"{tensor.name}/turned", strided), node)


def add_matrix(lower: Lowering, node: ir.Node, target: Target, made: Tensor) -> None:
    """Add the third input of a Gemm to a product, if it has one, and make the sum known."""
    value = node.inputs[2] if len(node.inputs) > _MATRIX else None
    if value is None:
        lower.finish(node, target, made)
        return
    beta = real(node, "beta", 1.0)
    if is_constant(lower, value):
        numbers = float_weights(lower, value) * np.float32(beta)
        other = Tensor(f"{made.name}/added", numbers.shape)
        lower.add(node, "constant_f32", (), other, (numbers,), {"size": other.size})
    elif beta == 1.0:
        other = lower.floats(value)
    else:
        raise unsupported(node, f"which adds {beta:g} times something that is computed")
    both = pair(lower, node, made, other, made.shape)
    total = Tensor(f"{made.name}/sum", made.shape, picture=both.picture)
    shape = both.sizes | {"low": target.low, "high": target.high}
    lower.add(node, "add_f32", (both.first, both.second), total, shape=shape)
    lower.finish(node, target, total)


def lower_product(lower: Lowering, node: ir.Node, target: Target, inner: Target) -> None:
    """Multiply two computed matrices, or several: of floats, or of bytes.

    Args:
        lower: The graph.
        node: A Gemm or MatMul.
        target: What becomes of its output.
        inner: What the product's kernel may do of that.
    """
    alpha = real(node, "alpha", 1.0)
    sources = [_matrices(lower, node, place) for place in (0, 1)]
    scales = [source.scale for source in sources]
    in_bytes = None not in (*scales, inner.scale) and alpha == 1.0 and not inner.clips
    if not in_bytes:
        sources = [Source(lower.as_floats(source, node)) for source in sources]
    tensors = [source.tensor for source in sources]
    batch = np.broadcast_shapes(*(tensor.shape[:-2] for tensor in tensors))
    one, other = (_repeated(lower, node, tensor, batch) for tensor in tensors)
    made = lower.tensor(inner, number=None if in_bytes else "float32", picture=False)
    rows, run, columns = one.shape[-2], one.shape[-1], other.shape[-1]
    sizes: dict[str, int | float] = {
        "count": math.prod(batch),
        "rows": rows,
        "run": run,
        "columns": columns,
        "in_step": _step(one),
        "other_step": _step(other),
    }
    sizes |= _of_bytes(sources, inner) if in_bytes else _of_floats(inner, alpha)
    macs = made.size * run
    reads = (one, Read(other, beyond=True))
    lower.add(node, f"matmul_{made.suffix}", reads, made, shape=sizes, macs=macs)
    add_matrix(lower, node, target, made)


def _of_floats(target: Target, alpha: float) -> dict[str, int | float]:
    return {"alpha": alpha, "low": target.low, "high": target.high}


def _of_bytes(sources: list[Source], target: Target) -> dict[str, int | float]:
    """Give the numbers of ONNX Runtime's QLinearMatMul, in its order."""
    one, other, out = sources[0].scale, sources[1].scale, target.scale
    assert one is not None
    assert other is not None
    assert out is not None
    factor = np.float32(one.scale) * np.float32(other.scale) / np.float32(out.scale)
    zeros = {"in_zero": one.zero, "other_zero": other.zero, "zero": out.zero}
    return {"factor": float(factor), **zeros}


def _matrices(lower: Lowering, node: ir.Node, place: int) -> Source:
    """Give an input with at least two axes, as ONNX has it, turned if a Gemm turns it."""
    source = lower.at_hand(node.inputs[place])
    tensor = source.tensor
    if node.op_type == "Gemm" and number(node, "transB" if place else "transA", 0):
        return Source(turned(lower, node, tensor), source.scale)
    tensor = lower.plain(tensor, node)
    if len(tensor.shape) < _MATRIX:
        shape = (tensor.size, 1) if place else (1, tensor.size)
        tensor = view(tensor, shape, picture=False)
    return Source(tensor, source.scale)


def _repeated(lower: Lowering, node: ir.Node, tensor: Tensor, batch: tuple[int, ...]) -> Tensor:
    """Let matrices meet a batch: one matrix meets all, several are copied as often as they meet."""
    if tensor.shape[:-2] == batch or math.prod(tensor.shape[:-2]) == 1:
        return tensor
    strided = lower.layouts.strided(tensor).expanded((*batch, *tensor.shape[-2:]))
    return lower.plain(lower.layouts.move(f"{tensor.name}/repeated", strided), node)


def _step(tensor: Tensor) -> int:
    return math.prod(tensor.shape[-2:]) if math.prod(tensor.shape[:-2]) > 1 else 0
