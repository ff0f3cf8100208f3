"""Operators between convolutions: the answers of ONNX Runtime, in int8 to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

from tests.codegen.compiled import FLAGS, Compiled, compile_net, run_ort
from tests.codegen.graphs import QuantizedNet
from tests.conftest import TinyNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
CHANNELS, HEIGHT, WIDTH = 6, 5, 7
SHAPE = (1, CHANNELS, HEIGHT, WIDTH)


class FloatNet(QuantizedNet):
    """A net of floats, made as if it were quantized."""

    def quantize(
        self, value: str, channels: int, *, relu: bool = False, like: str | None = None
    ) -> str:
        """Leave a float what it is."""
        self._channels[value] = channels
        return value


Answers = tuple[NDArray[Any], NDArray[Any]]
Build = Callable[[QuantizedNet, str, str], str]


def ints(net: QuantizedNet, *values: int) -> str:
    """Add whole numbers as a constant."""
    return net.constant(np.array(values, np.int64))


def floats(net: QuantizedNet, *values: float) -> str:
    """Add floats as a constant."""
    return net.constant(np.array(values, np.float32))


def shuffled(net: QuantizedNet, one: str, groups: int = 2) -> str:
    """Shuffle channels as ShuffleNet does, with what a quantizer puts between."""
    shape = (1, groups, CHANNELS // groups, HEIGHT, WIDTH)
    made = net.quantize(net.node("Reshape", [one, ints(net, *shape)]), groups, like=one)
    made = net.quantize(net.node("Transpose", [made], perm=[0, 2, 1, 3, 4]), 3, like=one)
    return net.quantize(net.node("Reshape", [made, ints(net, *SHAPE)]), CHANNELS, like=one)


def squeezed_and_excited(net: QuantizedNet, one: str, _: str) -> str:
    """Multiply each channel by a number of its own."""
    mean = net.quantize(net.node("GlobalAveragePool", [one]), CHANNELS)
    gate = net.quantize(net.node("HardSigmoid", [mean]), CHANNELS, relu=True)
    return net.quantize(net.node("Mul", [gate, one]), CHANNELS)


def parted(net: QuantizedNet, one: str, _: str) -> str:
    """Put the second half of the channels before the first."""
    parts = []
    for start in (3, 0):
        bounds = [ints(net, start), ints(net, start + 3), ints(net, 1)]
        part = net.node("Slice", [shuffled(net, one), *bounds])
        parts.append(net.quantize(part, 3, like=one))
    return net.quantize(net.node("Concat", parts, axis=1), CHANNELS, like=one)


def same(operator: str, *constants: Any, **attributes: Any) -> Build:
    """Build one node with constants, whose output has its input's scale."""

    def build(net: QuantizedNet, one: str, _: str) -> str:
        given = [net.constant(np.asarray(each)) if each is not None else "" for each in constants]
        made = net.node(operator, [one, *given], **attributes)
        return net.quantize(made, CHANNELS, like=one)

    return build


def pair(operator: str, **attributes: Any) -> Build:
    """Build one node with two inputs."""
    return lambda net, one, other: net.quantize(
        net.node(operator, [one, other], **attributes), CHANNELS
    )


def with_bytes(net: QuantizedNet, one: str, _: str) -> str:
    """Multiply each channel by a constant that is quantized, too."""
    if isinstance(net, FloatNet):
        slope = net.constant(np.linspace(-1, 2, CHANNELS, dtype=np.float32).reshape(-1, 1, 1))
        return net.node("Mul", [one, slope])
    numbers = net.constant(np.linspace(0, 255, CHANNELS).astype(np.uint8).reshape(-1, 1, 1))
    parts = [floats(net, 0.0117), net.constant(np.array([85], np.uint8))]
    return net.quantize(
        net.node("Mul", [one, net.node("DequantizeLinear", [numbers, *parts])]), CHANNELS
    )


SIZES = np.array([1, CHANNELS, 10, 14], np.int64)
AROUND = np.array([0, 0, 2, 1, 0, 0, 1, 3], np.int64)
OPERATORS: dict[str, Build] = {
    "add": pair("Add"),
    "mul": pair("Mul"),
    "sub": pair("Sub"),
    "squeeze and excite": squeezed_and_excited,
    "constant bytes": with_bytes,
    "concat channels": pair("Concat", axis=1),
    "concat rows": pair("Concat", axis=2),
    "concat columns": pair("Concat", axis=3),
    "shuffle": lambda net, one, _: shuffled(net, one),
    "parts": parted,
    "transpose": same("Transpose", perm=[0, 3, 1, 2]),
    "last axis first": same("Transpose", perm=[3, 2, 1, 0]),
    "gather": same("Gather", np.array([4, 0, 0, 5]), axis=1),
    "every other row": same("Slice", [4], [-9], [2], [-2]),
    "nearest": same("Resize", None, None, SIZES, mode="nearest"),
    "nearest by floor": same(
        "Resize",
        None,
        np.array([1, 1, 0.6, 2.5], np.float32),
        mode="nearest",
        nearest_mode="floor",
        coordinate_transformation_mode="asymmetric",
    ),
    "zeros around": same("Pad", AROUND),
    "reflected": same("Pad", AROUND, mode="reflect"),
    "edges": same("Pad", AROUND, mode="edge"),
    "softmax": same("Softmax", axis=1),
    "leaky": same("LeakyRelu", alpha=0.1),
}


def compiled(net: QuantizedNet, value: str, folder: Path) -> tuple[Compiled, onnx.ModelProto]:
    """Compile a net with one output."""
    model = net.model(value)
    return compile_net(model, folder, (*FLAGS, "-O1")), model


def answers(made: Compiled, model: onnx.ModelProto, image: NDArray[Any]) -> Answers:
    """Give what C and ONNX Runtime answer."""
    (name,) = (value.name for value in model.graph.output)
    return made.run(image)[name], run_ort(model, {"image": image})[name]


# What ONNX Runtime computes with signed bytes in integers: if one reader alone has them.
SIGNED = ["add", "mul", "sub", "concat channels", "shuffle", "nearest", "zeros around", "softmax"]


def test_operators_over_floats_answer_as_in_onnx_runtime(tmp_path: Path) -> None:
    net = FloatNet(SHAPE)
    other = net.node("Neg", ["image"])
    made = {name: build(net, "image", other) for name, build in OPERATORS.items()}
    model = net.model(*made.values())
    found, image = compile_net(model, tmp_path, (*FLAGS, "-O1")), net.images(1)[0]
    answered, expected = found.run(image), run_ort(model, {"image": image})
    for name, value in made.items():
        np.testing.assert_allclose(answered[value], expected[value], 1e-5, 1e-6, err_msg=name)


def test_operators_over_bytes_answer_to_the_bit(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    other = net.quantize(net.node("Neg", ["image"]), CHANNELS)
    made = {name: build(net, net.first, other) for name, build in OPERATORS.items()}
    model = net.model(*made.values())
    found = compile_net(model, tmp_path, (*FLAGS, "-O1"))
    for image in net.images(3):
        answered, expected = found.run(image), run_ort(model, {"image": image})
        for name, value in made.items():
            np.testing.assert_array_equal(answered[value], expected[value], err_msg=name)


@pytest.mark.parametrize("name", SIGNED)
def test_operators_over_signed_bytes_answer_to_the_bit(name: str, tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE, signed=True)
    other = net.quantize(net.node("Neg", ["image"]), CHANNELS)
    made, model = compiled(net, OPERATORS[name](net, net.first, other), tmp_path)
    for image in net.images(3):
        np.testing.assert_array_equal(*answers(made, model, image))


def test_a_channel_shuffle_is_one_copy(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    made, _ = compiled(net, shuffled(net, net.first), tmp_path)
    kernels = [each.kernel for each in made.made.program.layers]
    assert [each for each in kernels if "quantize" not in each] == ["rearrange_u8", "planes_f32"]


def test_zeros_around_are_the_convolution_s_own(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    made = net.node("Pad", [net.first, net.constant(AROUND)])
    padded = net.quantize(made, CHANNELS, like=net.first)
    built, model = compiled(net, net.conv(padded, 4), tmp_path)
    kernels = {each.kernel for each in built.made.program.layers}
    assert not kernels & {"fill_u8", "place_u8", "fill_f32", "place_f32"}
    for image in net.images(3):
        np.testing.assert_array_equal(*answers(built, model, image))


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_each_channel_may_have_a_scale_of_its_own(kind: type, tmp_path: Path) -> None:
    net = FloatNet(SHAPE)
    scales = floats(net, *np.linspace(0.005, 0.06, CHANNELS))
    zeros = net.constant(np.arange(CHANNELS).astype(kind))
    made = net.node("QuantizeLinear", ["image", scales, zeros], axis=1)
    made = net.node("DequantizeLinear", [made, scales, zeros], axis=1)
    built, model = compiled(net, made, tmp_path)
    np.testing.assert_array_equal(*answers(built, model, net.images(1)[0]))


def test_a_foreign_file_s_own_preprocessing_is_computed(tiny_net: TinyNet, tmp_path: Path) -> None:
    for precision in ("fp32", "int8"):
        model = onnx.load_model_from_string(tiny_net.onnx(precision))
        folder = tmp_path / precision
        folder.mkdir()
        net = compile_net(model, folder)
        for image in tiny_net.images[:10, None]:
            expected = run_ort(model, {"pixels": image})["logits"]
            np.testing.assert_allclose(net.run(image)["logits"], expected, rtol=1e-4, atol=1e-5)


def test_constants_that_a_graph_quantizes_are_quantized_at_generation(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    numbers = net.constant(np.linspace(-1, 2, CHANNELS, dtype=np.float32).reshape(-1, 1, 1))
    parts = [floats(net, 0.0117), net.constant(np.array([85], np.uint8))]
    gate = net.node("DequantizeLinear", [net.node("QuantizeLinear", [numbers, *parts]), *parts])
    made = net.quantize(net.node("Mul", [net.first, gate]), CHANNELS)
    built, model = compiled(net, made, tmp_path)
    assert "mul_u8" in [each.kernel for each in built.made.program.layers]
    for image in net.images(3):
        np.testing.assert_array_equal(*answers(built, model, image))


def test_floats_are_cast_to_bytes_and_back(tmp_path: Path) -> None:
    net = FloatNet(SHAPE)
    bytes_ = net.node("Cast", [net.node("Abs", ["image"])], to=TensorProto.UINT8)
    built, model = compiled(net, net.node("Cast", [bytes_], to=TensorProto.FLOAT), tmp_path)
    image = 50 * net.images(1)[0]
    np.testing.assert_array_equal(*answers(built, model, image))


def test_a_net_may_take_quantized_bytes(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    model = net.model(net.conv(net.first, 4))
    given = model.graph.node[1].input
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(given[0], TensorProto.UINT8, SHAPE))
    del model.graph.node[0]
    built = compile_net(model, tmp_path)
    (name,) = (value.name for value in model.graph.output)
    for image in np.random.default_rng(2).integers(0, 256, (3, *SHAPE), dtype=np.uint8):
        expected = run_ort(model, {given[0]: image})[name]
        np.testing.assert_array_equal(built.run(image)[name], expected)


def test_a_linear_resize_of_bytes_is_a_step_away_at_most(tmp_path: Path) -> None:
    net = QuantizedNet(SHAPE)
    made = net.node("Resize", [net.first, "", "", net.constant(SIZES)], mode="linear")
    built, model = compiled(net, net.quantize(made, CHANNELS, like=net.first), tmp_path)
    for image in net.images(3):
        found, expected = answers(built, model, image)
        step = np.unique(np.abs(expected[expected != 0])).min()
        assert np.abs(found - expected).max() < 1.01 * step


@pytest.mark.parametrize("size", [3, 5])
def test_a_local_response_normalisation_answers_as_in_onnx_runtime(
    size: int, tmp_path: Path
) -> None:
    net = FloatNet(SHAPE)
    made, model = compiled(net, net.node("LRN", ["image"], size=size, alpha=0.3), tmp_path)
    found, expected = answers(made, model, net.images(1)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-5)
