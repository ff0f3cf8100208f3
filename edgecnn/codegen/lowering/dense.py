"""Gemm and MatMul: fully connected layers, and products of computed matrices."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import number, real
from edgecnn.codegen.lowering.integers import fold
from edgecnn.codegen.lowering.matrices import add_matrix, lower_product, turned
from edgecnn.codegen.lowering.rules import lowers
from edgecnn.codegen.lowering.values import Source, Target
from edgecnn.codegen.lowering.weights import float_weights, has_scales_along, is_constant
from edgecnn.codegen.packing import by_channel, filled_run, pack_f32, pack_s8, pairs_fit
from edgecnn.codegen.program import Read

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering
    from edgecnn.codegen.program import Tensor

_MATRIX = 2


@lowers("Gemm", "MatMul")
def lower_dense(lower: Lowering, node: ir.Node) -> None:
    """Multiply by constant weights, on the right or on the left, or two computed matrices."""
    axes = [len(lower.shape(value)) for value in node.inputs[:2]]
    target = lower.target(node)
    if is_constant(lower, node.inputs[1]) and axes[1] == _MATRIX:
        _lower_weights(lower, node, target)
    elif is_constant(lower, node.inputs[0]) and axes == [_MATRIX, _MATRIX]:
        inner = _without_end(lower, node, target)
        add_matrix(lower, node, target, _lower_weights_on_the_left(lower, node, inner))
    else:
        lower_product(lower, node, target, _without_end(lower, node, target))


def _lower_weights(lower: Lowering, node: ir.Node, target: Target) -> None:
    value = node.inputs[1]
    source, picture = _rows(lower, node)
    numbers, scales, zero = lower.weights(value)
    turn = node.op_type == "Gemm" and bool(number(node, "transB", 0))
    columns = _is_for_columns(lower, node)
    exact = columns and real(node, "alpha", 1.0) == real(node, "beta", 1.0) == 1.0
    exact = exact and has_scales_along(value, numbers, scales, 0 if turn else 1)
    if source.scale is not None and scales is not None and exact:
        given = (_rows_of_outputs(numbers, picture, turn=turn), scales, zero)
        _lower_bytes(lower, node, source, given, target)
        return
    weights = _rows_of_outputs(float_weights(lower, value), picture, turn=turn)
    bias = np.zeros(len(weights), np.float32)
    if columns:
        bias = lower.bias(node, len(weights)) * np.float32(real(node, "beta", 1.0))
    inner = target if columns else _without_end(lower, node, target)
    row = lower.as_floats(source, node)
    made = lower.tensor(inner, number="float32", picture=False)
    _add_floats(lower, node, row, made, (weights, bias), inner)
    if columns:
        lower.finish(node, target, made)
    else:
        add_matrix(lower, node, target, made)


def _lower_weights_on_the_left(lower: Lowering, node: ir.Node, inner: Target) -> Tensor:
    """Compute the columns of a product as rows: A B is (B' A')'."""
    weights = float_weights(lower, node.inputs[0])
    weights = weights.T if number(node, "transA", 0) else weights
    right = lower.floats(node.inputs[1])
    turn = node.op_type == "MatMul" or not number(node, "transB", 0)
    rows = turned(lower, node, right) if turn else lower.plain(right, node)
    height, width = lower.shape(inner.values[0])
    made = lower.tensor(inner, number="float32", picture=False)
    columns = type(made)(f"{made.name}/columns", (width, height))
    bias = np.zeros(height, np.float32)
    _add_floats(lower, node, rows, columns, (weights, bias), inner)
    return turned(lower, node, columns)


def _add_floats(
    lower: Lowering,
    node: ir.Node,
    rows: Tensor,
    made: Tensor,
    given: tuple[NDArray[np.float32], NDArray[np.float32]],
    target: Target,
) -> None:
    weights, bias = given
    kernel, sizes = _kernel("f32", made, weights.shape[1], weights.shape[1])
    alpha = np.float32(real(node, "alpha", 1.0))
    lower.add(
        node,
        kernel,
        (Read(rows, beyond=True),),
        made,
        (pack_f32((weights * alpha)[:, None, None, :]), by_channel(bias)),
        sizes | {"low": target.low, "high": target.high},
        macs=made.size * weights.shape[1],
    )


def _lower_bytes(
    lower: Lowering, node: ir.Node, source: Source, given: Any, target: Target
) -> None:
    folded = fold(lower, node, source, given, target)
    run = folded.weights.shape[1]
    made = lower.tensor(target, picture=False)
    kernel, sizes = _kernel("u8", made, run, filled_run(run))
    kernel, more = folded.ending(kernel)
    packed = pack_s8(folded.weights[:, None, None, :])
    lower.add(
        node,
        kernel,
        (Read(source.tensor, beyond=True),),
        made,
        (packed, by_channel(folded.bias), by_channel(folded.factor)),
        sizes | more | {"pairs_fit": int(pairs_fit(packed))},
        macs=made.size * run,
    )
    lower.finish(node, target, made)


def _rows(lower: Lowering, node: ir.Node) -> tuple[Source, Tensor | None]:
    """Give the left matrix row by row; one row of a picture as it lies, with the picture."""
    value = node.inputs[0]
    if number(node, "transA", 0):
        source = lower.at_hand(value)
        return Source(turned(lower, node, source.tensor), source.scale), None
    if math.prod(lower.shape(value)[:-1]) == 1:
        return lower.flattened(value, node)
    source = lower.at_hand(value)
    return Source(lower.plain(source.tensor, node), source.scale), None


def _is_for_columns(lower: Lowering, node: ir.Node) -> bool:
    """Say whether what is added is one constant for each column, or nothing."""
    value = node.inputs[2] if len(node.inputs) > _MATRIX else None
    if value is None:
        return True
    shape = lower.shape(value)
    return is_constant(lower, value) and math.prod(shape) == (shape[-1] if shape else 1)


def _without_end(lower: Lowering, node: ir.Node, target: Target) -> Target:
    """Give the target of a product to which something is added yet."""
    adds = len(node.inputs) > _MATRIX and node.inputs[_MATRIX] is not None
    return Target(target.values) if adds else target


def _kernel(suffix: str, made: Tensor, run: int, filled: int) -> tuple[str, dict[str, int | float]]:
    """Give the kernel for one row, or for several: these are the pixels of a picture."""
    channels = made.shape[-1]
    rows = made.size // channels
    sizes: dict[str, int | float] = {"channels": channels, "run": filled}
    if rows == 1:
        return f"dense_{suffix}", sizes
    ones = ("groups", "height", "rows", "runs", "dilation_y", "dilation_x", "stride_y", "stride_x")
    sizes |= dict.fromkeys(ones, 1) | {"width": rows}
    sizes |= {"in_pixel": run, "in_row": rows * run}
    return f"conv_{suffix}", sizes | {"out_pixel": channels, "out_row": rows * channels}


def _rows_of_outputs(weights: NDArray[Any], picture: Tensor | None, *, turn: bool) -> NDArray[Any]:
    """Give weights as [O, I]; for a picture as it lies, with I as [H * W * C]."""
    weights = weights if turn else weights.T
    if picture is None:
        return weights
    shape = (len(weights), picture.channels, picture.height, picture.width)
    return weights.reshape(shape).transpose(0, 2, 3, 1).reshape(len(weights), -1)
