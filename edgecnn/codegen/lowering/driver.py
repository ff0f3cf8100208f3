"""A whole graph, lowered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgecnn.codegen.lowering.refusing import unsupported
from edgecnn.codegen.lowering.rules import rules
from edgecnn.codegen.lowering.state import Lowering
from edgecnn.codegen.lowering.values import Source, view
from edgecnn.codegen.program import Program, Tensor
from edgecnn.errors import ModelError
from edgecnn.graph.prefix import NAMESPACE

if TYPE_CHECKING:
    import onnx_ir as ir

    from edgecnn.codegen.reading import Read

_MOST_NAMED = 3  # of a kind; a net may have hundreds


def lower(read: Read) -> Program:
    """Turn a graph into layers.

    Raises:
        ModelError: Something in it has no kernel; what, and where, is said.
    """
    state = Lowering(read.graph, read.shapes)
    known = rules()
    _check_operators(read.graph, set(known))
    given = _input(state)
    for node in read.graph:
        if any(0 in state.shape(value) for value in node.outputs if value.name):
            raise unsupported(node, "which gives no numbers at all")
        if node not in state.absorbed:
            known[node.op_type](state, node)
    outputs = tuple(_output(state, value) for value in read.graph.outputs)
    return Program(given, outputs, tuple(state.layers))


def _check_operators(graph: ir.Graph, known: set[str]) -> None:
    foreign = [node for node in graph if not (node.name or "").startswith(NAMESPACE)]
    strange: dict[str, list[str]] = {}
    for node in foreign:
        if node.domain or node.op_type not in known:
            kind = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            strange.setdefault(kind, []).append(f"'{node.name or node.outputs[0].name}'")
    if strange:
        named = [f"{kind} ({_some(each)})" for kind, each in strange.items()]
        raise ModelError(
            f"C cannot be made of {', '.join(named)}: there is no kernel.",
            "Change that part of the net, or use a runtime such as ONNX Runtime.",
        )


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _input(state: Lowering) -> Tensor:
    """Make the input known, with edgecnn's own preprocessing behind it as one layer."""
    (value,) = state.graph.inputs
    prefix = [node for node in state.graph if (node.name or "").startswith(NAMESPACE)]
    if prefix:
        return _pixels(state, value, prefix)
    import onnx_ir as ir

    kinds = {ir.DataType.FLOAT: "float32", ir.DataType.UINT8: "uint8"}
    if value.dtype not in kinds:
        raise ModelError(
            f"The input '{value.name}' is {value.dtype}, and C takes float32 or uint8.",
            "Export the net with such an input.",
        )
    number = "uint8" if kinds[value.dtype] == "uint8" else "float32"
    given = Tensor(str(value.name), state.shape(value), "uint8" if number == "uint8" else "float32")
    state.sources[value] = Source(given)
    return given


def _pixels(state: Lowering, value: ir.Value, prefix: list[ir.Node]) -> Tensor:
    _, height, width, channels = state.shape(value)
    given = Tensor(str(value.name), (1, channels, height, width), "uint8", picture=True)
    state.absorbed.update(prefix)
    made = prefix[-1].outputs[0]
    if len(prefix) == 1:
        state.sources[made] = Source(view(given, given.shape, picture=True))
        return given
    constants = [
        state.constant(state.graph.initializers[f"{NAMESPACE}{each}"])
        for each in ("factor", "offset")
    ]
    factor, offset = (each[:channels] for each in constants if each is not None)
    turned = prefix[-1].op_type == "Transpose"
    image = Tensor(str(made.name), state.shape(made), "float32", picture=turned)
    sizes = {"height": height, "width": width, "channels": channels}
    if not turned:
        sizes |= {"height": 1, "width": height * width}
    state.add(prefix[-1], "pixels_f32", (given,), image, (factor, offset), sizes)
    state.sources[made] = Source(image)
    return given


def _output(state: Lowering, value: ir.Value) -> Tensor:
    """Give a tensor that the caller's memory can be: floats, as ONNX has them, read by nobody."""
    node = value.producer()
    if node is None:
        raise ModelError(
            f"C cannot be made of a net whose output '{value.name}' is an input or a constant.",
            "Leave that output out.",
        )
    found = state.at_hand(value)
    as_it_lies = found.scale is None and found.tensor.number == "float32"
    tensor = state.plain(found.tensor if as_it_lies else state.floats(value), node)
    read = any(
        each.tensor.memory is tensor.memory for layer in state.layers for each in layer.reads
    )
    name, shape = str(value.name), state.shape(value)
    if tensor.view_of is None and not read and (tensor.name, tensor.shape) == (name, shape):
        return tensor
    made = Tensor(name, shape)
    sizes = {"height": 1, "width": 1, "channels": tensor.size}
    state.add(node, "copy_f32", (tensor,), made, shape=sizes)
    return made
