"""How much each operator of the runtime has to do: arithmetic, and bytes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgecnn.graph.prefix import NAMESPACE
from edgecnn.graph.shapes import Tensor, static_shapes
from edgecnn.graph.summary import Layer, computing, summarise
from edgecnn.profiling.mapping import MOVERS, QUANTIZERS, Mapped, map_layers
from edgecnn.profiling.report import Arithmetic, Role
from edgecnn.spec import OperatorRun, TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

REORDERS = frozenset({"ReorderInput", "ReorderOutput"})
_COPIES = frozenset({"MemcpyFromHost", "MemcpyToHost"})
_CONVERSIONS = frozenset({"Cast"}) | QUANTIZERS
# They give their input on as it is, under another shape.
_VIEWS = MOVERS - {"Transpose", "Expand"}
_INTEGERS = ("int8", "uint8")


@dataclass(frozen=True)
class Graph:
    """A model's graph, as far as its operators' work depends on it.

    Attributes:
        nodes: What computes something from the input, in order, quantizers among it.
        layers: What `edgecnn inspect` says of each; None of a quantizer.
        shapes: Every tensor's shape, as far as it is known.
        model: The graph itself.
    """

    nodes: tuple[NodeProto, ...]
    layers: tuple[Layer | None, ...]
    shapes: Mapping[str, Tensor]
    model: ModelProto

    def name(self, place: int) -> str:
        """Give a layer's name as `edgecnn inspect` shows it."""
        return self.nodes[place].name or self.nodes[place].output[0]


@dataclass(frozen=True)
class Work:
    """What one operator has to do.

    Attributes:
        run: The operator.
        layers: Places of its layers among the graph's nodes.
        role: As in `OperatorProfile`.
        macs: Multiply-accumulates; None if unknown.
        operations: Arithmetic operations; None if unknown.
        arithmetic: In which kind of numbers.
        bytes_in: Activations read.
        bytes_weights: Constants read.
        bytes_out: Activations written.
    """

    run: OperatorRun
    layers: tuple[int, ...]
    role: Role
    macs: int | None
    operations: int | None
    arithmetic: Arithmetic
    bytes_in: int
    bytes_weights: int
    bytes_out: int

    @property
    def kind(self) -> str:
        """The operator's kind without its domain."""
        return kind_of(self.run)


def read_graph(content: bytes, *, where: str, inputs: Sequence[TensorSpec]) -> Graph:
    """Read a model's graph at the sizes that its inputs have.

    Raises:
        ModelError: It is no ONNX file, or its nodes are not in the order they run.
        Refusal: The graph contradicts itself, or needs more than the limits allow.
    """
    from edgecnn.graph.gate import parse

    model = parse(content, where=where)
    nodes = computing(model, where)
    known = iter(summarise(content, where=where, inputs=inputs).layers)
    layers = [None if node.op_type in QUANTIZERS else next(known) for node in nodes]
    batch = next((size for spec in inputs for size in spec.shape[:1] if isinstance(size, int)), 1)
    shapes = static_shapes(model, batch, inputs)
    return Graph(tuple(nodes), tuple(layers), shapes, model)


def measure_work(graph: Graph, runs: Sequence[OperatorRun]) -> tuple[tuple[Work, ...], Mapped]:
    """Say what each operator has to do, and which layers it is."""
    mapped = map_layers(graph.nodes, runs)
    return tuple(map(_work, [graph] * len(runs), runs, mapped.layers)), mapped


def kind_of(run: OperatorRun) -> str:
    """Give an operator's kind without its domain."""
    return run.operator.rpartition(":")[2]


def _work(graph: Graph, run: OperatorRun, layers: tuple[int, ...]) -> Work:
    role = _role(graph, run, layers)
    macs, operations = _arithmetic(graph, layers) if layers else _of_added(role)
    view = kind_of(run) in _VIEWS
    return Work(
        run=run,
        layers=layers,
        role=role,
        macs=macs,
        operations=operations,
        arithmetic=_numbers(run) if operations or operations is None else "",
        bytes_in=0 if view else _bytes(run.inputs),
        bytes_weights=0 if view else _bytes(run.constants),
        bytes_out=0 if view else _bytes(run.outputs),
    )


def _role(graph: Graph, run: OperatorRun, layers: tuple[int, ...]) -> Role:
    kind = kind_of(run)
    names = [graph.name(place) for place in layers] or [run.name]
    if all(name.startswith(NAMESPACE) for name in names):
        return "preprocessing"
    if kind in MOVERS | REORDERS | _COPIES:
        return "layout"
    return "conversion" if kind in _CONVERSIONS else "compute"


def _numbers(run: OperatorRun) -> Arithmetic:
    return "int8" if any(spec.dtype in _INTEGERS for spec in run.inputs) else "fp32"


def _arithmetic(graph: Graph, layers: tuple[int, ...]) -> tuple[int | None, int | None]:
    """Give multiply-accumulates and operations of some layers; None where one is unknown."""
    macs = [layer.macs for place in layers if (layer := graph.layers[place])]
    others = [_operations(graph, place) for place in layers]
    if None in macs:
        return (None, None)
    total = sum(filter(None, macs))
    if None in others:
        return total, None
    return total, 2 * total + sum(filter(None, others))


def _of_added(role: Role) -> tuple[int | None, int | None]:
    """Say what an operator without a layer computes: nothing where it moves or converts data."""
    return (None, None) if role == "compute" else (0, 0)


def _operations(graph: Graph, place: int) -> int | None:
    """Count a layer's operations beside its multiply-accumulates: one for each element."""
    node, layer = graph.nodes[place], graph.layers[place]
    if node.op_type in MOVERS | _CONVERSIONS or (layer and layer.macs):
        return 0
    output = graph.shapes.get(node.output[0], Tensor()).elements
    if "Pool" not in node.op_type and not node.op_type.startswith("Reduce"):
        return output
    window = next(
        (math.prod(item.ints) for item in node.attribute if item.name == "kernel_shape"), 0
    )
    if window:
        return None if output is None else output * window
    return graph.shapes.get(node.input[0], Tensor()).elements


def _bytes(specs: Iterable[TensorSpec]) -> int:
    import numpy as np

    return sum(
        math.prod(size for size in spec.shape if isinstance(size, int))
        * np.dtype(spec.dtype).itemsize
        for spec in specs
    )
