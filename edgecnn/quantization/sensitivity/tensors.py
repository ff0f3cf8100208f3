"""Which tensors an int8 core quantizes, and a float core in which one of them alone is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from edgecnn.quantization.hard_sigmoids import is_plain_pair

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

Kind = Literal["input", "activation", "weights"]

_MOVES = {
    "Flatten",
    "Identity",
    "MaxPool",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Transpose",
    "Unsqueeze",
}


@dataclass(frozen=True, eq=False)
class Quantized:
    """A tensor that an int8 core quantizes.

    Attributes:
        tensor: Its name in the float core.
        kind: The image, an activation, or a layer's weights.
        layer: Name of the node that computes it; of weights, of the node that uses them; empty for
            the image.
        touching: Names of the nodes that compute and use it: it is float where all of them are.
        scale: float32, one number or one for each channel.
        zero_point: Of the type that it is quantized to, as `scale`.
        axis: Axis of the channels.
        weights: What the integers stand for, float32; None of an activation.
        place: Of weights, the number of the layer's input that they are.
    """

    tensor: str
    kind: Kind
    layer: str
    touching: tuple[str, ...]
    scale: NDArray[np.float32]
    zero_point: NDArray[Any]
    axis: int = 1
    weights: NDArray[np.float32] | None = None
    place: int = 0


def find_quantized(core: ir.Model, int8: ir.Model) -> tuple[Quantized, ...]:
    """Give every activation and all weights that are quantized, in the order of the graph.

    What only moves numbers (a Reshape, a MaxPool) rounds nothing anew where its scale is the one of
    what goes in: that is one tensor. Biases are left out: they have 32 bits.

    Args:
        core: The prepared float core.
        int8: What was made of it, with its scales.
    """
    made = {str(value.name): value for value in _computed(core)}
    activations: dict[str, Quantized] = {}
    weights: list[Quantized] = []
    for node in int8.graph:
        if node.op_type == "QuantizeLinear":
            # One that computes a HardSigmoid rounds no tensor that fp32 has.
            if not all(is_plain_pair(node, back) for back in _users(node.outputs[0])):
                continue
            _add_activation(activations, _origin(node), _activation(node, made))
        elif node.op_type != "DequantizeLinear":
            weights += _weights(node, core)
    order = {str(node.name): place for place, node in enumerate(core.graph)}
    found = [*activations.values(), *weights]
    return tuple(sorted(found, key=lambda each: order.get(each.layer, -1)))


def with_one(core: ir.Model, quantized: Quantized) -> ir.Model:
    """Give a float core in which one tensor is rounded as in int8, and nothing else.

    Args:
        core: The prepared float core; it is left as it is.
        quantized: The tensor.
    """
    import onnx_ir as ir

    model = core.clone()
    if quantized.weights is None:
        _round_activation(model, quantized)
        return model
    node = next(node for node in model.graph if node.name == quantized.layer)
    rounded = _constant(model.graph, f"{quantized.tensor}_rounded", quantized.weights)
    assert isinstance(rounded, ir.Value)
    node.replace_input_with(quantized.place, rounded)
    return model


def _computed(core: ir.Model) -> Iterator[ir.Value]:
    yield from core.graph.inputs
    for node in core.graph:
        yield from node.outputs


def _activation(node: ir.Node, made: Mapping[str, ir.Value]) -> Quantized:
    source, scale, zero = node.inputs[:3]
    back = _users(node.outputs[0])
    assert source is not None
    # A graph's output keeps its name behind the pair, and what goes into it gets another one.
    name = next(
        each
        for each in (str(source.name), *(str(user.outputs[0].name) for user in back))
        if each in made
    )
    maker = source.producer()
    users = [user for step in back for user in _users(step.outputs[0])]
    names = [*([maker.name] if maker else []), *(user.name for user in users)]
    return Quantized(
        tensor=name,
        kind="activation" if maker else "input",
        layer=str(maker.name) if maker else "",
        touching=tuple(dict.fromkeys(map(str, names))),
        scale=_numbers(scale),
        zero_point=_numbers(zero),
    )


def _add_activation(found: dict[str, Quantized], origin: str, new: Quantized) -> None:
    known = found.setdefault(origin, new)
    touching = dict.fromkeys((*known.touching, *new.touching))
    found[origin] = replace(known, touching=tuple(touching))


def _origin(node: ir.Node) -> str:
    """Give the name of the first QuantizeLinear that rounds what this one is given."""
    source, scale = node.inputs[:2]
    maker = source.producer() if source is not None else None
    back = maker.inputs[0].producer() if maker is not None and maker.inputs[0] else None
    if maker is None or back is None or maker.op_type not in _MOVES:
        return str(node.name)
    first = back.inputs[0].producer() if back.inputs[0] else None
    if back.op_type != "DequantizeLinear" or first is None or back.inputs[1] is not scale:
        return str(node.name)
    return _origin(first)


def _weights(node: ir.Node, core: ir.Model) -> Iterator[Quantized]:
    for place, value in enumerate(node.inputs):
        source = value.producer() if value is not None else None
        if source is None or source.op_type != "DequantizeLinear":
            continue
        integers = source.inputs[0]
        if integers is None or integers.const_value is None:
            continue
        numbers = integers.const_value.numpy()
        if numbers.dtype.itemsize == 1:
            own = next(each for each in core.graph if each.name == node.name).inputs[place]
            assert own is not None
            yield _of_layer(source, numbers, str(own.name), str(node.name), place)


def _of_layer(
    source: ir.Node, numbers: NDArray[Any], tensor: str, layer: str, place: int
) -> Quantized:
    import numpy as np

    scale, zero_point = (_numbers(value) for value in source.inputs[1:3])
    given = source.attributes.get("axis")
    axis = (given.as_int() if given is not None else 1) % max(1, numbers.ndim)
    shape = [-1 if place == axis else 1 for place in range(numbers.ndim)] if scale.ndim else []
    centred = numbers.astype(np.float32) - zero_point.astype(np.float32).reshape(shape)
    values: NDArray[np.float32] = centred * scale.reshape(shape)
    return Quantized(
        tensor, "weights", layer, (layer,), scale, zero_point, axis, values, place=place
    )


def _round_activation(model: ir.Model, quantized: Quantized) -> None:
    import onnx_ir as ir

    graph = model.graph
    value = next(each for each in _computed(model) if each.name == quantized.tensor)
    name, maker = quantized.tensor, value.producer()
    constants = [
        _constant(graph, f"{name}_rounding_scale", quantized.scale),
        _constant(graph, f"{name}_rounding_zero_point", quantized.zero_point),
    ]
    step = ir.node("QuantizeLinear", [value, *constants], name=f"{name}_rounding")
    back = ir.node("DequantizeLinear", [step.outputs[0], *constants], name=f"{name}_rounded")
    step.outputs[0].name = f"{name}_integers"
    result = back.outputs[0]
    result.name, result.shape, result.type = f"{name}_rounded", value.shape, value.type
    value.replace_all_uses_with(result, replace_graph_outputs=True)
    step.replace_input_with(0, value)
    if maker is None:
        graph.insert_before(graph[0], [step, back])
    else:
        graph.insert_after(maker, [step, back])
    if result.is_graph_output():
        value.name, result.name = f"{name}_before_rounding", name


def _constant(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    import onnx_ir as ir

    tensor = ir.Tensor(array, name=name)
    value = ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def _numbers(value: ir.Value | None) -> NDArray[Any]:
    assert value is not None
    assert value.const_value is not None
    return value.const_value.numpy()


def _users(value: ir.Value) -> list[ir.Node]:
    return [user for user, _ in value.uses()]
