"""The preprocessing in front of a model: raw pixels in, and taken off again.

One function serves fp32 and int8. Quantizing a graph with its preprocessing inside costs most of
what int8 gains: the normalisation becomes int8 steps of its own. Put in front of the quantized
core instead, its last Transpose meets the one that ONNX Runtime adds before the first convolution,
and both go. Where the core's own QuantizeLinear would only give each pixel back, pixels go straight
into it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from edgecnn.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from edgecnn.spec import InputContract

PIXELS = "pixels"
NAMESPACE = "edgecnn/"
# What ONNX Runtime's quantizer calls a tensor's integers.
_QUANTIZED = "_QuantizeLinear_Output"


def put_preprocessing_in_front(core: ir.Model, contract: InputContract) -> ir.Model:
    """Make a model that takes raw pixels out of one that takes their float form.

    `pixels`, uint8 [N, H, W, C], are reshaped to [N, H, W*C], cast, multiplied, shifted, reshaped
    back and, where the core takes NCHW, transposed. The constants are repeated to the length of a
    row, W*C, because engines are slow at multiplying by three numbers in turn.

    If that and the QuantizeLinear behind it give each of the 256 pixel values back in every
    channel, both are left out, and `pixels` are only transposed.

    Args:
        core: A model with one input, float32 [N, C, H, W] or [N, H, W, C]; it is left as it is.
        contract: Size, scale, mean, std and layout.

    Returns:
        The model with the input `pixels`; N is fixed or open, as it is in the core.

    Raises:
        ModelError: The core's input is not what the contract describes.
    """
    import onnx_ir as ir

    model = core.clone()
    graph = model.graph
    image = _check_input(graph, contract)
    assert image.shape is not None
    batch = image.shape[0]
    height, width, channels = contract.pixel_shape
    pixels = ir.Value(
        name=PIXELS,
        shape=ir.Shape([batch, height, width, channels]),
        type=ir.TensorType(ir.DataType.UINT8),
    )
    quantizing = _gives_pixels_back(image, contract)
    if quantizing is not None:
        graph.inputs[:] = [pixels]
        _transpose_alone(graph, pixels, quantizing)
        return model
    # In a Reshape, 0 means: as it was.
    size = batch if isinstance(batch, int) else 0
    factor, offset = row_constants(contract)
    constants: dict[str, NDArray[Any]] = {
        "row_shape": _int64([size, height, width * channels]),
        "factor": factor,
        "offset": offset,
        "image_shape": _int64([size, height, width, channels]),
    }
    values = [_constant(graph, name, array) for name, array in constants.items()]
    graph.inputs[:] = [pixels]
    _chain(graph, pixels, values, image, contract)
    return model


def float_core(model: ir.Model) -> ir.Model:
    """Take the preprocessing off again: the model it was put in front of, to the byte.

    Where pixels go straight into a quantized core, its input is what `fold_pixels` made it.

    Args:
        model: A model made by `put_preprocessing_in_front`; it is left as it is.

    Raises:
        ModelError: There is no preprocessing of edgecnn's in front of it.
    """
    core = model.clone()
    graph = core.graph
    steps = [node for node in graph if (node.name or "").startswith(NAMESPACE)]
    if not steps or steps[-1].op_type not in ("Transpose", "Reshape"):
        raise ModelError(
            "The model has no preprocessing of edgecnn's in front of it.",
            "Export it with `edgecnn export`.",
        )
    if len(steps) == 1:
        return _quantize_again(core, steps[0])
    output = steps[-1].outputs[0]
    turned = steps[-1].op_type == "Transpose"
    image = _float_input(graph.inputs[0], name=output.name, layout="nchw" if turned else "nhwc")
    output.replace_all_uses_with(image)
    graph.remove(steps, safe=True)
    for name in [name for name in graph.initializers if name.startswith(NAMESPACE)]:
        del graph.initializers[name]
    graph.inputs[:] = [image]
    return core


def row_constants(contract: InputContract) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Give what a row of pixels is multiplied by and what is then subtracted.

    `(pixel * scale - mean) / std` is `pixel * factor - offset` with `factor = scale / std` and
    `offset = mean / std`, computed in float64 and rounded once.

    Returns:
        factor and offset, each float32 [width * channels].
    """
    import numpy as np

    std = np.asarray(contract.std, np.float64)
    factor, offset = contract.scale / std, np.asarray(contract.mean, np.float64) / std
    return (
        np.tile(factor.astype(np.float32), contract.width),
        np.tile(offset.astype(np.float32), contract.width),
    )


def channel_constants(model: ir.Model) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Read what a model's own preprocessing multiplies each channel by, and then subtracts.

    Args:
        model: A model made by `put_preprocessing_in_front`.

    Returns:
        factor and offset, each float32 [channels].

    Raises:
        ModelError: There is no such preprocessing, or pixels go straight into a quantized core.
    """
    shape = list(model.graph.inputs[0].shape or [])
    found = [model.graph.initializers.get(f"{NAMESPACE}{name}") for name in ("factor", "offset")]
    tensors = [value.const_value for value in found if value is not None]
    arrays = [tensor.numpy() for tensor in tensors if tensor is not None]
    if len(arrays) != 2 or not shape or not isinstance(shape[-1], int):
        raise ModelError(
            "The model's preprocessing has no constants of edgecnn's.",
            "Export it with `edgecnn export`.",
        )
    return arrays[0][: shape[-1]].copy(), arrays[1][: shape[-1]].copy()


def _check_input(graph: ir.Graph, contract: InputContract) -> ir.Value:
    import onnx_ir as ir

    wanted = list(contract.float_shape)
    if len(graph.inputs) == 1:
        image = graph.inputs[0]
        shape = list(image.shape or [])
        if image.dtype == ir.DataType.FLOAT and shape[1:] == wanted and image.name != PIXELS:
            return image
    found = ", ".join(f"{value.name}: {value.type} {value.shape}" for value in graph.inputs)
    raise ModelError(
        f"Preprocessing cannot be put in front of the inputs ({found}).",
        f"The model must have one input, float32 [N, {', '.join(map(str, wanted))}].",
    )


def _gives_pixels_back(image: ir.Value, contract: InputContract) -> ir.Node | None:
    """Give the QuantizeLinear that turns preprocessed pixels into what they were, if one does."""
    import numpy as np

    uses = list(image.uses())
    node = uses[0].node if len(uses) == 1 else None
    if node is None or node.op_type != "QuantizeLinear" or contract.layout != "nchw":
        return None
    constants = [value.const_value for value in node.inputs[1:] if value is not None]
    if len(constants) != 2 or any(each is None or each.size != 1 for each in constants):
        return None
    scale, zero_point = (each.numpy().reshape(()) for each in constants if each is not None)
    if zero_point.dtype != np.uint8 or image.is_graph_output() or not _can_be_put_back(node):
        return None
    every = np.arange(256, dtype=np.float32)[:, None]
    factor, offset = (row[: contract.channels] for row in row_constants(contract))
    numbers = np.rint((every * factor - offset) / scale) + np.float32(zero_point)
    return node if (numbers == every).all() else None


def _can_be_put_back(quantizing: ir.Node) -> bool:
    number, image = quantizing.outputs[0], quantizing.inputs[0]
    readers = [use.node for use in number.uses()]
    same = all(list(each.inputs[1:]) == list(quantizing.inputs[1:]) for each in readers)
    named = image is not None and number.name == f"{image.name}{_QUANTIZED}"
    kinds = {each.op_type for each in readers}
    return named and same and kinds == {"DequantizeLinear"}


def _transpose_alone(graph: ir.Graph, pixels: ir.Value, quantizing: ir.Node) -> None:
    import onnx_ir as ir

    number = quantizing.outputs[0]
    node = ir.node(
        "Transpose", [pixels], {"perm": [0, 3, 1, 2]}, name=f"{NAMESPACE}{quantizing.name}"
    )
    ir.convenience.replace_nodes_and_values(
        graph, quantizing, [quantizing], [node], [number], [node.outputs[0]]
    )


def _quantize_again(core: ir.Model, transposing: ir.Node) -> ir.Model:
    """Put the QuantizeLinear back that pixels went around; the name of the float input is in it."""
    import onnx_ir as ir

    number = transposing.outputs[0]
    constants = next(iter(number.uses())).node.inputs[1:]
    name = str(number.name).removesuffix(_QUANTIZED)
    image = _float_input(core.graph.inputs[0], name=name, layout="nchw")
    node = ir.node(
        "QuantizeLinear", [image, *constants], name=str(transposing.name).removeprefix(NAMESPACE)
    )
    ir.convenience.replace_nodes_and_values(
        core.graph, transposing, [transposing], [node], [number], [node.outputs[0]]
    )
    core.graph.inputs[:] = [image]
    return core


def _chain(
    graph: ir.Graph,
    pixels: ir.Value,
    constants: list[ir.Value],
    image: ir.Value,
    contract: InputContract,
) -> None:
    import onnx_ir as ir

    row_shape, factor, offset, image_shape = constants
    steps: list[tuple[str, list[ir.Value], dict[str, Any]]] = [
        ("Reshape", [row_shape], {}),
        ("Cast", [], {"to": int(ir.DataType.FLOAT)}),
        ("Mul", [factor], {}),
        ("Sub", [offset], {}),
        ("Reshape", [image_shape], {}),
    ]
    if contract.layout == "nchw":
        steps.append(("Transpose", [], {"perm": [0, 3, 1, 2]}))
    nodes, value = [], pixels
    for number, (op_type, operands, attributes) in enumerate(steps):
        name = f"{NAMESPACE}{number}_{op_type.lower()}"
        output = image if number == len(steps) - 1 else ir.Value(name=f"{name}_output")
        nodes.append(ir.node(op_type, [value, *operands], attributes, outputs=[output], name=name))
        value = output
    graph.insert_before(graph[0], nodes)


def _float_input(pixels: ir.Value, name: str | None, layout: str) -> ir.Value:
    import onnx_ir as ir

    assert pixels.shape is not None
    batch, height, width, channels = pixels.shape
    return ir.Value(
        name=name,
        shape=ir.Shape(
            [batch, channels, height, width]
            if layout == "nchw"
            else [batch, height, width, channels]
        ),
        type=ir.TensorType(ir.DataType.FLOAT),
    )


def _constant(graph: ir.Graph, name: str, array: NDArray[Any]) -> ir.Value:
    import onnx_ir as ir

    tensor = ir.Tensor(array, name=f"{NAMESPACE}{name}")
    value = ir.Value(
        name=tensor.name, shape=tensor.shape, type=ir.TensorType(tensor.dtype), const_value=tensor
    )
    graph.register_initializer(value)
    return value


def _int64(sizes: list[int]) -> NDArray[np.int64]:
    import numpy as np

    return np.asarray(sizes, np.int64)
