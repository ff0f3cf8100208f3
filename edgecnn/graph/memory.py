"""How much memory the activations of a graph take while each of its nodes runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import NodeProto

    from edgecnn.graph.shapes import Tensor

# What these give needs no memory of its own.
_VIEWS = {
    "DequantizeLinear", "Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze",
}  # fmt: skip
_IN_PLACE = {
    "Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Mish",
    "Neg", "Relu", "Sigmoid", "Softplus", "Sqrt", "Tanh", "Add", "Div", "Mul", "PRelu", "Sub",
}  # fmt: skip
# What runtimes compute in integers straight into the quantized output.
_QUANTIZED_KERNELS = {
    "Add", "AveragePool", "Clip", "Concat", "Conv", "ConvTranspose", "Gemm", "GlobalAveragePool",
    "LeakyRelu", "MatMul", "MaxPool", "Mul", "Relu", "Resize", "Sigmoid", "Softmax",
}  # fmt: skip


@dataclass
class _Buffers:
    """Which tensors share a buffer, and how large each is; nothing writes over a foreign one."""

    foreign: frozenset[str]
    root: dict[str, str] = field(default_factory=dict)
    size: dict[str, int | None] = field(default_factory=dict)
    last_use: dict[str, int] = field(default_factory=dict)

    def own(self, name: str, size: int | None, last_use: int) -> None:
        self.root[name], self.size[name], self.last_use[name] = name, size, last_use

    def share(self, name: str, other: str, last_use: int) -> None:
        root = self.root[name] = self.root[other]
        self.last_use[root] = max(self.last_use[root], last_use)


def live_bytes(
    nodes: Sequence[NodeProto],
    inputs: Collection[str],
    outputs: Collection[str],
    shapes: Mapping[str, Tensor],
) -> list[int | None]:
    """Add up, for each node, the activations that must exist while it runs.

    A tensor lives from the node that makes it to the last one that reads it; outputs live to the
    end, constants do not count. Views take nothing; an elementwise operator writes over its input
    if nothing else reads it. Between int8 operators a tensor counts at its quantized width, since
    runtimes fuse QuantizeLinear and DequantizeLinear into their neighbours.

    Args:
        nodes: Nodes in the order they run, without those that only compute constants.
        inputs: Names of the graph's inputs.
        outputs: Names of the graph's outputs.
        shapes: Every tensor's shape; names that are missing are of unknown size.

    Returns:
        Bytes for each node; None where a size is unknown.
    """
    last_use = _last_uses(nodes, outputs)
    readers = _readers(nodes)
    makers = {name: node for node in nodes for name in node.output}
    buffers, births = _Buffers(frozenset(inputs)), defaultdict(int)
    for name in inputs:
        buffers.own(name, _bytes(shapes, name), last_use.get(name, 0))
    for step, node in enumerate(nodes):
        for name in filter(None, node.output):
            births[name] = step
            _place(name, node, step, buffers, last_use, shapes)
        if node.op_type == "QuantizeLinear":
            _fuse(node, buffers, readers, makers, shapes)
    return _totals(len(nodes), births, buffers)


def _place(
    name: str,
    node: NodeProto,
    step: int,
    buffers: _Buffers,
    last_use: Mapping[str, int],
    shapes: Mapping[str, Tensor],
) -> None:
    end = last_use.get(name, step)
    read = [item for item in node.input if item in buffers.root]
    view = bool(read) and node.op_type in _VIEWS
    if view or (len(read) == 1 and _may_write_over(read[0], name, node, step, buffers, shapes)):
        buffers.share(name, read[0], end)
    else:
        buffers.own(name, _bytes(shapes, name), end)


def _may_write_over(
    old: str,
    new: str,
    node: NodeProto,
    step: int,
    buffers: _Buffers,
    shapes: Mapping[str, Tensor],
) -> bool:
    root = buffers.root[old]
    return (
        node.op_type in _IN_PLACE
        and root not in buffers.foreign
        and buffers.last_use[root] <= step
        and buffers.size[root] is not None
        and buffers.size[root] == _bytes(shapes, new)
    )


def _fuse(
    node: NodeProto,
    buffers: _Buffers,
    readers: Mapping[str, list[NodeProto]],
    makers: Mapping[str, NodeProto],
    shapes: Mapping[str, Tensor],
) -> None:
    name, output = node.input[0], node.output[0]
    maker = makers.get(name)
    alone = all(reader.op_type == "QuantizeLinear" for reader in readers[name])
    if maker is None or maker.op_type not in _QUANTIZED_KERNELS or not alone:
        return
    end = buffers.last_use[output]
    del buffers.size[output]
    buffers.share(output, name, end)
    buffers.size[buffers.root[name]] = _bytes(shapes, output)


def _last_uses(nodes: Sequence[NodeProto], outputs: Collection[str]) -> dict[str, int]:
    uses = {name: step for step, node in enumerate(nodes) for name in node.input}
    return uses | dict.fromkeys(outputs, len(nodes) - 1)


def _readers(nodes: Sequence[NodeProto]) -> dict[str, list[NodeProto]]:
    found: dict[str, list[NodeProto]] = defaultdict(list)
    for node in nodes:
        for name in node.input:
            found[name].append(node)
    return found


def _bytes(shapes: Mapping[str, Tensor], name: str) -> int | None:
    return shapes[name].bytes if name in shapes else None


def _totals(steps: int, births: Mapping[str, int], buffers: _Buffers) -> list[int | None]:
    """Add up the buffers that are alive at each step; None where one of them has no known size."""
    changes, unknown = [0] * (steps + 1), [0] * (steps + 1)
    for root, size in buffers.size.items():
        born, gone = births[root], buffers.last_use[root] + 1
        if gone <= born:
            continue
        counted, step = (unknown, 1) if size is None else (changes, size)
        counted[born] += step
        counted[min(gone, steps)] -= step
    alive, open_ones = accumulate(changes[:steps]), accumulate(unknown[:steps])
    return [None if count else size for size, count in zip(alive, open_ones, strict=True)]
