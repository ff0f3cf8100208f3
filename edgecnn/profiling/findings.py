"""What stands out in a profile: quantized places in float, and what the runtime added."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from edgecnn.profiling.mapping import MOVERS, QUANTIZERS
from edgecnn.profiling.report import Inserted, OperatorProfile, Unfused
from edgecnn.profiling.work import Graph, Work

# What ONNX Runtime's CPU provider computes in integers, between a Dequantize and a Quantize.
_INTEGER = frozenset(
    {
        "Add", "AveragePool", "Concat", "Conv", "Gemm", "GlobalAveragePool", "LeakyRelu",
        "MatMul", "Mul", "Sigmoid", "Softmax", "Where",
    }
)  # fmt: skip
# What it leaves in integers without computing, or takes into the operator before it.
_PASSED = frozenset({"ArgMax", "Clip", "Gather", "MaxPool", "Relu", "Resize", "Slice", "Split"})
_LANES, _NARROW = 16, 8
_WHY = {
    "QuantizeLinear": "from float to integers",
    "DequantizeLinear": "from integers to float",
    "Cast": "between types of numbers",
    "Transpose": "between the layouts NCHW and NHWC, which integer convolutions take",
    "ReorderInput": "into the blocked layout of float convolutions",
    "ReorderOutput": "out of the blocked layout of float convolutions",
    "MemcpyFromHost": "to the provider's memory",
    "MemcpyToHost": "back from the provider's memory",
}


def inserted(operators: Sequence[OperatorProfile]) -> tuple[Inserted, ...]:
    """Name what the runtime runs beside the model's layers, the costliest first."""
    groups: dict[str, list[OperatorProfile]] = {}
    for each in operators:
        if not each.layers:
            groups.setdefault(each.operator.rpartition(":")[2], []).append(each)
    found = [
        Inserted(kind, len(group), sum(each.seconds for each in group), _WHY.get(kind, ""))
        for kind, group in groups.items()
    ]
    return tuple(sorted(found, key=lambda each: -each.seconds))


def unfused(
    graph: Graph, works: Sequence[Work], operators: Sequence[OperatorProfile]
) -> tuple[Unfused, ...]:
    """Name the places of a quantized model that are computed in float, the costliest first."""
    if not any(node.op_type in QUANTIZERS for node in graph.nodes):
        return ()
    found = _unfused(graph, works, operators)
    return tuple(sorted(found, key=lambda each: -each.seconds))


def _unfused(
    graph: Graph, works: Sequence[Work], operators: Sequence[OperatorProfile]
) -> Iterator[Unfused]:
    makers = {spec.name: place for place, work in enumerate(works) for spec in work.run.outputs}
    users: dict[str, list[int]] = {}
    for place, work in enumerate(works):
        for spec in work.run.inputs:
            users.setdefault(spec.name, []).append(place)
    for place, work in enumerate(works):
        if work.role != "compute" or work.arithmetic != "fp32" or not work.layers:
            continue
        before = [makers[spec.name] for spec in work.run.inputs if spec.name in makers]
        behind = [user for spec in work.run.outputs for user in users.get(spec.name, ())]
        around = [each for each in (*before, *behind) if works[each].kind in QUANTIZERS]
        # What has no Dequantize before it lies before the quantized part, as normalising does.
        within = any(works[each].kind == "DequantizeLinear" for each in before)
        if within or _weighs(graph, work):
            cost = sum(operators[each].seconds for each in dict.fromkeys((place, *around)))
            names = ", ".join(map(graph.name, work.layers))
            yield Unfused(names, work.run.operator, _reason(graph, work), cost)


def _weighs(graph: Graph, work: Work) -> bool:
    return any(layer.macs for each in work.layers if (layer := graph.layers[each]))


def _reason(graph: Graph, work: Work) -> str:
    kinds = [graph.nodes[each].op_type for each in work.layers]
    strange = [kind for kind in kinds if kind not in _INTEGER | _PASSED | MOVERS]
    if strange:
        return f"the runtime has no integer operator for {' and '.join(dict.fromkeys(strange))}"
    missing = [*_missing_inputs(graph, work)]
    if missing:
        return f"not quantized in the file: {', '.join(missing)}"
    if not _quantized_output(graph, work):
        return "its result is used in float in the file"
    return "its types of numbers are none that the runtime has an integer operator for"


def _missing_inputs(graph: Graph, work: Work) -> Iterator[str]:
    makers = {name: node for node in graph.model.graph.node for name in node.output}
    inside = {name for each in work.layers for name in graph.nodes[each].output}
    for place in work.layers:
        for number, name in enumerate(graph.nodes[place].input[:2]):
            maker = makers.get(name)
            if name in inside or (maker and maker.op_type == "DequantizeLinear"):
                continue
            weights = maker is None and number == 1
            yield f"the weights of {graph.name(place)}" if weights else f"'{name}'"


def _quantized_output(graph: Graph, work: Work) -> bool:
    """Say whether all that reads an operator's results quantizes them first."""
    outputs = {name for each in work.layers for name in graph.nodes[each].output}
    inside = {id(graph.nodes[each]) for each in work.layers}
    readers = [
        node
        for node in graph.nodes
        if id(node) not in inside and not outputs.isdisjoint(node.input)
    ]
    return bool(readers) and all(node.op_type == "QuantizeLinear" for node in readers)


def hints(graph: Graph, works: Sequence[Work]) -> dict[str, str]:
    """Say, for operators with weights, what of their shape does not suit an engine's code.

    Returns:
        By the operator's name; those of which nothing is known are missing.
    """
    found = ((work.run.name, _hint(graph, work)) for work in works)
    return {name: hint for name, hint in found if hint}


def _hint(graph: Graph, work: Work) -> str:
    heavy = [each for each in work.layers if (layer := graph.layers[each]) and layer.macs]
    shape = graph.shapes[graph.nodes[heavy[0]].input[1]].shape if heavy else None
    if shape is None:
        return ""
    if len(shape) == 2:
        return "one sample at a time it is a matrix by a vector, which larger batches are not"
    outputs, inputs = shape[:2]
    if inputs == 1:
        return "each channel is convolved alone, which leaves little to do for each byte"
    if inputs < _NARROW:
        return f"{inputs} input channels give its inner loop little to do"
    if outputs % _LANES:
        return f"{outputs} output channels are computed in blocks of {_LANES}"
    return ""
