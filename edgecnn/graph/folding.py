"""What a graph computes from its weights alone, computed once and kept as weights.

Quantizers find weights only where they are initializers, and have no integer form of a
normalisation that stands behind a convolution.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray
    from onnx import ModelProto, NodeProto, TensorProto


# What DequantizeLinear gives stays packed: it marks weights that are quantized.
_KEPT = {"DequantizeLinear"}
_ARITHMETIC = {"Add", "Sub", "Mul", "Div"}
_PLAIN = {"Constant", "ConstantOfShape", "Identity"}


def fold_constants(model: ModelProto) -> int:
    """Compute what no input reaches and keep it as initializers, in place.

    What onnx's reference evaluator cannot compute stays: runtimes compute it themselves.

    Args:
        model: A model that has passed the gate, whose weights are in it.

    Returns:
        How many nodes went.
    """
    for only in (None, _PLAIN):
        folded = _constant_nodes(model, only)
        if not folded:
            return 0
        with suppress(Exception):  # whatever the evaluator stumbles over
            _fold(model, folded)
            return len(folded)
    return 0


def _constant_nodes(model: ModelProto, only: set[str] | None) -> list[NodeProto]:
    constants = {tensor.name for tensor in model.graph.initializer}
    found = []
    for node in model.graph.node:
        known = all(name in constants for name in node.input if name)
        wanted = node.op_type not in _KEPT if only is None else node.op_type in only
        if known and wanted and (node.input or node.op_type == "Constant"):
            found.append(node)
            constants.update(node.output)
    return found


def _fold(model: ModelProto, folded: list[NodeProto]) -> None:
    gone = {name for node in folded for name in node.output}
    kept = [node for node in model.graph.node if not gone & set(node.output)]
    read = {name for node in kept for name in node.input}
    read |= {value.name for value in model.graph.output}
    wanted = [name for node in folded for name in node.output if name in read]
    model.graph.initializer.extend(_computed(model, folded, wanted))
    del model.graph.node[:]
    model.graph.node.extend(kept)


def _computed(model: ModelProto, nodes: list[NodeProto], wanted: list[str]) -> list[TensorProto]:
    import numpy as np
    from onnx import ModelProto, helper, numpy_helper
    from onnx.reference import ReferenceEvaluator

    part = ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    part.graph.name = "constants"
    part.graph.node.extend(nodes)
    part.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in wanted)
    read = {name for node in nodes for name in node.input}
    part.graph.initializer.extend(t for t in model.graph.initializer if t.name in read)
    values = ReferenceEvaluator(part).run(wanted, {})
    pairs = zip(values, wanted, strict=True)
    return [numpy_helper.from_array(np.asarray(value), name) for value, name in pairs]


def fold_batch_norms(model: ir.Model) -> int:
    """Fold each normalisation into the convolution before it, in place; give how many went.

    `(conv(x) + b - mean) * gain / sqrt(variance + epsilon) + shift` is a convolution, too. Its
    weights are computed in float64 and rounded once.
    """
    folded = 0
    for node in list(model.graph):
        if node.op_type == "BatchNormalization" and _fold_batch_norm(model.graph, node):
            folded += 1
    return folded


def fold_arithmetic(model: ir.Model) -> int:
    """Fold constants that are added to, subtracted from, multiplied with or divide a convolution.

    As some exporters leave a normalisation, scale and shift behind it; each is taken in, in place,
    if it is one number or one for each channel. Weights are computed in float64 and rounded once.

    Returns:
        How many nodes went.
    """
    folded = 0
    for node in list(model.graph):
        if node.op_type in _ARITHMETIC and _fold_constant(model.graph, node):
            folded += 1
    return folded


def _fold_batch_norm(graph: ir.Graph, norm: ir.Node) -> bool:
    import numpy as np

    conv = _convolution(norm.inputs[0])
    training = norm.attributes.get("training_mode")
    numbers = [_floats(value) for value in norm.inputs[1:5]]
    if conv is None or (training is not None and training.as_int()):
        return False
    if any(each is None or each.ndim != 1 for each in numbers):
        return False
    gain, shift, mean, variance = (np.asarray(each, np.float64) for each in numbers)
    epsilon = norm.attributes.get("epsilon")
    factor = gain / np.sqrt(variance + (1e-5 if epsilon is None else epsilon.as_float()))
    return _scale_and_shift(graph, conv, norm, factor, shift - mean * factor)


def _fold_constant(graph: ir.Graph, node: ir.Node) -> bool:
    places = (0, 1) if node.op_type in ("Add", "Mul") else (0,)
    for place in places:
        conv = _convolution(node.inputs[place])
        weights = _floats(conv.inputs[1]) if conv is not None else None
        constant = _floats(node.inputs[1 - place])
        if conv is None or weights is None or constant is None:
            continue
        channels = len(weights) if conv.op_type == "Conv" else weights.shape[1]
        numbers = _by_channel(constant, weights.ndim, channels)
        if numbers is not None and (node.op_type != "Div" or numbers.all()):
            return _scale_and_shift(graph, conv, node, *_effect(node.op_type, numbers))
    return False


def _effect(op_type: str, numbers: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Give the factor and the term that an operator of `_ARITHMETIC` with a constant stands for."""
    import numpy as np

    none, one = np.zeros_like(numbers), np.ones_like(numbers)
    if op_type in ("Add", "Sub"):
        return one, numbers if op_type == "Add" else -numbers
    return numbers if op_type == "Mul" else 1 / numbers, none


def _convolution(image: ir.Value | None) -> ir.Node | None:
    """Give the convolution that a tensor comes from, if nothing else reads the tensor."""
    conv = image.producer() if image is not None else None
    if image is None or conv is None or conv.op_type not in ("Conv", "ConvTranspose"):
        return None
    return conv if len(list(image.uses())) == 1 and not image.is_graph_output() else None


def _by_channel(constant: NDArray[Any], rank: int, channels: int) -> NDArray[Any] | None:
    import numpy as np

    shape = (1,) * (rank - constant.ndim) + constant.shape
    others = shape[:1] + shape[2:]
    if len(shape) != rank or any(size != 1 for size in others) or shape[1] not in (1, channels):
        return None
    return np.broadcast_to(constant.reshape(-1), channels)


def _scale_and_shift(
    graph: ir.Graph,
    conv: ir.Node,
    node: ir.Node,
    factor: NDArray[np.float64],
    shift: NDArray[np.float64],
) -> bool:
    """Let a convolution give `factor * output + shift` for each channel, instead of a node."""
    weights = _floats(conv.inputs[1])
    biased = len(conv.inputs) > 2 and conv.inputs[2] is not None
    bias = _floats(conv.inputs[2]) if biased else None
    spread = None if weights is None else _spread_over_weights(conv, factor, weights.shape)
    if weights is None or spread is None or (biased and bias is None):
        return False
    conv.resize_inputs(3)
    _replace(graph, conv, 1, weights * spread)
    _replace(graph, conv, 2, (0 if bias is None else bias) * factor + shift)
    _take_over(graph, conv, node)
    return True


def _spread_over_weights(
    conv: ir.Node, factor: NDArray[np.float64], shape: tuple[int, ...]
) -> NDArray[np.float64] | None:
    if conv.op_type == "Conv":
        return factor.reshape(-1, *[1] * (len(shape) - 1))
    group = conv.attributes.get("group")
    # Outputs of a grouped ConvTranspose are spread over two axes of its weights.
    if group is not None and group.as_int() != 1:
        return None
    return factor.reshape(1, -1, *[1] * (len(shape) - 2))


def _replace(graph: ir.Graph, node: ir.Node, place: int, values: NDArray[Any]) -> None:
    import numpy as np
    import onnx_ir as ir

    old = node.inputs[place]
    stem = f"{old.name}_folded" if old is not None else f"{node.name}_bias"
    name = stem
    while name in graph.initializers:  # weights may serve two convolutions
        name = f"{name}_"
    tensor = ir.Tensor(values.astype(np.float32), name=name)
    value = ir.Value(
        name=name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    node.replace_input_with(place, value)


def _take_over(graph: ir.Graph, conv: ir.Node, norm: ir.Node) -> None:
    import onnx_ir as ir

    ir.convenience.replace_nodes_and_values(
        graph, norm, [norm], [], [norm.outputs[0]], [conv.outputs[0]]
    )


def _floats(value: ir.Value | None) -> NDArray[Any] | None:
    import numpy as np

    if value is None or value.const_value is None:
        return None
    array = value.const_value.numpy()
    return array.astype(np.float64) if array.dtype == np.float32 else None
