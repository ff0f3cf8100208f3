"""The tensors inside a graph whose values can be seen, and which of two graphs are the same.

Some are left out, for to look at them changes what an engine does: what lies between an operator
and the activation that becomes part of it, and what lies between an operator and the rounding of
its result to 8 bits. Of a tensor that is rounded, the value that the integers stand for is seen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from edgecnn.graph.walk import walk

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto, TypeProto, ValueInfoProto

# They become part of the operator before them.
_JOINED = frozenset({"Clip", "Relu"})


@dataclass(frozen=True)
class InnerTensor:
    """A tensor inside a graph.

    Attributes:
        name: Its name; of one that is rounded to 8 bits, its name before that.
        seen: Name of the value to look at.
        layer: The layer that computes it, as the model calls it; of an activation that is computed
            together with the layer before it, that layer.
        operator: What that layer does, such as `Conv`.
        quantized: It is rounded to 8 bits.
    """

    name: str
    seen: str
    layer: str
    operator: str
    quantized: bool


@dataclass(frozen=True)
class Matched:
    """The tensors that two graphs have in common.

    Attributes:
        pairs: In the first graph's order.
        alone: How many the first has that the second has not.
        others_alone: How many the second has that the first has not.
    """

    pairs: tuple[tuple[InnerTensor, InnerTensor], ...]
    alone: int
    others_alone: int


@dataclass(frozen=True)
class _Graph:
    types: dict[str, TypeProto]
    makers: dict[str, NodeProto]
    outputs: frozenset[str]
    users: dict[str, list[NodeProto]] = field(default_factory=dict)
    varying: set[str] = field(default_factory=set)

    def only_user(self, name: str) -> NodeProto | None:
        users = self.users.get(name, [])
        return users[0] if len(users) == 1 and name not in self.outputs else None

    def rounding(self, node: NodeProto) -> NodeProto | None:
        """Give the QuantizeLinear whose result this reads; None if it is no such reader."""
        maker = self.makers.get(node.input[0]) if node.input else None
        both = node.op_type == "DequantizeLinear" and maker and maker.op_type == "QuantizeLinear"
        return maker if both else None


def inner_tensors(model: ModelProto) -> tuple[InnerTensor, ...]:
    """Give the float tensors that depend on the input and can be looked at, in the graph's order.

    Args:
        model: A model whose nodes are in the order they run.

    Raises:
        Refusal: The graph contradicts itself, or needs more than the limits allow.
    """
    graph = _read(model)
    found: dict[str, InnerTensor] = {}
    for node in model.graph.node:
        for name in node.output:
            if name in graph.varying and _is_float(graph, name) and _can_be_seen(graph, name):
                each = _inner(graph, node, name)
                # Of one that is rounded, each reader may have a DequantizeLinear of its own.
                found.setdefault(each.name, each)
    return tuple(found.values())


def declared(model: ModelProto, names: Sequence[str]) -> Iterator[ValueInfoProto]:
    """Declare tensors as outputs, with the type and the shape that they have in a graph."""
    from onnx import helper

    types = walk(model, batch=None).types
    for name in names:
        if name in types:
            yield helper.make_value_info(name, types[name])


def match_tensors(
    ours: Sequence[InnerTensor],
    theirs: Sequence[InnerTensor],
    *,
    same_graph: bool,
    outputs: tuple[Sequence[str], Sequence[str]],
) -> Matched:
    """Find the tensors that two graphs have in common: by name, else by the layer's name.

    Exporters number what has no name, so that one name may mean another tensor elsewhere: in
    another graph, the operators must be the same too. Outputs may be called otherwise.

    Args:
        ours: The first graph's.
        theirs: The second's.
        same_graph: It is one graph.
        outputs: Names of the outputs of both.
    """
    if len(outputs[0]) == len(outputs[1]) and set(outputs[0]) != set(outputs[1]):
        renamed = dict(zip(outputs[1], outputs[0], strict=True))
        theirs = [replace(each, name=renamed.get(each.name, each.name)) for each in theirs]
    names = {each.name: each for each in theirs}
    layers = {(each.layer, each.operator): each for each in theirs}
    pairs, taken = [], set[str]()
    for each in ours:
        twin = names.get(each.name)
        if twin is None or not (same_graph or _kind(twin) == _kind(each)):
            twin = layers.get((each.layer, each.operator))
        if twin is not None and twin.seen not in taken:
            taken.add(twin.seen)
            pairs.append((each, twin))
    return Matched(tuple(pairs), len(ours) - len(pairs), len(theirs) - len(pairs))


def _kind(tensor: InnerTensor) -> str:
    # Before it is quantized, a pooling over all that is left becomes the operator of that name.
    return tensor.operator.removeprefix("Global")


def _read(model: ModelProto) -> _Graph:
    constants = {tensor.name for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    outputs = frozenset(output.name for output in model.graph.output)
    graph = _Graph(walk(model, batch=None).types, makers, outputs)
    graph.varying.update(each.name for each in model.graph.input if each.name not in constants)
    for node in model.graph.node:
        for name in node.input:
            graph.users.setdefault(name, []).append(node)
        if any(name in graph.varying for name in node.input):
            graph.varying.update(filter(None, node.output))
    return graph


def _is_float(graph: _Graph, name: str) -> bool:
    from onnx import TensorProto

    kind = graph.types.get(name)
    if kind is None or not kind.tensor_type.HasField("shape"):
        return False
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)
    return kind.tensor_type.elem_type in floats


def _can_be_seen(graph: _Graph, name: str) -> bool:
    if name in graph.outputs:
        return True
    user = graph.only_user(name)
    joined = user is not None and user.op_type in _JOINED
    return not joined and all(
        each.op_type != "QuantizeLinear" for each in graph.users.get(name, [])
    )


def _inner(graph: _Graph, node: NodeProto, name: str) -> InnerTensor:
    rounding = graph.rounding(node)
    if rounding is None:
        layer, operator = _layer(graph, node)
        return InnerTensor(name, name, layer, operator, quantized=False)
    before = rounding.input[0]
    layer, operator = before, ""
    if before in graph.makers:
        layer, operator = _layer(graph, graph.makers[before])
    # An output keeps its name behind the rounding; and with another scale it is another tensor.
    own = name in graph.outputs or list(rounding.input[1:2]) != list(node.input[1:2])
    return InnerTensor(name if own else before, name, layer, operator, quantized=True)


def _layer(graph: _Graph, node: NodeProto) -> tuple[str, str]:
    before = graph.makers.get(node.input[0]) if node.input else None
    if node.op_type in _JOINED and before is not None and graph.only_user(node.input[0]) is node:
        node = before
    return node.name or node.output[0], node.op_type
