"""The tiny net as others write it: in old operators, with weights in odd places, another layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, external_data_helper, helper, numpy_helper

from edgecnn.importing.contract import Choice
from tests.conftest import CLASSES, CONTRACT, SIZE, TinyNet

Change = Callable[[ModelProto], None]

CHOICE = Choice(mean=CONTRACT.mean, std=CONTRACT.std, labels=CLASSES)


def write(path: Path, net: TinyNet, *changes: Change, batch: int | str = "N") -> Path:
    """Write the tiny net's float core, changed."""
    model = ModelProto.FromString(net.onnx(preprocessing=False, batch=batch))
    for change in changes:
        change(model)
    path.write_bytes(model.SerializeToString())
    return path


def opset(version: int) -> Change:
    """Give the change to another opset; the tiny net's operators are the same in all."""

    def change(model: ModelProto) -> None:
        model.opset_import[0].version = version

    return change


def old_ir(model: ModelProto) -> None:
    """List the weights as inputs, as IR 3 demands."""
    model.ir_version = 3
    for tensor in model.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims)
        model.graph.input.append(value)


def weights_as_nodes(model: ModelProto) -> None:
    """Keep the weights in Constant nodes."""
    nodes = [
        helper.make_node("Constant", [], [tensor.name], value=tensor)
        for tensor in model.graph.initializer
    ]
    _prepend(model, nodes)
    del model.graph.initializer[:]


def weights_of_a_shape(model: ModelProto) -> None:
    """Make the bias of a convolution from a shape, as the onnx package's light models do."""
    half = numpy_helper.from_array(np.array([0.5], np.float32))
    node = helper.make_node("ConstantOfShape", ["bias_shape"], ["conv_bias"], value=half)
    _prepend(model, [node])
    shape = numpy_helper.from_array(np.array([6]), "bias_shape")
    model.graph.initializer.append(shape)
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.input.append("conv_bias")


def without_names(model: ModelProto) -> None:
    """Take every node's name."""
    for node in model.graph.node:
        node.name = ""


def with_slashes(model: ModelProto) -> None:
    """Name tensors as paths, one of them as edgecnn names its own."""
    names = {"maps": "edgecnn/0_reshape_output", "means": "/pool/means", "w": "gpu_0/w"}
    _rename(model, names | {"logits": "head/logits", "image": "pixels"})


def softmax(model: ModelProto) -> None:
    """End in a softmax."""
    _append(model, helper.make_node("Softmax", ["logits"], ["shares"], axis=1), [len(CLASSES)])


def two_outputs(model: ModelProto) -> None:
    """Give the maps before the logits, too."""
    maps = helper.make_tensor_value_info("rectified", TensorProto.FLOAT, ["N", 6, None, None])
    outputs = [maps, *model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(outputs)


def ones_at_the_end(model: ModelProto) -> None:
    """Give the logits as [N, classes, 1, 1]."""
    axes = numpy_helper.from_array(np.array([2, 3]), "axes")
    model.graph.initializer.append(axes)
    node = helper.make_node("Unsqueeze", ["logits", "axes"], ["maps_of_logits"])
    _append(model, node, [len(CLASSES), 1, 1])


def channels_last(model: ModelProto) -> None:
    """Take [N, H, W, C]."""
    node = helper.make_node("Transpose", ["picture"], ["image"], perm=[0, 3, 1, 2])
    _prepend(model, [node])
    batch = _axes(model.graph.input[0])[0]
    _set_input(model, "picture", TensorProto.FLOAT, [batch, SIZE, SIZE, 3])


def open_size(model: ModelProto) -> None:
    """Leave height and width open, as PaddlePaddle does."""
    _set_input(model, "image", TensorProto.FLOAT, ["N", 3, -1, -1])


def reshaped(*sizes: int) -> Change:
    """Give the change that flattens by a Reshape to fixed sizes."""

    def change(model: ModelProto) -> None:
        flatten = next(node for node in model.graph.node if node.op_type == "Flatten")
        flatten.op_type = "Reshape"
        flatten.input.append("sizes")
        model.graph.initializer.append(numpy_helper.from_array(np.array(sizes), "sizes"))

    return change


def batch_merged(model: ModelProto) -> None:
    """Reshape to [2, 3] and back: at another batch the sizes do not fit."""
    maker = next(node for node in model.graph.node if "features" in node.output)
    maker.output[0] = "raw"
    nodes = []
    for name, result, sizes in (("raw", "pairs", [2, 3]), ("pairs", "features", [1, 6])):
        constant = numpy_helper.from_array(np.array(sizes), f"{result}_sizes")
        model.graph.initializer.append(constant)
        nodes.append(helper.make_node("Reshape", [name, constant.name], [result]))
    _insert(model, list(model.graph.node).index(maker) + 1, nodes)


def batch_squeezed(model: ModelProto) -> None:
    """Scale by a mean over the batch: right for one image, wrong without a word for two."""
    nodes = [
        helper.make_node("ReduceMean", ["raw"], ["mean"], axes=[0], keepdims=1),
        helper.make_node("Mul", ["raw", "mean"], ["features"]),
    ]
    flatten = next(node for node in model.graph.node if node.op_type == "Flatten")
    flatten.output[0] = "raw"
    place = list(model.graph.node).index(flatten) + 1
    _insert(model, place, nodes)
    model.opset_import[0].version = 17  # with the axes as an attribute


def hungry_for_pictures(model: ModelProto) -> None:
    """Add the largest of as many zeros as the brightest pixel says: none where all are black."""
    name = model.graph.input[0].name
    numbers = {"many": np.array(1e12, np.float32), "one_axis": np.array([1])}
    model.graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in numbers.items())
    nodes = [
        helper.make_node("ReduceMax", [name], ["brightest"], keepdims=0),
        helper.make_node("Abs", ["brightest"], ["light"]),
        helper.make_node("Mul", ["light", "many"], ["lots"]),
        helper.make_node("Cast", ["lots"], ["count"], to=TensorProto.INT64),
        helper.make_node("Reshape", ["count", "one_axis"], ["counts"]),
        helper.make_node("ConstantOfShape", ["counts"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["nothing"], keepdims=0),
    ]
    _prepend(model, nodes)
    _append(model, helper.make_node("Add", ["logits", "nothing"], ["fed"]), [len(CLASSES)])


def batch_norm(model: ModelProto) -> None:
    """Normalise what the convolution gives, with statistics of its own."""
    numbers = {"gain": 1.5, "shift": -0.25, "mean": 0.5, "variance": 2.0}
    random = np.random.default_rng(1)
    for name, value in numbers.items():
        values = (value * random.uniform(0.5, 1.5, 6)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    conv = next(node for node in model.graph.node if node.op_type == "Conv")
    conv.output[0] = "raw"
    node = helper.make_node("BatchNormalization", ["raw", *numbers], ["maps"], epsilon=0.01)
    _insert(model, list(model.graph.node).index(conv) + 1, [node])


def by_pixel(model: ModelProto) -> None:
    """Normalise the means, with `spatial=0`: only opset 7 can, and nothing converts it."""
    random = np.random.default_rng(2)
    names = ("gain", "shift", "mean", "variance")
    for name in names:
        values = random.uniform(0.5, 1.5, (6, 1, 1)).astype(np.float32)
        model.graph.initializer.append(numpy_helper.from_array(values, name))
    pool = next(node for node in model.graph.node if node.op_type == "GlobalAveragePool")
    pool.output[0] = "raw"
    node = helper.make_node("BatchNormalization", ["raw", *names], ["means"], spatial=0)
    _insert(model, list(model.graph.node).index(pool) + 1, [node])
    model.opset_import[0].version = 7


def metadata(**entries: str) -> Change:
    """Give the change that adds metadata; `__` stands for a dot."""

    def change(model: ModelProto) -> None:
        found = {key.replace("__", "."): value for key, value in entries.items()}
        helper.set_model_props(model, found)

    return change


def taking(kind: int) -> Change:
    """Give the change to an input of another type, cast to float inside."""

    def change(model: ModelProto) -> None:
        _prepend(model, [helper.make_node("Cast", ["picture"], ["image"], to=TensorProto.FLOAT)])
        _set_input(model, "picture", kind, ["N", 3, SIZE, SIZE])

    return change


def second_input(model: ModelProto) -> None:
    """Scale the logits by a second input."""
    value = helper.make_tensor_value_info("temperature", TensorProto.FLOAT, [1])
    model.graph.input.append(value)
    _append(model, helper.make_node("Mul", ["logits", "temperature"], ["scaled"]), [len(CLASSES)])


def beside(path: Path, name: str) -> None:
    """Move a file's weights into another beside it."""
    import onnx

    model = onnx.load(path)
    external_data_helper.convert_model_to_external_data(model, location=name, size_threshold=0)
    onnx.save(model, path)


def pixels_to_float(net: TinyNet, images: NDArray[np.uint8], layout: str) -> NDArray[np.float32]:
    """Normalise images as the textbook does, for the original file."""
    values = (images / 255 - CONTRACT.mean) / np.array(CONTRACT.std)
    turned = values.transpose(0, 3, 1, 2) if layout == "nchw" else values
    return np.asarray(turned, np.float32)


def _prepend(model: ModelProto, nodes: list[Any]) -> None:
    _insert(model, 0, nodes)


def _insert(model: ModelProto, place: int, nodes: list[Any]) -> None:
    before = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*before[:place], *nodes, *before[place:]])


def _append(model: ModelProto, node: Any, shape: list[int]) -> None:
    batch = _axes(model.graph.output[-1])[0]
    model.graph.node.append(node)
    value = helper.make_tensor_value_info(node.output[0], TensorProto.FLOAT, [batch, *shape])
    model.graph.output.pop()
    model.graph.output.append(value)


def _axes(value: Any) -> list[Any]:
    return [axis.dim_param or axis.dim_value for axis in value.type.tensor_type.shape.dim]


def _set_input(model: ModelProto, name: str, kind: int, shape: list[Any]) -> None:
    rest = list(model.graph.input)[1:]
    del model.graph.input[:]
    value = helper.make_tensor_value_info(name, kind, [0 if s == -1 else s for s in shape])
    for axis, size in zip(value.type.tensor_type.shape.dim, shape, strict=True):
        if size == -1:
            axis.dim_value = -1
    model.graph.input.extend([value, *rest])


def _rename(model: ModelProto, names: dict[str, str]) -> None:
    for node in model.graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*model.graph.input, *model.graph.output, *model.graph.initializer):
        value.name = names.get(value.name, value.name)
