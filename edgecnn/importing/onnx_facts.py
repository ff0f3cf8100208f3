"""What an ONNX file says of the pictures that it takes and of what it answers."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgecnn.errors import ModelError
from edgecnn.graph.shapes import declared, real_inputs
from edgecnn.importing.contract import Choice, Facts
from edgecnn.spec import Color, Layout, OutputKind, TensorSpec

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

GRAPH, METADATA = "the graph", "ONNX metadata"
_AS_PLAIN = "Compare and measure it as a plain file: `edgecnn parity FILE`, `edgecnn bench FILE`."
_HALF = (10, 16)  # FLOAT16 and BFLOAT16 in onnx.TensorProto
# What changes no value, only how it is arranged or written.
_PASSED_BY = {"Cast", "Flatten", "Identity", "Reshape", "Squeeze", "Transpose", "Unsqueeze"}
_PASSED_BY |= {"QuantizeLinear", "DequantizeLinear"}
# ONNX's own metadata for pictures (docs/MetadataProps.md of onnx/onnx): scale, mean, std.
_RANGES = {
    "NominalRange_0_255": (1.0, 0.0, 1.0),
    "Normalized_0_1": (1 / 255, 0.0, 1.0),
    "Normalized_1_1": (1 / 255, 0.5, 0.5),
    "NominalRange_16_235": (219 / 255, -16.0, 1.0),
}
# What metadata may say: a file's word alone makes no huge pictures, and names no novels.
_SIDE, _TEXT = 4_096, 1 << 20
_SPACES = "\u00a0\u3000"
_FORMATS: dict[str, Color] = {
    "Gray8": "gray",
    "Rgb8": "rgb",
    "Rgba8": "rgb",
    "Bgr8": "bgr",
    "Bgra8": "bgr",
}


@dataclass(frozen=True)
class ImageInput:
    """The one input of a net that takes pictures.

    Attributes:
        name: Its name in the graph.
        batch: Images in one run; None if that is open.
        height: Rows, in pixels; None if that is open.
        width: Columns, likewise.
        channels: 1 or 3.
        layout: Where the channels are.
        sure: The layout can be no other.
    """

    name: str
    batch: int | None
    height: int | None
    width: int | None
    channels: int
    layout: Layout
    sure: bool


def find_image(model: ModelProto, *, where: str, layout: Layout | None = None) -> ImageInput:
    """Find the picture among a model's inputs.

    Args:
        model: A model that has passed the gate.
        where: Its name, for an error.
        layout: What the user says; needed only where the shape fits both.

    Raises:
        ModelError: It does not take exactly one float32 picture of 1 or 3 channels.
    """
    inputs = real_inputs(model.graph)
    if len(inputs) != 1:
        names = ", ".join(str(declared(value)) for value in inputs) or "none"
        raise ModelError(
            f"{where} has {len(inputs)} inputs ({names}), not one image.",
            _AS_PLAIN.replace("FILE", where),
        )
    spec = _with_open_axes(declared(inputs[0]))
    _refuse_other_types(model, spec, where)
    if len(spec.shape) != 4:
        raise ModelError(
            f"{where} takes {spec}, and a batch of images has four axes.",
            _AS_PLAIN.replace("FILE", where),
        )
    fitting = [each for each in _fitting(model, spec) if layout in (None, each.layout)]
    if not fitting:
        wanted = f" as {layout}" if layout else ""
        raise ModelError(
            f"{where} takes {spec}, which is no image of 1 or 3 channels{wanted}.",
            "Leave --layout out." if layout else _AS_PLAIN.replace("FILE", where),
        )
    return fitting[0]


def graph_facts(image: ImageInput) -> Facts:
    """Give what the graph's input says of the pictures; nothing else can go in."""
    size = None
    if image.height is not None and image.width is not None:
        size = (image.height, image.width)
    return Facts(
        Choice(
            input_size=size,
            color="gray" if image.channels == 1 else None,
            layout=image.layout if image.sure else None,
        ),
        GRAPH,
        certain=True,
    )


def layout_guess(image: ImageInput) -> Facts:
    """Give the likelier layout of a shape that fits both."""
    return Facts(Choice(layout=image.layout), f"{GRAPH}, whose shape fits both")


def metadata_facts(model: ModelProto) -> list[Facts]:
    """Give what a model's metadata say of the pictures: ONNX's own, and what exporters write."""
    found = {entry.key: entry.value for entry in model.metadata_props}
    facts = [_standard(found), _ultralytics(found), _paddle(found)]
    return [each for each in facts if each.choice != Choice()]


def output_facts(
    model: ModelProto, outputs: Mapping[str, NDArray[np.generic]], wanted: str | None
) -> Facts:
    """Give which output holds the scores of classes, and what they are.

    Args:
        model: The model.
        outputs: What it answers to some different pictures, [N, ...] by name.
        wanted: The output that the user names, if any.
    """
    looked_at = outputs if wanted is None else {wanted: outputs[wanted]}
    rows = {name: row for name, value in looked_at.items() if (row := as_rows(value)) is not None}
    if not rows:
        return Facts(Choice(output_kind="other"), f"{GRAPH}: no output is a row of scores")
    name, scores = next(iter(rows.items()))
    kind, why = _kind(model, name, scores)
    chosen = name if name != next(iter(outputs)) else None
    return Facts(Choice(output_kind=kind, output=chosen), f"{GRAPH}{why}")


def as_rows(values: NDArray[np.generic]) -> NDArray[np.generic] | None:
    """Give float outputs [N, classes] or [N, classes, 1, …] as [N, classes]; None for others."""
    single = all(size == 1 for size in values.shape[2:])
    if values.ndim < 2 or values.shape[1] < 2 or not single or values.dtype.kind != "f":
        return None
    return values.reshape(values.shape[:2])


def _kind(model: ModelProto, name: str, scores: NDArray[np.generic]) -> tuple[OutputKind, str]:
    last = _last_operator(model, name)
    rows = scores.astype(np.float64)
    sums_to_one = bool((np.abs(rows.sum(axis=1) - 1) < 1e-2).all() and (rows >= 0).all())
    if last in ("Softmax", "QLinearSoftmax") or sums_to_one:
        return "probabilities", ", which ends in a softmax" if last else ": its rows sum to 1"
    if last in ("Sigmoid", "QLinearSigmoid"):
        return "probabilities", ", which ends in a sigmoid: one for each class, with no sum of 1"
    return "logits", ", which ends in no softmax"


def _last_operator(model: ModelProto, name: str) -> str:
    makers = {output: node for node in model.graph.node for output in node.output}
    node: NodeProto | None = makers.get(name)
    while node is not None and node.op_type in _PASSED_BY:
        node = makers.get(node.input[0])
    return "" if node is None else node.op_type


def _refuse_other_types(model: ModelProto, spec: TensorSpec, where: str) -> None:
    half = any(tensor.data_type in _HALF for tensor in model.graph.initializer)
    if spec.dtype in ("float16", "bfloat16") or (half and spec.dtype == "float32"):
        raise ModelError(
            f"{where} computes in 16-bit floats, and a bundle begins with float32.",
            "Export the net again in float32; smaller forms are made from that.",
        )
    if spec.dtype == "uint8":
        raise ModelError(
            f"{where} takes uint8 ({spec}): it has its preprocessing inside.",
            "Import the file from before that was added, or keep it as a plain file: "
            f"`edgecnn bench {where}`.",
        )
    if spec.dtype != "float32":
        raise ModelError(
            f"{where} takes {spec}, and a bundle begins with float32.",
            "Export the net again in float32.",
        )


def _with_open_axes(spec: TensorSpec) -> TensorSpec:
    # PaddlePaddle writes -1 for an open axis.
    shape = tuple("?" if isinstance(axis, int) and axis < 1 else axis for axis in spec.shape)
    return TensorSpec(spec.name, spec.dtype, shape)


def _fitting(model: ModelProto, spec: TensorSpec) -> list[ImageInput]:
    """Give the ways to read a shape as a picture, the likelier first."""
    batch, *rest = spec.shape
    nchw, nhwc = (rest[0], rest[1], rest[2]), (rest[2], rest[0], rest[1])
    layouts: list[tuple[Layout, tuple[int | str, ...]]] = [("nchw", nchw), ("nhwc", nhwc)]
    plain = [(layout, axes) for layout, axes in layouts if axes[0] in (1, 3)]
    if not plain:
        channels = _channels_of_first_conv(model, spec.name)
        if channels in (1, 3):
            open_axes = [(each, axes) for each, axes in layouts if isinstance(axes[0], str)]
            plain = [(each, (channels, *axes[1:])) for each, axes in open_axes]
    return [
        ImageInput(
            spec.name, _size(batch), _size(axes[1]), _size(axes[2]),
            channels=int(axes[0]), layout=layout, sure=len(plain) == 1,
        )
        for layout, axes in plain
    ]  # fmt: skip


def _channels_of_first_conv(model: ModelProto, name: str) -> int | None:
    weights = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] == name and node.input[1] in weights:
            groups = next((item.i for item in node.attribute if item.name == "group"), 1)
            return int(weights[node.input[1]][1]) * groups
    return None


def _size(axis: int | str) -> int | None:
    return axis if isinstance(axis, int) else None


def _standard(found: Mapping[str, str]) -> Facts:
    color = _FORMATS.get(found.get("Image.BitmapPixelFormat", ""))
    values = _RANGES.get(found.get("Image.NominalPixelRange", ""))
    if values is None:
        return Facts(Choice(color=color), METADATA)
    count = 1 if color == "gray" else 3
    scale, mean, std = values
    return Facts(
        Choice(color=color, scale=scale, mean=(mean,) * count, std=(std,) * count), METADATA
    )


def _ultralytics(found: Mapping[str, str]) -> Facts:
    source = "Ultralytics' metadata"
    if not {"names", "imgsz", "task"} <= found.keys():
        return Facts(Choice(), source)
    sizes = [int(number) for number in re.findall(r"\b\d{1,5}\b", found["imgsz"])[:2]]
    size = (sizes[0], sizes[-1]) if sizes and 0 < min(sizes) <= max(sizes) <= _SIDE else None
    classifies = found["task"] == "classify"
    resize = f"crop {max(size)}" if classifies and size else "letterbox"
    zeros, ones = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    choice = Choice(
        size, "rgb", 1 / 255, zeros, ones, resize, "bilinear",
        labels=_names(found["names"]) if classifies else None,
    )  # fmt: skip
    return Facts(choice, source)


def _names(text: str) -> tuple[str, ...] | None:
    try:
        names = ast.literal_eval(text) if len(text) <= _TEXT else None
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return None
    if isinstance(names, dict) and names.keys() == set(range(len(names))):
        return _usable([str(names[place]) for place in range(len(names))])
    return _usable(list(map(str, names))) if isinstance(names, list) else None


def _paddle(found: Mapping[str, str]) -> Facts:
    names = _usable(found.get("character", "")[:_TEXT].splitlines())
    return Facts(Choice(labels=names), "PaddleOCR's metadata")


def _usable(names: list[str]) -> tuple[str, ...] | None:
    """Give names of classes; None if two are the same, or one would steer a terminal."""
    harmless = all(c.isprintable() or c in _SPACES for name in names for c in name)
    return tuple(names) if names and harmless and len(set(names)) == len(names) else None
