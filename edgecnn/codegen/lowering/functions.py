"""Functions of one number: how each is computed, as a kernel over floats and as a table over bytes.

Tables are computed at generation, in float32 as ONNX Runtime does where that decides about bits,
else in float64 and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edgecnn.codegen.lowering.attributes import real, text
from edgecnn.codegen.lowering.clipping import clip_bounds

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.codegen.lowering.state import Lowering

Compute = Callable[["NDArray[np.float32]"], "NDArray[Any]"]

_SIXTH = float(np.float32(1 / 6))


@dataclass(frozen=True, eq=False)
class Function:
    """A function of one number.

    Attributes:
        compute: It, over float32 of any shape.
        kernel: The kernel for floats, without `_f32`; empty if there is none of its own.
        shape: What the kernel's struct holds beside sizes.
    """

    compute: Compute
    kernel: str = ""
    shape: Mapping[str, float] = field(default_factory=dict)


def function_of(lower: Lowering, node: ir.Node) -> Function | None:
    """Say which function of one number a node computes; None if it does something else."""
    if node.op_type in ("Relu", "Clip"):
        bounds = clip_bounds(lower, node)
        return None if bounds is None else _clip(*bounds)
    if node.op_type in _ARITHMETIC:
        return _with_constant(lower, node)
    maker = _MAKERS.get(node.op_type)
    return None if maker is None else maker(node)


def _clip(low: float, high: float) -> Function:
    bounds = {"low": low, "high": high}
    return Function(lambda x: np.clip(x, np.float32(low), np.float32(high)), "clip", bounds)


def _with_constant(lower: Lowering, node: ir.Node) -> Function | None:
    operator = _ARITHMETIC[node.op_type]
    first, second = (lower.constant(value) for value in node.inputs)
    number = first if second is None else second
    if number is None or number.size != 1 or number.dtype != np.float32:
        return None
    value = np.float32(number.item())
    if second is None:
        return Function(lambda x: operator(value, x))
    return Function(lambda x: operator(x, value))


def _exact(compute: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Compute:
    return lambda x: compute(x.astype(np.float64)).astype(np.float32)


def _hard_sigmoid(node: ir.Node) -> Function:
    alpha, beta = real(node, "alpha", 0.2), real(node, "beta", 0.5)
    return Function(_hard(alpha, beta), "hard_sigmoid", {"alpha": alpha, "beta": beta})


def _hard(alpha: float, beta: float) -> Compute:
    steep, shift = np.float32(alpha), np.float32(beta)
    return lambda x: np.clip(steep * x + shift, np.float32(0), np.float32(1))


def _hard_swish(_: ir.Node) -> Function:
    return Function(lambda x: x * _hard(_SIXTH, 0.5)(x), "hard_swish")


def _leaky_relu(node: ir.Node) -> Function:
    alpha = real(node, "alpha", 0.01)
    return Function(
        lambda x: np.where(x >= 0, x, np.float32(alpha) * x), "leaky_relu", {"alpha": alpha}
    )


def _elu(node: ir.Node) -> Function:
    alpha = real(node, "alpha", 1.0)
    return Function(
        _exact(lambda x: np.where(x < 0, alpha * np.expm1(np.minimum(x, 0)), x)),
        "elu",
        {"alpha": alpha},
    )


def _gelu(node: ir.Node) -> Function:
    if text(node, "approximate", "none") == "tanh":
        return Function(
            _exact(lambda x: x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
            "gelu_tanh",
        )
    return Function(_exact(lambda x: x / 2 * (1 + _erf(x / math.sqrt(2)))), "gelu")


def _erf(values: NDArray[np.float64]) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.vectorize(math.erf, otypes=[np.float64])(values)
    return found


def _sigmoid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-values))


def _simple(kernel: str, compute: Compute) -> Callable[[ir.Node], Function]:
    return lambda _: Function(compute, kernel)


_ARITHMETIC: Mapping[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
}
_MAKERS: Mapping[str, Callable[[ir.Node], Function]] = {
    "Abs": _simple("abs", np.abs),
    "Elu": _elu,
    "Erf": _simple("erf", _exact(_erf)),
    "Exp": _simple("exp", _exact(np.exp)),
    "Gelu": _gelu,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "Neg": _simple("neg", np.negative),
    "Sigmoid": _simple("sigmoid", _exact(_sigmoid)),
    "Sqrt": _simple("sqrt", np.sqrt),
    "Tanh": _simple("tanh", _exact(np.tanh)),
}
UNARY = tuple(_MAKERS)
