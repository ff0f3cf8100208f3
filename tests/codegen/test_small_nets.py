"""Small nets of other kinds than a ResNet: the answers of ONNX Runtime, in int8 to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codegen.compiled import FLAGS, compile_net, run_ort
from tests.codegen.graphs import QuantizedNet

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None, reason="There is no C compiler: `apt-get install gcc`."
)
APART, TOGETHER = np.array([1, 2, 6, 8, 12]), np.array([1, 12, 8, 12])
THIS_CPU = ("-O1", "-march=native")


class FloatNet(QuantizedNet):
    """A net of floats, made as if it were quantized."""

    def quantize(
        self, value: str, channels: int, *, relu: bool = False, like: str | None = None
    ) -> str:
        """Leave a float what it is."""
        self._channels[value] = channels
        return value

    def _weights(self, value: str, shape: tuple[int, ...]) -> list[str]:
        weights = self._random.normal(size=shape) / np.sqrt(np.prod(shape[1:]))
        bias = self._random.normal(size=shape[0])
        return [self.constant(each.astype(np.float32)) for each in (weights, bias)]


def after(net: QuantizedNet, operator: str, value: str, channels: int, **attributes: float) -> str:
    """Add a function of one number, and quantize what it gives."""
    return net.quantize(net.node(operator, [value], **attributes), channels)


def mobile_v3(net: QuantizedNet) -> list[str]:
    """As in MobileNetV3: expand, filter each channel, squeeze and excite, project, add."""
    first = net.conv(net.first, 10, kernel=1, relu=False)
    wide = after(net, "HardSwish", net.conv(first, 26, kernel=1, relu=False), 26)
    wide = net.conv(wide, 26, group=26, relu=False)
    wide = after(net, "HardSwish", wide, 26)
    gate = net.conv(net.conv(net.mean(wide), 8, kernel=1), 26, kernel=1, relu=False)
    gate = after(net, "HardSigmoid", gate, 26, alpha=1 / 6)
    wide = net.quantize(net.node("Mul", [gate, wide]), 26)
    made = net.add(net.conv(wide, 10, kernel=1, relu=False), first, relu=False)
    return [net.dense(net.mean(made), 5, 10)]


def shuffle_v2(net: QuantizedNet) -> list[str]:
    """As in ShuffleNetV2: half of the channels go past, then all are shuffled; twice."""
    value = net.conv(net.first, 12)
    for _ in range(2):
        halves = []
        for start in (0, 6):
            bounds = [net.constant(np.array([each])) for each in (start, start + 6, 1)]
            halves.append(net.quantize(net.node("Slice", [value, *bounds]), 6, like=value))
        side = net.conv(net.conv(halves[1], 6, kernel=1), 6, group=6, relu=False)
        side = net.conv(side, 6, kernel=1)
        value = net.quantize(net.node("Concat", [halves[0], side], axis=1), 12)
        made = net.quantize(net.node("Reshape", [value, net.constant(APART)]), 12, like=value)
        made = net.node("Transpose", [made], perm=[0, 2, 1, 3, 4])
        made = net.quantize(made, 12, like=value)
        value = net.quantize(net.node("Reshape", [made, net.constant(TOGETHER)]), 12, like=value)
    return [net.dense(net.mean(value), 5, 12)]


def u_net(net: QuantizedNet) -> list[str]:
    """As in a U-Net: down, up again, joined with what was there; a picture is the output."""
    fine = net.conv(net.first, 9)
    coarse = net.conv(net.max_pool(fine), 14)
    scales = net.constant(np.array([1, 1, 2, 2], np.float32))
    wide = net.node("Resize", [coarse, "", scales], mode="nearest")
    wide = net.quantize(wide, 14, like=coarse)
    joined = net.quantize(net.node("Concat", [wide, fine], axis=1), 23)
    made = net.conv(net.conv(joined, 9), 2, kernel=1, relu=False)
    return [after(net, "Sigmoid", made, 2)]


def two_heads(net: QuantizedNet) -> list[str]:
    """As in a detector: two outputs, of which one is a picture that something reads on."""
    value = net.conv(net.first, 7)
    places = net.conv(value, 4, kernel=1, relu=False)
    return [places, net.dense(net.mean(places), 3, 4)]


NETS: dict[str, Callable[[QuantizedNet], list[str]]] = {
    "mobile_v3": mobile_v3,
    "shuffle_v2": shuffle_v2,
    "u_net": u_net,
    "two_heads": two_heads,
}


def answers(
    net: QuantizedNet, made: list[str], folder: Path, flags: tuple[str, ...]
) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Give what C and ONNX Runtime answer, for each output and image."""
    model = net.model(*made)
    built, found = compile_net(model, folder, (*FLAGS, *flags)), []
    for image in net.images(4):
        answered, expected = built.run(image), run_ort(model, {"image": image})
        found += [(answered[name], expected[name]) for name in made]
    return found


@pytest.mark.parametrize("name", NETS)
def test_nets_of_bytes_answer_to_the_bit(name: str, tmp_path: Path) -> None:
    net = QuantizedNet((1, 3, 8, 12))
    for found, expected in answers(net, NETS[name](net), tmp_path, THIS_CPU):
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", NETS)
def test_nets_of_floats_answer_as_in_onnx_runtime(name: str, tmp_path: Path) -> None:
    net = FloatNet((1, 3, 8, 12))
    net.first = net.quantize("image", 3)
    for found, expected in answers(net, NETS[name](net), tmp_path, ("-O1",)):
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [FloatNet, QuantizedNet])
def test_a_picture_is_read_with_a_border_and_flat_at_once(
    kind: type[QuantizedNet], tmp_path: Path
) -> None:
    net = kind((1, 3, 6, 7))
    one = net.conv(net.first, 20)
    model = net.model(net.dense(one, 5, 20 * 6 * 7), net.conv(one, 8))
    compiled = compile_net(model, tmp_path, FLAGS)
    for image in net.images(2):
        found, expected = compiled.run(image), run_ort(model, {"image": image})
        for name in expected:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-4, atol=1e-4)
