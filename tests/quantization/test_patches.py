"""Convolutions that are slow as int8 because they have few channels."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from edgecnn.graph import clean
from edgecnn.quantization.making import quantize_core
from edgecnn.quantization.patches import find_patched
from tests.conftest import CONTRACT, TinyNet


@pytest.mark.parametrize(
    ("channels", "layers", "share"),
    [
        # 3 to 16 channels: 6*6*27*16 = 15,552 multiply-adds; 16 to 16: 4*4*144*16 = 36,864.
        (16, ("first",), 15_552 / 52_416),
        # Six channels are too few for either: 5,832 and 5,184 of them all.
        (6, ("first", "second"), 1.0),
    ],
)
def test_few_channels_are_copied_and_many_are_not(
    tiny_net: TinyNet, channels: int, layers: tuple[str, ...], share: float
) -> None:
    text = f"""<ir_version: 8, opset_import: ["" : 18]>
    net (float[N,3,8,8] image) => (float[N,{channels},4,4] y) {{
        [first] a = Conv<kernel_shape=[3,3]>(image, w1)
        [second] b = Conv<kernel_shape=[3,3]>(a, w2)
        [deep] c = Conv<kernel_shape=[3,3], pads=[1,1,1,1], group={channels}>(b, w3)
        y = Relu(c)
    }}"""
    random = np.random.default_rng(6)
    proto = onnx.parser.parse_model(text)
    for name, inputs in (("w1", 3), ("w2", channels), ("w3", 1)):
        array = random.normal(0, 0.3, (channels, inputs, 3, 3)).astype(np.float32)
        proto.graph.initializer.append(numpy_helper.from_array(array, name))
    core = clean.clean(clean.from_bytes(proto.SerializeToString(), where="the net"))
    found = find_patched(quantize_core(core, CONTRACT, tiny_net.images[:20]))
    assert found.layers == layers
    # The depthwise layer, 4*4*9 for each channel, counts among all of them.
    depthwise = 144 * channels
    whole = 52_416 if channels == 16 else 11_016
    assert found.share == pytest.approx(share * whole / (whole + depthwise))
