"""Parity tensor by tensor: where between pixels and answers int8 departs from fp32."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.profiling.mapping import MOVERS
from edgecnn.quantization.corrections.tapping import tap
from edgecnn.quantization.hard_sigmoids import is_plain_pair
from edgecnn.quantization.placing import JOINED
from edgecnn.records import MaybeInfinite

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.quantization.making import Subject

IMAGES = 64
# Squares of float32 that are no denormal numbers sum to more.
_TINY = 1e-30


@dataclass(frozen=True)
class TensorLoss:
    """How far a tensor of int8 lies from the one of the same name in fp32.

    Attributes:
        tensor: Its name.
        layer: Name of the node that computes it, as the model calls it; of an activation that int8
            computes together with the layer before it, that layer's.
        operator: What that node does, such as `Conv`.
        rounded: It has 8 bits; otherwise it is float in int8, too.
        sqnr_db: Signal-to-quantization-noise ratio in dB, of all that was rounded before it
            together; infinite if equal.
        max_abs: Largest absolute difference of one value.
        largest: Largest absolute value in fp32, in the same unit.
    """

    tensor: str
    layer: str
    operator: str
    rounded: bool
    sqnr_db: MaybeInfinite
    max_abs: float
    largest: float


@dataclass(frozen=True)
class _Pair:
    """A tensor, and what it is called in the int8 core where its value can be seen."""

    tensor: str
    layer: str
    operator: str
    twin: str
    rounded: bool


@dataclass
class _Sums:
    signal: float = 0.0
    noise: float = 0.0
    max_abs: float = 0.0
    largest: float = 0.0

    def add(self, exact: NDArray[np.float32], found: NDArray[np.float32]) -> None:
        import numpy as np

        wide = exact.astype(np.float64)
        error = found.astype(np.float64) - wide
        self.signal += float(np.square(wide).sum())
        self.noise += float(np.square(error).sum())
        self.max_abs = max(self.max_abs, float(np.abs(error).max(initial=0.0)))
        self.largest = max(self.largest, float(np.abs(wide).max(initial=0.0)))

    @property
    def sqnr_db(self) -> float:
        if not self.noise:
            return math.inf
        return 10 * math.log10(max(self.signal, _TINY) / self.noise)


def measure_tensors(
    subject: Subject, int8: ir.Model, images: NDArray[np.uint8]
) -> tuple[TensorLoss, ...]:
    """Compare every tensor that fp32 and int8 both compute on the same images, a few at a time.

    Tensors that only change a shape are left out, and those between an operator and the activation
    that becomes part of it.

    Args:
        subject: The prepared float core.
        int8: What was made of it.
        images: uint8 [M, height, width, channels]; the first 64 are looked at.

    Returns:
        The tensors in the order of the graph.

    Raises:
        ModelError: ONNX Runtime refuses the model.
    """
    pairs = list(_pairs(subject, int8))
    sums = [_Sums() for _ in pairs]
    for exact, found in zip(
        tap(subject.core, subject.contract, images[:IMAGES], [each.tensor for each in pairs]),
        tap(int8, subject.contract, images[:IMAGES], [each.twin for each in pairs]),
        strict=True,
    ):
        for each, one, other in zip(sums, exact, found, strict=True):
            each.add(one, other)
    return tuple(_loss(pair, each) for pair, each in zip(pairs, sums, strict=True))


def _loss(pair: _Pair, sums: _Sums) -> TensorLoss:
    return TensorLoss(
        pair.tensor,
        pair.layer,
        pair.operator,
        pair.rounded,
        sums.sqnr_db,
        sums.max_abs,
        sums.largest,
    )


def _pairs(subject: Subject, int8: ir.Model) -> Iterator[_Pair]:
    nodes = {str(node.name): node for node in subject.core.graph}
    known = {str(value.name): value for node in int8.graph for value in node.outputs}
    for node in subject.core.graph:
        for value in node.outputs:
            twin = known.get(str(value.name))
            # What was observed is float and depends on the image.
            if twin is None or node.op_type in MOVERS or value.name not in subject.observed:
                continue
            back = _dequantized(twin)
            if back is None and (_is_joined(twin) or _is_rounded(twin)):
                continue
            seen = back or twin
            # Of an activation that became part of a layer, int8 has the layer alone.
            layer = nodes.get(str(_maker(twin).name), node)
            yield _Pair(
                tensor=str(value.name),
                layer=str(layer.name),
                operator=layer.op_type,
                twin=str(seen.name),
                rounded=_maker(seen).op_type == "DequantizeLinear",
            )


def _dequantized(value: ir.Value) -> ir.Value | None:
    """Give what DequantizeLinear makes of a value that is rounded to 8 bits."""
    for step, _ in value.uses():
        if step.op_type == "QuantizeLinear":
            for back, _ in step.outputs[0].uses():
                if back.op_type == "DequantizeLinear" and is_plain_pair(step, back):
                    return back.outputs[0]
    return None


def _maker(value: ir.Value) -> ir.Node:
    node = value.producer()
    assert node is not None
    return node


def _is_rounded(value: ir.Value) -> bool:
    """Say whether a value goes into a rounding that computes something else of it."""
    return any(user.op_type == "QuantizeLinear" for user, _ in value.uses())


def _is_joined(value: ir.Value) -> bool:
    # To look between the two would undo that they are one operator.
    return any(
        user.op_type in JOINED and _dequantized(user.outputs[0]) is not None
        for user, _ in value.uses()
    )
