"""ONNX's operators of convolutional nets, computed by PyTorch so that gradients flow through them.

Each takes the node's attributes and its inputs, None where one is left out. What is not here is
refused before the first step; that they answer as ONNX Runtime does is proved on real images.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn import functional

from edgecnn.errors import ModelError

Settings = Mapping[str, Any]
Tensor = torch.Tensor
Operator = Callable[..., Tensor]

_CONVOLUTIONS = (functional.conv1d, functional.conv2d, functional.conv3d)
_MAX_POOLS = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)
_AVERAGE_POOLS: tuple[Callable[..., Tensor], ...] = (
    functional.avg_pool1d,
    functional.avg_pool2d,
    functional.avg_pool3d,
)


def refuse(what: str) -> ModelError:
    """Say that a net cannot be fine-tuned for what it holds."""
    return ModelError(
        f"Quantization-aware training cannot compute {what}.",
        "Use `edgecnn quantize`, which trains nothing.",
    )


def _conv(settings: Settings, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    rank = x.ndim - 2
    strides, dilations = _each(settings, "strides", rank), _each(settings, "dilations", rank)
    x, padding = _pad(settings, x, list(weight.shape[2:]), 0.0)
    convolve = _CONVOLUTIONS[rank - 1]
    return convolve(x, weight, bias, strides, padding, dilations, settings.get("group", 1))


def _conv_transpose(
    settings: Settings, x: Tensor, weight: Tensor, bias: Tensor | None = None
) -> Tensor:
    pads = list(settings.get("pads", [0, 0, 0, 0]))
    plain = settings.get("auto_pad", "NOTSET") == "NOTSET" and "output_shape" not in settings
    if x.ndim != 4 or not plain or pads[:2] != pads[2:]:
        raise refuse("a ConvTranspose that pads its sides unevenly")
    return functional.conv_transpose2d(
        x,
        weight,
        bias,
        _each(settings, "strides", 2),
        pads[:2],
        list(settings.get("output_padding", [0, 0])),
        settings.get("group", 1),
        _each(settings, "dilations", 2),
    )


def _max_pool(settings: Settings, x: Tensor) -> Tensor:
    kernel = list(settings["kernel_shape"])
    rank = len(kernel)
    strides, dilations = _each(settings, "strides", rank), _each(settings, "dilations", rank)
    x, padding = _pad(settings, x, kernel, -math.inf)
    pool = _MAX_POOLS[rank - 1]
    return pool(x, kernel, strides, padding, dilations, bool(settings.get("ceil_mode", 0)))


def _average_pool(settings: Settings, x: Tensor) -> Tensor:
    kernel = list(settings["kernel_shape"])
    rank, counted = len(kernel), bool(settings.get("count_include_pad", 0))
    padded, padding = _pad(settings, x, kernel, 0.0)
    if any(each != 1 for each in _each(settings, "dilations", rank)) or (
        padded is not x and not counted
    ):
        raise refuse("an AveragePool that is dilated or pads its sides unevenly")
    ceil = bool(settings.get("ceil_mode", 0))
    pool, strides = _AVERAGE_POOLS[rank - 1], _each(settings, "strides", rank)
    return pool(padded, kernel, strides, padding, ceil, counted)


def _gemm(settings: Settings, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a = a.T if settings.get("transA", 0) else a
    b = b.T if settings.get("transB", 0) else b
    product: Tensor = settings.get("alpha", 1.0) * (a @ b)
    return product if c is None else product + settings.get("beta", 1.0) * c


def _batch_norm(
    settings: Settings, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, variance: Tensor
) -> Tensor:
    epsilon = settings.get("epsilon", 1e-5)
    return functional.batch_norm(x, mean, variance, scale, shift, training=False, eps=epsilon)


def _clip(
    settings: Settings, x: Tensor, low: Tensor | None = None, high: Tensor | None = None
) -> Tensor:
    least = settings.get("min") if low is None else low.item()
    most = settings.get("max") if high is None else high.item()
    return x if least is None and most is None else x.clamp(least, most)


def _hard_sigmoid(settings: Settings, x: Tensor) -> Tensor:
    line: Tensor = settings.get("alpha", 0.2) * x + settings.get("beta", 0.5)
    return line.clamp(0, 1)


def _reduce_mean(settings: Settings, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = settings.get("axes") if axes is None else axes.tolist()
    return x.mean(list(chosen or range(x.ndim)), keepdim=bool(settings.get("keepdims", 1)))


def _reshape(settings: Settings, x: Tensor, shape: Tensor) -> Tensor:
    wanted = shape.tolist()
    if not settings.get("allowzero", 0):
        wanted = [x.shape[axis] if size == 0 else size for axis, size in enumerate(wanted)]
    return x.reshape(wanted)


def _flatten(settings: Settings, x: Tensor) -> Tensor:
    axis = settings.get("axis", 1) % (x.ndim + 1)
    return x.reshape(math.prod(x.shape[:axis]), -1)


def _transpose(settings: Settings, x: Tensor) -> Tensor:
    return x.permute(list(settings.get("perm", range(x.ndim)[::-1])))


def _squeeze(settings: Settings, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = settings.get("axes") if axes is None else axes.tolist()
    return x.squeeze() if chosen is None else x.squeeze(list(chosen))


def _unsqueeze(settings: Settings, x: Tensor, axes: Tensor | None = None) -> Tensor:
    chosen = list(settings["axes"]) if axes is None else axes.tolist()
    for axis in sorted(each % (x.ndim + len(chosen)) for each in chosen):
        x = x.unsqueeze(axis)
    return x


def _global_pool(settings: Settings, x: Tensor) -> Tensor:
    return x.mean(list(range(2, x.ndim)), keepdim=True)


def _each(settings: Settings, name: str, rank: int) -> list[int]:
    return list(settings.get(name, [1] * rank))


def _pad(
    settings: Settings, x: Tensor, kernel: list[int], filling: float
) -> tuple[Tensor, list[int]]:
    """Give what PyTorch's operator pads evenly, and pad beforehand what it cannot."""
    begin, end = _pads(settings, list(x.shape[2:]), kernel)
    if begin == end:
        return x, begin
    pairs = [side for both in zip(begin[::-1], end[::-1], strict=True) for side in both]
    return functional.pad(x, pairs, value=filling), [0] * len(kernel)


def _pads(settings: Settings, sizes: list[int], kernel: list[int]) -> tuple[list[int], list[int]]:
    rank, rule = len(kernel), settings.get("auto_pad", "NOTSET")
    if rule in ("NOTSET", "VALID"):
        pads = list(settings.get("pads", [0] * 2 * rank)) if rule == "NOTSET" else [0] * 2 * rank
        return pads[:rank], pads[rank:]
    strides, dilations = _each(settings, "strides", rank), _each(settings, "dilations", rank)
    totals = [
        max((-(-size // stride) - 1) * stride + (width - 1) * dilation + 1 - size, 0)
        for size, stride, width, dilation in zip(sizes, strides, kernel, dilations, strict=True)
    ]
    less, more = [total // 2 for total in totals], [total - total // 2 for total in totals]
    return (less, more) if rule == "SAME_UPPER" else (more, less)


OPERATORS: dict[str, Operator] = {
    "Add": lambda settings, a, b: a + b,
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Clip": _clip,
    "Concat": lambda settings, *parts: torch.cat(parts, settings["axis"]),
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Div": lambda settings, a, b: a / b,
    "Flatten": _flatten,
    "Gemm": _gemm,
    "GlobalAveragePool": _global_pool,
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": lambda settings, x: functional.hardswish(x),
    "Identity": lambda settings, x: x,
    "LeakyRelu": lambda settings, x: functional.leaky_relu(x, settings.get("alpha", 0.01)),
    "MatMul": lambda settings, a, b: a @ b,
    "MaxPool": _max_pool,
    "Mul": lambda settings, a, b: a * b,
    "ReduceMean": _reduce_mean,
    "Relu": lambda settings, x: functional.relu(x),
    "Reshape": _reshape,
    "Sigmoid": lambda settings, x: torch.sigmoid(x),
    "Softmax": lambda settings, x: torch.softmax(x, settings.get("axis", -1)),
    "Squeeze": _squeeze,
    "Sub": lambda settings, a, b: a - b,
    "Tanh": lambda settings, x: torch.tanh(x),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
