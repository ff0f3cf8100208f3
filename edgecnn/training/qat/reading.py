"""What a quantized core computes, read from its graph: the steps, what is rounded, what learns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from edgecnn.quantization.bound import is_depthwise
from edgecnn.training.qat.operators import OPERATORS, refuse

if TYPE_CHECKING:
    import onnx_ir as ir
    from numpy.typing import NDArray

_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_ENDS = {"uint8": (0, 255), "int8": (-128, 127)}
# Weights are symmetric; in 7 bits no sum of two products saturates, however they change.
_LARGEST_WEIGHT, _LARGEST_BOUNDED = 127, 64


@dataclass(frozen=True)
class Rounding:
    """How a tensor is rounded.

    Attributes:
        scale: Name of the constant that holds the scale.
        zero_point: Name of the constant that holds the zero point.
        low: The least integer.
        high: The largest.
        axis: The axis whose places have a scale each; None for one scale.
    """

    scale: str
    zero_point: str
    low: int
    high: int
    axis: int | None = None


@dataclass(frozen=True)
class Step:
    """One node: what it makes of what, by the names of the tensors.

    Attributes:
        output: What it makes.
        inputs: What it reads; empty where an input is left out.
        operator: Its kind; empty if it only rounds or passes on.
        settings: Its attributes.
        rounding: How it rounds; None if it does not.
        frees: What nobody reads any more after it.
    """

    output: str
    inputs: tuple[str, ...]
    operator: str = ""
    settings: dict[str, Any] = field(default_factory=dict)
    rounding: Rounding | None = None
    frees: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quantized:
    """Where the file keeps a learned tensor as integers.

    Attributes:
        integers: Name of the constant that holds them.
        scale: Name of the constant that holds their scale; of a bias the program's constant of
            that name is what the product of the two scales below is multiplied by.
        inputs_scale: Of a bias, the name of the scale of what its operator reads; else empty.
        weights_scale: Of a bias, the name of the scale of its operator's weights; else empty.
    """

    integers: str
    scale: str
    inputs_scale: str = ""
    weights_scale: str = ""


@dataclass(frozen=True, eq=False)
class Program:
    """A quantized core, read.

    Attributes:
        input: Name of the image.
        output: Name of the first output.
        steps: The nodes in order.
        learned: Float weights and biases, by the names that the steps use.
        scales: Scales, float32 [] or [channels], by the names of their constants.
        constants: Everything else, by the names that the steps use.
        weights: Where the file keeps the rounded weights.
        biases: Where it keeps the biases that are integers.
    """

    input: str
    output: str
    steps: tuple[Step, ...]
    learned: Mapping[str, NDArray[Any]]
    scales: Mapping[str, NDArray[Any]]
    constants: Mapping[str, NDArray[Any]]
    weights: Mapping[str, Quantized]
    biases: Mapping[str, Quantized]


def read_program(quantized: ir.Model, prepared: ir.Model, *, bounded: bool) -> Program:
    """Read a quantized core.

    Args:
        quantized: The quantized core.
        prepared: The float core that it was made from, whose weights learn.
        bounded: Weights stay within 7 bits.

    Raises:
        ModelError: An operator cannot be computed in training.
    """
    reader = _Reader(quantized, prepared, bounded=bounded)
    for node in quantized.graph:
        reader.read(node)
    output = str(quantized.graph.outputs[0].name)
    return Program(
        input=str(quantized.graph.inputs[0].name),
        output=output,
        steps=_freeing(reader.steps, output),
        learned=reader.learned,
        scales=reader.scales,
        constants=reader.constants,
        weights=reader.weights,
        biases=reader.biases,
    )


class _Reader:
    """What was read so far."""

    def __init__(self, quantized: ir.Model, prepared: ir.Model, *, bounded: bool) -> None:
        self._held, self._floats = dict(_constants(quantized)), dict(_constants(prepared))
        self._bounded = bounded
        self.steps: list[Step] = []
        self.learned: dict[str, NDArray[Any]] = {}
        self.scales: dict[str, NDArray[Any]] = {}
        self.constants: dict[str, NDArray[Any]] = {}
        self.weights: dict[str, Quantized] = {}
        self.biases: dict[str, Quantized] = {}

    def read(self, node: ir.Node) -> None:
        if node.op_type == _QUANTIZE:
            self._round(node)
        elif node.op_type != _DEQUANTIZE:
            self._compute(node)
        elif _name(node.inputs[0]) not in self._held:
            self._add(node, (_name(node.inputs[0]),))
        else:
            self._dequantize(node)

    def _round(self, node: ir.Node) -> None:
        source, scale, zero_point = map(_name, node.inputs)
        low, high = _ENDS[str(self._held[zero_point].dtype)]
        self._add(node, (source,), rounding=self._rounding(scale, zero_point, low, high))

    def _compute(self, node: ir.Node) -> None:
        if node.op_type not in OPERATORS or node.domain not in ("", "ai.onnx"):
            raise refuse(f"the operator {node.op_type}")
        inputs = tuple(map(_name, node.inputs))
        for place, name in enumerate(inputs):
            if name in self._held:
                learns = node.op_type in _WITH_WEIGHTS and place in (1, 2)
                (self.learned if learns else self.constants)[name] = self._held[name]
        settings = {name: each.value for name, each in node.attributes.items()}
        self._add(node, inputs, operator=node.op_type, settings=settings)

    def _dequantize(self, node: ir.Node) -> None:
        integers, scale, zero_point = map(_name, node.inputs)
        output, name = _name(node.outputs[0]), integers.removesuffix("_quantized")
        user = _user_as_weights(node)
        axis = node.attributes["axis"].as_int() if self._held[scale].size > 1 else None
        if user is None or name not in self._floats:
            self.constants[output] = _dequantized(
                self._held[integers], self._held[scale], self._held[zero_point], axis
            )
        elif self._held[integers].dtype == "int32":
            self._round_bias(node, name, user)
        else:
            self.learned[name] = self._floats[name]
            self.weights[name] = Quantized(integers, scale)
            paired = self._bounded and not is_depthwise(user, self._floats[name].shape)
            self._round_weights(node, name, axis, paired=paired)

    def _round_weights(self, node: ir.Node, name: str, axis: int | None, *, paired: bool) -> None:
        integers, scale, zero_point = map(_name, node.inputs)
        numbers, high = self._held[integers], _LARGEST_BOUNDED if paired else _LARGEST_WEIGHT
        low, high = _ENDS["uint8"] if numbers.dtype == "uint8" else (-high, high)
        if numbers.dtype == "int8":
            self._held[scale] = self._held[scale] * _excess(numbers, axis, high)
        self._add(node, (name,), rounding=self._rounding(scale, zero_point, low, high, axis))

    def _round_bias(self, node: ir.Node, name: str, user: ir.Node) -> None:
        integers, scale, _ = map(_name, node.inputs)
        place = Quantized(integers, scale, *map(_scale_of, user.inputs[:2]))
        self.learned[name], self.biases[name] = self._floats[name], place
        # 1, unless the operator itself weighs its bias.
        product = self._held[place.inputs_scale] * self._held[place.weights_scale]
        self.constants[scale] = self._held[scale] / product
        self._add(node, (name,))

    def _rounding(
        self, scale: str, zero_point: str, low: int, high: int, axis: int | None = None
    ) -> Rounding:
        self.scales[scale] = self._held[scale]
        self.constants[zero_point] = self._held[zero_point].astype("int32")
        return Rounding(scale, zero_point, low, high, axis)

    def _add(self, node: ir.Node, inputs: tuple[str, ...], **what: Any) -> None:
        self.steps.append(Step(_name(node.outputs[0]), inputs, **what))


def _freeing(steps: list[Step], output: str) -> tuple[Step, ...]:
    """Say after which step nobody reads a tensor any more: answering then needs little memory."""
    made, seen = {step.output for step in steps}, {output}
    found = []
    for step in reversed(steps):
        last = tuple(name for name in dict.fromkeys(step.inputs) if name in made - seen)
        seen.update(last)
        found.append(replace(step, frees=last))
    return tuple(reversed(found))


def _excess(numbers: NDArray[Any], axis: int | None, high: int) -> NDArray[Any]:
    """Say by how much weights that were given more bits than they keep grow in scale."""
    import numpy as np

    others = tuple(place for place in range(numbers.ndim) if place != axis)
    used = np.abs(numbers.astype(np.float32)).max(axis=None if axis is None else others)
    found: NDArray[Any] = np.maximum(np.float32(1), used / np.float32(high))
    return found


def _user_as_weights(node: ir.Node) -> ir.Node | None:
    """Give the operator that takes what a node makes as its weights or bias."""
    for user, place in node.outputs[0].uses():
        if user.op_type in _WITH_WEIGHTS and place in (1, 2):
            return user
    return None


def _scale_of(value: ir.Value | None) -> str:
    producer = None if value is None else value.producer()
    if producer is None or producer.op_type != _DEQUANTIZE:
        raise refuse("an operator with an integer bias that reads floats")
    return _name(producer.inputs[1])


def _dequantized(
    numbers: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any], axis: int | None
) -> NDArray[Any]:
    shape = [1] * numbers.ndim
    if axis is not None:
        shape[axis] = -1
        scale, zero_point = scale.reshape(shape), zero_point.reshape(shape)
    whole = numbers.astype("float32") - zero_point.astype("float32")
    found: NDArray[Any] = (whole * scale).astype("float32")
    return found


def _constants(model: ir.Model) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, value in model.graph.initializers.items():
        if value.const_value is not None:
            yield str(name), value.const_value.numpy()


def _name(value: ir.Value | None) -> str:
    return "" if value is None else str(value.name)
