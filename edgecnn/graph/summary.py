"""What an ONNX graph is made of: operators, parameters, MACs, memory, what is quantized."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.errors import ModelError
from edgecnn.graph.gate import parse
from edgecnn.graph.limits import Refusal
from edgecnn.graph.memory import live_bytes
from edgecnn.graph.prefix import NAMESPACE
from edgecnn.graph.shapes import Tensor, declared, real_inputs, static_shapes
from edgecnn.spec import TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

# Where the weights are among a multiplying operator's inputs.
_WEIGHTS = {
    "Conv": 1,
    "ConvTranspose": 1,
    "Gemm": 1,
    "MatMul": 1,
    "ConvInteger": 1,
    "MatMulInteger": 1,
    "QLinearConv": 3,
    "QLinearMatMul": 3,
}
_INTEGER = {"ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul"}
_UNCOUNTED = {"Attention", "DeformConv", "Einsum", "GRU", "LSTM", "RNN"}
_SUBGRAPHS = {"If", "Loop", "Scan"}
# Which weights a constant is made of is kept for each; a long chain would square that.
_LEAVES = 1_000_000
# Inputs that set how an operator works; what is learned is elsewhere.
_SETTINGS = {
    "BatchNormalization": {3, 4},  # running mean and variance, which torch calls buffers
    "DequantizeLinear": {1, 2},
    "QuantizeLinear": {1, 2},
    "QLinearConv": {1, 2, 4, 5, 6, 7},
    "QLinearMatMul": {1, 2, 4, 5, 6, 7},
    "Clip": {1, 2},
    "Pad": {1, 2, 3},
    "Resize": {1, 2, 3},
}


@dataclass(frozen=True)
class Layer:
    """One node that computes something from the input.

    Attributes:
        name: Its name, or its first output's where it has none.
        operator: Its operator; of another domain than ONNX's own, `domain:operator`.
        shape: Shape of its first output; None if unknown.
        parameters: Learned numbers that it is the first to use.
        macs: Multiply-accumulates, biases not counted; None if unknown.
        memory_bytes: Activations that must exist while it runs; None if unknown.
        quantized: Whether input and weights are both quantized; None where it has no weights.
    """

    name: str
    operator: str
    shape: tuple[int, ...] | None
    parameters: int
    macs: int | None
    memory_bytes: int | None
    quantized: bool | None


@dataclass(frozen=True)
class GraphSummary:
    """What a graph is made of.

    Attributes:
        inputs: As the graph declares them.
        outputs: As the graph declares them.
        opsets: Version of each operator set; ONNX's own is called `onnx`.
        ir_version: Version of the file's layout.
        producer: What wrote it.
        operators: How often each operator is used, the most frequent first.
        parameters: Learned numbers; preprocessing, shapes and quantization scales do not count.
        parameter_bytes: Bytes that they take in the file.
        batch: The batch size at which everything below is counted.
        macs: Multiply-accumulates of one run; None if some could not be counted.
        peak_memory_bytes: The most that activations take at once; None if unknown.
        peak_layer: Where that is.
        activations: Element types of quantized activations.
        weights: Element types of quantized weights, with `per channel` where they are.
        layers: Every node that computes, but QuantizeLinear and DequantizeLinear.
        notes: What could not be counted, and why.
    """

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    opsets: dict[str, int]
    ir_version: int
    producer: str
    operators: dict[str, int]
    parameters: int
    parameter_bytes: int
    batch: int
    macs: int | None
    peak_memory_bytes: int | None
    peak_layer: str
    activations: tuple[str, ...]
    weights: tuple[str, ...]
    layers: tuple[Layer, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Graph:
    """A graph and what is asked of it again and again.

    Attributes:
        model: The model.
        shapes: Every tensor's shape, as far as it is known.
        makers: The node that makes a tensor.
        constants: For each tensor that no input reaches, the tensors in the file it is made of.
    """

    model: ModelProto
    shapes: Mapping[str, Tensor]
    makers: Mapping[str, NodeProto]
    constants: Mapping[str, frozenset[str]]

    def tensor(self, name: str) -> Tensor:
        """Give a tensor's shape; an unknown one where nothing is known."""
        return self.shapes.get(name, Tensor())

    def operator_before(self, node: NodeProto, number: int) -> NodeProto | None:
        """Give the node that makes one of a node's inputs."""
        return self.makers.get(node.input[number]) if number < len(node.input) else None


def summarise(content: bytes, *, where: str, inputs: Sequence[TensorSpec] = ()) -> GraphSummary:
    """Describe an ONNX file.

    Args:
        content: The file; weights in a file beside it are not needed.
        where: Its name, for the error.
        inputs: Inputs whose open sizes are known all the same.

    Raises:
        ModelError: It is no ONNX file, or its nodes are not in the order they run.
    """
    model = parse(content, where=where)
    constants = _constants(model, where)
    shapes, problems = _shapes(model, inputs)
    makers = {name: node for node in model.graph.node for name in node.output}
    graph = _Graph(model, shapes, makers, constants)
    nodes = [node for node in model.graph.node if not _is_constant(node, constants)]
    layers, parameters = _layers(graph, nodes)
    quantized = [pair for node in nodes if (pair := _quantization(node, graph))]
    values = real_inputs(model.graph)
    macs = [layer.macs for layer in layers]
    peak = max(layers, key=lambda layer: layer.memory_bytes or 0, default=None)
    measured = peak is not None and all(layer.memory_bytes is not None for layer in layers)
    return GraphSummary(
        inputs=tuple(map(declared, values)),
        outputs=tuple(map(declared, model.graph.output)),
        opsets={item.domain or "onnx": item.version for item in model.opset_import},
        ir_version=model.ir_version,
        producer=f"{model.producer_name} {model.producer_version}".strip(),
        operators=dict(Counter(map(_operator, model.graph.node)).most_common()),
        parameters=sum(graph.tensor(name).elements or 0 for name in parameters),
        parameter_bytes=sum(graph.tensor(name).bytes or 0 for name in parameters),
        batch=_batch(graph.tensor(values[0].name)) if values else 1,
        macs=None if None in macs else sum(filter(None, macs)),
        peak_memory_bytes=peak.memory_bytes if peak and measured else None,
        peak_layer=peak.name if peak and measured else "",
        activations=tuple(sorted({pair[0] for pair in quantized} - {""})),
        weights=tuple(sorted({pair[1] for pair in quantized} - {""})),
        layers=tuple(layers),
        notes=(*problems, *_notes(graph, layers)),
    )


def computing(model: ModelProto, where: str) -> list[NodeProto]:
    """Give the nodes that compute something from the input, in order: the layers and quantizers.

    Raises:
        ModelError: Its nodes are not in the order they run.
    """
    constants = _constants(model, where)
    return [node for node in model.graph.node if not _is_constant(node, constants)]


def _constants(model: ModelProto, where: str) -> dict[str, frozenset[str]]:
    known = {value.name for value in real_inputs(model.graph)}
    found = {weight.name: frozenset([weight.name]) for weight in model.graph.initializer}
    found |= {w.values.name: frozenset([w.values.name]) for w in model.graph.sparse_initializer}
    room = _LEAVES
    for node in model.graph.node:
        missing = [n for n in node.input if n and n not in known and n not in found]
        if missing:
            raise ModelError(
                f"{where} is no valid graph: '{missing[0]}' is read before it is made.",
                "Sort its nodes, or export it again.",
            )
        if _is_constant(node, found):
            leaves = [found[name] for name in _values(node) if name]
            own = [frozenset(node.output)] if node.op_type == "Constant" else []
            made = frozenset().union(*leaves, *own)
            room -= len(made)
            if room < 0:
                raise ModelError(f"{where} computes its constants from too many others.")
            found |= dict.fromkeys(node.output, made)
        known.update(node.output)
    return found


def _is_constant(node: NodeProto, constants: Mapping[str, object]) -> bool:
    if not node.input:
        return node.op_type == "Constant"
    return all(name in constants for name in node.input if name) and not _opens_subgraph(node)


def _opens_subgraph(node: NodeProto) -> bool:
    return node.op_type in _SUBGRAPHS


def _shapes(model: ModelProto, inputs: Sequence[TensorSpec]) -> tuple[dict[str, Tensor], list[str]]:
    try:
        return static_shapes(model, inputs=inputs), []
    except Refusal as refusal:
        return {}, [f"Shapes could not be inferred, so nothing is counted: it {refusal.reason}."]


def _layers(graph: _Graph, nodes: list[NodeProto]) -> tuple[list[Layer], set[str]]:
    inputs = [value.name for value in real_inputs(graph.model.graph)]
    outputs = [value.name for value in graph.model.graph.output]
    memory = live_bytes(nodes, inputs, outputs, graph.shapes)
    layers, seen = [], set[str]()
    for node, live in zip(nodes, memory, strict=True):
        new = {name for name in _learned(node, graph) if name not in seen}
        seen |= new
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        output = graph.tensor(node.output[0])
        layers.append(
            Layer(
                name=node.name or node.output[0],
                operator=_operator(node),
                shape=output.shape,
                parameters=sum(graph.tensor(name).elements or 0 for name in new),
                macs=_macs(node, graph),
                memory_bytes=live,
                quantized=_quantized(node, graph),
            )
        )
    return layers, seen


def _values(node: NodeProto) -> list[str]:
    settings = _SETTINGS.get(node.op_type, set())
    return [name for number, name in enumerate(node.input) if number not in settings]


def _learned(node: NodeProto, graph: _Graph) -> Iterator[str]:
    if node.name.startswith(NAMESPACE):
        return  # the preprocessing
    weighs = node.op_type in _WEIGHTS or node.op_type.endswith(("PRelu", "Normalization"))
    for name in _values(node):
        for leaf in graph.constants.get(name, ()):
            tensor = graph.tensor(leaf)
            decimal = tensor.dtype.startswith(("float", "bfloat", "double"))
            whole = name != leaf or node.op_type in _INTEGER  # dequantized, or computed as it is
            number = decimal or (whole and tensor.dtype not in ("int64", "bool"))
            if number and (weighs or tensor.elements != 1):
                yield leaf


def _macs(node: NodeProto, graph: _Graph) -> int | None:
    if node.op_type in _UNCOUNTED | _SUBGRAPHS or node.domain not in ("", "ai.onnx"):
        return None
    if node.op_type not in _WEIGHTS:
        return 0
    inputs = [graph.tensor(name).shape for name in node.input]
    output, data, weights = graph.tensor(node.output[0]), inputs[0], inputs[_WEIGHTS[node.op_type]]
    if output.elements is None or data is None or weights is None:
        return None
    if node.op_type == "ConvTranspose":
        return math.prod(data) * math.prod(weights[1:])
    if "Conv" in node.op_type:
        return output.elements * math.prod(weights[1:])
    transposed = any(item.name == "transA" and item.i for item in node.attribute)
    return output.elements * (data[0] if transposed else data[-1])


def _quantized(node: NodeProto, graph: _Graph) -> bool | None:
    if node.op_type not in _WEIGHTS:
        return None
    return node.op_type in _INTEGER or _quantization(node, graph) is not None


def _quantization(node: NodeProto, graph: _Graph) -> tuple[str, str] | None:
    """Give the element types of quantized activations and weights; None where either is float."""
    if node.op_type in _INTEGER:
        weights = graph.tensor(node.input[_WEIGHTS[node.op_type]]).dtype
        return graph.tensor(node.input[0]).dtype, weights
    if node.op_type not in _WEIGHTS:
        return None
    sides = [graph.operator_before(node, number) for number in (0, 1)]
    if any(side is None or side.op_type != "DequantizeLinear" for side in sides):
        return None
    data, weights = (graph.tensor(side.input[0]).dtype for side in sides if side)
    many = graph.tensor(sides[1].input[1]).elements != 1 if sides[1] else False
    return data, f"{weights} per channel" if many else weights


def _operator(node: NodeProto) -> str:
    return f"{node.domain}:{node.op_type}" if node.domain not in ("", "ai.onnx") else node.op_type


def _batch(tensor: Tensor) -> int:
    return tensor.shape[0] if tensor.shape else 1


def _notes(graph: _Graph, layers: list[Layer]) -> Iterator[str]:
    for value in real_inputs(graph.model.graph):
        open_ones = any(isinstance(axis, str) for axis in declared(value).shape[1:])
        if open_ones and graph.tensor(value.name).shape is None:
            yield f"{declared(value)} has open axes; what depends on them is not counted."
    uncounted = sorted({layer.operator for layer in layers if layer.macs is None})
    if uncounted:
        yield f"The MACs of {', '.join(uncounted)} could not be counted."
    if any(layer.memory_bytes is None for layer in layers):
        yield "The memory could not be counted where shapes are unknown."
