"""Cross-layer equalisation: channels between two convolutions are scaled to use 8 bits alike.

A channel divided by some number before a rectifier and multiplied by it behind is the same channel.
As weights have a scale for each output channel, this helps only what has one scale for all its
channels: activations. Where neither convolution is depthwise it gained nothing measurable and is
not done. A ReLU6 cannot be scaled; nets built on it stay as they are.

Source: Nagel, van Baalen, Blankevoort, Welling, "Data-Free Quantization Through Weight
Equalization and Bias Correction", ICCV 2019 (arXiv:1906.04721), section 4.1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

# f(x * s) = f(x) * s for every s > 0, channel by channel.
_HOMOGENEOUS = {"AveragePool", "GlobalAveragePool", "LeakyRelu", "MaxPool", "Relu"}
_MOST_ROUNDS = 20
# A channel with smaller weights is dead and left alone; float32 has room for far larger factors.
_LEAST_SIZE, _LARGEST_FACTOR, _NOTHING = 1e-8, 1e3, 1e-3


def equalise(model: ir.Model) -> ir.Model:
    """Even out the weights' ranges before and behind the channels between two convolutions.

    Args:
        model: A float core; it is left as it is.

    Returns:
        A model that computes the same but for float32's rounding.
    """
    found = model.clone()
    pairs = list(_pairs(found.graph))
    for _ in range(_MOST_ROUNDS):
        if max((_even_out(*pair) for pair in pairs), default=0.0) < _NOTHING:
            break
    return found


def _pairs(graph: ir.Graph) -> Iterator[tuple[ir.Node, ir.Node]]:
    """Give what can be scaled: two convolutions, one depthwise, and what is homogeneous between."""
    for first in graph:
        second = _only_reader(first) if _is_own(first) else None
        while second is not None and second.op_type in _HOMOGENEOUS:
            second = _only_reader(second)
        if second is not None and _is_own(second) and (_depthwise(first) or _depthwise(second)):
            yield first, second


def _only_reader(node: ir.Node) -> ir.Node | None:
    uses = [use for output in node.outputs for use in output.uses()]
    if len(uses) != 1 or any(output.is_graph_output() for output in node.outputs):
        return None
    return uses[0].node if uses[0].idx == 0 else None


def _is_own(node: ir.Node) -> bool:
    """Say whether a node is a convolution of images whose constants nothing else reads."""
    constants = [value for value in node.inputs[1:] if value is not None]
    alone = all(each.const_value is not None and len(each.uses()) == 1 for each in constants)
    return node.op_type == "Conv" and alone and _numbers(node, 1).ndim == 4


def _depthwise(node: ir.Node) -> bool:
    return _numbers(node, 1).shape[:2] == (_groups(node), 1)


def _groups(node: ir.Node) -> int:
    found = node.attributes.get("group")
    return 1 if found is None else found.as_int()


def _even_out(first: ir.Node, second: ir.Node) -> float:
    """Bring the ranges of both sides of each channel together; give the largest change."""
    import numpy as np

    before, behind = _numbers(first, 1), _numbers(second, 1)
    groups, outputs = _groups(second), len(behind)
    # [groups, outputs of one, inputs of one, rest]: inputs are numbered through the groups.
    grouped = behind.reshape(groups, outputs // groups, behind.shape[1], -1)
    sizes = np.abs(before).max(axis=(1, 2, 3)), np.abs(grouped).max(axis=(1, 3)).reshape(-1)
    alive = np.minimum(*sizes) > _LEAST_SIZE
    ratio = np.divide(*sizes, out=np.ones(len(before)), where=alive)
    factor = np.clip(np.sqrt(ratio), 1 / _LARGEST_FACTOR, _LARGEST_FACTOR).astype(np.float32)
    _replace(first, 1, before / factor.reshape(-1, 1, 1, 1))
    if len(first.inputs) > 2 and first.inputs[2] is not None:
        _replace(first, 2, _numbers(first, 2) / factor)
    _replace(second, 1, (grouped * factor.reshape(groups, 1, -1, 1)).reshape(behind.shape))
    return float(np.abs(factor - 1).max())


def _numbers(node: ir.Node, place: int) -> NDArray[Any]:
    value = node.inputs[place]
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def _replace(node: ir.Node, place: int, numbers: NDArray[np.float32]) -> None:
    import onnx_ir as ir

    value = node.inputs[place]
    assert value is not None
    value.const_value = ir.Tensor(numbers, name=value.name)
